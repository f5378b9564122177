"""Latency of marks on an answer and of their preview: the time until the image is labelled again.

python -m benchmarks.marks [--releases streets general] [--counts 48 6000] [--rounds 12] [--photo FILE] [--out DIR]

The service is a real process with SQLite, called over HTTP by one caller, as the web page calls it. Two images are
marked: a painted street of 480x360 pixels, and one of 4000x3000, or the photograph that is given. Eight other images
are answered before, so that a preview compares them too. A round is a brush stroke, a lasso or a whole segment, first
previewed and then applied, each on the answer that the mark before gave; after five marks the first answer is used
again. The exemplars of a release with another number are copies of its own with noise. A release without exemplars gets
those of painted streets. cpu_ms is the mean CPU time of the service for one request. It depends less on other programs
than the latency.
"""

import argparse
import io
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks.common import report
from benchmarks.edits import cpu_of, grown
from benchmarks.running_service import start_service, stop
from benchmarks.street_images import encoded, photographs, streets
from index_builder.build import BuildOptions, build_release
from index_builder.datasets import open_dataset
from index_builder.embedder_source import load_embedder_source
from model_store.release import Release
from model_store.store import open_store

LARGE = (4000, 3000)  # width and height of an image of 12 megapixels
ELSEWHERE = 8
CHAIN = 5  # marks that follow each other
_BASE = 12  # painted streets that a release without exemplars is built from


@dataclass
class Marker:
    """Marks one image of a running service, one mark after the other.

    pid: of the service; seconds, cpu: latency of each request, and the service's CPU time meanwhile, by what was asked
    and the kind of the mark.
    """

    client: httpx.Client
    pid: int
    jpeg: bytes
    random: np.random.Generator
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def run(self, rounds: int) -> None:
        """Preview and apply marks of each kind; one round of each kind is not measured."""
        kinds: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
            "brush stroke": self._brush, "lasso": self._lasso, "whole segment": self._segment,
        }  # fmt: skip
        first = self.client.post("/segment?exemplars=0", content=self.jpeg).raise_for_status().json()
        names = [info["name"] for info in first["classes"]]
        answer = first
        for number in range(-len(kinds), rounds * len(kinds)):
            kind = list(kinds)[number % len(kinds)]
            answer = first if number % CHAIN == 0 else answer
            body = kinds[kind](answer, str(self.random.choice(names)))
            self._send(answer, f"preview?elsewhere={ELSEWHERE}&exemplars=0", body, number >= 0, f"preview, {kind}")
            again = self._send(answer, "marks?exemplars=0", body, number >= 0, f"apply, {kind}")
            answer = again["relabelled"] or answer

    def _send(self, answer: dict[str, Any], path: str, body: object, measured: bool, what: str) -> dict[str, Any]:
        start, before = time.perf_counter(), cpu_of(self.pid)
        response = self.client.post(f"/segmentations/{answer['segmentation_id']}/{path}", json=body)
        found: dict[str, Any] = response.raise_for_status().json()
        if measured:
            self.seconds[what].append(time.perf_counter() - start)
            self.cpu[what].append(cpu_of(self.pid) - before)
        return found

    def _brush(self, answer: dict[str, Any], name: str) -> dict[str, Any]:
        points = self._points(answer, 12, 0.15)
        return {"strokes": [{"class_name": name, "points": points, "width": max(3, answer["width"] / 100)}]}

    def _lasso(self, answer: dict[str, Any], name: str) -> dict[str, Any]:
        points = np.array(self._points(answer, 1, 0) * 60)
        turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        radius = answer["width"] * 0.06 * (1 + 0.2 * self.random.random(60))
        ring = points + radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        return {"strokes": [{"class_name": name, "polygon": [ring.tolist()]}]}

    def _segment(self, answer: dict[str, Any], name: str) -> dict[str, Any]:
        segments = answer["segments"]
        chosen = segments[int(self.random.integers(len(segments)))]["segment_id"]
        return {"labels": [{"segment_id": chosen, "class_name": name}]}

    def _points(self, answer: dict[str, Any], count: int, reach: float) -> list[list[float]]:
        """A random walk inside the image; reach: length of all steps as a share of the width."""
        size = np.array([answer["width"], answer["height"]])
        steps = self.random.normal(0, reach * size[0] / max(count, 1), (count, 2))
        walk = self.random.uniform(0.15, 0.85, 2) * size + np.cumsum(steps, axis=0)
        found: list[list[float]] = np.clip(walk, 0, size - 1).tolist()
        return found


def base_release(name: str, folder: Path) -> Release:
    """A bundled release; one without exemplars with those of painted streets."""
    release = Release.open(open_store(folder).resolve(name))
    if len(release.exemplars):
        return release
    dataset = open_dataset("streets", None, "train", count=_BASE)
    source = load_embedder_source(release.path)
    return build_release(dataset, source, folder / f"{name}-streets", options=BuildOptions())


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile in milliseconds."""
    median, high = np.percentile(np.asarray(seconds) * 1000, [50, 95])
    return {"median_ms": float(median), "p95_ms": float(high)}


def measure(release: Release, images: dict[str, bytes], rounds: int) -> Iterator[dict[str, Any]]:
    """Serve a release and mark each image: rows of the table."""
    for name, jpeg in images.items():
        with tempfile.TemporaryDirectory() as data:
            process, address = start_service(Path(data), "--release", str(release.path), patience=300)
            try:
                marker = _marked(process.pid, address, jpeg, rounds)
            finally:
                stop(process)
        for what, seconds in sorted(marker.seconds.items()):
            cpu = {"cpu_ms": float(np.mean(marker.cpu[what])) * 1000}
            yield {"image": name, "what": what, **percentiles(seconds), **cpu}


def _marked(pid: int, address: str, jpeg: bytes, rounds: int) -> Marker:
    with httpx.Client(base_url=address, timeout=120) as client:
        for other in photographs(ELSEWHERE):
            client.post("/segment?exemplars=0", content=other).raise_for_status()
        marker = Marker(client, pid, jpeg, np.random.default_rng(0))
        marker.run(rounds)
    return marker


def main() -> None:
    """Write the releases, serve and mark each, and report the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--releases", nargs="+", default=["streets", "general"])
    parser.add_argument("--counts", type=int, nargs="+", default=[48, 6000], help="numbers of exemplars")
    parser.add_argument("--rounds", type=int, default=12, help="marks of each kind")
    parser.add_argument("--photo", type=Path, help="the large image; by default a painted street")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    street = streets(ELSEWHERE + 1)[-1]
    large = street if arguments.photo is None else Image.open(io.BytesIO(arguments.photo.read_bytes()))
    images = {"480x360": encoded(street, (480, 360)), "{}x{}".format(*LARGE): encoded(large, LARGE)}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.releases:
            base = base_release(name, Path(folder))
            for count in arguments.counts:
                release = grown(base, count, Path(folder) / f"{name}-{count}")
                found = measure(release, images, arguments.rounds)
                rows += [{"release": name, "exemplars": count, **row} for row in found]
    details = {"rounds": arguments.rounds, "elsewhere": ELSEWHERE, "photo": str(arguments.photo or "painted")}
    report("marks", rows, details, arguments.out)


if __name__ == "__main__":
    main()
