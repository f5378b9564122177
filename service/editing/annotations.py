"""Annotations of an image: a list of shapes, or a mask file, as one map of classes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from model_store.images import Mask
from service.editing.class_names import ClassRef, parse_color
from service.editing.shapes import check_outlines, mask_of_polygons, mask_of_run_lengths, other_size, shortened
from service.images.decode import decode_mask
from service.problems import Problem

IGNORE = 65535  # value of pixels without a class
_MAX_ANNOTATIONS = 10_000
_MAX_MASK_CLASSES = 1000
_MAX_UNNAMED = 64  # colours; more of them come from smoothed edges
MAX_NUMBER = 2**62  # class ids that every database can store


class LabelMap(NamedTuple):
    """The classes of an image: values [H, W] int32, positions in `refs`, IGNORE where unlabelled; refs: the classes."""

    values: np.ndarray
    refs: list[ClassRef]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RunLengths(_Strict):
    """COCO run lengths of a mask."""

    size: Annotated[
        list[int],
        Field(min_length=2, max_length=2, description="[height, width] of the upright image in pixels."),
    ]
    counts: Annotated[
        str | list[Annotated[int, Field(ge=0, le=MAX_NUMBER)]],
        Field(
            description="Lengths of runs of pixels, column by column, alternately outside and inside; the first is "
            "outside. They are compressed as COCO does, or a list of numbers."
        ),
    ]


class Annotation(_Strict):
    """A labelled shape: a class by name or id, and a mask or polygons."""

    class_name: Annotated[str | None, Field(description="Name of its class; a new name creates a class.")] = None
    class_id: Annotated[
        Annotated[int, Field(ge=0, le=MAX_NUMBER)] | None, Field(description="Id of its class, instead of a name.")
    ] = None
    color: Annotated[str | None, Field(description="Colour #rrggbb of the class if it is created.")] = None
    mask: Annotated[RunLengths | None, Field(description="Its pixels as run lengths.")] = None
    polygons: Annotated[
        Annotated[list[list[float]], Field(min_length=1)] | None,
        Field(
            description="Instead of a mask: outlines [x, y, x, y, ...] in pixels of the upright image. A pixel inside "
            "any of them belongs to the shape."
        ),
    ] = None


class NamedColor(_Strict):
    """The class of a value of a mask file, by name or id; color: of the class if it is created."""

    name: str | None = None
    class_id: Annotated[int, Field(ge=0, le=MAX_NUMBER)] | None = None
    color: str | None = None


_ANNOTATIONS = TypeAdapter(Annotated[list[Annotation], Field(min_length=1, max_length=_MAX_ANNOTATIONS)])
_CLASSES = TypeAdapter(Annotated[dict[str, str | NamedColor], Field(min_length=1, max_length=_MAX_MASK_CLASSES)])


def from_annotations(annotations: str | bytes | Sequence[Any], size: tuple[int, int]) -> LabelMap:
    """Draw a list of annotations into a map. Later annotations overwrite earlier ones.

    Args:
        annotations: JSON text, or parsed JSON.
        size: (H, W) of the upright image.

    Raises:
        Problem: 422 with the number of the annotation that is not valid.
    """
    shapes: list[Annotation] = parsed(_ANNOTATIONS, annotations, "annotations", _ANNOTATIONS_FIX)
    check_outlines(polygon for annotation in shapes for polygon in annotation.polygons or ())
    values, refs = np.full(size, IGNORE, dtype=np.int32), list[ClassRef]()
    for n, annotation in enumerate(shapes):
        name = f"annotations[{n}]"
        mask = _mask_of(annotation, size, name)
        if not mask.any():
            raise Problem(
                422, f"{name} covers no pixel.", received=annotation.model_dump(exclude_none=True, exclude={"mask"}),
                allowed="at least one pixel", fix="Draw it larger, or leave it out.",
            )  # fmt: skip
        values[mask] = position_of(refs, ClassRef(annotation.class_name, annotation.class_id, annotation.color))
    return LabelMap(values, refs)


def from_mask(content: bytes, classes: str | bytes, size: tuple[int, int], max_pixels: int) -> LabelMap:
    """Read a mask file as a map.

    Args:
        content: a mask file, see `model_store.images.decode_mask`. Transparent pixels have no class.
        classes: JSON object. Its keys are all indices ("1"), which grey and palette images have, or all colours
            ("#ff0000"). Its values are names of classes, or objects with name or class_id. Pixels with other values
            have no class.
        size: (H, W) of the upright image.
        max_pixels: largest width times height.

    Raises:
        Problem: 400 if the file is empty; 413 if it is too large; 415 if it has neither indices nor colours; 422 if it
            is damaged, has another size than the image or no pixel with a class, or if its colours were altered.
    """
    mask = decode_mask(content, max_pixels)
    if mask.colours.shape != size:
        raise other_size(mask.colours.shape, size, "the mask")
    named: dict[str, str | NamedColor] = parsed(_CLASSES, classes, "classes", _CLASSES_FIX)
    found = _values(mask, named)
    opaque = np.ones(size, dtype=bool) if mask.transparent is None else ~mask.transparent
    values, refs = np.full(size, IGNORE, dtype=np.int32), list[ClassRef]()
    for key, value in named.items():
        covered = (found == _value(key)) & opaque
        if covered.any():
            values[covered] = position_of(refs, _ref(value))
    _check_unnamed(found[opaque & (values == IGNORE)], mask, named)
    if not refs:
        raise Problem(
            422, "No pixel of the mask has a value that `classes` names.",
            received=[_key_of(value, named) for value in np.unique(found[opaque])[:20].tolist()],
            allowed=list(named)[:20], fix=_CLASSES_FIX,
        )  # fmt: skip
    return LabelMap(values, refs)


def _values(mask: Mask, named: Mapping[str, object]) -> np.ndarray:
    """The values of a mask that the keys of `classes` stand for: indices, or colours. [H, W] int64."""
    if all(_is_index(key) for key in named):
        if mask.indices is None:
            raise Problem(
                422, "The mask has colours, and the keys of `classes` are indices.",
                received=list(named)[:20], allowed="keys such as #ff0000", fix=_CLASSES_FIX,
            )  # fmt: skip
        return mask.indices
    if mask.indexed and mask.indices is not None and not (mask.indices <= 255).all():
        raise Problem(
            422, "The mask has indices of 16 bits, and a key of `classes` is a colour.", received=list(named)[:20],
            allowed="0 to 65535", fix=_CLASSES_FIX,
        )  # fmt: skip
    for key in named:
        if _is_index(key):
            raise Problem(
                422, "The keys of `classes` are indices and colours.", received=list(named)[:20],
                allowed="either indices or colours", fix=_CLASSES_FIX,
            )  # fmt: skip
    return mask.colours


def _check_unnamed(unnamed: np.ndarray, mask: Mask, named: Mapping[str, object]) -> None:
    """Refuse a mask whose colours were altered. Otherwise, pixels with a value that is not named have no class."""
    if not len(unnamed) or any(_is_index(key) for key in named):
        return
    colours = np.unique(unnamed)
    if mask.lossy or len(colours) > _MAX_UNNAMED + len(named):
        share = len(unnamed) / mask.colours.size
        raise Problem(
            422, "The colours of the mask were altered.",
            received=f"{len(colours)} colours that `classes` does not name, in {share:.2%} of the pixels: "
            + ", ".join(f"#{colour:06x}" for colour in colours[:8].tolist()),
            allowed=list(named)[:20], fix="Save the mask as PNG, without anti-aliasing, at the size of the image.",
        )  # fmt: skip


def position_of(refs: list[ClassRef], ref: ClassRef) -> int:
    """Find the position of a class in `refs`; a new class is appended. Names are compared without regard to case."""
    for position, other in enumerate(refs):
        same_name = ref.name is not None and other.name is not None and _key(ref.name) == _key(other.name)
        if same_name or (ref.class_id is not None and ref.class_id == other.class_id):
            return position
    refs.append(ref)
    return len(refs) - 1


def _key(name: str) -> str:
    return name.strip().casefold()


def _ref(value: str | NamedColor) -> ClassRef:
    return ClassRef(value) if isinstance(value, str) else ClassRef(value.name, value.class_id, value.color)


def _mask_of(annotation: Annotation, size: tuple[int, int], name: str) -> np.ndarray:
    """The pixels of an annotation, [H, W] bool."""
    if (annotation.mask is None) == (annotation.polygons is None):
        raise Problem(
            422, f"{name} needs either a mask or polygons.",
            received=sorted(annotation.model_dump(exclude_none=True)), allowed=["mask", "polygons"],
            fix=_ANNOTATIONS_FIX,
        )  # fmt: skip
    if annotation.mask is not None:
        return mask_of_run_lengths(annotation.mask.size, annotation.mask.counts, size, name)
    return mask_of_polygons(annotation.polygons or [], size, name)


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 6 and int(key) <= 65535


def _value(key: str) -> int:
    """The value that a key of `classes` stands for."""
    if _is_index(key):
        return int(key)
    red, green, blue = parse_color(key if key.startswith("#") else f"#{key}")
    return red * 65536 + green * 256 + blue


def _key_of(value: int, named: Mapping[str, object]) -> str:
    """A value of the mask, written like the keys of `classes`."""
    return str(value) if all(_is_index(key) for key in named) else f"#{value:06x}"


def parsed(adapter: Any, value: Any, name: str, fix: str, allowed: str | None = None) -> Any:
    """Validate JSON text, or parsed JSON.

    Args:
        adapter: pydantic type adapter of the expected type.
        value: JSON text as str or bytes, or parsed JSON.
        name: of the field, for the message.
        fix: what the caller can do.
        allowed: what the field may contain, for the message.

    Raises:
        Problem: 422 with the place of the first value that is not valid.
    """
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


_CLASSES_FIX = 'Give an object such as {"1": "kerb"} for an indexed mask, or {"#ff0000": "kerb"} for an RGB mask.'
_ANNOTATIONS_FIX = (
    'Give a list such as [{"class_name": "kerb", "polygons": [[10, 10, 60, 10, 60, 40]]}], or with '
    '"mask": {"size": [height, width], "counts": run lengths} instead of polygons.'
)
