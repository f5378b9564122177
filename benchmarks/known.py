"""How much of photographs of other things is called known: scikit-image's samples, and folders of one's own.

python -m benchmarks.known [--photographs FOLDER] [--camvid ROOT] [--release NAME|PATH] [--out DIR]
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image

from benchmarks.common import report
from index_builder.datasets import open_dataset
from model_store.predictor import Predictor
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore

SAMPLES = (
    "astronaut", "brick", "camera", "cell", "chelsea", "clock", "coffee", "coins", "colorwheel", "grass", "gravel",
    "horse", "hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket", "text",
)  # fmt: skip
MOST = 100  # images of a folder


def samples() -> Iterator[tuple[str, np.ndarray]]:
    """scikit-image's photographs, none of a street: name and [H, W, 3] uint8."""
    for name in SAMPLES:
        image = getattr(skimage.data, name)()
        if image.dtype == bool:
            image = image.astype(np.uint8) * 255
        yield name, np.ascontiguousarray(image[:, :, :3] if image.ndim == 3 else np.repeat(image[:, :, None], 3, 2))


def photographs(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The first images of a folder and those below it."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg"))
    for file in files[:MOST]:
        with Image.open(file) as opened:
            yield file.name, np.asarray(opened.convert("RGB"))


def known_shares(predictor: Predictor, images: Iterable[tuple[str, np.ndarray]]) -> dict[str, float]:
    """Share of each image's area that lies in known segments, by name."""
    shares = {}
    for name, image in images:
        prediction = predictor.predict(image)
        shares[name] = float(np.average(prediction.known, weights=prediction.segments.areas))
    return shares


def main() -> None:
    """Predict, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, help="folder of photographs of other things, such as BSDS500's val")
    parser.add_argument("--camvid", type=Path, help="CamVid in SegNet's layout: what should be known")
    parser.add_argument("--release", help="name or path; default: the bundled one that is active")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    store = ReleaseStore([BUNDLED], None)
    release = Release.open(store.resolve(arguments.release) if arguments.release else store.active())
    predictor = Predictor(release)
    found = {"scikit-image's samples": known_shares(predictor, samples())}
    if arguments.photographs:
        found[str(arguments.photographs)] = known_shares(predictor, photographs(arguments.photographs))
    if arguments.camvid:
        val = open_dataset("camvid", arguments.camvid, "val")
        found["CamVid val"] = known_shares(predictor, ((val[i].source, val[i].image) for i in range(len(val))))
    rows: list[dict[str, Any]] = [
        {
            "images": name,
            "count": len(shares),
            "mean known share": float(np.mean(list(shares.values()))),
            "known for less than half": float(np.mean([share < 0.5 for share in shares.values()])),
        }
        for name, shares in found.items()
    ]
    threshold = release.card.calibration.known_threshold
    report("known", rows, {"release": release.card.name, "threshold": threshold, "shares": found}, arguments.out)


if __name__ == "__main__":
    main()
