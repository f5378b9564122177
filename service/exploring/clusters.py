"""Clusters of the unknown segments of recent images: things that the release has not been taught, found by themselves.

This is the unsupervised semantic segmentation of the paper: spherical k-means over the prototypes of many images.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from model_store.clustering import Groups, grouped
from model_store.live import LiveExemplars
from segsort.retrieval import NO_CLASS
from service.answering.engine import Engine
from service.answering.links import segment_crop_url
from service.answering.release_view import ReleaseView
from service.answering.rounding import rounded
from service.answering.served import ServedRelease
from service.exploring.recent import RecentImage, recent_images

Which = Literal["unknown", "unsure"]
MOST_SEGMENTS = 4000  # that are clustered: those with the largest share of their image
UNSURE = 0.6  # certainty below which a known segment is unsure
LEAST_NEAR, MOST_NEAR = 0.5, 0.99  # bounds of the cosine within which clusters are tight


class _Pool(NamedTuple):
    """The segments to cluster. images: [S] places in the list of images; numbers: [S] of the segment in its answer;
    parts: [S] shares of the image's area; prototypes: [S, D] float32."""

    images: np.ndarray
    numbers: np.ndarray
    parts: np.ndarray
    prototypes: np.ndarray


def clusters_of(
    engine: Engine, served: ServedRelease, which: Which, images: int, limit: int, members: int, owner: str | None
) -> dict[str, Any]:
    """Cluster the segments of recent images that have no sure label. Writes the JSON of GET /clusters.

    Args:
        engine: where the records are.
        served: the release that votes.
        which: unknown segments, or unsure ones too: known with a certainty below `UNSURE`.
        images: largest number of images, the newest.
        limit: largest number of clusters that are listed.
        members: largest number of segments that are listed of each.
        owner: only images of this key; None: of all.
    """
    recent = recent_images(engine, served, images, owner)
    pool, found = _pool(recent, which)
    near = float(np.clip(served.release.card.calibration.known_threshold, LEAST_NEAR, MOST_NEAR))
    view = ReleaseView.current(served.live)
    clusters = _described(view, recent, pool, grouped(pool.prototypes, pool.parts, near), members) if found else []
    return {
        "release": served.name,
        "index_revision": view.revision,
        "images": len(recent),
        "segments": found,
        "left_out": found - len(pool.parts),
        "near": rounded(near),
        "clusters_found": len(clusters),
        "clusters": clusters[:limit],
    }


def _pool(recent: Sequence[RecentImage], which: Which) -> tuple[_Pool, int]:
    """The segments to cluster, the largest if there are too many; and how many there are."""
    chosen = [
        np.flatnonzero(~one.known if which == "unknown" else ~one.known | (one.certainty < UNSURE)) for one in recent
    ]
    images = np.repeat(np.arange(len(recent)), [len(numbers) for numbers in chosen])
    numbers = np.concatenate([np.zeros(0, dtype=np.int64), *chosen])
    parts = np.concatenate([np.zeros(0), *(one.parts[at] for one, at in zip(recent, chosen, strict=True))])
    kept = np.sort(np.argsort(-parts, kind="stable")[:MOST_SEGMENTS])
    vectors = [one.prototypes[at] for one, at in zip(recent, chosen, strict=True)]
    prototypes = np.concatenate(vectors)[kept] if vectors else np.zeros((0, 1), dtype=np.float32)
    return _Pool(images[kept], numbers[kept], parts[kept], prototypes), len(parts)


def _described(
    view: ReleaseView, recent: Sequence[RecentImage], pool: _Pool, groups: Groups, members: int
) -> list[dict[str, Any]]:
    """The clusters as JSON, the largest area first."""
    areas = np.bincount(groups.labels, weights=pool.parts, minlength=len(groups.centres))
    nearest = _nearest_classes(view, groups.centres)
    described = []
    for cluster in np.argsort(-areas, kind="stable").tolist():
        own = np.flatnonzero(groups.labels == cluster)
        own = own[np.argsort(-pool.parts[own], kind="stable")]
        weights = pool.parts[own]
        described.append(
            {
                "size": len(own),
                "images": len(np.unique(pool.images[own])),
                "area": rounded(float(areas[cluster])),
                "spread": rounded(float(np.average(groups.cosines[own], weights=weights))),
                "nearest": nearest[cluster],
                "segments": [
                    _segment_json(view, recent[pool.images[n]], int(pool.numbers[n]), float(groups.cosines[n]))
                    for n in own[:members].tolist()
                ],
            }
        )
    return described


def _nearest_classes(view: ReleaseView, centres: np.ndarray) -> list[dict[str, Any] | None]:
    """The class that the exemplars nearest to each centre vote for, with the cosine of the nearest one."""
    state: LiveExemplars = view.state
    cosines, rows = state.search(np.ascontiguousarray(centres), view.live.release.card.retrieval.k)
    class_ids = state.vote(cosines, rows).class_ids.tolist()
    return [
        None
        if class_id == NO_CLASS
        else {"class_id": class_id, "class_name": view.name(class_id), "similarity": rounded(float(similar))}
        for class_id, similar in zip(class_ids, cosines[:, 0] if cosines.shape[1] else class_ids, strict=True)
    ]


def _segment_json(view: ReleaseView, image: RecentImage, number: int, similarity: float) -> dict[str, Any]:
    answered, class_id = image.answered, int(image.class_ids[number])
    segment_id = answered.segment_id(number)
    return {
        "segment_id": segment_id,
        "segmentation_id": answered.facts.segmentation_id,
        "class_name": view.name(None if class_id == NO_CLASS else class_id),
        "known": bool(image.known[number]),
        "area": int(answered.areas[number]),
        "share": rounded(float(image.parts[number])),
        "similarity": rounded(min(similarity, 1.0)),
        "crop_url": segment_crop_url(segment_id),
    }
