"""Edits of a running service: how soon the next request sees one, and what one a second does to those who ask.

python -m benchmarks.edits [--counts 1000 100000 1000000] [--rounds 20] [--block 3] [--blocks 12] [--out DIR]

A real process over SQLite and HTTP, one caller. An edit counts as seen when it is answered: what is asked after that
names its revision or a later one, which is checked each time. POST /segment is asked over and over, in blocks without
edits and with one edit a second beside in turn; compare the blocks of one run, not of two. cpu_ms is what the service's
threads worked for one request, edits included: it says the same whatever else the machine does.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np

from benchmarks.common import report, spread
from benchmarks.latency import photo
from benchmarks.running_service import start_service, stop
from model_store.exemplar_table import Exemplars
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


class Block(NamedTuple):
    """One request of a block on average: seconds that it took, and that the service's threads worked."""

    seconds: float
    cpu: float


def time_requests(pid: int, editor: Editor, jpeg: bytes, block: float, blocks: int) -> dict[str, list[Block]]:
    """POST /segment in blocks of `block` seconds, without and with an edit a second beside, in turn."""
    found: dict[str, list[Block]] = {"without": [], "with": []}
    with httpx.Client(base_url=editor.client.base_url, timeout=120) as client:
        for number in range(blocks):
            for name in list(found)[:: 1 if number % 2 == 0 else -1]:
                ended = threading.Event()
                beside = threading.Thread(target=_edit_beside, args=(editor, ended if name == "with" else None))
                beside.start()
                found[name].append(_block(pid, client, jpeg, block))
                ended.set()
                beside.join()
    return found


def _edit_beside(editor: Editor, ended: threading.Event | None) -> None:
    """Edit until the event is set; None: not at all."""
    for edit in cycle((editor.correct, editor.remove)) if ended is not None else ():
        edit()
        if ended is None or ended.wait(PERIOD):
            return


def _block(pid: int, client: httpx.Client, jpeg: bytes, seconds: float) -> Block:
    start, worked, count = time.perf_counter(), _cpu(pid), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        client.post("/segment", content=jpeg).raise_for_status()
        count += 1
    return Block(elapsed / count, (_cpu(pid) - worked) / count)


def _cpu(pid: int) -> float:
    """Seconds that the threads of a process have worked; Linux alone tells it so."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    release: Release, arguments: argparse.Namespace, jpeg: bytes
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of the table for one release, and the rates of its blocks."""
    count = len(release.exemplars)
    names = iter([f"{n:016x}" for n in np.random.default_rng(1).permutation(count).tolist()])
    with tempfile.TemporaryDirectory() as data:
        process, address = start_service(Path(data), "--release", str(release.path), patience=300)
        try:
            started = _cpu(process.pid)
            editor = Editor.of(address, jpeg, names)
            seconds = time_edits(editor, arguments.rounds)
            blocks = time_requests(process.pid, editor, jpeg, arguments.block, arguments.blocks)
            editor.client.close()
        finally:
            stop(process)
    rows = [{"exemplars": count, "what": name, **spread(taken), "cpu_ms": "-"} for name, taken in seconds.items()]
    for name, found in blocks.items():
        cpu = float(np.median([block.cpu for block in found])) * 1000
        what = f"POST /segment {name} edits beside"
        rows.append({"exemplars": count, "what": what, **spread([block.seconds for block in found]), "cpu_ms": cpu})
    ratios = {
        field: float(np.median([getattr(w, field) / getattr(o, field) for o, w in zip(*blocks.values(), strict=True)]))
        for field in Block._fields
    }
    details = {"blocks": blocks, "with / without, median": ratios, "start_cpu_s": started, "edits": editor.revision}
    return rows, details


def main() -> None:
    """Write releases, serve each, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=20, help="edits of each kind")
    parser.add_argument("--block", type=float, default=3, help="seconds of POST /segment in a block")
    parser.add_argument("--blocks", type=int, default=12, help="blocks with edits, and as many without")
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
    for count in arguments.counts:
        ratios = details[str(count)]["with / without, median"]
        print(
            f"  {count} exemplars, with edits beside to without: {ratios['seconds']:.2f} time, {ratios['cpu']:.2f} cpu"
        )


if __name__ == "__main__":
    main()
