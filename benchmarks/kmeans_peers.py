"""Ways to sort the pixels of one image: segsort's, and others' k-means from the same starting means."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from segsort import loops
from segsort.pixel_sorting import SortingOptions, grid_labels, sort_pixels, sorting_features
from segsort.sphere import mean_direction, normalize, unit_rows

SEGSORT, SEGSORT_FLOATS = "segsort", "segsort, float32"
Sorter = Callable[[], Tensor]  # returns its final unit means [K, D+2]


class Peers:
    """Ways to sort one image. Ours begins with the embeddings, the others with features that are finished already.

    Args:
        embeddings: [1, D, h, w] unit vectors.
        options: how many segments and iterations, for all of them.
        device: where all of them run that can.
    """

    def __init__(self, embeddings: Tensor, options: SortingOptions, device: Literal["cpu", "cuda"] = "cpu") -> None:
        self.options, self.device = options, device
        self.embeddings = embeddings.to(device)
        h, w = embeddings.shape[2:]
        on_cpu = sorting_features(embeddings, options.location_weight)[0]
        start = mean_direction(on_cpu, grid_labels(h, w, options.segments).flatten(), options.segments)
        self.features, self.start = on_cpu.to(device), start.to(device)

    @cached_property
    def sorters(self) -> dict[str, Sorter]:
        """By name, those that run on this device."""
        found: dict[str, Sorter] = {SEGSORT: self.ours, "torch": self.torch}
        if self.device == "cpu" and self.options.precision == "int8" and loops.sorts_in_bytes():
            found[SEGSORT_FLOATS] = self.ours_in_floats
        if self.device == "cpu":
            found |= {"faiss": self.faiss, "scikit-learn": self.sklearn}
        with contextlib.suppress(ImportError):
            import fast_pytorch_kmeans  # noqa: F401

            found["fast-pytorch-kmeans"] = self.fast_pytorch_kmeans
        with contextlib.suppress(ImportError):
            import flash_kmeans  # noqa: F401

            found["flash-kmeans" if self.device == "cuda" else "flash-kmeans, its PyTorch path"] = self.flash_kmeans
        return found

    def ours(self) -> Tensor:
        """Appending the location and normalising are part of the time."""
        return sort_pixels(self.embeddings, self.options).theta[0]

    def ours_in_floats(self) -> Tensor:
        """In float32, the precision of a processor that does not multiply bytes."""
        return sort_pixels(self.embeddings, replace(self.options, precision="float32")).theta[0]

    def torch(self) -> Tensor:
        """A straightforward implementation in torch."""
        theta, ones = self.start, torch.ones((), device=self.device).expand(len(self.features))
        for _ in range(self.options.iterations):
            nearest = (self.features @ theta.T).argmax(dim=1)
            sums = torch.zeros_like(theta).index_add_(0, nearest, self.features)
            sizes = torch.zeros(len(theta), device=self.device).index_add_(0, nearest, ones)
            theta = torch.where(sizes[:, None] > 0, normalize(sums), theta)
        return theta

    def faiss(self) -> Tensor:
        """The bounds on points a mean keep faiss from drawing a sample."""
        import faiss

        kmeans = faiss.Kmeans(
            self.features.shape[1],
            self.options.segments,
            niter=self.options.iterations,
            nredo=1,
            spherical=True,
            min_points_per_centroid=1,
            max_points_per_centroid=len(self.features),
        )
        kmeans.train(self.features.numpy(), init_centroids=self.start.numpy())
        return torch.from_numpy(np.asarray(kmeans.centroids))

    def sklearn(self) -> Tensor:
        """Its means are not unit vectors between iterations, only at the end."""
        iterations = self.options.iterations
        kmeans = KMeans(self.options.segments, init=self.start.numpy(), n_init=1, max_iter=iterations, tol=0)
        kmeans.fit(self.features.numpy())
        return torch.from_numpy(unit_rows(np.asarray(kmeans.cluster_centers_)))

    def fast_pytorch_kmeans(self) -> Tensor:
        """By cosines; its means are made unit vectors at the end."""
        from fast_pytorch_kmeans import KMeans as FastKMeans

        kmeans = FastKMeans(self.options.segments, max_iter=self.options.iterations, tol=0, mode="cosine")
        kmeans.fit(self.features, centroids=self.start)
        return normalize(kmeans.centroids)

    def flash_kmeans(self) -> Tensor:
        """Euclidean, as its fastest kernels are: between unit vectors the order of distances is that of cosines."""
        if self.device == "cuda":
            from flash_kmeans import batch_kmeans_Euclid as kmeans
        else:
            from flash_kmeans.torch_fallback import batch_kmeans_Euclid_torch_native as kmeans
        with contextlib.redirect_stdout(io.StringIO()):
            _, means, *_ = kmeans(
                self.features[None], self.options.segments, max_iters=self.options.iterations,
                init_centroids=self.start[None].clone(),
            )  # fmt: skip
        return normalize(means[0])


def mean_cosine(features: Tensor, means: Tensor) -> float:
    """What spherical k-means maximises: the mean cosine of each pixel and the nearest unit mean."""
    return float((features @ means.to(features).T).amax(dim=1).mean())
