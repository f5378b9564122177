"""Quality of regions without labels, measured against drawn regions of BSDS500 (val) and compared with SLIC and SEEDS.

python -m benchmarks.regions --bsds ROOT [--contours FILE] [--split val] [--out DIR]
"""

import argparse
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from skimage.segmentation import slic

from benchmarks.common import report
from index_builder.progress import counted
from index_builder.regions import open_regions
from index_builder.regions.contour_training import annotations, photographs
from index_builder.regions.measures import Measures, measure
from index_builder.regions.superpixels import connected_pieces
from model_store.images import read_image

Cut = Callable[[np.ndarray], np.ndarray]  # [H, W, 3] uint8 RGB -> [H, W] int32, 0..R-1
COUNTS = (100, 200)  # requested superpixels; the methods return fewer: about as many as our sources, and more


def superpixels(count: int) -> dict[str, Cut]:
    """The baselines SLIC and SEEDS, with about `count` regions."""
    import cv2  # imported here, so that --help works without the extra

    def by_slic(image: np.ndarray) -> np.ndarray:
        return connected_pieces(slic(image, count, compactness=10, start_label=0))

    def by_seeds(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        seeds = cv2.ximgproc.createSuperpixelSEEDS(width, height, 3, count, 4, prior=2, histogram_bins=5)
        seeds.iterate(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), 10)
        return connected_pieces(seeds.getLabels())

    return {f"SLIC of {count}": by_slic, f"SEEDS of {count}": by_seeds}


def ours(contours: Path | None) -> dict[str, Cut]:
    """Our sources of regions, with their default settings."""
    names = ["felzenszwalb", "slic-merge", *(["contours"] if contours is not None else [])]
    opened = [open_regions(name, contours=contours) for name in names]
    return {source.name: lambda image, source=source: source(image, "") for source in opened}  # type: ignore[misc]


def compare(files: list[Path], cuts: dict[str, Cut]) -> list[dict[str, Any]]:
    """Rows of the table, one for each method: means over the images, and the median time for one image."""
    found: dict[str, list[Measures]] = {name: [] for name in cuts}
    seconds: dict[str, list[float]] = {name: [] for name in cuts}
    for i in counted(len(files), "Measuring"):
        image = read_image(files[i]).pixels
        drawn = annotations(files[i])
        for name, cut in cuts.items():
            start = time.perf_counter()
            regions = cut(image)
            seconds[name].append(time.perf_counter() - start)
            found[name].append(measure(regions, drawn))
    means = {name: Measures(*np.mean(rows, axis=0).tolist()) for name, rows in found.items()}
    return [
        {
            "regions from": name,
            "regions": round(mean.regions, 1),
            "boundary recall": mean.boundary_recall,
            "undersegmentation": mean.undersegmentation,
            "achievable accuracy": mean.achievable_accuracy,
            "median_ms": round(float(np.median(seconds[name])) * 1000, 1),
        }
        for name, mean in means.items()
    ]


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = [list(rows[0]), ["---"] + ["---:"] * (len(rows[0]) - 1)]
    lines += [[f"{v:.3f}" if isinstance(v, float) and v <= 1 else str(v) for v in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Segment, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bsds", type=Path, required=True, help="BSDS500: SPLIT/ID.jpg beside SPLIT/ID_k.png")
    parser.add_argument("--contours", type=Path, help="contour network; without it the source `contours` is skipped")
    parser.add_argument("--split", default="val", help="split of BSDS500")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    files = photographs(arguments.bsds, arguments.split)
    peers = {name: cut for count in COUNTS for name, cut in superpixels(count).items()}
    rows = compare(files, ours(arguments.contours) | peers)
    details = {"images": len(files), "split": arguments.split, "opencv": version("opencv-contrib-python-headless")}
    report("regions", rows, details, arguments.out)
    print(markdown(rows))


if __name__ == "__main__":
    main()
