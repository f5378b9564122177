"""Recorded answers as results that `model_store.exporting` writes."""

import mimetypes
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from model_store.card import ClassInfo
from model_store.class_names import name_key
from model_store.exporting import ExportImage, ExportSegment
from service.answering.answers import Shapes
from service.answering.engine import Engine
from service.problems import Problem
from service.records.database import Answered
from service.records.live_release import LiveRelease


def export_images(
    engine: Engine, live: LiveRelease, ids: Sequence[str], with_images: bool, names: Mapping[str, str]
) -> Iterator[ExportImage]:
    """The results of answers, one in memory at a time. An answer that was deleted meanwhile is left out.

    Args:
        engine: the engine.
        live: the release that gave all of them.
        ids: of recorded answers.
        with_images: whether image files that are still kept come along.
        names: of image files, by the id of the answer; any text. Without a name, it is the id of the answer.
    """
    for segmentation_id in ids:
        answered = engine.records.answer(segmentation_id)
        if answered is None:
            continue
        stored = engine.records.images.get(answered.facts.image_id)
        suffix = None if stored is None else mimetypes.guess_extension(stored.media_type)
        content = stored.content if with_images and stored is not None else None
        name = names.get(segmentation_id) or f"{segmentation_id}{suffix or '.png'}"
        yield _result(answered, live, name, content)


def export_classes(live: LiveRelease) -> list[ClassInfo]:
    """All classes that answers of a release may have, in the order of class_id, with their present names.

    A retired class whose name another class has now gets its class_id behind the name, because formats that are read
    again need distinct names.
    """
    states = live.log.class_states()
    taken = {name_key(state.info.name) for state in states if not state.retired}
    classes = []
    for state in states:
        info, name = state.info, state.info.name
        while state.retired and name_key(name) in taken:
            name = f"{name} ({info.class_id})"
        taken.add(name_key(name))
        classes.append(info.model_copy(update={"name": name}))
    return classes


def release_of_all(engine: Engine, answers: Sequence[Answered]) -> LiveRelease:
    """The release that gave all of some answers.

    Raises:
        Problem: 422 if several releases gave them, because their classes differ; 410 if the release is gone.
    """
    releases = sorted({(answered.facts.release, answered.facts.release_digest or "") for answered in answers})
    if len(releases) > 1:
        raise Problem(
            422, "The answers are of several releases, whose classes may differ.",
            received=[name for name, _ in releases][:20], allowed="answers of one release",
            fix="Export the answers of each release by itself: GET /segmentations shows the release of each.",
        )  # fmt: skip
    return engine.catalogue.given(answers[-1])


def _result(answered: Answered, live: LiveRelease, name: str, content: bytes | None) -> ExportImage:
    shapes, facts, found = Shapes.of_answer(answered), answered.facts, answered.neighbours(live.state)
    labels = np.full(shapes.size, -1, dtype=np.int32)
    segments = []
    for n, segment in enumerate(answered.segments):
        labels[shapes.mask(n)] = n
        voters = tuple(found.exemplar_ids[place] for place in found.places[n, : facts.k].tolist())
        segments.append(
            ExportSegment(
                f"{facts.segmentation_id}-{n}",
                segment["class_id"],
                segment["confidence"] if segment["known"] else None,
                segment["known"],
                voters,
            )
        )
    return ExportImage(name, labels, segments, facts.image_id or facts.segmentation_id, content=content)
