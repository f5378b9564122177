"""Strokes of a request, drawn into a map of classes."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from service.editing.annotations import IGNORE, MAX_NUMBER, LabelMap, parsed
from service.editing.class_names import ClassRef, ClassRefs
from service.editing.rings import Work, check_outlines, fill
from service.editing.shapes import other_size, pixels_of_run_lengths
from service.images.strokes import Covered, covered_pixels, pixels_of_points, rows_of_lines
from service.problems import Problem

MAX_STROKES = 1000
MAX_POINTS = 10_000  # of one stroke
_MAX_ALL_POINTS = 100_000
_MAX_ROWS = 5_000_000  # image rows that all lines cross, added up
_FARTHEST = 1e6  # pixels
_FIX = 'Give a list such as [{"class_name": "kerb", "points": [[10, 10], [60, 40]], "width": 5}].'
_ALLOWED = (
    f"1 to {MAX_STROKES} strokes, each a line of 1 to {MAX_POINTS} points [x, y] with a width above 0, a polygon, or a "
    "mask, in pixels of the upright image"
)
_KINDS = ("points", "polygon", "mask")

Coordinate = Annotated[float, Field(ge=-_FARTHEST, le=_FARTHEST, allow_inf_nan=False)]
Point = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]
Ring = Annotated[list[Point], Field(min_length=3, max_length=_MAX_ALL_POINTS)]


class StrokeMask(BaseModel):
    """Pixels as COCO run lengths, in the form that answers have."""

    model_config = ConfigDict(extra="forbid")

    size: Annotated[
        list[int], Field(min_length=2, max_length=2, description="[height, width] of the upright image in pixels.")
    ]
    counts: Annotated[
        str | list[Annotated[int, Field(ge=0, le=MAX_NUMBER)]],
        Field(description="Run lengths down the columns, compressed as COCO does, or a list of numbers."),
    ]


class Stroke(BaseModel):
    """Marked pixels and their class, by name or id. Exactly one of `points` (with `width`), `polygon` and `mask`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [{"required": ["points", "width"]}, {"required": ["polygon"]}, {"required": ["mask"]}]
        },
    )

    class_name: Annotated[str | None, Field(description="Name of its class; a new name creates a class.")] = None
    class_id: Annotated[int | None, Field(ge=0, le=MAX_NUMBER, description="Id of its class, instead of a name.")] = (
        None
    )
    color: Annotated[str | None, Field(description="Colour #rrggbb of the class if it is created.")] = None
    points: Annotated[
        Annotated[list[Point], Field(min_length=1, max_length=MAX_POINTS)] | None,
        Field(
            description="A line: [x, y] in pixels of the upright image at its full size. A single point is a dot.",
        ),
    ] = None
    width: Annotated[
        Annotated[float, Field(gt=0, le=_FARTHEST, allow_inf_nan=False)] | None,
        Field(description="Of a line, in pixels of the upright image, at most its longer side."),
    ] = None
    polygon: Annotated[
        Annotated[list[Ring], Field(min_length=1, max_length=MAX_POINTS)] | None,
        Field(
            description="An area: outlines of three or more points [x, y]. A pixel belongs to it if its centre is "
            "inside an odd number of outlines.",
        ),
    ] = None
    mask: Annotated[StrokeMask | None, Field(description="An area: its pixels, for example a piece of a segment.")] = (
        None
    )


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
    values, refs = np.full(size, IGNORE, dtype=np.int32), ClassRefs(names)
    for ref, covered in drawn_strokes(drawn, size):
        values[covered.rows, covered.columns][covered.inside] = refs.position(ref)
    return LabelMap(values, refs.refs)


def drawn_strokes(strokes: Sequence[Stroke], size: tuple[int, int]) -> Iterator[tuple[ClassRef, Covered]]:
    """The class and the pixels of each stroke, in their order, clipped at the edges of the image.

    Args:
        strokes: as a request gives them.
        size: (H, W) of the upright image.

    Raises:
        Problem: 422 with the number of the stroke that is not valid or outside the image, or if they are too many.
    """
    for n, stroke in enumerate(strokes):
        _check_kind(stroke, f"strokes[{n}]")
    _check_work(strokes, size)
    work = Work()
    for n, stroke in enumerate(strokes):
        covered = _covered(stroke, size, f"strokes[{n}]", work)
        if covered is None:
            raise Problem(
                422, f"strokes[{n}] is outside the image, or empty.", received=_extent(stroke),
                allowed=f"at least one pixel with x 0 to {size[1]}, y 0 to {size[0]}",
                fix="Give pixels of the upright image, with its EXIF orientation applied.",
            )  # fmt: skip
        yield ClassRef(stroke.class_name, stroke.class_id, stroke.color), covered


def _check_kind(stroke: Stroke, name: str) -> None:
    given = [kind for kind in _KINDS if getattr(stroke, kind) is not None]
    if len(given) != 1:
        raise Problem(
            422, f"{name} needs exactly one of points, polygon and mask.", received=given, allowed=list(_KINDS),
            fix="Send a stroke for each of them.",
        )  # fmt: skip
    if (stroke.points is None) != (stroke.width is None):
        missing = stroke.width is None
        raise Problem(
            422, f"{name} has {'no width' if missing else 'a width, but no points'}.", received=given,
            allowed="points with a width; polygon or mask without one",
            fix="Add the width of the line in pixels." if missing else "Leave out the width.",
        )  # fmt: skip


def _covered(stroke: Stroke, size: tuple[int, int], name: str, work: Work) -> Covered | None:
    """The pixels of a stroke; None if none is inside the image."""
    if stroke.mask is not None:
        found = tuple(stroke.mask.size)
        if found != size:
            raise other_size(found, size, f"{name}.mask.size")
        return pixels_of_run_lengths(stroke.mask.counts, size, name, work)
    if stroke.polygon is not None:
        rings = [np.array(ring, dtype=np.float64) for ring in stroke.polygon]
        filled = fill(rings, size, work).covered
        return filled if filled is not None else pixels_of_points(np.concatenate(rings), size)
    _check_width(stroke, size, name)
    return covered_pixels(np.array(stroke.points, dtype=np.float64), float(stroke.width or 0), size)


def _check_work(strokes: Sequence[Stroke], size: tuple[int, int]) -> None:
    points = sum(len(_points(stroke)) for stroke in strokes)
    if points > _MAX_ALL_POINTS:
        raise Problem(
            422, "The strokes have too many points.", received=f"{points} points in total",
            allowed=f"at most {_MAX_ALL_POINTS}", fix="Leave out points, or send the strokes in several requests.",
        )  # fmt: skip
    check_outlines(np.array(ring, dtype=np.float64) for stroke in strokes for ring in stroke.polygon or ())
    lines = [one for one in strokes if one.points is not None]
    rows = sum(rows_of_lines(np.array(one.points, dtype=np.float64), one.width or 0, size[0]) for one in lines)
    if rows > _MAX_ROWS:
        raise Problem(
            422, "The strokes are too long.", received=f"{rows} rows of pixels in total",
            allowed=f"at most {_MAX_ROWS}", fix="Leave out points, or send the strokes in several requests.",
        )  # fmt: skip


def _points(stroke: Stroke) -> list[list[float]]:
    """All points of a line or a polygon; none of a mask."""
    return stroke.points or [point for ring in stroke.polygon or () for point in ring]


def _check_width(stroke: Stroke, size: tuple[int, int], name: str) -> None:
    if stroke.width is not None and stroke.width > max(size):
        raise Problem(
            422, f"{name} is wider than the image.", received=f"width {stroke.width:g}",
            allowed=f"above 0, at most {max(size)} pixels, the longer side of the image",
            fix="Give the width in pixels of the upright image, or mark areas with `polygon`.",
        )  # fmt: skip


def _extent(stroke: Stroke) -> str:
    if stroke.mask is not None:
        return "a mask without a pixel"
    points = np.array(_points(stroke))
    low, high = points.min(axis=0), points.max(axis=0)
    width = "" if stroke.width is None else f", width {stroke.width:g}"
    return f"x {low[0]:g} to {high[0]:g}, y {low[1]:g} to {high[1]:g}{width}"
