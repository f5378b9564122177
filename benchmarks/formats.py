"""Time and memory of a build from COCO files, beside a build from a folder of the same images and masks.

python -m benchmarks.formats [--images 5000] [--rounds 3] [--out DIR]

The images are small, and each has ten labelled blocks, so that reading labels is a large part of the work. Every build
runs in a process of its own, which reports its largest memory. The network is that of the release `streets`.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import report
from model_store.card import ClassInfo
from model_store.exporting import ExportImage, ExportSegment, write

SIDE, BLOCKS = 96, 10
CLASSES = tuple(ClassInfo(class_id=i, name=f"class {i}", color=(20 * i + 10, 250 - 20 * i, 90)) for i in range(BLOCKS))


def painted(number: int) -> ExportImage:
    """An image with ten blocks of ten colours, and its labels."""
    random = np.random.default_rng(number)
    block = random.permutation(BLOCKS).reshape(2, 5)
    labels = block.repeat(SIDE // 2, axis=0).repeat(-(-SIDE // 5), axis=1)[:, :SIDE].astype(np.int32)
    pixels = np.array([info.color for info in CLASSES])[labels] + random.normal(0, 20, (SIDE, SIDE, 3))
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    segments = [ExportSegment(f"{number}-{info.class_id}", info.class_id, 1.0, True) for info in CLASSES]
    return ExportImage(f"image{number:05}.png", labels, segments, str(number), content=file.getvalue())


def built(data: Path) -> dict[str, float]:
    """Build a release in a process of its own: seconds, seconds until the data are open, and the largest memory."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.formats", "--build", str(data)], capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _build(data: Path) -> None:
    from index_builder.build import BuildOptions, build_release
    from index_builder.datasets import open_dataset
    from index_builder.embedder_source import load_embedder_source
    from model_store.store import BUNDLED

    begun = time.perf_counter()
    dataset = open_dataset("auto", data, "train")
    opened = time.perf_counter() - begun
    source = load_embedder_source(BUNDLED / "streets")
    with tempfile.TemporaryDirectory() as folder:
        release = build_release(dataset, source, Path(folder) / "built", options=BuildOptions(max_exemplars=2000))
        exemplars = len(release.exemplars)
    seconds, memory = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "opened": opened, "memory_mb": memory, "exemplars": exemplars}))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.build is not None:
        _build(arguments.build)
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("png", "coco"):
            write(name, (painted(n) for n in range(arguments.images)), CLASSES, Path(folder) / name)
        found: dict[str, list[dict[str, float]]] = {"png": [], "coco": []}
        for _ in range(arguments.rounds):
            for name in found:
                found[name].append(built(Path(folder) / name))
        folder_ms = float(np.median([one["seconds"] for one in found["png"]])) * 1000 / arguments.images
        for name, results in found.items():
            median = {key: float(np.median([one[key] for one in results])) for key in results[0]}
            per_image = median["seconds"] * 1000 / arguments.images
            rows.append(
                {"format": "folder" if name == "png" else name, "images": arguments.images, "ms an image": per_image,
                 "of folder": per_image / folder_ms, "opened_s": median["opened"], "memory_mb": median["memory_mb"],
                 "exemplars": median["exemplars"]}
            )  # fmt: skip
    report("formats", rows, {"side": SIDE, "classes": BLOCKS}, arguments.out)


if __name__ == "__main__":
    main()
