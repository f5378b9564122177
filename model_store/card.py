"""The card of a release: its content, its origin, and the settings that it is served with."""

from itertools import pairwise
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from segsort.pixel_sorting import SortingOptions

FORMAT_VERSION: Literal[1] = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassInfo(_Frozen):
    """A class of the label map. color: RGB in 0..255."""

    class_id: int = Field(ge=0)
    name: str
    color: tuple[int, int, int]


class Preprocessing(_Frozen):
    """Preprocessing of the network's input: resize the longest side to working_size, then (rgb - mean) / std.

    The right and bottom edges are then repeated until both sides are multiples of multiple_of. mean and std are of RGB
    in 0..255.
    """

    working_size: int = Field(ge=32)
    multiple_of: int = Field(default=32, ge=1)
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resample: Literal["bilinear"] = "bilinear"


class NetworkInfo(_Frozen):
    """Description of the network of a release."""

    name: str
    backbone: str
    dimension: int = 32
    stride: int = 4
    parameters: int
    opset: int


class FeatureGroupInfo(_Frozen):
    """One map of a feature extractor: its name, the number of its channels, and its stride in pixels of the input."""

    name: str
    channels: int = Field(ge=1)
    stride: int = Field(ge=4)


class FeaturesInfo(_Frozen):
    """The feature extractor in `features.onnx` of a release that can be adapted."""

    name: str
    groups: list[FeatureGroupInfo] = Field(min_length=1)


class HeadInfo(_Frozen):
    """The head that makes embeddings of features. groups: the maps that it reads.

    cross_validated: mIoU, 0..1, of each head that was tried, by its description, on images (or strokes, if there is one
    image) that it was not fitted on; empty if nothing could be compared. chosen: the description of this head.
    """

    kind: Literal["identity", "linear", "mlp", "forest", "softmax", "ensemble"]
    groups: list[str] = Field(min_length=1)
    chosen: str
    cross_validated: dict[str, float] = Field(default_factory=dict)
    seconds: float = Field(default=0.0, ge=0)


class SortingInfo(_Frozen):
    """Settings of pixel sorting. min_area: minimum area of a segment as a share of the image; smaller ones are merged.

    By default there are four iterations over a quarter of the pixels and two over all. precision: precision of the
    comparison in `segsort.pixel_sorting`.
    """

    segments: int = Field(default=64, ge=1)
    iterations: int = Field(default=2, ge=1)
    coarse_iterations: int = Field(default=4, ge=0)
    location_weight: float = Field(default=0.5, ge=0)
    assignment: Literal["hard", "soft"] = "hard"
    kappa: float = Field(default=10.0, gt=0)
    min_area: float = Field(default=0.0001, ge=0, lt=1)
    precision: Literal["float32", "int8"] = "int8"

    def options(self, segments: int | None = None) -> SortingOptions:
        """Options for `segsort.segments`; `segments` replaces the number of the card if it is given."""
        return SortingOptions(
            segments=self.segments if segments is None else segments,
            iterations=self.iterations,
            coarse_iterations=self.coarse_iterations,
            location_weight=self.location_weight,
            assignment=self.assignment,
            kappa=self.kappa,
            precision=self.precision,
        )


class RetrievalInfo(_Frozen):
    """Settings of the vote: k exemplars with weight exp(kappa * cosine) each. index_factory: FAISS index factory."""

    k: int = Field(default=20, ge=1)
    kappa: float = Field(default=10.0, gt=0)
    index_factory: str = "Flat"


class Calibration(_Frozen):
    """Confidence as a function of the winning share, linear between knots, and the threshold of known segments.

    A segment is known if its familiarity, the mean of two cosines (`segsort.retrieval.familiarity`), reaches
    known_threshold. how: the data that both were fitted on. calibrated: False if the exemplars did not allow a
    calibration, for example because there are none; `how` then says why. No confidence is given, the knots are not
    used, and the threshold is compared with the cosine of the segment alone.
    """

    confidence_x: list[float] = Field(min_length=1)
    confidence_y: list[float] = Field(min_length=1)
    known_threshold: float
    how: str
    calibrated: bool = True

    @model_validator(mode="after")
    def _monotone(self) -> Self:
        x, y = self.confidence_x, self.confidence_y
        rising = all(a < b for a, b in pairwise(x)) and all(a <= b for a, b in pairwise(y))
        if len(x) != len(y) or not rising:
            raise ValueError(
                f"confidence_x={x} must increase, confidence_y={y} must not decrease; both must have the same length"
            )
        return self


class Card(_Frozen):
    """The card of a release. The ids of `classes` are 0, 1, 2, ... in order; an empty release has no classes.

    Classes in `retired` have no exemplars and are not offered. They keep their id, so that no other class gets it.

    `licence` has the key "network" for the weights and what they were trained on, "exemplars" for the images that the
    release was built from, and "added" for images that users added while it was served. See `network_licence`.
    """

    format_version: Literal[1] = FORMAT_VERSION
    name: str = Field(min_length=1)
    created: str
    description: str
    classes: list[ClassInfo]
    retired: list[int] = Field(default_factory=list)
    network: NetworkInfo
    preprocessing: Preprocessing
    sorting: SortingInfo
    retrieval: RetrievalInfo
    calibration: Calibration
    features: FeaturesInfo | None = None
    head: HeadInfo | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)
    licence: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)

    def network_licence(self) -> dict[str, Any]:
        """Licences of the network: of its weights, of what they were trained on, and of anything else it came with.

        Older cards have these beside the statement on exemplars, without the key "network", or as one text.
        """
        own = self.licence.get("network", {})
        others = {key: value for key, value in self.licence.items() if key not in ("network", "exemplars", "added")}
        return {**others, **(own if isinstance(own, dict) else {"weights": own})}

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        ids = [info.class_id for info in self.classes]
        names = [info.name for info in self.classes]
        if ids != list(range(len(ids))) or len(set(names)) != len(names):
            raise ValueError(
                f"classes have ids {ids} and names {names}; ids must be 0, 1, 2, ... and names must differ"
            )
        if not set(self.retired) <= set(ids):
            raise ValueError(f"retired={self.retired} has unknown class ids; the classes are 0..{len(ids) - 1}")
        return self
