"""Annotations of an image, a list of shapes, as one map of classes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema, model_validator

from service.editing.class_names import ClassRef, ClassRefs
from service.editing.rings import Filled, Reason, Work, check_outlines, fill, rings_of
from service.editing.shapes import other_size, pixels_of_run_lengths, shortened
from service.json_parsing import FIELD_BYTES, MANY_VALUES, check_json
from service.problems import Problem

IGNORE = 65535  # value of pixels without a class
_MAX_ANNOTATIONS = 10_000
MAX_NUMBER = 2**62  # class ids that every database can store


class Dropped(NamedTuple):
    """A part of the annotations that is not used.

    annotation: its number; ring: number of the polygon in it; None: the whole annotation.
    """

    annotation: int
    ring: int | None
    reason: Reason


class LabelMap(NamedTuple):
    """The classes of an image.

    values: [H, W] int32, positions in `refs`, IGNORE where unlabelled; refs: the classes; dropped: what was not used.
    """

    values: np.ndarray
    refs: list[ClassRef]
    dropped: tuple[Dropped, ...] = ()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


_NUMBERS = {"type": "array", "items": {"type": "number"}}
_POINT = _NUMBERS | {"minItems": 2, "maxItems": 2}
_RING = {"anyOf": [_NUMBERS, {"type": "array", "items": _POINT}]}
Polygons = Annotated[list[Any], WithJsonSchema({"type": "array", "items": _RING})]
_OUTLINES = (
    "outlines in pixels of the upright image, each [x, y, x, y, ...] or [[x, y], ...]. One outline needs no list "
    "around it. A pixel belongs to the shape if its centre is inside an odd number of outlines: an outline inside "
    "another is a hole. Parts outside the image are left out."
)


class ShapeMask(_Strict):
    """The pixels of a shape: as COCO run lengths, or as polygons. Either form is that of answers."""

    size: Annotated[
        list[int],
        Field(min_length=2, max_length=2, description="[height, width] of the upright image in pixels."),
    ]
    counts: Annotated[
        str | list[Annotated[int, Field(ge=0, le=MAX_NUMBER)]] | None,
        Field(
            description="Lengths of runs of pixels, column by column, alternately outside and inside; the first is "
            "outside. They are compressed as COCO does, or a list of numbers."
        ),
    ] = None
    polygons: Annotated[Polygons | None, Field(description=f"Instead of run lengths: {_OUTLINES}")] = None


_OF_COCO = ("id", "image_id", "iscrowd", "area", "bbox", "keypoints", "num_keypoints", "attributes", "score")


def _with_coco(schema: dict[str, Any]) -> None:
    schema["properties"] |= {name: {"description": "A field of COCO. It is not used."} for name in _OF_COCO}


class Annotation(BaseModel):
    """A labelled shape: a class by name or id, and a mask or polygons. An annotation of a COCO file is one too."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_with_coco)

    class_name: Annotated[str | None, Field(description="Name of its class; a new name creates a class.")] = None
    class_id: Annotated[
        Annotated[int, Field(ge=0, le=MAX_NUMBER)] | None, Field(description="Id of its class, instead of a name.")
    ] = None
    category_id: Annotated[
        int | None,
        Field(description="Instead of a name or id of its class: id of an entry of `categories`, as in COCO files."),
    ] = None
    color: Annotated[str | None, Field(description="Colour #rrggbb of the class if it is created.")] = None
    mask: Annotated[ShapeMask | None, Field(description="Its pixels as run lengths or polygons.")] = None
    polygons: Annotated[Polygons | None, Field(description=f"Instead of a mask: {_OUTLINES}")] = None
    segmentation: Annotated[
        Polygons | ShapeMask | None, Field(description="COCO's name for polygons or mask; instead of these.")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _without_names_of_coco(cls, given: Any) -> Any:
        """Leave out what is not used, and give `segmentation` the name of its form."""
        if not isinstance(given, dict):
            return given
        found = {name: value for name, value in given.items() if name not in _OF_COCO}
        shape = found.get("segmentation")
        name = "mask" if isinstance(shape, dict) else "polygons"
        if isinstance(shape, (dict, list)) and found.get(name) is None:
            found[name] = found.pop("segmentation")
        return found


class Category(BaseModel):
    """A class of a COCO file. Other fields are not used."""

    id: Annotated[int, Field(description="What `category_id` of annotations refers to.", examples=[1])]
    name: Annotated[str, Field(description="Name of the class; a new name creates a class.", examples=["kerb"])]


_ANNOTATIONS = TypeAdapter(Annotated[list[Annotation], Field(min_length=1, max_length=_MAX_ANNOTATIONS)])
_CATEGORIES = TypeAdapter(Annotated[list[Category], Field(max_length=_MAX_ANNOTATIONS)])
_Json = str | bytes | Sequence[Any]


def from_annotations(
    annotations: _Json, size: tuple[int, int], names: Sequence[str] = (), categories: _Json | None = None
) -> LabelMap:
    """Draw a list of annotations into a map. Later annotations overwrite earlier ones.

    Args:
        annotations: JSON text, or parsed JSON.
        size: (H, W) of the upright image.
        names: of the present classes.
        categories: JSON text, or parsed JSON: what `category_id` of the annotations refers to.

    Raises:
        Problem: 422 with the number of the annotation that is not valid, or if no annotation covers a pixel.
    """
    parsed_ones: list[Annotation] = parsed(_ANNOTATIONS, annotations, "annotations", _ANNOTATIONS_FIX)
    named = None if categories is None else _category_names(categories)
    shapes = [_shape(one, size, f"annotations[{n}]") for n, one in enumerate(parsed_ones)]
    check_outlines(ring for shape in shapes if isinstance(shape, list) for ring in shape)
    values, refs, work, dropped = np.full(size, IGNORE, dtype=np.int32), ClassRefs(names), Work(), list[Dropped]()
    for n, (annotation, shape) in enumerate(zip(parsed_ones, shapes, strict=True)):
        name = f"annotations[{n}]"
        ref, filled = _class_of(annotation, named, name), _filled(shape, size, name, work)
        dropped += [Dropped(n, ring, reason) for ring, reason in sorted(filled.unused.items())]
        if filled.covered is None:
            dropped.append(Dropped(n, None, "covers no pixel"))
        else:
            values[filled.covered.rows, filled.covered.columns][filled.covered.inside] = refs.position(ref)
    if not refs.refs:
        raise Problem(
            422, "No annotation covers a pixel.", received=[_in_words(one) for one in dropped],
            allowed=f"at least one pixel of the image, x 0 to {size[1]}, y 0 to {size[0]}",
            fix="Give pixels of the upright image, with its EXIF orientation applied, or draw larger.",
        )  # fmt: skip
    return LabelMap(values, refs.refs, tuple(dropped))


def _category_names(categories: _Json) -> dict[int, str]:
    listed: list[Category] = parsed(_CATEGORIES, categories, "categories", _CATEGORIES_FIX)
    named = {one.id: one.name for one in listed}
    if len(named) < len(listed):
        raise Problem(
            422, "Two categories have one id.", received=[one.id for one in listed][:20],
            allowed="an id of its own for each", fix=_CATEGORIES_FIX,
        )  # fmt: skip
    return named


def _class_of(annotation: Annotation, categories: Mapping[int, str] | None, name: str) -> ClassRef:
    """The class of an annotation. A category counts only where it names no class."""
    category, of_name, of_id = annotation.category_id, annotation.class_name, annotation.class_id
    if category is None and (of_name is None) == (of_id is None):
        raise Problem(
            422, f"{name} needs a class, either by name or by id.", received={"class_name": of_name, "class_id": of_id},
            allowed=["class_name", "class_id", "category_id"], fix=_ANNOTATIONS_FIX,
        )  # fmt: skip
    if category is None or of_name is not None or of_id is not None:
        return ClassRef(of_name, of_id, annotation.color)
    if categories is None or category not in categories:
        missing = "needs `categories`" if categories is None else "is in no entry of `categories`"
        raise Problem(
            422, f"{name}.category_id {missing}.", received=category,
            allowed=None if categories is None else dict(list(categories.items())[:20]), fix=_CATEGORIES_FIX,
        )  # fmt: skip
    return ClassRef(categories[category], None, annotation.color)


def _shape(annotation: Annotation, size: tuple[int, int], name: str) -> list[np.ndarray] | ShapeMask:
    """The rings of an annotation, or its run lengths."""
    given = [one for one in ("mask", "polygons", "segmentation") if getattr(annotation, one) is not None]
    mask = annotation.mask
    if len(given) != 1 or (mask is not None and (mask.counts is None) == (mask.polygons is None)):
        raise Problem(
            422, f"{name} needs either a mask, of run lengths or polygons, or polygons.",
            received=sorted(annotation.model_dump(exclude_none=True)), allowed=["mask", "polygons", "segmentation"],
            fix=_ANNOTATIONS_FIX,
        )  # fmt: skip
    if mask is None:
        return rings_of(annotation.polygons or [], f"{name}.polygons")
    if tuple(mask.size) != size:
        raise other_size(tuple(mask.size), size, f"{name}.mask.size")
    return mask if mask.polygons is None else rings_of(mask.polygons, f"{name}.mask.polygons")


def _filled(shape: list[np.ndarray] | ShapeMask, size: tuple[int, int], name: str, work: Work) -> Filled:
    if isinstance(shape, list):
        return fill(shape, size, work)
    return Filled(pixels_of_run_lengths(shape.counts or [], size, name, work), {})


def _in_words(one: Dropped) -> str:
    ring = "" if one.ring is None else f", polygon {one.ring}"
    return f"annotations[{one.annotation}]{ring}: {one.reason}"


def parsed(adapter: Any, value: Any, name: str, fix: str, allowed: str | None = None) -> Any:
    """Validate JSON text, or parsed JSON.

    Args:
        adapter: pydantic type adapter of the expected type.
        value: JSON text as str or bytes, or parsed JSON.
        name: of the field, for the message.
        fix: what the caller can do.
        allowed: what the field may contain, for the message.

    Raises:
        Problem: 422 with the place of the first value that is not valid; 400 or 413 for text, see `check_json`.
    """
    if isinstance(value, (str, bytes)):
        check_json(value.encode(errors="replace") if isinstance(value, str) else value, MANY_VALUES, FIELD_BYTES)
    check: Callable[[Any], Any] = adapter.validate_json if isinstance(value, (str, bytes)) else adapter.validate_python
    try:
        return check(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        received = "null" if first.get("input") is None else first["input"]
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise Problem(
            422, f"{name}{shortened(place)}: {first['msg']}.", received=received, allowed=allowed, fix=fix
        ) from error


_CATEGORIES_FIX = (
    'Send the `categories` of the COCO file beside the annotations, such as [{"id": 1, "name": "kerb"}], or give each '
    "annotation a `class_name`."
)
_ANNOTATIONS_FIX = (
    'Give a list such as [{"class_name": "kerb", "polygons": [[10, 10, 60, 10, 60, 40]]}], or with '
    '"mask": {"size": [height, width], "counts": run lengths} instead of polygons.'
)
