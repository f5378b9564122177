"""Share of pixels in known segments, for each photograph of other subjects: images of scikit-image, or a folder.

The photographs are those that `segsort evaluate --foreign` uses.

python -m benchmarks.known [--photographs FOLDER] [--camvid ROOT] [--release NAME|PATH] [--out DIR]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import report
from index_builder.datasets import open_dataset
from index_builder.evaluation import Familiar, Photographs, familiar, familiar_in, joined, separation
from index_builder.progress import counted
from model_store.predictor import Predictor
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore


def familiar_frames(predictor: Predictor, camvid: Path) -> dict[str, Familiar]:
    """Familiarity of the segments of each frame of CamVid val, by name."""
    val = open_dataset("camvid", camvid, "val")
    samples = (val[i] for i in counted(len(val), "CamVid val"))
    return {sample.source: familiar(predictor.predict(sample.image)) for sample in samples}


def main() -> None:
    """Predict, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, help="folder of photographs of other subjects, e.g. BSDS500 val")
    parser.add_argument("--camvid", type=Path, help="CamVid in the layout of SegNet, which should be known")
    parser.add_argument("--release", help="name or path of a release; default: the active bundled one")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    store = ReleaseStore([BUNDLED], None)
    release = Release.open(store.resolve(arguments.release) if arguments.release else store.active())
    predictor = Predictor(release)
    found = {"scikit-image's samples": familiar_in(predictor, Photographs("samples"))}
    if arguments.photographs:
        found[str(arguments.photographs)] = familiar_in(predictor, Photographs(str(arguments.photographs)))
    ours = familiar_frames(predictor, arguments.camvid) if arguments.camvid else {}
    if ours:
        found["CamVid val"] = ours
    shares = {name: {file: one.known_share for file, one in images.items()} for name, images in found.items()}
    rows: list[dict[str, Any]] = [
        {
            "images": name,
            "count": len(images),
            "mean known share": float(np.mean(list(shares[name].values()))),
            "known for less than half": float(np.mean([share < 0.5 for share in shares[name].values()])),
            "AUROC against CamVid": separation(joined([*ours.values()]), joined([*images.values()])) if ours else "-",
        }
        for name, images in found.items()
    ]
    threshold = release.card.calibration.known_threshold
    report("known", rows, {"release": release.card.name, "threshold": threshold, "shares": shares}, arguments.out)


if __name__ == "__main__":
    main()
