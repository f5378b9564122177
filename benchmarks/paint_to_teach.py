"""Paint to teach: an empty release and twenty images, two strokes of each class on a few of them, and then the others.

python -m benchmarks.paint_to_teach --data DIR [--set nuclei facades] [--by page|http] [--seeds 0 1 2] [--page FILE]

One session: an empty `general` release is served, 20 images are dropped, two strokes of each class are painted on
some of them, the head is fitted to the marks, the better release by cross-validation is taken, and the labels of all
images are updated. Images are marked in this order: while a class has no marks, the image with most of the missing
classes; then the one that the service suggests. mIoU is that of 3,000 labelled pixels of each image without marks.

Two random forests learn from the pixels under the same strokes: one on scikit-image's features, as ilastik does, and
one on the features of the release. Each chooses its settings by cross-validation over the marked images.

The images are those of `val`. Earlier tables of the method on them were seen while it was developed, and the weight by
which images are suggested was chosen on these data sets, so other images may give lower figures.

`seconds` is the time from the first image to the last label, on the page in Chromium with `--by page`, without the
start of the service and without scoring. `--by http` sends the same strokes without a browser.
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import RESULTS
from benchmarks.paint_ways import HttpWay, Line, PageWay, Way, chromium_page
from benchmarks.running_service import running_service
from benchmarks.teaching import Bench
from benchmarks.teaching_data import LENGTH, STROKES, WIDTH, Domain, Marked, end_of_stroke
from index_builder.datasets import IGNORE, Dataset, open_dataset
from index_builder.environment import circumstances
from service.images.strokes import covered_pixels

IMAGES = 20
SETS = {"nuclei": 3, "facades": 6}  # marked images of each data set
PEERS = ("forest, scikit-image", "forest, our features")
WAYS = ("page", "http")


class Session:
    """One session with images of a data set.

    Args:
        dataset: where images are drawn from.
        count: number of images.
        marks: number of them that are marked.
        seed: draws the images and the strokes.
    """

    def __init__(self, dataset: Dataset, count: int, marks: int, seed: int) -> None:
        self.dataset, self.marks, self.seed = dataset, marks, seed
        self._random = np.random.default_rng(seed)
        self.images: list[int] = self._random.permutation(len(dataset))[:count].tolist()
        self.labels = {i: dataset[i].labels for i in self.images}

    def run(self, way: Way, cache: Path) -> dict[str, Any]:
        """Teach in one way, and the peers with the same strokes: mIoU of each, and the seconds of the session."""
        photographs = [self.dataset.photograph(i).image for i in self.images]
        started = time.perf_counter()
        way.send(photographs)
        masks: dict[int, np.ndarray] = {}
        while len(masks) < self.marks:
            i = self._next(way, set(masks))
            lines = way.mark(self.images.index(i), strokes_on(self.labels[i], self.dataset, self._random))
            masks[i] = drawn(lines, self.labels[i].shape, self.dataset)
        seconds = time.perf_counter() - started
        others = [i for i in self.images if i not in masks]
        bench = Bench(Domain(self.dataset, Marked(self.dataset, others, [self.labels[i] for i in others]), ()), cache)
        before = self._miou(bench, way, others)
        started = time.perf_counter()
        facts = way.adapt()
        seconds += time.perf_counter() - started
        after = self._miou(bench, way, others)
        marked = Marked(self.dataset, list(masks), list(masks.values()))
        peers = {one["method"]: one["miou"] for one in bench.run(marked, self.seed, PEERS)}
        return {"marks only": before, "segsort": after, **peers, "seconds": seconds, **facts}

    def _next(self, way: Way, marked: set[int]) -> int:
        """The image to mark next: that with most of the missing classes, or else the suggested one."""
        present = {i: set(np.unique(labels).tolist()) - {IGNORE} for i, labels in self.labels.items()}
        missing = set().union(*present.values()).difference(*(present[i] for i in marked))
        if missing:
            return max((i for i in self.images if i not in marked), key=lambda i: len(present[i] & missing))
        return self.images[way.suggested()]

    def _miou(self, bench: Bench, way: Way, images: Sequence[int]) -> float:
        ids = {info.name: info.class_id for info in self.dataset.classes}
        found = [way.labels(self.images.index(i), ids)[tuple(at.T)] for i, at in zip(images, bench.asked, strict=True)]
        return bench.score(np.concatenate(found))


def strokes_on(labels: np.ndarray, dataset: Dataset, random: np.random.Generator) -> list[Line]:
    """Two straight strokes of each class of an image, each with its whole line inside its class."""
    unit = max(labels.shape) / 512
    lines = []
    for class_id in np.unique(labels[labels != IGNORE]).tolist():
        places = np.argwhere(labels == class_id)
        for _ in range(STROKES):
            start = places[random.integers(len(places))]
            angles = random.uniform(0, 2 * np.pi, 8)
            ends = [end_of_stroke(labels, start, angle, LENGTH * unit) for angle in angles]
            end = max(ends, key=lambda one: float(((one - start) ** 2).sum()))
            points = [[float(x) + 0.5, float(y) + 0.5] for y, x in (start, end)]
            lines.append(Line(dataset.classes[class_id].name, points, WIDTH * unit))
    return lines


def drawn(lines: Sequence[Line], size: tuple[int, ...], dataset: Dataset) -> np.ndarray:
    """The class of each pixel under the strokes, as the service draws them; IGNORE elsewhere."""
    ids = {info.name: info.class_id for info in dataset.classes}
    labels = np.full(size, IGNORE, dtype=np.uint8)
    for line in lines:
        covered = covered_pixels(np.array(line.points), line.width, (size[0], size[1]))
        if covered is not None:
            labels[covered.rows, covered.columns][covered.inside] = ids[line.class_name]
    return labels


def sessions(data: Path, name: str, seeds: Sequence[int]) -> Iterator[Session]:
    """The sessions of a data set. Images are those of `val`."""
    dataset = open_dataset("folder", data / name, "val")
    for seed in seeds:
        yield Session(dataset, IMAGES, SETS[name], seed)


@contextmanager
def opened(by: str, address: str) -> Iterator[Way]:
    """A way to teach the service at an address; by: one of `WAYS`."""
    if by == "http":
        with closing(HttpWay(address)) as way:
            yield way
        return
    with chromium_page() as page, closing(PageWay(address, page)) as way_of_page:
        yield way_of_page


def table(lines: Sequence[dict[str, Any]]) -> str:
    """The sessions as Markdown, mIoU in %, and the mean of each data set."""
    columns = ("marks only", "segsort", *PEERS)
    rows = [
        "| images | seed | marks only | after adaptation | " + " | ".join(PEERS) + " | seconds |",
        "| :-- | --: | --: | --: |" + " --: |" * (len(PEERS) + 1),
    ]
    for name in dict.fromkeys(one["set"] for one in lines):
        mine = [one for one in lines if one["set"] == name]
        for one in mine:
            figures = " | ".join(f"{100 * one[column]:.1f}" for column in columns)
            rows.append(f"| {name} | {one['seed']} | {figures} | {one['seconds']:.0f} |")
        means = " | ".join(f"**{100 * np.mean([one[column] for one in mine]):.1f}**" for column in columns)
        rows.append(f"| {name} | mean | {means} | {np.mean([one['seconds'] for one in mine]):.0f} |")
    return "\n".join(rows)


def page(lines: Sequence[dict[str, Any]], facts: dict[str, Any]) -> str:
    """The page with the table and how it was measured."""
    how = (__doc__ or "").split("\n\n", 2)[2].strip()
    return f"""# Paint to teach: results

{how}

{table(lines)}

Written by `python -m benchmarks.paint_to_teach` at commit {facts.get("commit", "?")} on {facts.get("machine", "?")}.
"""


def _main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with nuclei and facades")
    parser.add_argument("--set", nargs="*", choices=list(SETS), default=list(SETS), dest="names")
    parser.add_argument("--by", choices=WAYS, default="page")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--cache", type=Path, default=RESULTS / "features")
    parser.add_argument("--page", type=Path, help="Markdown page to write")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    arguments.out.mkdir(parents=True, exist_ok=True)
    lines = []
    for name in arguments.names:
        for session in sessions(arguments.data, name, arguments.seeds):
            with (
                tempfile.TemporaryDirectory() as folder,
                running_service(Path(folder), "--release", "general") as address,
                opened(arguments.by, address) as way,
            ):
                result = session.run(way, arguments.cache)
            lines.append({"set": name, "seed": session.seed, "by": arguments.by, **result})
            print(json.dumps(lines[-1]), flush=True)
    facts = circumstances()
    (arguments.out / "paint_to_teach.json").write_text(
        json.dumps({"circumstances": facts, "sessions": lines}, indent=1)
    )
    print(table(lines))
    if arguments.page:
        arguments.page.write_text(page(lines, facts), encoding="utf-8")


if __name__ == "__main__":
    _main()
