"""The network and pixel sorting of a release in float32 and in bytes, in turn, in one process.

python -m benchmarks.precision [--rounds 40] [--image photo.jpg] [--release NAME|PATH] [--out DIR]

The network needs a release with a network in bytes (`segsort quantise`). Pixel sorting has the settings of the release.
The last rows are a whole prediction, from the pixels of an image to labels. Its network is the served one, and only the
numbers of pixel sorting differ: they show what sorting in bytes gives a request.
"""

import argparse
import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from benchmarks.common import interleave, report, spread
from benchmarks.latency import photo
from model_store.cores import available_cores
from model_store.embedder import Embedder
from model_store.precision_names import Precision
from model_store.predictor import Predictor
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore
from segsort import loops
from segsort.pixel_sorting import SortingOptions
from segsort.segments import outline_images

BLOCK = 4
WHOLE = "prediction, by numbers of pixel sorting"
NUMBERS: tuple[Literal["float32", "int8"], ...] = ("float32", "int8")


def tasks(release: Release, image: np.ndarray, threads: int) -> dict[tuple[str, Precision], Callable[[], object]]:
    """Runs of the network, of pixel sorting and of a whole prediction, by what runs and in which numbers."""
    found: dict[tuple[str, Precision], Callable[[], object]] = {}
    for numbers in NUMBERS:
        if numbers == "float32" or release.card.quantised is not None:
            embedder = Embedder(release, threads=threads, precision=numbers)
            found["network", numbers] = partial(embedder.embed, image)
    embeddings = Embedder(release, threads=threads, precision="float32").embed_all([image])
    sizes, default = [(image.shape[0], image.shape[1])], release.card.sorting.options()

    def sort(options: SortingOptions) -> object:
        with loops.at_most(threads):
            return outline_images(embeddings, sizes, options)

    for numbers in NUMBERS:
        found["pixel sorting", numbers] = partial(sort, replace(default, precision=numbers))
    for numbers in NUMBERS:
        found[WHOLE, numbers] = _prediction(release, image, threads, numbers)
    return found


def _prediction(
    release: Release, image: np.ndarray, threads: int, sorting: Literal["float32", "int8"]
) -> Callable[[], object]:
    """A prediction whose pixel sorting computes in these numbers, whatever the card says."""
    settings = release.card.sorting.model_copy(update={"precision": sorting})
    card = release.card.model_copy(update={"sorting": settings})
    predictor = Predictor(replace(release, card=card), threads=threads)

    def predict() -> object:
        with loops.at_most(threads):
            return predictor.predict(image)

    return predict


def measure(release: Release, image: np.ndarray, rounds: int) -> list[dict[str, Any]]:
    """Rows of the table."""
    rows = []
    for threads in sorted({1, available_cores()}):
        runs = tasks(release, image, threads)
        names = {f"{what}, {numbers}": (what, numbers) for what, numbers in runs}
        seconds = interleave({name: runs[key] for name, key in names.items()}, rounds, warmup=2, block=BLOCK)
        for name, (what, numbers) in names.items():
            base = np.median(seconds[f"{what}, float32"])
            ratio = float(np.median(seconds[name]) / base)
            rows.append({"what": what, "numbers": numbers, "threads": threads, **spread(seconds[name]), "ratio": ratio})
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--image", type=Path, help="resized to 480x360; default: a painted street")
    parser.add_argument("--release", help="name or path; default: the bundled one that is active")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    store = ReleaseStore([BUNDLED], None)
    release = Release.open(store.resolve(arguments.release) if arguments.release else store.active())
    image = np.asarray(Image.open(io.BytesIO(photo(arguments.image))).convert("RGB"))
    rows = measure(release, image, arguments.rounds)
    report("precision", rows, {"release": release.card.name, "rounds": arguments.rounds}, arguments.out)


if __name__ == "__main__":
    main()
