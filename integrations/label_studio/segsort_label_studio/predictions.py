"""Predictions: regions of Label Studio from an answer of the segsort service."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segsort_client import Segment, Segmentation
from segsort_label_studio.brush import Bools, pack
from segsort_label_studio.config import REGIONS, Control, Surface, class_labels
from segsort_label_studio.masks import box, pieces, region_mask, ring
from segsort_label_studio.options import Options

_LEAST_PIECE = 16  # pixels of a part of an object that becomes a polygon
_SMOOTH = 640  # longest side of an image whose polygons may pass one pixel beside the edge


@dataclass(frozen=True)
class Prediction:
    """The regions of an image.

    score: mean confidence by area, None if the release is not calibrated; unlabelled: the classes that no label of the
    configuration stands for, with their share of the image.
    """

    regions: list[dict[str, Any]]
    score: float | None
    unlabelled: dict[str, float]


def predict(answer: Segmentation, surface: Surface, options: Options, explain: str) -> Prediction:
    """Regions of an image, with the labels of its controls.

    Args:
        answer: of the service.
        surface: the image in the labelling configuration.
        options: of the project.
        explain: address of the service as browsers reach it.
    """
    shown = [one for one in answer.segments if one.class_name is not None and (one.known or options.unknown)]
    regions: list[dict[str, Any]] = []
    labelled: set[str] = set()
    for control in controls(surface, options):
        labels = class_labels(control, sorted({one.class_name for one in shown if one.class_name}))
        labelled |= labels.keys()
        regions += regions_of(grouped(answer, shown, labels, options), control, surface.name, answer, explain)
    pixels = answer.width * answer.height
    rest: dict[str, float] = {}
    for one in shown:
        if one.class_name and one.class_name not in labelled:
            rest[one.class_name] = rest.get(one.class_name, 0.0) + one.area / pixels
    return Prediction(regions, _mean([one for one in shown if one.class_name in labelled]), rest)


def controls(surface: Surface, options: Options) -> list[Control]:
    """The controls that predictions draw with."""
    chosen = [surface.control(kind) for kind in options.shapes]
    return [one for one in chosen if one is not None] or [one for one in [surface.control(*REGIONS)] if one is not None]


@dataclass(frozen=True)
class Group:
    """Segments that are one region: its label, the segments, the largest first, and its pixels [H, W] bool."""

    label: str
    segments: list[Segment]
    mask: Bools


def grouped(
    answer: Segmentation, shown: Sequence[Segment], labels: dict[str, str], options: Options
) -> Iterator[Group]:
    """The regions of an answer: its segments, or touching segments with one label together."""
    places = answer.to_label_map("segment")
    labelled = {one.segment_id: labels[one.class_name] for one in shown if one.class_name in labels}
    names = [labelled.get(one.segment_id) for one in answer.segments]
    owners = _touching(places, names) if options.regions == "objects" else np.arange(len(names))
    owner_of = owners[places]
    for owner in np.unique(owners).tolist():
        label = names[owner]
        if label is not None:
            members = np.flatnonzero(owners == owner).tolist()
            segments = sorted((answer.segments[i] for i in members), key=lambda one: -one.area)
            yield Group(label, segments, owner_of == owner)


def _touching(places: NDArray[np.int32], names: Sequence[str | None]) -> NDArray[np.int64]:
    """For each segment the smallest number of those that it is one object with: same name, and a side in common."""
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    kinds = np.array([numbers[name] for name in names])
    pairs = np.concatenate([_different(places[:, :-1], places[:, 1:]), _different(places[:-1], places[1:])])
    pairs = pairs[kinds[pairs[:, 0]] == kinds[pairs[:, 1]]]
    owners = np.arange(len(names))
    while True:
        least = np.minimum(owners[pairs[:, 0]], owners[pairs[:, 1]])
        joined = owners.copy()
        for side in (0, 1):
            np.minimum.at(joined, pairs[:, side], least)
            np.minimum.at(joined, owners[pairs[:, side]], least)
        joined = joined[joined]
        if (joined == owners).all():
            return owners
        owners = joined


def _different(one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int64]:
    """Pairs [N, 2] of different numbers that two maps have at one place, each pair once."""
    apart = (one != other) & (one >= 0) & (other >= 0)
    base = int(max(one.max(), other.max())) + 1 if apart.any() else 1
    codes = np.unique(one[apart].astype(np.int64) * base + other[apart])
    return np.stack([codes // base, codes % base], axis=1)


def regions_of(
    groups: Iterable[Group], control: Control, image: str, answer: Segmentation, explain: str
) -> list[dict[str, Any]]:
    """The regions of groups, the largest first: Label Studio shows later ones above earlier ones, so that a region lies
    above the outline that encloses it.
    """
    found = [one for group in groups for one in _group_regions(group, control, image, answer, explain)]
    return [region for _, region in sorted(found, key=lambda one: -one[0])]


def _group_regions(
    group: Group, control: Control, image: str, answer: Segmentation, explain: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The regions of a group, each with its pixels in number: one region, or of polygons one for each part."""
    score = _mean(group.segments)
    note = {"text": [_note(group, explain)]}
    for value in region_values(group.mask, control.kind):
        mask = group.mask if control.kind == "brush" else region_mask(control.kind, value, group.mask.shape)
        value[control.type] = [group.label]
        region = {
            "id": region_id(control.kind, group.label, mask), "from_name": control.name, "to_name": image,
            "type": control.type, "original_width": answer.width, "original_height": answer.height,
            "image_rotation": 0, "origin": "prediction", "value": value, "meta": note,
        } | ({} if score is None else {"score": score})  # fmt: skip
        yield int(mask.sum()), region


def region_values(mask: Bools, kind: str) -> list[dict[str, Any]]:
    """The shapes that stand for a mask: one brush region or box, or a polygon for each of its parts."""
    H, W = mask.shape
    per_cent = np.array([100 / W, 100 / H])
    if kind == "brush":
        return [{"format": "rle", "rle": pack(mask)}]
    if kind == "rectangle":
        rows, columns = box(mask)
        low, high = (np.array([columns.start, rows.start]), np.array([columns.stop, rows.stop]))
        low, high = low * per_cent, high * per_cent
        (x, y), (width, height) = low.tolist(), (high - low).tolist()
        return [{"x": x, "y": y, "width": width, "height": height, "rotation": 0}]
    tolerance = max(1.0, max(H, W) / _SMOOTH)
    rows, columns = box(mask)
    cut = mask[rows, columns]
    parts = pieces(cut, _LEAST_PIECE) or pieces(cut)[:1]
    corner = np.array([columns.start, rows.start])
    return [{"points": ((ring(part, tolerance) + corner) * per_cent).tolist(), "closed": True} for part in parts]


def region_id(kind: str, label: str, mask: Bools) -> str:
    """An id that a region has as long as neither its label nor its pixels [H, W] change."""
    content = f"{kind} {label} {mask.shape} ".encode() + np.packbits(mask).tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def _note(group: Group, explain: str) -> str:
    """Why the region has its label: the page of its largest segment, and the exemplars that resemble this most."""
    first, count = group.segments[0], len(group.segments)
    alike = ", ".join(
        f"{one.class_name} {one.similarity:.2f} ({explain}/exemplars/{one.exemplar_id}/crop)" for one in first.exemplars
    )
    which = f"Largest of {count} segments" if count > 1 else "Segment"
    sure = "" if first.confidence is None else f", confidence {first.confidence:.2f}"
    unknown = "" if first.known else ", unlike all exemplars"
    return (
        f"{which}: {first.segment_id}, {first.class_name}{sure}{unknown}. Why: {explain}/explain/{first.segment_id} . "
        f"Nearest exemplars by cosine: {alike or 'none'}"
    )


def _mean(segments: Sequence[Segment]) -> float | None:
    """Mean confidence by area; None if no segment has one."""
    sure = [(one.confidence, one.area) for one in segments if one.confidence is not None]
    return round(sum(value * area for value, area in sure) / sum(area for _, area in sure), 4) if sure else None
