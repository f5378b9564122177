"""Examples of answers and request bodies for the OpenAPI document.

The answers are real. They come from one session with the release `streets` on images of the painted data set `streets`.
Images 2, 4 and 5 of its validation split are segmented with k=3. A lamp post of image 5, labelled as a building, is
corrected; lane markings are marked with strokes; other edits follow. The jobs adapt the release `general` after strokes
on four images. Lists are shortened, numbers are rounded to six decimals, and ids are replaced by simple ones.
"""

from typing import Any

from service.http.examples import (
    answers,
    audit,
    batches,
    building,
    callers,
    edits,
    exemplars,
    explanations,
    exploring,
    marks,
    releases,
    webhooks,
)
from service.http.examples.bodies import BODIES

__all__ = ["ANSWERS", "BODIES", "PROBLEM"]

ANSWERS: dict[tuple[str, int], Any] = {
    **answers.ANSWERS,
    **explanations.ANSWERS,
    **exploring.ANSWERS,
    **exemplars.ANSWERS,
    **marks.ANSWERS,
    **audit.ANSWERS,
    **edits.ANSWERS,
    **releases.ANSWERS,
    **building.ANSWERS,
    **batches.ANSWERS,
    **callers.ANSWERS,
    **webhooks.ANSWERS,
}
"""The JSON of an answer, by operation id and status."""

PROBLEM: dict[str, Any] = {
    "type": "about:blank",
    "title": "Not Found",
    "status": 404,
    "detail": "There is no such segment.",
    "received": "3f-0",
    "allowed": "the segment_id of a segment of an answer",
    "fix": "Segment the image again, and use the segment ids of the new answer.",
    "request_id": "7b" * 16,
}
"""The problem JSON of a refused request."""
