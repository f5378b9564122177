"""Latency of edits of a running service, and latency of POST /segment with and without concurrent edits.

python -m benchmarks.edits [--counts 1000 100000 1000000] [--rounds 20] [--block 3] [--blocks 12] [--out DIR]

The service is a real process with SQLite, called over HTTP by one caller. The latency of an edit ends with its answer.
The benchmark then checks that the next request reports the revision of the edit or a later one. POST /segment is called
in blocks that alternate between no edits and one concurrent edit per second. Compare blocks of one run only. cpu_ms is
the CPU time of the service for one request, edits included. It depends less on other programs than the latency.
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
WITHOUT, WITH = "POST /segment, no edits meanwhile", "POST /segment, edits meanwhile"
RATIO = "ratio with / without edits, median"


def grown(release: Release, count: int, out: Path) -> Release:
    """Write a release with `count` exemplars: those of another release, then copies of them with noise.

    All exemplars share one mask. Otherwise most of the start would be spent on reading a million masks.
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
    """Makes edits of a running service. Successive edits change different segments and exemplars."""

    client: httpx.Client
    segments: list[str]  # of one answer
    exemplars: Iterator[str]  # of the release, each once
    classes: Iterator[str]
    number: int = 0
    revision: int = 0

    @classmethod
    def of(cls, address: str, jpeg: bytes, exemplars: Iterator[str]) -> "Editor":
        """Segment an image, and return an editor of the segments of the answer."""
        client = httpx.Client(base_url=address, timeout=120)
        answer = client.post("/segment", content=jpeg).raise_for_status().json()
        classes = cycle([info["name"] for info in answer["classes"]])
        return cls(client, [segment["segment_id"] for segment in answer["segments"]], exemplars, classes)

    def correct(self, relabel: bool = False) -> None:
        """Correct the class of the next segment. With `relabel`, the answer includes the relabelled image."""
        self.number += 1
        segment = self.segments[self.number % len(self.segments)]
        url = f"/segments/{segment}/label?relabel={str(relabel).lower()}"
        self._edit(self.client.post(url, json={"class_name": next(self.classes)}))

    def remove(self) -> None:
        """Remove the next exemplar of the release."""
        self._edit(self.client.delete(f"/exemplars/{next(self.exemplars)}"))

    def revert(self) -> None:
        """Revert the last edit. If that was itself a revert, this restores the edit before it."""
        self._edit(self.client.post(f"/edits/{self.revision}/revert"))

    def current_revision(self) -> int:
        """The index revision that the service reports now."""
        return int(self.client.get("/readyz").raise_for_status().json()["index_revision"])

    def _edit(self, answer: httpx.Response) -> None:
        result = answer.raise_for_status().json()
        if result["edit"] is not None:  # a correction to the class that the segment already has makes no edit
            self.revision = result["index_revision"]


def time_edits(editor: Editor, rounds: int) -> dict[str, list[float]]:
    """Measure each kind of edit: seconds per edit, by kind.

    Raises:
        RuntimeError: if the request after an edit reports an older revision.
    """
    kinds: dict[str, Callable[[], None]] = {
        "correct a segment": editor.correct,
        "correct a segment, then relabel its image": lambda: editor.correct(relabel=True),
        "remove an exemplar": editor.remove,
        "revert an edit": editor.revert,
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for round_ in range(-2, rounds):  # two to warm up
        for name, edit in kinds.items():
            start = time.perf_counter()
            edit()
            elapsed = time.perf_counter() - start
            current = editor.current_revision()
            if current < editor.revision:
                raise RuntimeError(f"{name}: the next request reports revision {current}, not {editor.revision}")
            if round_ >= 0:
                seconds[name].append(elapsed)
    return seconds


class Block(NamedTuple):
    """Means over the requests of a block: latency, and CPU time of the service, both in seconds."""

    seconds: float
    cpu: float


def time_requests(pid: int, editor: Editor, jpeg: bytes, block: float, blocks: int) -> dict[str, list[Block]]:
    """Measure POST /segment in blocks of `block` seconds, alternately without and with concurrent edits."""
    found: dict[str, list[Block]] = {WITHOUT: [], WITH: []}
    with httpx.Client(base_url=editor.client.base_url, timeout=120) as client:
        for number in range(blocks):
            for name in list(found)[:: 1 if number % 2 == 0 else -1]:
                ended = threading.Event()
                edits = threading.Thread(target=_edit_until, args=(editor, ended)) if name == WITH else None
                if edits is not None:
                    edits.start()
                found[name].append(_block(pid, client, jpeg, block))
                ended.set()
                if edits is not None:
                    edits.join()
    return found


def _edit_until(editor: Editor, ended: threading.Event) -> None:
    """Make one edit per period until the event is set."""
    for edit in cycle((editor.correct, editor.remove)):
        edit()
        if ended.wait(PERIOD):
            return


def _block(pid: int, client: httpx.Client, jpeg: bytes, seconds: float) -> Block:
    """Call POST /segment for some seconds, and return the means of the block."""
    start, cpu_before, count = time.perf_counter(), cpu_of(pid), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        client.post("/segment", content=jpeg).raise_for_status()
        count += 1
    return Block(elapsed / count, (cpu_of(pid) - cpu_before) / count)


def cpu_of(pid: int) -> float:
    """CPU time of a process in seconds, from /proc (Linux only)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    release: Release, arguments: argparse.Namespace, jpeg: bytes
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Serve one release and measure it: rows of the table, and details of its blocks."""
    count = len(release.exemplars)
    names = iter([f"{n:016x}" for n in np.random.default_rng(1).permutation(count).tolist()])
    with tempfile.TemporaryDirectory() as data:
        process, address = start_service(Path(data), "--release", str(release.path), patience=300)
        try:
            started = cpu_of(process.pid)
            editor = Editor.of(address, jpeg, names)
            seconds = time_edits(editor, arguments.rounds)
            blocks = time_requests(process.pid, editor, jpeg, arguments.block, arguments.blocks)
            editor.client.close()
        finally:
            stop(process)
    rows = [{"exemplars": count, "what": name, **spread(taken), "cpu_ms": "-"} for name, taken in seconds.items()]
    for name, found in blocks.items():
        cpu = float(np.median([block.cpu for block in found])) * 1000
        rows.append({"exemplars": count, "what": name, **spread([block.seconds for block in found]), "cpu_ms": cpu})
    pairs = list(zip(blocks[WITHOUT], blocks[WITH], strict=True))
    ratios = {
        field: float(np.median([getattr(edited, field) / getattr(alone, field) for alone, edited in pairs]))
        for field in Block._fields
    }
    details = {"blocks": blocks, RATIO: ratios, "start_cpu_s": started, "edits": editor.revision}
    return rows, details


def main() -> None:
    """Write the releases, serve and measure each, and report the results."""
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
        ratios = details[str(count)][RATIO]
        print(
            f"  {count} exemplars, ratio with / without edits: latency {ratios['seconds']:.2f}, CPU {ratios['cpu']:.2f}"
        )


if __name__ == "__main__":
    main()
