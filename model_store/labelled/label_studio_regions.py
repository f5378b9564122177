"""Regions of Label Studio: what is stated about them, and the pixels that they cover."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BeforeValidator, Field, TypeAdapter

from model_store.labelled.brush import decode_brush
from model_store.labelled.documents import Document, Number, Point, conform
from model_store.labelled.shapes import Ellipse, Patch, Polygon, box, placed, rotated

_SHAPES = ("rle", "points", "x", "vertices", "imageDataURL")
_REMARKS = ("choices", "text", "rating", "number", "taxonomy", "datetime")
LABELS = ("brushlabels", "polygonlabels", "rectanglelabels", "ellipselabels", "labels")  # of regions with an area


def _as_bytes(value: Any) -> Any:
    try:
        return bytes(value) if isinstance(value, list) else value
    except (TypeError, ValueError) as error:
        raise ValueError(f"Whole numbers from 0 to 255 are needed ({error})") from error


class _Fields(Document):
    """What is stated about a region. Places are in percent of the width or of the height of the image."""

    rle: Annotated[bytes, BeforeValidator(_as_bytes)] | None = None
    points: list[Point] | None = None
    closed: bool = True
    x: Number | None = None
    y: Number | None = None
    width: Number | None = None
    height: Number | None = None
    radius_x: Number | None = Field(default=None, alias="radiusX")
    radius_y: Number | None = Field(default=None, alias="radiusY")
    rotation: Number = 0.0
    image_width: int | None = Field(default=None, alias="original_width")
    image_height: int | None = Field(default=None, alias="original_height")
    image_rotation: Number | None = 0.0
    item_index: int | None = 0
    brushlabels: list[str] | None = None
    polygonlabels: list[str] | None = None
    rectanglelabels: list[str] | None = None
    ellipselabels: list[str] | None = None
    labels: list[str] | None = None


_FIELDS = TypeAdapter(_Fields)


class Region(NamedTuple):
    """A region with an area and a label.

    label: the first of its labels; size: (H, W) of its image, None: not stated; fields: of its shape.
    """

    label: str
    size: tuple[int, int] | None
    fields: _Fields

    def draw(self, size: tuple[int, int]) -> Patch:
        """The pixels that the region covers, see `shapes.Shape`. Ellipses turn around their centre, and rectangles
        around their first corner."""
        fields, scale = self.fields, np.array(size[::-1]) / 100
        if fields.rle is not None:
            return placed(decode_brush(fields.rle, size), (0, 0), size)
        if fields.points is not None:
            return Polygon((np.array(fields.points, dtype=np.float64) * scale,)).draw(size)
        x, y = (np.array([fields.x, fields.y], dtype=np.float64) * scale).tolist()
        if fields.radius_x is not None:
            rx, ry = (np.array([fields.radius_x, fields.radius_y], dtype=np.float64) * scale).tolist()
            return Ellipse((x, y), (rx, ry), fields.rotation).draw(size)
        width, height = (np.array([fields.width, fields.height], dtype=np.float64) * scale).tolist()
        return Polygon((rotated(box(x, y, x + width, y + height), fields.rotation, (x, y)),)).draw(size)


def read_region(content: Mapping[str, Any], place: str) -> Region | str:
    """A region, or the reason why it cannot be used.

    Args:
        content: its value, and what is stated about its image, as one object.
        place: for messages.

    Raises:
        ValueError: if a field is malformed. The message states the place.
    """
    fields = conform(content, _FIELDS, place)
    label = next((names[0] for kind in LABELS if (names := getattr(fields, kind))), None)
    if label is None:
        kinds = [key for key in content if key.endswith("labels") and key not in LABELS]
        return f"kind {kinds[0]}" if kinds else "no label"
    if not _has_area(fields):
        return "no area, or fewer than three points"
    if (fields.image_rotation or 0) % 360:
        return "image rotated in Label Studio"
    if fields.item_index:
        return "on another image of a task with several images"
    size = (fields.image_height, fields.image_width) if fields.image_height and fields.image_width else None
    return Region(label, size, fields)


def labelled_regions(values: list[tuple[Any, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """The entries of an annotation that are regions.

    Other entries of the same id say more about a region: its choice, its text, or its shape once more without a label.

    Args:
        values: id, None if it has none, and content of each entry.
    """
    labelled = {number for number, content in values if _is_labelled(content)} - {None}
    for number, content in values:
        is_shape = content.keys().isdisjoint(_REMARKS) and not content.keys().isdisjoint(_SHAPES)
        if _is_labelled(content) or (is_shape and number not in labelled):
            yield content


def _is_labelled(content: Mapping[str, Any]) -> bool:
    return any(key.endswith("labels") for key in content)


def _has_area(fields: _Fields) -> bool:
    if fields.rle is not None:
        return True
    if fields.points is not None:
        return len(fields.points) >= 3 and fields.closed
    sides = [fields.radius_x, fields.radius_y] if fields.radius_x is not None else [fields.width, fields.height]
    return None not in (fields.x, fields.y) and all(side is not None and side > 0 for side in sides)
