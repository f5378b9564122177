"""Pixel sorting beside faiss' and scikit-learn's k-means on the same features from the same starting means.

python -m benchmarks.pixel_sorting [--rounds 30] [--threads N] [--out DIR]
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import torch
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from torch import Tensor

from benchmarks.common import interleave, report, spread
from segsort.pixel_sorting import SortingOptions, grid_labels, sort_pixels, sorting_features
from segsort.sphere import mean_direction, normalize, unit_rows

HEIGHT, WIDTH, DIMENSION = 90, 120, 32
OPTIONS = SortingOptions(segments=64, iterations=10)


def painted(seed: int, noise: float) -> Tensor:
    """Embeddings of an image of 40 patches with blurred outlines: [1, D, h, w] unit vectors.

    `noise` is the length of the noise beside a unit vector; 0.5 leaves cosines of about 0.9 within a patch.
    """
    random = torch.Generator().manual_seed(seed)
    sites = torch.rand(40, 2, generator=random) * torch.tensor([HEIGHT, WIDTH])
    directions = normalize(torch.randn(40, DIMENSION, generator=random))
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    distance = torch.cdist(torch.stack([y, x], dim=2).reshape(-1, 2).float(), sites)  # [N, 40], pixels
    patches = torch.softmax(-distance, dim=1) @ directions
    noisy = patches + noise / DIMENSION**0.5 * torch.randn(patches.shape, generator=random)
    return normalize(noisy).T.reshape(1, DIMENSION, HEIGHT, WIDTH)


def mean_cosine(features: np.ndarray, means: np.ndarray) -> float:
    """What spherical k-means maximises: the mean cosine of each pixel and the nearest unit mean."""
    return float((features @ means.T).max(axis=1).mean())


class Peers:
    """The three ways to sort one image; each call returns the unit means it ends with."""

    def __init__(self, embeddings: Tensor) -> None:
        self.embeddings = embeddings
        features = sorting_features(embeddings, OPTIONS.location_weight)[0]
        grid = grid_labels(HEIGHT, WIDTH, OPTIONS.segments).flatten()
        self.features = features.numpy()
        self.start = mean_direction(features, grid, OPTIONS.segments).numpy()

    def ours(self) -> np.ndarray:
        """From embeddings: appending the location and normalising are part of the time."""
        return sort_pixels(self.embeddings, OPTIONS).theta[0].numpy()

    def faiss(self) -> np.ndarray:
        """From finished features; the bounds on points a mean keep faiss from drawing a sample."""
        kmeans = faiss.Kmeans(
            self.features.shape[1],
            OPTIONS.segments,
            niter=OPTIONS.iterations,
            nredo=1,
            spherical=True,
            min_points_per_centroid=1,
            max_points_per_centroid=len(self.features),
        )
        kmeans.train(self.features, init_centroids=self.start)
        return np.asarray(kmeans.centroids)

    def sklearn(self) -> np.ndarray:
        """From finished features; its means are not unit vectors between iterations, only at the end."""
        kmeans = KMeans(OPTIONS.segments, init=self.start, n_init=1, max_iter=OPTIONS.iterations, tol=0)
        kmeans.fit(self.features)
        return unit_rows(np.asarray(kmeans.cluster_centers_))


def measure(image: str, embeddings: Tensor, rounds: int) -> list[dict[str, str | float]]:
    """One row a peer: times, ratio of the medians to faiss, and mean cosine."""
    peers = Peers(embeddings)
    tasks: dict[str, Callable[[], np.ndarray]] = {
        "segsort": peers.ours,
        "faiss": peers.faiss,
        "scikit-learn": peers.sklearn,
    }
    seconds = interleave(tasks, rounds, warmup=3)
    median = {name: float(np.median(taken)) for name, taken in seconds.items()}
    return [
        {
            "image": image,
            "sorted by": name,
            **spread(seconds[name]),
            "of faiss": median[name] / median["faiss"],
            "mean cosine": mean_cosine(peers.features, tasks[name]()),
        }
        for name in tasks
    ]


def main() -> None:
    """Measure an easy, a usual and a hopeless image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="for each of the three")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    started = time.perf_counter()
    with threadpool_limits(arguments.threads):
        rows = [
            row
            for image, noise in {"clean": 0.1, "noisy": 0.5, "noise only": 100.0}.items()
            for row in measure(image, painted(0, noise), arguments.rounds)
        ]
    details = {
        "pixels": [HEIGHT, WIDTH],
        "dimensions": DIMENSION + 2,
        "segments": OPTIONS.segments,
        "iterations": OPTIONS.iterations,
        "rounds": arguments.rounds,
        "threads": arguments.threads,
        "seconds": time.perf_counter() - started,
    }
    report("pixel_sorting", rows, details, arguments.out)


if __name__ == "__main__":
    main()
