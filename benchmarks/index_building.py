"""Speed of building a release, compared with the network alone on the same images.

python -m benchmarks.index_building [--images 24] [--rounds 5] [--out DIR]

The images are painted in advance and kept in memory, so decoding is not measured. Selection, calibration and writing
are measured.
"""

import argparse
import tempfile
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.common import interleave, report
from index_builder.build import BuildOptions, build_release
from index_builder.datasets import Photograph, Sample, open_dataset
from index_builder.embedder_source import load_embedder_source
from model_store.embedder import Embedder
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore


class Held:
    """Painted streets kept in memory."""

    name = "streets"

    def __init__(self, images: int) -> None:
        painted = open_dataset("streets", None, "train", count=images)
        self.classes = painted.classes
        self.samples = [painted[n] for n in range(images)]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Sample:
        return self.samples[i]

    def photograph(self, i: int) -> Photograph:
        """Image i without its labels."""
        return Photograph(self.samples[i].image, self.samples[i].source)


def measure(images: int, rounds: int) -> list[dict[str, object]]:
    """Rows of the table."""
    held = Held(images)
    path = ReleaseStore([BUNDLED], None).active()
    source, embedder = load_embedder_source(path), Embedder(Release.open(path))
    inputs = [embedder.prepare(sample.image) for sample in held.samples]
    numbers = count()
    with tempfile.TemporaryDirectory() as folder:

        def network() -> None:
            for x in inputs:
                embedder.run(x)

        def build() -> None:
            options = BuildOptions(calibration_images=min(images, 10))
            build_release(held, source, Path(folder) / f"release-{next(numbers)}", options=options)

        seconds = interleave({"network alone": network, "building": build}, rounds, warmup=1)
    ratio = float(np.median(np.divide(seconds["network alone"], seconds["building"])))
    return [
        {"what": name, "images a second": images / float(np.median(taken)), "of the network": share}
        for (name, taken), share in zip(seconds.items(), (1.0, ratio), strict=True)
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = measure(arguments.images, arguments.rounds)
    report("index_building", rows, {"images": arguments.images, "rounds": arguments.rounds}, arguments.out)


if __name__ == "__main__":
    main()
