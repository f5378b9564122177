"""Classes without labels: segments of all images clustered on the sphere, to be named by a person later."""

import colorsys
from collections.abc import Sequence

import faiss
import numpy as np

from index_builder.calibration import HeldOut
from index_builder.datasets import Images, Photograph, Sample
from model_store.card import ClassInfo

ITERATIONS, STARTS, SEED = 50, 5, 0
GOLDEN = 0.618034  # turns of the colour circle between one cluster and the next, so that no two lie close


class Unlabelled:
    """Images as a data set whose classes are `clusters` clusters; each pixel is in the first until they are found."""

    def __init__(self, images: Images, clusters: int) -> None:
        if not 1 <= clusters <= 254:
            raise ValueError(f"{clusters} clusters; there must be 1..254")
        self.images, self.name, self.clusters = images, images.name, clusters
        self.split = getattr(images, "split", None)
        self.classes = cluster_classes(clusters)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Sample:
        image, source = self.images.photograph(i)
        return Sample(image, np.zeros(image.shape[:2], dtype=np.uint8), source)

    def photograph(self, i: int) -> Photograph:
        return self.images.photograph(i)


def cluster_classes(count: int) -> tuple[ClassInfo, ...]:
    """Classes "cluster 0", "cluster 1", ... in colours that can be told apart."""
    return tuple(
        ClassInfo(class_id=i, name=f"cluster {i}", color=_color(i * GOLDEN % 1, 0.55 + 0.35 * (i % 3) / 2))
        for i in range(count)
    )


def _color(hue: float, value: float) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.75, value))
    return red, green, blue


def find_centres(prototypes: np.ndarray, areas: np.ndarray, count: int) -> np.ndarray:
    """Spherical k-means of segments, each weighing as much as its pixels: [S, D] unit, [S] -> [count, D] unit.

    Raises:
        ValueError: if there are fewer segments than clusters.
    """
    if len(prototypes) < count:
        raise ValueError(f"{len(prototypes)} segments cannot form {count} clusters; ask for fewer or give more images")
    means = faiss.Kmeans(
        prototypes.shape[1], count, niter=ITERATIONS, nredo=STARTS, spherical=True, seed=SEED,
        min_points_per_centroid=1, max_points_per_centroid=len(prototypes),
    )  # fmt: skip
    means.train(prototypes, weights=(areas / areas.mean()).astype(np.float32))
    return np.asarray(means.centroids)


def nearest_centres(prototypes: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The cluster of each segment: [S, D], [K, D] -> [S] int64."""
    return np.asarray((prototypes @ centres.T).argmax(axis=1))


def in_clusters(held_out: Sequence[HeldOut], centres: np.ndarray) -> list[HeldOut]:
    """Segments set aside for calibration, each wholly of its cluster: confidence is then that neighbours agree."""
    return [
        image._replace(counts=np.eye(len(centres), dtype=np.int64)[nearest_centres(image.prototypes, centres)]
                       * image.areas[:, None])
        for image in held_out
    ]  # fmt: skip
