"""Classes without labels: the segments of all images are clustered on the sphere. A person names the classes later."""

import colorsys
from collections.abc import Sequence

import numpy as np

from index_builder.calibration import HeldOut
from index_builder.datasets import Images, Photograph, Sample
from model_store.card import ClassInfo
from model_store.clustering import nearest_centres

GOLDEN = 0.618034  # hue step between consecutive clusters; the golden ratio keeps all hues apart


class Unlabelled:
    """Unlabelled images as a data set whose classes are clusters.

    Every pixel has class 0 until the clusters are computed.

    Args:
        images: the images.
        clusters: number of clusters, 1..254.

    Raises:
        ValueError: if the number of clusters is not in 1..254.
    """

    def __init__(self, images: Images, clusters: int) -> None:
        if not 1 <= clusters <= 254:
            raise ValueError(f"clusters={clusters} is not allowed; choose a number from 1 to 254")
        self.images, self.name, self.clusters = images, images.name, clusters
        self.split = getattr(images, "split", None)
        self.folder, self.licence = getattr(images, "folder", None), getattr(images, "licence", None)
        self.classes = cluster_classes(clusters)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Sample:
        image, source = self.images.photograph(i)
        return Sample(image, np.zeros(image.shape[:2], dtype=np.uint8), source)

    def photograph(self, i: int) -> Photograph:
        return self.images.photograph(i)


def cluster_classes(count: int) -> tuple[ClassInfo, ...]:
    """Classes "cluster 0", "cluster 1", ... with distinguishable colours."""
    return tuple(
        ClassInfo(class_id=i, name=f"cluster {i}", color=_color(i * GOLDEN % 1, 0.55 + 0.35 * (i % 3) / 2))
        for i in range(count)
    )


def _color(hue: float, value: float) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.75, value))
    return red, green, blue


def in_clusters(held_out: Sequence[HeldOut], centres: np.ndarray) -> list[HeldOut]:
    """Held-out segments with all pixels in their cluster. Calibration on them makes confidence measure agreement."""
    return [
        image._replace(counts=np.eye(len(centres), dtype=np.int64)[nearest_centres(image.prototypes, centres)]
                       * image.areas[:, None])
        for image in held_out
    ]  # fmt: skip
