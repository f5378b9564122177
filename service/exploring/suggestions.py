"""Images to label next: recent images that are uncertain and that resemble nothing labelled so far."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from service.answering.engine import Engine
from service.answering.links import image_url
from service.answering.rounding import rounded
from service.answering.served import ServedRelease
from service.exploring.choice import Candidates, Chosen, choose_images
from service.exploring.recent import RecentImage, recent_images
from service.records.tables import iso

MOST_SEGMENTS = 40  # of each image, the largest: they cover nearly all of its area
EVENLY = 0.5  # weight of a segment that is certain, relative to one that is unknown


class _Segments(NamedTuple):
    """The largest segments of one image. numbers: in its answer; uncertainty: [S] 0..1; weights: [S] for the choice."""

    numbers: np.ndarray
    uncertainty: np.ndarray
    weights: np.ndarray


def suggestions_of(
    engine: Engine, served: ServedRelease, images: int, limit: int, owner: str | None, skip: str | None = None
) -> dict[str, Any]:
    """Choose images to label next among recent ones. Writes the JSON of GET /suggestions.

    Images that have exemplars are not suggested again, and count as labelled.

    Args:
        engine: where the records are.
        served: the release that votes.
        images: largest number of images to choose among, the newest.
        limit: largest number of suggestions.
        owner: only images of this key; None: of all.
        skip: id of an answer of the owner whose image is not suggested, because it is shown at present.
    """
    recent = recent_images(engine, served, images, owner)
    marked = {_id_of(one) for one in recent if served.live.exemplars_of_image(_id_of(one))}
    done = [one for one in recent if _id_of(one) in marked]
    shown = None if skip is None else engine.records.answer(skip, owner)
    without = marked | {str(shown.facts.image_id)} if shown is not None else marked
    open_ = [one for one in recent if _id_of(one) not in without]
    segments = [_largest(one) for one in open_]
    chosen = choose_images(_candidates(open_, segments, done), len(open_), limit) if open_ else []
    return {
        "release": served.name,
        "index_revision": served.live.state.revision,
        "images": len(recent),
        "marked": len(done),
        "suggestions": [_suggestion_json(open_[one.image], segments[one.image], one) for one in chosen],
    }


def _id_of(image: RecentImage) -> str:
    """The id of an image; recent images are stored, so they have one."""
    return str(image.answered.facts.image_id)


def _largest(image: RecentImage) -> _Segments:
    numbers = np.sort(np.argsort(-image.parts, kind="stable")[:MOST_SEGMENTS])
    uncertainty = (1 - image.certainty[numbers]).clip(0, 1)
    return _Segments(numbers, uncertainty, weights_of(image.parts[numbers], uncertainty))


def weights_of(parts: np.ndarray, uncertainty: np.ndarray) -> np.ndarray:
    """Weights of segments for the choice, from their shares of the area and their uncertainty, 0..1 each.

    A certain segment counts half as much as an unknown one. In trials with `benchmarks.next_images`, weights of
    uncertainty alone chose worse images.
    """
    return np.asarray(parts * (EVENLY + (1 - EVENLY) * uncertainty))


def _candidates(
    images: Sequence[RecentImage], segments: Sequence[_Segments], done: Sequence[RecentImage]
) -> Candidates:
    """The segments to choose among; those near a segment of a marked image count as covered."""
    prototypes = np.concatenate([one.prototypes[of.numbers] for one, of in zip(images, segments, strict=True)])
    covered = np.concatenate([one.nearest[of.numbers] for one, of in zip(images, segments, strict=True)])
    for one in done:
        covered = np.maximum(covered, (prototypes @ one.prototypes.T).max(axis=1))
    weights = np.concatenate([of.weights for of in segments])
    own = np.repeat(np.arange(len(images)), [len(of.numbers) for of in segments])
    return Candidates(prototypes, weights, own, covered)


def _suggestion_json(image: RecentImage, segments: _Segments, chosen: Chosen) -> dict[str, Any]:
    facts, parts = image.answered.facts, image.parts
    unknown = float(parts[~image.known].sum())
    uncertainty = float(np.average(segments.uncertainty, weights=parts[segments.numbers]))
    certain = float(np.average(image.certainty[image.known], weights=parts[image.known])) if image.known.any() else None
    return {
        "segmentation_id": facts.segmentation_id,
        "image_id": facts.image_id,
        "image_url": image_url(facts.segmentation_id),
        "width": facts.width,
        "height": facts.height,
        "created": iso(facts.created),
        "score": rounded(chosen.score),
        "unknown": rounded(min(unknown, 1.0)),
        "uncertainty": rounded(uncertainty),
        "novelty": rounded(max(chosen.novelty, 0.0)),
        "reasons": _reasons(unknown, certain, chosen.novelty),
    }


def _reasons(unknown: float, certain: float | None, novelty: float) -> list[str]:
    """Why an image is suggested, in words and numbers."""
    reasons = []
    if unknown > 0:
        reasons.append(f"{_percent(unknown)} of its area is unknown.")
    if certain is not None:
        reasons.append(
            f"Labels of {'the rest' if unknown > 0 else 'the image'} are {_percent(certain)} sure on average."
        )
    similarity = min(1 - novelty, 1.0)
    if similarity >= 0:
        reasons.append(f"Mean similarity to what is labelled or suggested before it: {similarity:.2f}.")
    else:
        reasons.append("Nothing like it is labelled yet.")
    return reasons


def _percent(share: float) -> str:
    return f"{100 * min(share, 1):.0f} %"
