"""Reading of annotation files: JSON that follows a model, and the beginnings of files."""

import base64
import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

T = TypeVar("T")

LARGEST = 1e9  # of a coordinate: all computations with it are exact enough, and none overflows
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Point = tuple[Number, Number]  # (x, y)


class Document(BaseModel):
    """Base of the models of JSON objects. Unknown fields are ignored, because the tools add some with each version."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


def read_json(file: Path) -> Any:
    """Read a JSON file in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: if it cannot be read, or is no JSON. The message names the file.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file} cannot be read as JSON ({error})") from error


def conform(value: Any, model: TypeAdapter[T], place: Path | str) -> T:
    """Check that a JSON value follows a model.

    Args:
        value: what `read_json` returned, or a part of it.
        model: what is allowed.
        place: the file, and the part of it, for the message.

    Raises:
        ValueError: if it does not. The message states the place, what was found there and what is allowed.
    """
    try:
        return model.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]).lstrip(".")
        found = "missing" if first["type"] == "missing" else shortened(first["input"])
        raise ValueError(f"{place}: {where or 'the whole'} is {found}. {first['msg']}") from error


def from_base64(text: str, place: Path | str) -> bytes:
    """Decode base64.

    Raises:
        ValueError: if it is damaged. The message states the place.
    """
    try:
        return base64.b64decode(text)
    except ValueError as error:
        raise ValueError(f"{place}: {shortened(text)} is no base64 ({error})") from error


def shortened(value: Any, most: int = 60) -> str:
    """A value for a message, at most `most` characters."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def beginning(file: Path, most: int = 1 << 16) -> str:
    """The beginning of a text file, for the detection of formats; empty, if there is no such file.

    Args:
        file: a file.
        most: bytes that are read.
    """
    try:
        with file.open("rb") as stream:
            return stream.read(most).decode("utf-8-sig", errors="replace")
    except OSError:
        return ""
