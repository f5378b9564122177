"""The card of a release: what it holds, how it was made, and how it must be served."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT_VERSION = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassInfo(_Frozen):
    """A class of the label map; color is RGB in 0..255."""

    class_id: int = Field(ge=0)
    name: str
    color: tuple[int, int, int]


class Preprocessing(_Frozen):
    """How an image becomes the network's input: longest side resized to working_size, then (rgb - mean) / std, then padding."""

    working_size: int = Field(ge=32)
    multiple_of: int = 32
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resample: Literal["bilinear"] = "bilinear"


class NetworkInfo(_Frozen):
    """The network of a release."""

    name: str
    backbone: str
    dimension: int = 32
    stride: int = 4
    parameters: int
    opset: int
