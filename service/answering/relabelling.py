"""Relabelling: the segments of a recorded answer under the present exemplars, without running the network."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from service.answering.answers import ComposedAnswer, Shapes, compose_answer, page_json, recorded_answer_json
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

    An answer of the present revision is returned as it is: nothing would change, and nothing is recorded.

    Args:
        engine: where limits and records are.
        answered: the answer as it was recorded.
        options: how the new answer is written.
        author: who asks. The new answer belongs to the owner of the recorded one, if that has an owner.
        served: the release that votes; None: the one that is served.
        split: the segments after strokes divided some of them; None: the recorded segments.

    Returns:
        The JSON of POST /segmentations/{segmentation_id}/relabel.

    Raises:
        Problem: 409 if another release answered; 422 if the options are not allowed; 503 if it cannot be recorded; 507
            if there is no room for it.
    """
    started = time.perf_counter()
    engine.limits.check_options(options)
    served = engine.served if served is None else served
    check_release(served, answered)
    view = ReleaseView.current(served.live, answered.facts.image_id)
    if split is None and answered.facts.index_revision == view.revision:
        return _unchanged(engine, view, answered, options, started)
    composed = _compose(served, view, answered, split, options)
    facts = composed.facts | {"author": answered.facts.author or author, "pinned": answered.facts.pinned}
    facts |= {"lineage": answered.facts.lineage or answered.facts.segmentation_id}
    facts |= {name: getattr(answered.facts, name) for name in ("image_id", "conversion", "page", "pages")}
    engine.records.add(facts, composed.segments, composed.retrieved, shapes=composed.shapes)
    own = composed.facts["segmentation_id"]
    return _body(engine, served, answered, split, composed, own, started)


def previewed(
    engine: Engine,
    answered: Answered,
    options: AnswerOptions,
    served: ServedRelease,
    view: ReleaseView,
    split: Split | None = None,
) -> dict[str, Any]:
    """Label the segments of an answer under exemplars that an edit would make, and record nothing.

    Args:
        engine: where records are.
        answered: the answer as it was recorded, of the served release.
        options: how the answer is written.
        served: the release that votes.
        view: the exemplars that would vote, and the classes that there would be.
        split: the segments after strokes divided some of them; None: the recorded segments.

    Returns:
        The JSON that `relabel` would return after the edit, but for ids, `index_revision` and times. No answer has its
        `segmentation_id`; its `image_url` is that of the recorded answer.
    """
    started = time.perf_counter()
    composed = _compose(served, view, answered, split, options)
    return _body(engine, served, answered, split, composed, answered.facts.segmentation_id, started)


def _unchanged(
    engine: Engine, view: ReleaseView, answered: Answered, options: AnswerOptions, started: float
) -> dict[str, Any]:
    """The JSON of an answer that relabelling does not change."""
    kept = engine.records.images.has(answered.facts.image_id)
    body = recorded_answer_json(view, answered, options, kept)
    body |= {"relabelled_from": answered.facts.segmentation_id, "changed": []}
    return body | {"timings_ms": _timings(started)}


def _compose(
    served: ServedRelease, view: ReleaseView, answered: Answered, split: Split | None, options: AnswerOptions
) -> ComposedAnswer:
    shapes = Shapes.of_answer(answered) if split is None else split.shapes
    labels = served.predictor.retrieve(shapes.prototypes, np.array(shapes.areas), answered.facts.k, view.state)
    return compose_answer(view, shapes, labels, options, k=answered.facts.k)


def _body(
    engine: Engine,
    served: ServedRelease,
    answered: Answered,
    split: Split | None,
    composed: ComposedAnswer,
    shown: str,
    started: float,
) -> dict[str, Any]:
    """The JSON of a relabelled answer; shown: the id of the recorded answer whose image it shows."""
    image_id, conversion = answered.facts.image_id, answered.facts.conversion
    url = image_url(shown) if engine.records.images.has(image_id) else None
    body = composed.body | {"image_id": image_id, "image_url": url, "conversion": conversion}
    body |= page_json(answered)
    origins = range(len(answered.segments)) if split is None else split.origins.tolist()
    changed = _changes(served, answered, origins, body["segments"])
    body |= {"relabelled_from": answered.facts.segmentation_id, "changed": changed}
    return body | {"timings_ms": _timings(started)}


def _timings(started: float) -> dict[str, float]:
    milliseconds = (time.perf_counter() - started) * 1000
    return rounded_timings({"retrieve": milliseconds, "total": milliseconds})


def _changes(
    served: ServedRelease, answered: Answered, origins: Sequence[int], segments: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The segments whose class is not that of the recorded segment they come from, with both class names."""
    before = ReleaseView.at_revision(served.live, answered.facts.index_revision)
    return [
        {
            "segment_id": new["segment_id"],
            "before_segment_id": answered.segment_id(n),
            "before": before.name(answered.labels[n].class_id),
            "after": new["class_name"],
        }
        for n, new in zip(origins, segments, strict=True)
        if answered.labels[n].class_id != new["class_id"]
    ]
