"""The values that occur in masks, for data without a list of classes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model_store.class_info import ClassInfo
from model_store.images import UNLABELLED, Mask, MaskValues, read_mask
from model_store.labelled.palette import MOST_CLASSES, Colour, classes_of

BLACK_AND_WHITE = {0, 255}
GREY = 0x010101  # a grey value times this is its colour


class FoundClasses(NamedTuple):
    """Classes that were found in masks. values: what means them in masks; told: what was found, in words."""

    classes: tuple[ClassInfo, ...]
    values: MaskValues
    told: str


def is_black_and_white(masks: Iterable[Path]) -> bool:
    """Whether all masks have no index but 0 and 255. The first other index ends the search.

    Raises:
        ValueError: if a mask cannot be read.
    """
    return all(
        mask.indices is not None and _opaque(mask.indices, mask) <= BLACK_AND_WHITE for mask in map(read_mask, masks)
    )


def found_classes(masks: Sequence[Path]) -> FoundClasses:
    """The values in masks as classes.

    Args:
        masks: files, which are all read.

    Returns:
        For indices "class N" in the order of N, without 255, which is unlabelled; for 0 and 255 alone "background" and
        "foreground"; if any mask has colours, "#rrggbb" in the order of these numbers.

    Raises:
        ValueError: if a mask cannot be read, is a JPEG with other values than 0 and 255, or there are more than 255
            values.
    """
    colours, indices, coloured = set[int](), set[int](), False
    for file in masks:
        mask = read_mask(file)
        own = None if mask.indices is None else _opaque(mask.indices, mask)
        if mask.lossy and (own is None or not own <= BLACK_AND_WHITE):
            raise ValueError(f"{file} is compressed with losses, which alters values; save masks as PNG")
        coloured |= own is None
        indices |= own or set()
        grey = own is not None and mask.indexed
        colours |= {index * GREY for index in own or ()} if grey else _opaque(mask.colours, mask)
        if len(colours if coloured else indices) > MOST_CLASSES + 1:
            raise ValueError(
                f"the masks up to {file} have more than {MOST_CLASSES} values, so they are no classes; masks must have "
                "one value for each class, without smoothed edges"
            )
    return _of_colours(sorted(colours)) if coloured else _of_indices(sorted(indices))


def _of_indices(indices: list[int]) -> FoundClasses:
    if set(indices) <= BLACK_AND_WHITE:
        classes, numbers = classes_of(["background", "foreground"], {"background": (0, 0, 0)}), [0, 255]
        return FoundClasses(classes, _values(classes, numbers), "0 is background, 255 is foreground")
    numbers = [index for index in indices if index != 255]
    classes = classes_of([f"class {index}" for index in numbers])
    values = _values(classes, numbers)
    told = ", ".join(map(str, numbers)) + (", and 255 is unlabelled" if 255 in indices else "")
    return FoundClasses(classes, values._replace(indices={255: UNLABELLED, **values.indices}), told)


def _of_colours(codes: list[int]) -> FoundClasses:
    names = [f"#{code:06x}" for code in codes]
    own: dict[str, Colour] = {name: (c >> 16, c >> 8 & 255, c & 255) for name, c in zip(names, codes, strict=True)}
    classes = classes_of(names, own)
    by_colour = {code: i for i, code in enumerate(codes)}
    by_index = {code % 256: i for code, i in by_colour.items() if code == code % 256 * GREY}
    return FoundClasses(classes, MaskValues(by_index, by_colour, dict(enumerate(names))), ", ".join(names))


def _values(classes: Sequence[ClassInfo], numbers: Sequence[int]) -> MaskValues:
    by_index = {number: i for i, number in enumerate(numbers)}
    return MaskValues(by_index, {}, {info.class_id: info.name for info in classes})


def _opaque(values: np.ndarray, mask: Mask) -> set[int]:
    """The values of the opaque pixels."""
    shown = values.ravel() if mask.transparent is None else values[~mask.transparent]
    if shown.size and shown.min() >= 0 and shown.max() < 1 << 16:
        return set(np.flatnonzero(np.bincount(shown)).tolist())  # faster than sorting
    return set(np.unique(shown).tolist())
