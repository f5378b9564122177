"""Mask files as maps of classes."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from model_store.images import Mask
from service.editing.annotations import IGNORE, MAX_NUMBER, LabelMap, parsed
from service.editing.class_names import ClassRef, ClassRefs, parse_color
from service.editing.shapes import other_size
from service.images.decode import decode_mask
from service.problems import Problem

_MAX_CLASSES = 1000
_MAX_UNNAMED = 64  # colours; more of them come from smoothed edges
_CLASSES_FIX = 'Give an object such as {"1": "kerb"} for an indexed mask, or {"#ff0000": "kerb"} for an RGB mask.'


class NamedColor(BaseModel):
    """The class of a value of a mask file, by name or id; color: of the class if it is created."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    class_id: Annotated[int, Field(ge=0, le=MAX_NUMBER)] | None = None
    color: str | None = None


_CLASSES = TypeAdapter(Annotated[dict[str, str | NamedColor], Field(min_length=1, max_length=_MAX_CLASSES)])


def from_mask(
    content: bytes, classes: str | bytes, size: tuple[int, int], max_pixels: int, names: Sequence[str] = ()
) -> LabelMap:
    """Read a mask file as a map.

    Args:
        content: a mask file, see `model_store.images.decode_mask`. Transparent pixels have no class.
        classes: JSON object. Its keys are all indices ("1"), which grey and palette images have, or all colours
            ("#ff0000"). Its values are names of classes, or objects with name or class_id. Pixels with other values
            have no class.
        size: (H, W) of the upright image.
        max_pixels: largest width times height.
        names: of the present classes.

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
    values, refs = np.full(size, IGNORE, dtype=np.int32), ClassRefs(names)
    for key, value in named.items():
        covered = (found == _value(key)) & opaque
        if covered.any():
            values[covered] = refs.position(_ref(value))
    _check_unnamed(found[opaque & (values == IGNORE)], mask, named)
    if not refs.refs:
        raise Problem(
            422, "No pixel of the mask has a value that `classes` names.",
            received=[_key_of(value, named) for value in np.unique(found[opaque])[:20].tolist()],
            allowed=list(named)[:20], fix=_CLASSES_FIX,
        )  # fmt: skip
    return LabelMap(values, refs.refs)


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


def _ref(value: str | NamedColor) -> ClassRef:
    return ClassRef(value) if isinstance(value, str) else ClassRef(value.name, value.class_id, value.color)


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
