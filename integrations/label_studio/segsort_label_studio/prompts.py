"""Interactive requests: a click or a brush stroke becomes a region with its label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np

from segsort_client import Segmentation, Stroke
from segsort_label_studio.brush import Bools
from segsort_label_studio.config import REGIONS, Surface, class_labels, label_class
from segsort_label_studio.errors import BackendError
from segsort_label_studio.masks import pieces, region_mask
from segsort_label_studio.options import Options
from segsort_label_studio.predictions import Group, grouped, regions_of
from segsort_label_studio.service import Service


@dataclass(frozen=True)
class Prompt:
    """What a person drew with a smart tool.

    label: the label that was chosen; clicks: (x, y, whether it belongs to the region) in pixels; stroke: painted
    pixels [H, W] bool; box: [H, W] bool.
    """

    label: str
    clicks: list[tuple[int, int, bool]]
    stroke: Bools | None = None
    box: Bools | None = None


def read_prompt(context: Mapping[str, Any], surface: Surface, size: tuple[int, int]) -> Prompt:
    """The prompt of a request.

    Args:
        context: `context` of the request.
        surface: the image in the labelling configuration.
        size: (H, W) of the image.

    Raises:
        BackendError: 400 if it is malformed.
    """
    results = [one for one in context.get("result") or [] if one.get("to_name", surface.name) == surface.name]
    try:
        return _read(results, size)
    except (ValueError, KeyError, TypeError) as error:
        raise BackendError(400, f"The prompt of Label Studio is malformed: {error}") from error


def _read(results: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Prompt:
    label, clicks, stroke, box = "", [], None, None
    for result in results:
        kind, value = str(result["type"]).removesuffix("labels"), result["value"]
        if (labels := value.get(f"{kind}labels") or value.get("labels")) and not label:
            label = str(labels[0])
        if kind == "keypoint":
            x, y = float(value["x"]) * size[1] / 100, float(value["y"]) * size[0] / 100
            place = (int(np.clip(x, 0, size[1] - 1)), int(np.clip(y, 0, size[0] - 1)))
            clicks.append((*place, bool(result.get("is_positive", 1))))
        elif kind == "brush":
            painted = region_mask(kind, value, size)
            stroke = painted if stroke is None else stroke | painted
        elif kind in ("rectangle", "ellipse", "polygon"):
            box = region_mask(kind, value, size)
    return Prompt(label, clicks, stroke, box)


def answer_prompt(
    prompt: Prompt, answer: Segmentation, surface: Surface, options: Options, service: Service, explain: str
) -> list[dict[str, Any]]:
    """The regions that a prompt asks for, with its label.

    A click gives the segment below it, with the touching segments of its label if the service gives it that label
    already. A stroke is previewed as a mark: the region is what the exemplars would then call by that label, and
    touches the stroke. A box gives the segments that have most of their pixels in it.

    Args:
        prompt: what was drawn.
        answer: the present answer to the image.
        surface: the image in the labelling configuration.
        options: of the project.
        service: that gave it.
        explain: address of the service as browsers reach it.
    """
    control = next(
        (one for kind in REGIONS for one in surface.controls
         if one.kind == kind and prompt.label in [label.value for label in one.labels]), None
    )  # fmt: skip
    if control is None:
        raise BackendError(
            422, f"No BrushLabels, PolygonLabels or RectangleLabels has the label {prompt.label!r} of the smart tool."
        )
    if prompt.stroke is not None and prompt.stroke.any():
        mask = _stroked(prompt.stroke, label_class(control, prompt.label, service.classes()), answer, service)
    elif prompt.box is not None:
        mask = _boxed(prompt.box, answer)
    else:
        mask = _clicked(prompt, answer, class_labels(control, [one.name for one in answer.classes]), options)
    if not mask.any():
        return []
    places = answer.to_label_map("segment")
    counts = np.bincount(places[mask], minlength=len(answer.segments))
    order = [answer.segments[i] for i in np.argsort(-counts, kind="stable").tolist() if counts[i]]
    found = Group(prompt.label, order, mask)
    regions = regions_of([found], control, surface.name, answer, explain)
    # It teaches once a person accepts it, so it has no id of an unchanged prediction.
    return [region | {"origin": "manual", "id": uuid4().hex[:12]} for region in regions]


def _clicked(prompt: Prompt, answer: Segmentation, labels: dict[str, str], options: Options) -> Bools:
    """The segments below clicks that belong to the region, without those below the others."""
    places = answer.to_label_map("segment")
    known = [one for one in answer.segments if one.class_name in labels and one.known]
    objects = list(grouped(answer, known, labels, options))
    mask = np.zeros(places.shape, dtype=bool)
    for x, y, _ in (click for click in prompt.clicks if click[2]):
        whole = next((one for one in objects if one.label == prompt.label and one.mask[y, x]), None)
        mask |= whole.mask if whole is not None else places == places[y, x]
    for x, y, _ in (click for click in prompt.clicks if not click[2]):
        mask &= places != places[y, x]
    return mask


def _boxed(box: Bools, answer: Segmentation) -> Bools:
    places = answer.to_label_map("segment")
    inside = np.bincount(places[box], minlength=len(answer.segments))
    most = [i for i, one in enumerate(answer.segments) if 2 * inside[i] > one.area]
    return np.isin(places, most)


def _stroked(stroke: Bools, class_name: str, answer: Segmentation, service: Service) -> Bools:
    """What has the class of a stroke, and touches it, if the stroke were a mark."""
    found = service.preview(answer.segmentation_id, Stroke.of_mask(class_name, stroke))
    numbers = [one.class_id for one in found.classes if one.name.casefold() == class_name.casefold()]
    alike = np.isin(found.to_label_map(), numbers) | stroke
    touching = [part for part in pieces(alike) if (part & stroke).any()]
    return np.logical_or.reduce(touching) if touching else stroke
