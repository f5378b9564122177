"""Relabelling: the segments of a recorded answer under the present exemplars, without running the network."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from service.answering.answers import ComposedAnswer, Shapes, compose_answer
from service.answering.engine import Engine
from service.answering.limits import AnswerOptions
from service.answering.links import image_url
from service.answering.release_view import ReleaseView
from service.answering.rounding import rounded_timings
from service.answering.served import ServedRelease, check_release
from service.answering.splitting import Split
from service.records.database import Answered


def relabel(
    engine: Engine,
    answered: Answered,
    options: AnswerOptions,
    author: str,
    served: ServedRelease | None = None,
    split: Split | None = None,
) -> dict[str, Any]:
    """Label the segments of an answer anew, from their prototypes, and record the result as a new answer.

    Args:
        engine: where limits and records are.
        answered: the answer as it was recorded.
        options: how the new answer is written.
        author: who asks.
        served: the release that votes; None: the one that is served.
        split: the segments after strokes divided some of them; None: the recorded segments.

    Returns:
        The JSON of POST /segmentations/{segmentation_id}/relabel.

    Raises:
        Problem: 409 if another release answered; 422 if the options are not allowed; 503 if it cannot be recorded.
    """
    started = time.perf_counter()
    engine.limits.check_options(options)
    served = engine.served if served is None else served
    check_release(served, answered)
    if split is None:
        split = Split(Shapes.of_answer(answered), np.arange(len(answered.segments)))
    composed = _compose(served, answered, split.shapes, options)
    image_id, conversion = answered.facts.image_id, answered.facts.conversion
    facts = composed.facts | {"image_id": image_id, "author": author, "conversion": conversion}
    engine.records.add(facts, composed.segments, composed.retrieved)
    url = image_url(composed.facts["segmentation_id"]) if engine.records.images.has(image_id) else None
    body = composed.body | {"image_id": image_id, "image_url": url, "conversion": conversion}
    changed = _changes(served, answered, split.origins.tolist(), body["segments"])
    body |= {"relabelled_from": answered.facts.segmentation_id, "changed": changed}
    milliseconds = (time.perf_counter() - started) * 1000
    return body | {"timings_ms": rounded_timings({"retrieve": milliseconds, "total": milliseconds})}


def _compose(served: ServedRelease, answered: Answered, shapes: Shapes, options: AnswerOptions) -> ComposedAnswer:
    view, areas = ReleaseView.current(served.live), np.array(shapes.areas)
    labels = served.predictor.retrieve(shapes.prototypes, areas, answered.facts.k, view.state)
    return compose_answer(view, shapes, labels, options, k=answered.facts.k)


def _changes(
    served: ServedRelease, answered: Answered, origins: Sequence[int], segments: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The segments whose class is not that of the recorded segment they come from, with both class names."""
    before = ReleaseView.at_revision(served.live, answered.facts.index_revision)
    return [
        {
            "segment_id": new["segment_id"],
            "before_segment_id": answered.segment_id(n),
            "before": before.name(answered.segments[n]["class_id"]),
            "after": new["class_name"],
        }
        for n, new in zip(origins, segments, strict=True)
        if answered.segments[n]["class_id"] != new["class_id"]
    ]
