"""Statistics of features over images of many kinds, which the identity head of an extractor follows from."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from index_builder.evaluation import Photographs
from index_builder.heads.maps import FeatureExtractor, FeatureSource
from segsort.head import FeatureStatistics

CELLS = 400  # embedding cells that are drawn from each image
SAMPLE_CELLS = 2000  # of each of the few images of scikit-image


def measure_statistics(
    source: FeatureSource, images: Iterable[np.ndarray], folder: Path, cells: int = CELLS
) -> FeatureStatistics:
    """Measure the features of cells that are drawn from each image.

    Args:
        source: the extractor.
        images: each [H, W, 3] uint8 RGB.
        folder: where feature maps are kept.
        cells: maximum number of cells of an image.
    """
    extractor, random, rows = FeatureExtractor(source, folder), np.random.default_rng(0), []
    for image in images:
        maps = extractor.maps(image)
        h, w = maps.cells
        drawn = random.choice(h * w, min(cells, h * w), replace=False)
        rows.append(maps.rows(source.groups, drawn // w, drawn % w))
    return FeatureStatistics.of(torch.cat(rows))


def sample_statistics(source: FeatureSource) -> FeatureStatistics:
    """Statistics over the sample images of scikit-image, for an extractor that comes without any."""
    with TemporaryDirectory(prefix="segsort-features-") as folder:
        images = (image for _, image in Photographs("samples"))
        return measure_statistics(source, images, Path(folder), SAMPLE_CELLS)
