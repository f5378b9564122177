"""The auto-annotation function for CVAT's SDK and command line, in agent mode too.

cvat-cli task auto-annotate TASK --function-module segsort_cvat.function -p address=str:http://localhost:8000
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import cvat_sdk.auto_annotation as cvataa
import PIL.Image
from cvat_sdk import models

from segsort_client import Client, Segment
from segsort_client.results.base import PolygonMask
from segsort_cvat.outlines import polygons
from segsort_cvat.service import service
from segsort_cvat.shapes import mask_points

EXPLANATION = 0  # id of the attribute within each label

_log = logging.getLogger(__name__)


def create(
    address: str | None = None, key: str | None = None, unknown: bool = False, explanation: bool = False,
    tolerance: float = 1.0,
) -> SegsortFunction:  # fmt: skip
    """Make the function. `cvat-cli` calls this with the parameters of `-p NAME=TYPE:VALUE`.

    Args:
        address: of the service; None: SEGSORT_ADDRESS, or port 8000 of this machine.
        key: of a reader; None: SEGSORT_KEY.
        unknown: also annotate segments that resemble no exemplar.
        explanation: give each mask an attribute `explanation` with the address of the page that explains its label. The
            labels of the task need this attribute, a text.
        tolerance: of polygons, in pixels; 0: they have every point.
    """
    return SegsortFunction(service(address, key), unknown, explanation, tolerance)


class SegsortFunction:
    """Annotates an image with the segments of the service: a mask for each, or polygons where CVAT asks for them.

    Args:
        client: of the service.
        unknown: also annotate segments that resemble no exemplar.
        explanation: add the attribute `explanation`.
        tolerance: of polygons, in pixels; 0: they have every point.
    """

    def __init__(
        self, client: Client, unknown: bool = False, explanation: bool = False, tolerance: float = 1.0
    ) -> None:
        self._client, self._unknown, self._explanation = client, unknown, explanation
        self._tolerance = tolerance
        self._missing: set[int] = set()

    def close(self) -> None:
        """Close the connections to the service."""
        self._client.close()

    @cached_property
    def spec(self) -> cvataa.DetectionFunctionSpec:
        """The classes of the service when the function was first asked. Their ids are those of the classes."""
        attributes = [cvataa.text_attribute_spec("explanation", EXPLANATION)] if self._explanation else []
        labels = [
            cvataa.label_spec(one.name, one.class_id, type="mask", color=one.color, attributes=list(attributes))
            for one in self._client.classes()
        ]
        return cvataa.DetectionFunctionSpec(labels=labels)

    def detect(
        self, context: cvataa.DetectionFunctionContext, image: PIL.Image.Image
    ) -> list[models.LabeledShapeRequest]:
        """Segment an image. A segment without a confidence passes every threshold."""
        outlines = context.conv_mask_to_poly
        name = getattr(context, "frame_name", None)
        answer = self._client.segment(image, name=name, exemplars=1, masks="polygon" if outlines else "rle")
        wanted = [one for one in answer if self._is_wanted(one, context.conf_threshold)]
        return [shape for one in wanted for shape in self._shapes(one)]

    def _is_wanted(self, segment: Segment, threshold: float | None) -> bool:
        if segment.class_id is None or not (segment.known or self._unknown):
            return False
        if segment.class_id not in self._known_classes:
            if segment.class_id not in self._missing:
                self._missing.add(segment.class_id)
                _log.warning("class %r is newer than this function: start it again", segment.class_name)
            return False
        return threshold is None or segment.confidence is None or segment.confidence >= threshold

    @cached_property
    def _known_classes(self) -> frozenset[int]:
        return frozenset(label.id for label in self.spec.labels)

    def _shapes(self, segment: Segment) -> Iterator[models.LabeledShapeRequest]:
        for kind, points in self._points(segment):
            more: dict[str, Any] = {} if segment.confidence is None else {"score": segment.confidence}
            if self._explanation:
                value = f"{self._client.address}/explain/{segment.segment_id}"
                more["attributes"] = [models.AttributeValRequest(spec_id=EXPLANATION, value=value)]
            yield cvataa.shape(segment.class_id, type=kind, points=points, **more)

    def _points(self, segment: Segment) -> Iterator[tuple[str, Sequence[float]]]:
        """The type and the points of each shape of a segment."""
        if isinstance(segment.shape, PolygonMask):
            yield from (("polygon", polygon) for polygon in polygons(segment.shape, self._tolerance))
        else:
            yield "mask", mask_points(segment)
