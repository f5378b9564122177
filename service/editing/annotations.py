"""What a caller says lies where in a picture: masks, run lengths or polygons, as one map of classes."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pycocotools import mask as coco
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from service.editing.class_names import ClassRef, parse_color
from service.images.decode import decode_mask
from service.problems import Problem

IGNORE = 65535  # of a map: no class
_MOST = 10_000  # annotations of one picture
_MOST_VALUES = 1000  # of a mask, that `classes` names
_LONGEST_OUTLINES = 5_000_000  # pixels; drawing a polygon takes 80 bytes for each pixel of its outline
_LARGEST = 2**62


class LabelMap(NamedTuple):
    """values: [H, W] int32, places in `refs`, IGNORE where nothing is said; refs: the classes."""

    values: np.ndarray
    refs: list[ClassRef]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RunLengths(_Strict):
    """COCO run lengths: size is [height, width]; counts compressed, or a list of numbers."""

    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    counts: str | list[Annotated[int, Field(ge=0, le=_LARGEST)]]


class Annotation(_Strict):
    """What lies where: a class by name or id, and a mask or polygons [x, y, x, y, ...] in pixels."""

    class_name: str | None = None
    class_id: Annotated[int, Field(ge=0, le=_LARGEST)] | None = None
    color: str | None = None
    mask: RunLengths | None = None
    polygons: Annotated[list[list[float]], Field(min_length=1)] | None = None


class NamedColor(_Strict):
    """A class of a mask: by name or id; color is that of a new class."""

    name: str | None = None
    class_id: Annotated[int, Field(ge=0, le=_LARGEST)] | None = None
    color: str | None = None


_ANNOTATIONS = TypeAdapter(Annotated[list[Annotation], Field(min_length=1, max_length=_MOST)])
_CLASSES = TypeAdapter(Annotated[dict[str, str | NamedColor], Field(min_length=1, max_length=_MOST_VALUES)])


def from_annotations(told: str | bytes | Sequence[Any], size: tuple[int, int]) -> LabelMap:
    """The map that a list of annotations says, later ones over earlier ones.

    Args:
        told: JSON, or what it stands for.
        size: (H, W) of the upright picture.

    Raises:
        Problem: 422 naming the annotation.
    """
    annotations = _parsed(_ANNOTATIONS, told, "annotations", _ANNOTATIONS_MEND)
    _check_outlines(annotations)
    values, refs = np.full(size, IGNORE, dtype=np.int32), list[ClassRef]()
    for n, annotation in enumerate(annotations):
        where = f"annotations[{n}]"
        mask = _mask_of(annotation, size, where)
        if not mask.any():
            raise Problem(
                422, f"{where} covers no pixel.", received=annotation.model_dump(exclude_none=True, exclude={"mask"}),
                allowed="at least one pixel", fix="Draw it larger, or leave it out.",
            )  # fmt: skip
        values[mask] = _place(refs, ClassRef(annotation.class_name, annotation.class_id, annotation.color))
    return LabelMap(values, refs)


def from_mask(content: bytes, classes: str | bytes, size: tuple[int, int], max_pixels: int) -> LabelMap:
    """The map that a mask file says, an indexed or RGB PNG, with what its values stand for.

    Args:
        content: the file. Grey files of eight bits hold indices too.
        classes: JSON, by index ("1") or by colour ("#ff0000"): the name of a class, or an object with name or class_id.
            What it does not name is ignored.
        size: (H, W) of the upright picture.
        max_pixels: largest width times height.

    Raises:
        Problem: 415 if it is no PNG, 422 if mask, classes and picture do not belong together.
    """
    mask = decode_mask(content, max_pixels)
    if mask.shape[:2] != size:
        raise _other_size(mask.shape[:2], size, "the mask")
    named = _parsed(_CLASSES, classes, "classes", _CLASSES_MEND)
    code = _index if mask.ndim == 2 else _color
    flat = mask if mask.ndim == 2 else _packed(mask)
    values, refs = np.full(size, IGNORE, dtype=np.int32), list[ClassRef]()
    for key, meant in named.items():
        covered = flat == code(key)
        if covered.any():
            values[covered] = _place(refs, _ref(meant))
    if not refs:
        raise Problem(
            422, "No pixel of the mask has a value that `classes` names.", received=_occurring(mask),
            allowed=list(named)[:20], fix=_CLASSES_MEND,
        )  # fmt: skip
    return LabelMap(values, refs)


def _place(refs: list[ClassRef], ref: ClassRef) -> int:
    """Place of a class in `refs`, where it is put if it is new there; names that differ in case alone are one."""
    for place, other in enumerate(refs):
        same_name = ref.name is not None and other.name is not None and _key(ref.name) == _key(other.name)
        if same_name or (ref.class_id is not None and ref.class_id == other.class_id):
            return place
    refs.append(ref)
    return len(refs) - 1


def _key(name: str) -> str:
    return name.strip().casefold()


def _ref(meant: str | NamedColor) -> ClassRef:
    return ClassRef(meant) if isinstance(meant, str) else ClassRef(meant.name, meant.class_id, meant.color)


def _mask_of(annotation: Annotation, size: tuple[int, int], where: str) -> np.ndarray:
    if (annotation.mask is None) == (annotation.polygons is None):
        raise Problem(
            422, f"{where} needs a mask or polygons, and not both.",
            received=sorted(annotation.model_dump(exclude_none=True)), allowed=["mask", "polygons"],
            fix=_ANNOTATIONS_MEND,
        )  # fmt: skip
    if annotation.mask is not None:
        return _from_runs(annotation.mask, size, where)
    return _from_polygons(annotation.polygons or [], size, where)


def _from_runs(mask: RunLengths, size: tuple[int, int], where: str) -> np.ndarray:
    """Run lengths -> [H, W] bool. Read here and not by pycocotools, which trusts that they fit the size."""
    if tuple(mask.size) != size:
        raise _other_size(tuple(mask.size), size, f"{where}.mask.size")
    runs = uncompressed(mask.counts, where) if isinstance(mask.counts, str) else mask.counts
    if sum(runs) != size[0] * size[1]:
        raise Problem(
            422, f"{where}.mask.counts do not cover the picture.", received=f"runs of {sum(runs)} pixels together",
            allowed=f"{size[0]}x{size[1]} = {size[0] * size[1]} pixels", fix=_RUNS_MEND,
        )  # fmt: skip
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, np.array(runs, dtype=np.int64)).reshape(size[::-1]).T


def uncompressed(counts: str, where: str) -> list[int]:
    """Run lengths of COCO's compressed ones.

    Raises:
        Problem: 422 if they are damaged.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise _damaged(counts, where, f"the character {character!r}" if shift <= 60 else "a number without an end")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            raise _damaged(counts, where, f"a run of {value} pixels")
        runs.append(value)
        value, shift = 0, 0
    if shift:
        raise _damaged(counts, where, "a number without an end")
    return runs


def _damaged(counts: str, where: str, found: str) -> Problem:
    return Problem(
        422, f"{where}.mask.counts are no COCO run lengths.", received=f"{found} in {_short(counts[:40])}",
        allowed="compressed run lengths, or a list of numbers", fix=_RUNS_MEND,
    )  # fmt: skip


def _from_polygons(polygons: list[list[float]], size: tuple[int, int], where: str) -> np.ndarray:
    """Polygons -> [H, W] bool: the pixels in any of them."""
    H, W = size
    for i, polygon in enumerate(polygons):
        points = np.array(polygon, dtype=np.float64)
        name = f"{where}.polygons[{i}]"
        if len(points) < 6 or len(points) % 2:
            raise Problem(
                422, f"{name} is no polygon.", received=f"{len(points)} numbers",
                allowed="x, y of three points or more", fix=_ANNOTATIONS_MEND,
            )  # fmt: skip
        x, y = points[0::2], points[1::2]
        inside = np.isfinite(points).all() and x.min() >= 0 and y.min() >= 0 and x.max() <= W and y.max() <= H
        if not inside:
            raise Problem(
                422, f"{name} lies outside the picture.", received=f"x {_span(x)}, y {_span(y)}",
                allowed=f"x 0 to {W}, y 0 to {H}",
                fix="Give pixels of the upright picture, its EXIF orientation applied, and clip at its edge.",
            )  # fmt: skip
    merged = coco.merge(coco.frPyObjects(polygons, H, W))
    return np.asarray(coco.decode(merged), dtype=bool)


def _check_outlines(annotations: Sequence[Annotation]) -> None:
    """Refuse polygons that cross the picture so often that drawing them would take more memory than there is."""
    length = sum(_outline(polygon) for annotation in annotations for polygon in annotation.polygons or ())
    if length > _LONGEST_OUTLINES:
        raise Problem(
            422, "The outlines of the polygons are too long.", received=f"{length:.0f} pixels together",
            allowed=f"at most {_LONGEST_OUTLINES} pixels", fix="Give such parts as masks in place of polygons.",
        )  # fmt: skip


def _outline(polygon: list[float]) -> float:
    """Pixels along the sides of a polygon."""
    points = np.array(polygon[: len(polygon) // 2 * 2], dtype=np.float64).reshape(-1, 2)
    with np.errstate(all="ignore"):  # what is not finite is refused with its name later
        return float(np.abs(np.diff(points, axis=0, append=points[:1])).max(axis=1).sum())


def _span(values: np.ndarray) -> str:
    return f"{values.min():g} to {values.max():g}"


def _index(key: str) -> int:
    if not (key.isascii() and key.isdigit() and len(key) < 6 and int(key) <= 255):
        raise Problem(
            422, "The mask holds indices, and this is none.", received=_short(key), allowed="0 to 255",
            fix=_CLASSES_MEND,
        )  # fmt: skip
    return int(key)


def _color(key: str) -> int:
    red, green, blue = parse_color(key if key.startswith("#") else f"#{key}")
    return red * 65536 + green * 256 + blue


def _packed(colors: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 -> [H, W] int32, 0xrrggbb."""
    red, green, blue = (colors[:, :, channel].astype(np.int32) for channel in range(3))
    return red << 16 | green << 8 | blue


def _occurring(mask: np.ndarray) -> list[Any]:
    if mask.ndim == 2:
        return [str(value) for value in np.unique(mask)[:20].tolist()]
    return [f"#{color:06x}" for color in np.unique(_packed(mask))[:20].tolist()]


def _other_size(found: tuple[int, ...], size: tuple[int, int], what: str) -> Problem:
    turned = " It looks turned: the picture's EXIF orientation is applied first." if found == size[::-1] else ""
    return Problem(
        422, f"The picture and {what} have different sizes.", received=f"{found[1]}x{found[0]} (width x height)",
        allowed=f"{size[1]}x{size[0]}, that of the upright picture",
        fix=f"Give what belongs to this picture, in its own pixels.{turned}",
    )  # fmt: skip


def _parsed(adapter: Any, told: Any, name: str, fix: str) -> Any:
    """Check JSON, or what it stands for, against a form."""
    check: Callable[[Any], Any] = adapter.validate_json if isinstance(told, (str, bytes)) else adapter.validate_python
    try:
        return check(told)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise Problem(422, f"{name}{_short(place)}: {first['msg']}.", received=first.get("input"), fix=fix) from error


def _short(text: str) -> str:
    """A text as it can be answered, cut to what can be read."""
    return text[:200].encode(errors="replace").decode()


_RUNS_MEND = "Encode the mask with pycocotools' `encode`, columns first, in the size of the upright picture."
_CLASSES_MEND = 'Give an object such as {"1": "kerb"} for an indexed mask, or {"#ff0000": "kerb"} for an RGB mask.'
_ANNOTATIONS_MEND = (
    'Give a list such as [{"class_name": "kerb", "polygons": [[10, 10, 60, 10, 60, 40]]}], or with '
    '"mask": {"size": [height, width], "counts": run lengths} in place of polygons.'
)
