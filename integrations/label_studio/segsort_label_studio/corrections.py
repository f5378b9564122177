"""What an annotation teaches: the pixels whose label differs from the one that the service gives now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segsort_client import Segmentation, Stroke
from segsort_label_studio.brush import Bools
from segsort_label_studio.config import Surface, class_labels, label_class
from segsort_label_studio.masks import region_mask
from segsort_label_studio.predictions import region_id

_RIM = 640  # longest side of an image in which rims of one or two pixels are no correction


@dataclass
class Corrections:
    """Marks on an answer.

    whole: (segment_id, class) of segments that are corrected as a whole; strokes: parts of segments;
    unchanged: regions as they were predicted; notes: what was left out, and why.
    """

    whole: list[tuple[str, str]] = field(default_factory=list)
    strokes: list[Stroke] = field(default_factory=list)
    unchanged: int = 0
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.whole or self.strokes)


@dataclass(frozen=True)
class Drawn:
    """A region of an annotation.

    class_name: the class that it teaches; None: it is as it was predicted, and teaches nothing; mask: its pixels
    [H, W] bool; color: of a new class.
    """

    class_name: str | None
    mask: Bools
    color: str | None = None


def corrections(
    results: Sequence[Mapping[str, Any]], item: int, surface: Surface, answer: Segmentation, classes: list[str]
) -> Corrections:
    """What the regions of an annotation teach.

    Args:
        results: of the annotation.
        item: place of the image in a task with several images; 0 otherwise.
        surface: the image in the labelling configuration.
        answer: the present answer to the image.
        classes: names of the present classes.
    """
    found = Corrections()
    drawn: list[Drawn] = []
    for result in results_on(results, item, surface):
        region = _drawn(result, surface, answer, classes, found)
        if region is not None:
            drawn.append(region)
    _compare(drawn, surface, answer, found)
    return found


def results_on(results: Sequence[Mapping[str, Any]], item: int, surface: Surface) -> list[Mapping[str, Any]]:
    """The results of an annotation that are on one image."""
    return [one for one in results if one.get("to_name") == surface.name and int(one.get("item_index") or 0) == item]


def _drawn(
    result: Mapping[str, Any], surface: Surface, answer: Segmentation, classes: list[str], found: Corrections
) -> Drawn | None:
    """A region that was drawn or changed, or an unchanged outline; None for others, with a note where one is left out.

    Unchanged brush regions are left out: they never overlap in a prediction, so what overlaps one was drawn so.
    """
    kind, value = str(result.get("type", "")).removesuffix("labels"), result.get("value") or {}
    control = next((one for one in surface.controls if one.name == result.get("from_name")), None)
    if control is None or control.kind != kind or kind == "keypoint":
        if any(key in value for key in ("rle", "points", "radiusX", "imageDataURL")):
            found.notes.append(f"a region of the type {result.get('type')!r} is not read")
        return None
    labels = value.get(control.type) or []
    if len(labels) != 1:
        found.notes.append(f"a {kind} has {len(labels)} labels; one is needed")
        return None
    if (result.get("image_rotation") or 0) % 360:
        found.notes.append(f"a {kind} is on an image that was rotated in Label Studio")
        return None
    size = (answer.height, answer.width)
    try:
        mask = region_mask(kind, value, size)
    except ValueError as error:
        found.notes.append(f"{error}; the image has {answer.width}x{answer.height} pixels")
        return None
    if region_id(kind, labels[0], mask) == result.get("id"):
        found.unchanged += 1
        return None if kind == "brush" else Drawn(None, mask)
    name = label_class(control, labels[0], classes)
    color = next((label.color for label in control.labels if label.value == labels[0]), None)
    return Drawn(name, mask, None if name in classes else color)


def _compare(drawn: list[Drawn], surface: Surface, answer: Segmentation, found: Corrections) -> None:
    """Keep the pixels whose class is another than the present one, without rims beside edges."""
    colors = {region.class_name: region.color for region in drawn if region.class_name is not None}
    names = list(dict.fromkeys([*(one.name for one in answer.classes), *colors]))
    wanted = np.full((answer.height, answer.width), -1, dtype=np.int32)
    sizes = np.zeros(wanted.shape, dtype=np.int64)  # of the region that each pixel of `wanted` is from
    thin = np.zeros(wanted.shape, dtype=bool)
    radius = max(1, round(max(wanted.shape) / _RIM))
    for region in drawn:  # later regions cover earlier ones
        size = np.count_nonzero(region.mask)
        if region.class_name is None:  # outlines have no holes: it covers the larger ones that may enclose it
            wanted[region.mask & (sizes > size)] = -1
            continue
        wanted[region.mask], sizes[region.mask] = names.index(region.class_name), size
        if not core(region.mask, radius).any():
            thin |= region.mask
    places = answer.to_label_map("segment")
    present = _present(answer, surface, names)[places]
    for number in np.unique(wanted[wanted >= 0]).tolist():
        wrong = (wanted == number) & ~_same(names[number], names, surface)[present]
        kept = wrong & np.isin(places, places[(core(wrong, radius) | (wrong & thin))])
        _mark(kept, places, names[number], colors.get(names[number]), answer, found)
        if (left := int(wrong.sum() - kept.sum())) > 0:
            found.notes.append(f"{left} pixels of {names[number]} along edges were left as they are")


def _present(answer: Segmentation, surface: Surface, names: list[str]) -> Any:
    """[segments + 1]: the class of each segment by its place in `names`; -1 for those that were not predicted."""
    known = [names.index(one.class_name) if one.class_name and one.known else -1 for one in answer.segments]
    return np.array([*known, -1], dtype=np.int32)


def _same(name: str, names: list[str], surface: Surface) -> Bools:
    """[names + 1]: whether a class has the same label as `name`, so that no correction is needed; the last is False."""
    same = np.array([*(other == name for other in names), False])
    for control in surface.controls:
        labels = class_labels(control, names)
        if name in labels:
            same[:-1] |= np.array([labels.get(other) == labels[name] for other in names])
    return same


def _mark(kept: Bools, places: Any, name: str, color: str | None, answer: Segmentation, found: Corrections) -> None:
    """Whole segments as such, and the other pixels as one stroke; all as a stroke if a new class has a colour."""
    areas = np.bincount(places[kept], minlength=len(answer.segments))
    whole = [i for i, one in enumerate(answer.segments) if areas[i] == one.area and color is None]
    found.whole += [(answer.segments[i].segment_id, name) for i in whole]
    rest = kept & ~np.isin(places, whole)
    if rest.any():
        found.strokes.append(Stroke.of_mask(name, rest, color=color))


def core(mask: Bools, radius: int) -> Bools:
    """Pixels whose square of `radius` pixels around them is all in the mask; outside the image counts as the mask."""
    found: Any = mask
    for axis in (0, 1):
        padded = np.pad(found, [(radius, radius) if i == axis else (0, 0) for i in (0, 1)], constant_values=True)
        found = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=axis).all(axis=-1)
    return np.asarray(found)
