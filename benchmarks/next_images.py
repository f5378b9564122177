"""Images to label next: three suggested ones against three random ones, after a release was taught by two images.

python -m benchmarks.next_images --data DIR [--out DIR]

The features are those of the bundled release `general`. True labels of two random training images become exemplars.
Then the labels of three more images are added: those that `service.exploring` suggests, or random ones. The score is
the mIoU on all validation images, by retrieval without a fitted head. Each seed draws the two images anew, and the
random choice is the mean of five.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import report
from index_builder.datasets import IGNORE, Dataset, open_dataset
from index_builder.scores import intersection_over_union
from model_store.card import RetrievalInfo
from model_store.predictor import Predictor
from model_store.release import Release
from model_store.store import open_store
from segsort.arrays import on_host
from segsort.labelled_segments import split_by_label
from segsort.retrieval import vote
from service.exploring.choice import Candidates, choose_images
from service.exploring.suggestions import weights_of

SEEDS, START, ADDED, RANDOM = 20, 2, 3, 5
MIN_SHARE = 0.5  # of a segment's pixels of one class, for an exemplar


class Embedded(NamedTuple):
    """One image. prototypes: [S, D]; parts: [S], shares of its area; counts: [S, C], pixels of each class;
    exemplars: [P, D] prototypes of its labelled pieces; class_ids: [P]."""

    prototypes: np.ndarray
    parts: np.ndarray
    counts: np.ndarray
    exemplars: np.ndarray
    class_ids: np.ndarray


class Labelled(NamedTuple):
    """The labels of Q segments. nearest: cosine to the nearest exemplar; class_ids; shares: of the winner."""

    nearest: np.ndarray
    class_ids: np.ndarray
    shares: np.ndarray


def embedded(predictor: Predictor, dataset: Dataset) -> list[Embedded]:
    """Segments of all images of a data set, with their true labels."""
    images = []
    for i in range(len(dataset)):
        sample = dataset[i]
        embeddings = predictor.embedder.embed(sample.image)
        found = predictor.sort(embeddings, sample.labels.shape)
        counts = np.zeros((len(found.areas), len(dataset.classes)), dtype=np.int64)
        given = sample.labels != IGNORE
        np.add.at(counts, (found.labels[given], sample.labels[given]), 1)
        least = predictor.release.card.sorting.min_area
        pieces = split_by_label(found, on_host(embeddings), sample.labels, IGNORE, least, MIN_SHARE)
        parts = found.areas / found.areas.sum()
        images.append(Embedded(found.prototypes, parts, counts, pieces.prototypes, pieces.class_ids))
    return images


def labels_of(prototypes: np.ndarray, taught: Sequence[Embedded], classes: int) -> Labelled:
    """Label segments by the exemplars of some images."""
    exemplars = np.concatenate([one.exemplars for one in taught])
    class_ids = np.concatenate([one.class_ids for one in taught])
    retrieval = RetrievalInfo()
    cosines = prototypes @ exemplars.T
    k = min(retrieval.k, len(exemplars))
    rows = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
    near = np.take_along_axis(cosines, rows, axis=1)
    votes = vote(near, class_ids[rows], classes, retrieval.kappa)
    return Labelled(near.max(axis=1), votes.class_ids, votes.shares.max(axis=1))


def miou(images: Sequence[Embedded], taught: Sequence[Embedded]) -> float:
    """mIoU on images, 0..1, with the exemplars of others."""
    counts = np.concatenate([one.counts for one in images])
    found = labels_of(np.concatenate([one.prototypes for one in images]), taught, counts.shape[1])
    confusion = np.zeros((counts.shape[1],) * 2)
    for class_id in range(counts.shape[1]):
        confusion[:, class_id] = counts[found.class_ids == class_id].sum(axis=0)
    return float(np.nanmean(intersection_over_union(confusion)))


def suggested(pool: Sequence[Embedded], taught: Sequence[Embedded], threshold: float) -> list[int]:
    """Places in the pool of the images that the service would suggest."""
    prototypes = np.concatenate([one.prototypes for one in pool])
    found = labels_of(prototypes, taught, pool[0].counts.shape[1])
    certainty = np.where(found.nearest >= threshold, found.shares, 0)
    weights = weights_of(np.concatenate([one.parts for one in pool]), (1 - certainty).clip(0, 1))
    own = np.repeat(np.arange(len(pool)), [len(one.parts) for one in pool])
    covered = found.nearest.astype(np.float64)
    for one in taught:
        covered = np.maximum(covered, (prototypes @ one.prototypes.T).max(axis=1))
    return [one.image for one in choose_images(Candidates(prototypes, weights, own, covered), len(pool), ADDED)]


def compared(train: Sequence[Embedded], val: Sequence[Embedded], threshold: float, seed: int) -> dict[str, float]:
    """mIoU before, and after three suggested or three random images."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(train))
    taught, pool = [train[i] for i in order[:START]], [train[i] for i in order[START:]]
    draws = [[pool[i] for i in random.permutation(len(pool))[:ADDED]] for _ in range(RANDOM)]
    chosen = [pool[i] for i in suggested(pool, taught, threshold)]
    return {
        "before": miou(val, taught),
        "random": float(np.mean([miou(val, [*taught, *drawn]) for drawn in draws])),
        "suggested": miou(val, [*taught, *chosen]),
    }


def row(name: str, scores: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Means over the seeds in %, and the difference with 1.96 standard errors."""
    gains = np.array([100 * (one["suggested"] - one["random"]) for one in scores])
    means = {f"{key}, mIoU %": round(100 * float(np.mean([one[key] for one in scores])), 1) for key in scores[0]}
    spread = 1.96 * gains.std(ddof=1) / np.sqrt(len(gains))
    return {"data set": name, **means, "suggested - random": f"{gains.mean():+.1f} ± {spread:.1f}",
            "better in": f"{int((gains > 0).sum())} of {len(gains)}"}  # fmt: skip


def main() -> None:
    """Embed, choose, score, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with nuclei and facades")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    predictor = Predictor(Release.open(open_store().resolve("general")))
    threshold = predictor.release.card.calibration.known_threshold
    rows, every = [], {}
    for name in ("nuclei", "facades"):
        sets = {split: open_dataset("folder", arguments.data / name, split) for split in ("train", "val")}
        train, val = (embedded(predictor, one) for one in sets.values())
        every[name] = [compared(train, val, threshold, seed) for seed in range(SEEDS)]
        rows.append(row(name, every[name]))
    report("next_images", rows, {"scores": every}, arguments.out)


if __name__ == "__main__":
    main()
