"""Strokes of a request, drawn into a map of classes."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from service.editing.annotations import IGNORE, MAX_NUMBER, LabelMap, parsed
from service.editing.class_names import ClassRef, ClassRefs
from service.images.strokes import covered_pixels, rows_of_lines
from service.problems import Problem

MAX_STROKES = 1000
MAX_POINTS = 10_000  # of one stroke
_MAX_ALL_POINTS = 100_000
_MAX_ROWS = 5_000_000  # image rows that all lines cross, added up
_FARTHEST = 1e6  # pixels
_FIX = 'Give a list such as [{"class_name": "kerb", "points": [[10, 10], [60, 40]], "width": 5}].'
_ALLOWED = (
    f"1 to {MAX_STROKES} strokes, each with 1 to {MAX_POINTS} points [x, y] of finite numbers, and a width above 0, in "
    "pixels of the upright image"
)

Coordinate = Annotated[float, Field(ge=-_FARTHEST, le=_FARTHEST, allow_inf_nan=False)]
Point = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]


class Stroke(BaseModel):
    """A line that marks pixels with a class: the class by name or id, points [x, y] and the width in pixels."""

    model_config = ConfigDict(extra="forbid")

    class_name: Annotated[str | None, Field(description="Name of its class; a new name creates a class.")] = None
    class_id: Annotated[int | None, Field(ge=0, le=MAX_NUMBER, description="Id of its class, instead of a name.")] = (
        None
    )
    color: Annotated[str | None, Field(description="Colour #rrggbb of the class if it is created.")] = None
    points: Annotated[
        list[Point],
        Field(
            min_length=1,
            max_length=MAX_POINTS,
            description="[x, y] in pixels of the upright image at its full size. A single point is a dot.",
        ),
    ]
    width: Annotated[
        float,
        Field(
            gt=0,
            le=_FARTHEST,
            allow_inf_nan=False,
            description="In pixels of the upright image, at most its longer side.",
        ),
    ]


_STROKES = TypeAdapter(Annotated[list[Stroke], Field(min_length=1, max_length=MAX_STROKES)])


def from_strokes(strokes: str | bytes | Sequence[Any], size: tuple[int, int], names: Sequence[str] = ()) -> LabelMap:
    """Draw strokes into a map. Later strokes cover earlier ones. They are clipped at the edges of the image.

    Args:
        strokes: JSON text, or parsed JSON.
        size: (H, W) of the upright image.
        names: of the present classes.

    Raises:
        Problem: 422 with the number of the stroke that is not valid.
    """
    drawn: list[Stroke] = parsed(_STROKES, strokes, "strokes", _FIX, _ALLOWED)
    _check_work(drawn, size)
    values, refs = np.full(size, IGNORE, dtype=np.int32), ClassRefs(names)
    for n, stroke in enumerate(drawn):
        _check_width(stroke, size, f"strokes[{n}]")
        covered = covered_pixels(np.array(stroke.points, dtype=np.float64), stroke.width, size)
        if covered is None:
            raise Problem(
                422, f"strokes[{n}] is outside the image.", received=_extent(stroke),
                allowed=f"x 0 to {size[1]}, y 0 to {size[0]}",
                fix="Give pixels of the upright image, with its EXIF orientation applied.",
            )  # fmt: skip
        position = refs.position(ClassRef(stroke.class_name, stroke.class_id, stroke.color))
        values[covered.rows, covered.columns][covered.inside] = position
    return LabelMap(values, refs.refs)


def _check_work(strokes: Sequence[Stroke], size: tuple[int, int]) -> None:
    points = sum(len(stroke.points) for stroke in strokes)
    if points > _MAX_ALL_POINTS:
        raise Problem(
            422, "The strokes have too many points.", received=f"{points} points in total",
            allowed=f"at most {_MAX_ALL_POINTS}", fix="Leave out points, or send the strokes in several requests.",
        )  # fmt: skip
    rows = sum(rows_of_lines(np.array(one.points, dtype=np.float64), one.width, size[0]) for one in strokes)
    if rows > _MAX_ROWS:
        raise Problem(
            422, "The strokes are too long.", received=f"{rows} rows of pixels in total",
            allowed=f"at most {_MAX_ROWS}", fix="Leave out points, or send the strokes in several requests.",
        )  # fmt: skip


def _check_width(stroke: Stroke, size: tuple[int, int], name: str) -> None:
    if stroke.width > max(size):
        raise Problem(
            422, f"{name} is wider than the image.", received=f"width {stroke.width:g}",
            allowed=f"above 0, at most {max(size)} pixels, the longer side of the image",
            fix="Give the width in pixels of the upright image, or mark areas with `annotations`.",
        )  # fmt: skip


def _extent(stroke: Stroke) -> str:
    points = np.array(stroke.points)
    low, high = points.min(axis=0), points.max(axis=0)
    return f"x {low[0]:g} to {high[0]:g}, y {low[1]:g} to {high[1]:g}, width {stroke.width:g}"
