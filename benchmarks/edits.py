"""Edits of a running service: how soon the next request sees one, and what one a second does to those who ask.

python -m benchmarks.edits [--counts 1000 100000 1000000] [--rounds 20] [--block 8] [--blocks 4] [--out DIR]

A real process over SQLite and HTTP, one caller. An edit counts as seen when it is answered: what is asked after that
names its revision or a later one, which is checked each time. POST /segment is asked over and over, in blocks without
edits and with one edit a second beside in turn; compare the blocks of one run, not of two.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.common import report, spread
from benchmarks.latency import photo
from benchmarks.running_service import running_service
from model_store.exemplars import Exemplars
from model_store.release import Release, write_release
from model_store.store import BUNDLED, ReleaseStore

NOISE = 0.05  # per dimension, of copies of a prototype
PERIOD = 1.0  # seconds from one edit to the next


def grown(release: Release, count: int, out: Path) -> Release:
    """A release with so many exemplars: the first ones of another, then copies of them with noise.

    Masks are one and the same, or a million of them would be most of what is read at the start.
    """
    random, source = np.random.default_rng(0), release.exemplars
    rows = np.arange(count) % len(source)
    noise = random.normal(0, NOISE, (count, source.prototypes.shape[1])) * (np.arange(count) >= len(source))[:, None]
    prototypes = (source.prototypes[rows] + noise).astype(np.float32)
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    exemplars = Exemplars(
        ids=[f"{n:016x}" for n in range(count)],
        prototypes=prototypes,
        class_ids=source.class_ids[rows],
        image_ids=source.image_ids[rows],
        bboxes=source.bboxes[rows],
        areas=source.areas[rows],
        masks=[source.masks[0]] * count,
    )
    card = release.card.model_copy(update={"name": out.name})
    images = ((image.file, (release.path / image.file).read_bytes()) for image in release.sources)
    return write_release(out, card, release.network_path, exemplars, release.sources, images)


@dataclass
class Editor:
    """Makes edits of a running service, each of another thing than the last."""

    client: httpx.Client
    segments: list[str]  # of one answer
    exemplars: Iterator[str]  # of the release, each once
    classes: Iterator[str]
    number: int = 0
    revision: int = 0

    @classmethod
    def of(cls, address: str, jpeg: bytes, exemplars: Iterator[str]) -> "Editor":
        """An editor of the segments that an image is answered with."""
        client = httpx.Client(base_url=address, timeout=120)
        answer = client.post("/segment", content=jpeg).raise_for_status().json()
        classes = cycle([info["name"] for info in answer["classes"]])
        return cls(client, [segment["segment_id"] for segment in answer["segments"]], exemplars, classes)

    def correct(self, relabel: bool = False) -> None:
        """A segment gets another class than the last time; with `relabel` the answer brings the picture anew."""
        self.number += 1
        segment = self.segments[self.number % len(self.segments)]
        url = f"/segments/{segment}/label?relabel={str(relabel).lower()}"
        self._edit(self.client.post(url, json={"class_name": next(self.classes)}))

    def remove(self) -> None:
        """An exemplar of the release goes."""
        self._edit(self.client.delete(f"/exemplars/{next(self.exemplars)}"))

    def take_back(self) -> None:
        """The last edit is taken back, or, if that was one that takes back, made anew."""
        self._edit(self.client.post(f"/edits/{self.revision}/revert"))

    def seen(self) -> int:
        """The revision that a request is answered with now."""
        return int(self.client.get("/readyz").raise_for_status().json()["index_revision"])

    def _edit(self, answer: httpx.Response) -> None:
        told = answer.raise_for_status().json()
        if told["edit"] is not None:  # a correction to what the segment is already is none
            self.revision = told["index_revision"]


def time_edits(editor: Editor, rounds: int) -> dict[str, list[float]]:
    """Seconds of each edit, by what it is, each checked to be seen by the request after it."""
    kinds: dict[str, Callable[[], None]] = {
        "correct a segment": editor.correct,
        "correct, and label its picture anew": lambda: editor.correct(relabel=True),
        "remove an exemplar": editor.remove,
        "take an edit back": editor.take_back,
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for round_ in range(-2, rounds):  # two to warm up
        for name, edit in kinds.items():
            start = time.perf_counter()
            edit()
            elapsed = time.perf_counter() - start
            if editor.seen() < editor.revision:
                raise RuntimeError(
                    f"{name}: revision {editor.revision} is answered and the next request does not see it"
                )
            if round_ >= 0:
                seconds[name].append(elapsed)
    return seconds


def time_requests(address: str, editor: Editor, jpeg: bytes, block: float, blocks: int) -> dict[str, list[float]]:
    """Requests a second of each block of `block` seconds, without and with edits beside, in turn."""
    rates: dict[str, list[float]] = {"without": [], "with": []}
    with httpx.Client(base_url=address, timeout=120) as client:
        for number in range(blocks):
            for name in list(rates)[:: 1 if number % 2 == 0 else -1]:
                stop = threading.Event()
                beside = threading.Thread(target=_edit_beside, args=(editor, stop)) if name == "with" else None
                if beside is not None:
                    beside.start()
                rates[name].append(_rate(client, jpeg, block))
                stop.set()
                if beside is not None:
                    beside.join()
    return rates


def _edit_beside(editor: Editor, stop: threading.Event) -> None:
    for edit in cycle((editor.correct, editor.remove)):
        edit()
        if stop.wait(PERIOD):
            return


def _rate(client: httpx.Client, jpeg: bytes, seconds: float) -> float:
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        client.post("/segment", content=jpeg).raise_for_status()
        count += 1
    return count / elapsed


def measure(
    release: Release, arguments: argparse.Namespace, jpeg: bytes
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of the table for one release, and the rates of its blocks."""
    count = len(release.exemplars)
    names = iter([f"{n:016x}" for n in np.random.default_rng(1).permutation(count).tolist()])
    with tempfile.TemporaryDirectory() as data:
        start = time.perf_counter()
        with running_service(Path(data), "--release", str(release.path), patience=300) as address:
            started = time.perf_counter() - start
            editor = Editor.of(address, jpeg, names)
            seconds = time_edits(editor, arguments.rounds)
            rates = time_requests(address, editor, jpeg, arguments.block, arguments.blocks)
            editor.client.close()
    ratios = [beside / alone for alone, beside in zip(rates["without"], rates["with"], strict=True)]
    rows = [{"exemplars": count, "what": name, **spread(taken), "ratio": "-"} for name, taken in seconds.items()]
    for name, taken in rates.items():
        ratio = float(np.median(ratios)) if name == "with" else "-"
        spent = spread([1 / rate for rate in taken])
        rows.append({"exemplars": count, "what": f"POST /segment {name} an edit a second", **spent, "ratio": ratio})
    return rows, {"requests_a_second": rates, "ratios": ratios, "start_s": started, "edits": editor.revision}


def main() -> None:
    """Write releases, serve each, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=20, help="edits of each kind")
    parser.add_argument("--block", type=float, default=8, help="seconds of POST /segment in a block")
    parser.add_argument("--blocks", type=int, default=4, help="blocks with edits, and as many without")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    bundled, jpeg = Release.open(ReleaseStore([BUNDLED], None).active()), photo(None)
    rows: list[dict[str, Any]] = []
    details: dict[str, Any] = {"rounds": arguments.rounds, "block_s": arguments.block, "blocks": arguments.blocks}
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.counts:
            release = grown(bundled, count, Path(folder) / f"grown-{count}")
            more, details[str(count)] = measure(release, arguments, jpeg)
            rows += more
    report("edits", rows, details, arguments.out)


if __name__ == "__main__":
    main()
