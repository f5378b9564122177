"""Recorded answers as results that `model_store.exporting` writes."""

import mimetypes
from collections.abc import Iterator, Sequence

import numpy as np

from model_store.card import ClassInfo
from model_store.exporting import ExportImage, ExportSegment
from service.answering.answers import Shapes
from service.answering.engine import Engine
from service.problems import Problem
from service.records.database import Answered
from service.records.live_release import LiveRelease


def export_images(engine: Engine, ids: Sequence[str], with_images: bool) -> Iterator[ExportImage]:
    """The results of answers, one in memory at a time. An answer that was deleted meanwhile is left out.

    Args:
        engine: the engine.
        ids: of recorded answers.
        with_images: whether image files that are still kept come along.
    """
    for segmentation_id in ids:
        answered = engine.records.answer(segmentation_id)
        if answered is None:
            continue
        stored = engine.records.images.get(answered.facts.image_id)
        suffix = None if stored is None else mimetypes.guess_extension(stored.media_type)
        content = stored.content if with_images and stored is not None else None
        yield _result(answered, f"{answered.facts.segmentation_id}{suffix or '.png'}", content)


def export_classes(live: LiveRelease) -> list[ClassInfo]:
    """All classes that answers of a release may have, with their present names."""
    return [state.info for state in live.log.class_states()]


def release_of_all(engine: Engine, answers: Sequence[Answered]) -> LiveRelease:
    """The release that gave all of some answers.

    Raises:
        Problem: 422 if several releases gave them, because their classes differ; 410 if the release is gone.
    """
    releases = sorted({(answered.facts.release, answered.facts.release_path) for answered in answers})
    if len(releases) > 1:
        raise Problem(
            422, "The answers are of several releases, whose classes may differ.",
            received=[name for name, _ in releases][:20], allowed="answers of one release",
            fix="Export the answers of each release by itself: GET /segmentations shows the release of each.",
        )  # fmt: skip
    return engine.catalogue.release_of(answers[-1])


def _result(answered: Answered, name: str, content: bytes | None) -> ExportImage:
    shapes, facts = Shapes.of_answer(answered), answered.facts
    labels = np.full(shapes.size, -1, dtype=np.int32)
    segments = []
    for n, segment in enumerate(answered.segments):
        labels[shapes.mask(n)] = n
        voters = tuple(answered.exemplar_ids[place] for place in answered.neighbours[n, : facts.k].tolist())
        segments.append(
            ExportSegment(
                f"{facts.segmentation_id}-{n}", segment["class_id"], segment["confidence"], segment["known"], voters
            )
        )
    return ExportImage(name, labels, segments, facts.image_id or facts.segmentation_id, content=content)
