"""Pixel sorting beside the k-means of faiss, scikit-learn, torch, fast-pytorch-kmeans and flash-kmeans.

python -m benchmarks.pixel_sorting [--rounds 10] [--sizes 120x90 128x128 480x360] [--device cuda] [--out DIR]

All begin with the same means and make the same number of iterations. The mean cosine of each pixel and its nearest mean
shows how good each result is. segsort compares in eight bits, like a release that is served, and also in float32. Each
is called several times in a row, because the network's work before it leaves the cores warm. "street" is the bundled
release's embedding of a painted street; the other images are noise.
"""

import argparse
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from PIL import Image
from threadpoolctl import threadpool_limits
from torch import Tensor

from benchmarks.common import interleave, report, spread
from benchmarks.kmeans_peers import SEGSORT, SEGSORT_FLOATS, Peers, mean_cosine
from index_builder.datasets import open_dataset
from model_store.embedder import STRIDE, Embedder
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore
from segsort import loops
from segsort.arrays import on_host
from segsort.pixel_sorting import SortingOptions
from segsort.sphere import normalize

DIMENSION = 32
OPTIONS = SortingOptions(segments=64, iterations=10, precision="int8")
NOISE = {"patches": 0.5, "noise": 100.0}  # 0.5 leaves cosines of about 0.9 within a patch, 100 leaves none to find
EQUAL = 0.001  # of the mean cosine


def painted(seed: int, noise: float, size: tuple[int, int]) -> Tensor:
    """Embeddings of an image of 40 patches with blurred outlines: [1, D, h, w] unit vectors.

    `noise` is the length of the noise beside a unit vector, `size` (h, w).
    """
    height, width = size
    random = torch.Generator().manual_seed(seed)
    sites = torch.rand(40, 2, generator=random) * torch.tensor([height, width])
    directions = normalize(torch.randn(40, DIMENSION, generator=random))
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    distance = torch.cdist(torch.stack([y, x], dim=2).reshape(-1, 2).float(), sites)  # [N, 40], pixels
    patches = torch.softmax(-distance, dim=1) @ directions
    noisy = patches + noise / DIMENSION**0.5 * torch.randn(patches.shape, generator=random)
    return normalize(noisy).T.reshape(1, DIMENSION, height, width).contiguous()


def street(embedder: Embedder, size: tuple[int, int]) -> Tensor:
    """Embeddings that a network gives a painted street: [1, D, h, w]; it sees the street at four times that size."""
    height, width = size
    shape = (width * STRIDE, height * STRIDE)
    image = Image.fromarray(open_dataset("streets", None, "val", count=1)[0].image).resize(shape)
    means, stds = np.array([embedder.preprocessing.mean, embedder.preprocessing.std], dtype=np.float32)
    x = ((np.asarray(image, dtype=np.float32) - means) / stds).transpose(2, 0, 1)[None]
    return torch.from_numpy(on_host(embedder.run(np.ascontiguousarray(x))))


def images(size: tuple[int, int]) -> Iterable[tuple[str, Tensor]]:
    """Embeddings by name."""
    release = Release.open(ReleaseStore([BUNDLED], None).active())
    yield "street", street(Embedder(release), size)
    for name, noise in NOISE.items():
        yield name, painted(0, noise, size)


def measure(image: str, peers: Peers, rounds: int) -> list[dict[str, Any]]:
    """One row a way of sorting: times, how many times as long as ours, mean cosine, and whether it is as ours."""

    def timed(name: str) -> Any:
        def sort() -> Tensor:
            means = peers.sorters[name]()
            if peers.device == "cuda":
                torch.cuda.synchronize()
            return means

        return sort

    tasks = {name: timed(name) for name in peers.sorters}
    seconds = interleave(tasks, rounds, warmup=1, block=4)
    median = {name: float(np.median(taken)) for name, taken in seconds.items()}
    cosines = {name: mean_cosine(peers.features, task()) for name, task in tasks.items()}
    return [
        {
            "pixels": f"{peers.embeddings.shape[3]}x{peers.embeddings.shape[2]}",
            "image": image,
            "sorted by": name,
            **spread(seconds[name]),
            "of segsort": median[name] / median[SEGSORT],
            "mean cosine": cosines[name],
            "as good": "yes" if abs(cosines[name] - cosines[SEGSORT]) <= EQUAL else "no",
        }
        for name in tasks
    ]


def best_peers(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each size and image, the fastest of the others and how many times as long it takes."""
    best: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        at = (row["pixels"], row["image"])
        if row["sorted by"] not in (SEGSORT, SEGSORT_FLOATS) and (
            at not in best or row["of segsort"] < best[at]["of segsort"]
        ):
            best[at] = row
    return [
        {"pixels": pixels, "image": image, "best peer": row["sorted by"], "of segsort": row["of segsort"]}
        for (pixels, image), row in best.items()
    ]


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(height), int(width)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--sizes", type=_size, nargs="+", default=[(90, 120), (128, 128), (360, 480)])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="for each of them")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    started = time.perf_counter()
    with threadpool_limits(arguments.threads):
        rows = [
            row
            for size in arguments.sizes
            for name, embeddings in images(size)
            for row in measure(name, Peers(embeddings, OPTIONS, arguments.device), arguments.rounds)
        ]
    details = {
        "dimensions": DIMENSION + 2,
        "segments": OPTIONS.segments,
        "iterations": OPTIONS.iterations,
        "int8": loops.sorts_in_bytes(),
        "rounds": arguments.rounds,
        "threads": arguments.threads,
        "device": arguments.device,
        "best_peers": best_peers(rows),
        "seconds": time.perf_counter() - started,
    }
    report("pixel_sorting", rows, details, arguments.out)


if __name__ == "__main__":
    main()
