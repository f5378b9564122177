"""Memory, recall and time of approximate and mapped indexes over millions of exemplars, beside the flat one.

python -m benchmarks.large_index --data FOLDER --work FOLDER [--count 10000000] [--lists 4096] [--queries 512]
    [--rounds 15] [--out DIR]

DATA has the folders camvid, facades and bsds500 with images; `benchmarks.large_index_data` says how millions of
exemplars are made of them. Indexes are kept in WORK, which takes 5 GB for ten million, so that a run that was stopped
goes on where it was. Everything runs in one thread.

Memory is measured in a process of its own for each row, in which nothing but this index is opened and all queries are
searched; pages of mapped files count while they are resident. Times are measured in one process, interleaved. "cold" is
the first search in a new process after the files were dropped from the page cache.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.common import interleave, report
from benchmarks.large_index_data import Material, RealSegments, material
from model_store.candidates import Found, merged
from model_store.card import Card, RetrievalInfo
from model_store.index import Effort, ExemplarIndex
from model_store.predictor import known_segments
from model_store.recall import Trial, moved_exemplars, tuned
from model_store.release import read_card
from model_store.store import BUNDLED
from segsort import loops
from segsort.retrieval import vote

CODES = ("Flat", "PQ16", "SQ8")  # of the vectors in inverted lists
QUERIES, K, IMAGES = 64, 20, 8
SHARDS = 100  # of the design for a billion exemplars, whose merging is timed


class Kind(NamedTuple):
    """A row of the table: factory of the index, and whether its files are mapped."""

    factory: str
    on_disk: bool

    @property
    def name(self) -> str:
        """Name of the row."""
        return f"{self.factory}, {'on disk' if self.on_disk else 'in memory'}"


def factories(arguments: argparse.Namespace) -> list[str]:
    """The flat index and inverted files, as `faiss.index_factory` takes them."""
    return ["Flat", *(f"IVF{arguments.lists},{code}" for code in arguments.codes)]


def kinds(arguments: argparse.Namespace) -> list[Kind]:
    """All rows of the table; the first is the flat index in memory."""
    return [Kind(factory, on_disk) for factory in factories(arguments) for on_disk in (False, True)]


def index_file(work: Path, factory: str, count: int) -> Path:
    """File of an index in the work folder."""
    return work / f"{factory.replace(',', '-')}-{count}.faiss"


def build(work: Path, factory: str, data: Material, queries: int) -> dict[str, Any]:
    """Build and save an index, and choose the effort of a search; what an earlier run has built is read."""
    file = index_file(work, factory, len(data.prototypes))
    facts = file.with_suffix(".json")
    if facts.exists() and file.exists():
        return dict(json.loads(facts.read_text()))
    print(f"building {factory}", flush=True)
    rows = np.ascontiguousarray(data.prototypes)
    started = time.process_time()
    index = ExemplarIndex.build(rows, factory)
    seconds = time.process_time() - started
    index.save(file)
    started = time.process_time()
    chosen, search = tuned(index, RetrievalInfo(k=K, index_factory=factory), _trial(work, data, index, queries))
    found = {
        "build_cpu_seconds": seconds,
        "tuning_cpu_seconds": time.process_time() - started,
        "file_bytes": file.stat().st_size,
        "nprobe": chosen.nprobe,
        "rerank": chosen.rerank,
        "recall on the card": 1.0 if search is None else search.recall,
    }
    facts.write_text(json.dumps(found, indent=2) + "\n")
    return found


def _trial(work: Path, data: Material, index: ExemplarIndex, count: int) -> Trial:
    """Queries that the effort is chosen with, the same for all indexes."""
    file = work / f"trial-{len(data.prototypes)}-{count}.npz"
    if not file.exists():
        trial = moved_exemplars(index, K, count=count)
        np.savez(file.with_suffix(".part.npz"), queries=trial.queries, true=trial.true)
        file.with_suffix(".part.npz").replace(file)
    with np.load(file) as columns:
        return Trial(columns["queries"], columns["true"])


def open_index(work: Path, kind: Kind, count: int, rows: np.ndarray, facts: dict[str, Any]) -> ExemplarIndex:
    """Open an index as a release is served: mapped, or read into memory."""
    effort = Effort(facts["nprobe"], facts["rerank"] or 1, card().calibration.known_threshold)
    return ExemplarIndex.load(index_file(work, kind.factory, count), rows, on_disk=kind.on_disk, effort=effort)


def card() -> Card:
    """Card of the bundled release, whose settings of the vote and of known segments are used."""
    return read_card(BUNDLED / "streets")


def sampled(segments: RealSegments, count: int) -> np.ndarray:
    """[count, D] evenly spread prototypes."""
    rows = np.linspace(0, len(segments.prototypes) - 1, min(count, len(segments.prototypes))).astype(np.int64)
    return np.ascontiguousarray(segments.prototypes[rows])


def truth(work: Path, data: Material, count: int) -> dict[str, np.ndarray]:
    """Exact neighbours of the sampled queries, and of all segments of some whole images, by name."""
    file = work / f"truth-{len(data.prototypes)}-{count}.npz"
    if not file.exists():
        print("comparing queries with every exemplar", flush=True)
        found = {}
        for name, queries in queried(data, count).items():
            parts = [loops.nearest_rows(data.prototypes, part, K) for part in blocks(queries)]
            found[f"{name} cosines"] = np.concatenate([cosines for cosines, _ in parts])
            found[f"{name} rows"] = np.concatenate([rows for _, rows in parts])
        np.savez(file.with_suffix(".part.npz"), allow_pickle=False, **found)
        file.with_suffix(".part.npz").replace(file)
    with np.load(file) as columns:
        return dict(columns)


def blocks(queries: np.ndarray) -> list[np.ndarray]:
    """Queries in parts of `QUERIES`."""
    return [np.ascontiguousarray(queries[n : n + QUERIES]) for n in range(0, len(queries), QUERIES)]


def of_images(segments: RealSegments, images: int = IMAGES) -> np.ndarray:
    """Rows of all segments of some evenly spread images, in order."""
    chosen = np.unique(np.linspace(0, segments.image_ids.max(), images).astype(np.int64))
    return np.flatnonzero(np.isin(segments.image_ids, chosen))


def queried(data: Material, count: int) -> dict[str, np.ndarray]:
    """Queries [q, D] by name."""
    return {
        "street": sampled(data.queries, count),
        "foreign": sampled(data.foreign, count),
        "street images": np.ascontiguousarray(data.queries.prototypes[of_images(data.queries)]),
        "foreign images": np.ascontiguousarray(data.foreign.prototypes[of_images(data.foreign)]),
    }


def quality(index: ExemplarIndex | None, data: Material, true: dict[str, np.ndarray], count: int) -> dict[str, float]:
    """Recall, agreement of the vote and agreement of what is known, against exact search, which is index=None."""
    result: dict[str, float] = {}
    classes, C = data.class_ids, int(data.class_ids.max()) + 1
    for name, queries in queried(data, count).items():
        exact_cosines, exact = true[f"{name} cosines"], true[f"{name} rows"]
        parts = [(exact_cosines, exact)] if index is None else [index.search(part, K) for part in blocks(queries)]
        cosines, rows = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        if name.endswith("images"):
            segments = data.queries if name.startswith("street") else data.foreign
            known = [flags(segments, one[:, 0]) for one in (cosines, exact_cosines)]
            result[f"{name}: known, agreement"] = float((known[0] == known[1]).mean())
            result[f"{name}: known, exact search"] = float(known[1].mean())
            continue
        labels = [
            vote(near, classes[at].astype(np.int64), C, card().retrieval.kappa).class_ids
            for near, at in ((cosines, rows), (exact_cosines, exact))
        ]
        result[f"{name}: recall@{K}"] = share_found(rows, exact)
        result[f"{name}: nearest found"] = float((cosines[:, 0] >= exact_cosines[:, 0]).mean())
        result[f"{name}: vote, agreement"] = float((labels[0] == labels[1]).mean())
    return result


def flags(segments: RealSegments, nearest: np.ndarray) -> np.ndarray:
    """[n] bool, whether the segments of `of_images` are known, from the cosines of their nearest exemplars [n]."""
    rows = of_images(segments)
    images, calibration = segments.image_ids[rows], card().calibration
    known = np.zeros(len(rows), dtype=bool)
    for image in np.unique(images):
        own = images == image
        known[own] = known_segments(calibration, nearest[own], segments.areas[rows][own], np.zeros(own.sum(), bool))[0]
    return known


def share_found(rows: np.ndarray, exact: np.ndarray) -> float:
    """Mean share of the exact neighbours that were found."""
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(rows, exact, strict=True)]))


def memory(arguments: argparse.Namespace, kind: Kind, facts: dict[str, Any]) -> dict[str, float]:
    """Resident memory and the first search of one index, in this process: see the module. For `in_new_process`."""
    work, count = arguments.work, arguments.count
    rows_file, file = work / f"prototypes-{count}.npy", index_file(work, kind.factory, count)
    queries = queried(material(arguments.data, work, count), arguments.queries)
    loops.nearest_rows(queries["street"][:64].copy(), blocks(queries["street"])[0], K)  # load the compiled loops
    before = resident()
    for one in (rows_file, file):
        drop_from_cache(one)
    started = time.perf_counter()
    rows = np.load(rows_file, mmap_mode="c" if kind.on_disk else None)
    index = open_index(work, kind, count, np.asarray(rows), facts)
    opened = time.perf_counter()
    index.search(blocks(queries["street"])[0], K)
    cold = time.perf_counter() - opened
    for part in (one for name in ("street", "foreign") for one in blocks(queries[name])):
        index.search(part, K)
    after = resident()
    return {
        "open_ms": (opened - started) * 1000,
        "cold_ms": cold * 1000,
        "own_memory_mb": (after["RssAnon"] - before["RssAnon"]) / 1e6,
        "file_pages_mb": (after["RssFile"] - before["RssFile"]) / 1e6,
        "resident_mb": after["VmRSS"] / 1e6,
        "peak_mb": after["VmHWM"] / 1e6,
    }


def resident() -> dict[str, int]:
    """Resident memory of this process in bytes, by the names of proc(5)."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {line[0][:-1]: int(line[1]) * 1024 for line in lines if line and line[0][:3] in ("Rss", "VmR", "VmH")}


def drop_from_cache(file: Path) -> None:
    """Drop the pages of a file that no process has mapped from the page cache."""
    handle = os.open(file, os.O_RDONLY)
    os.fsync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)


def in_new_process(arguments: argparse.Namespace, kind: Kind) -> dict[str, float]:
    """Run `memory` in a new process; what an earlier run has measured is read."""
    file = index_file(arguments.work, kind.factory, arguments.count)
    kept = file.with_suffix(f".{'mapped' if kind.on_disk else 'read'}.json")
    if kept.exists():
        return dict(json.loads(kept.read_text()))
    command = [
        sys.executable, "-m", "benchmarks.large_index", "--data", str(arguments.data), "--work", str(arguments.work),
        "--count", str(arguments.count), "--lists", str(arguments.lists), "--codes", *arguments.codes,
        "--queries", str(arguments.queries), "--memory-of", str(kinds(arguments).index(kind)),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    kept.write_text(done.stdout.splitlines()[-1] + "\n")
    return dict(json.loads(kept.read_text()))


def latencies(arguments: argparse.Namespace, data: Material, facts: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Times of a search for `QUERIES` queries, interleaved, and of the same search when 1,000 exemplars are removed."""
    parts, turn, every = blocks(sampled(data.queries, arguments.queries)), {"number": 0}, kinds(arguments)
    rows = np.ascontiguousarray(data.prototypes)
    gone = np.zeros(len(rows), dtype=bool)
    gone[np.random.default_rng(0).choice(len(rows), min(1000, len(rows) // 2), replace=False)] = True

    def task(index: ExemplarIndex, removed: np.ndarray | None) -> Callable[[], object]:
        def search() -> object:
            turn["number"] += 1
            return index.search(parts[turn["number"] // (2 * len(every)) % len(parts)], K, removed)

        return search

    tasks = {}
    for kind in every:
        index = open_index(arguments.work, kind, arguments.count, rows, facts[kind.factory])
        tasks[kind.name] = task(index, None)
        if kind.factory != "Flat":
            tasks[f"{kind.name}, removed"] = task(index, gone)
    seconds = interleave(tasks, arguments.rounds, warmup=2)
    flat = np.array(seconds[every[0].name])
    ratios = {name: np.array(taken) / flat for name, taken in seconds.items()}
    return {
        kind.name: {
            "median_ms": float(np.median(seconds[kind.name]) * 1000),
            "p99_ms": float(np.quantile(seconds[kind.name], 0.99) * 1000),
            "of flat": float(np.median(ratios[kind.name])),
            "of flat, p10": float(np.quantile(ratios[kind.name], 0.1)),
            "of flat, p90": float(np.quantile(ratios[kind.name], 0.9)),
            "1,000 removed / none": float(
                np.median(np.divide(seconds.get(f"{kind.name}, removed", seconds[kind.name]), seconds[kind.name]))
            ),
        }
        for kind in every
    }


def merging_ms(rounds: int) -> float:
    """Median time of merging what `SHARDS` shards found for `QUERIES` queries, milliseconds."""
    random = np.random.default_rng(0)
    parts = [
        Found(random.integers(0, 1 << 30, (QUERIES, K)), -np.sort(-random.random((QUERIES, K), np.float32)))
        for _ in range(SHARDS)
    ]
    return float(np.median(interleave({"merge": lambda: merged(parts, K)}, rounds, warmup=2)["merge"]) * 1000)


def by_effort(index: ExemplarIndex, data: Material, true: dict[str, np.ndarray], count: int) -> list[dict[str, float]]:
    """Recall and time as the number of visited lists grows, for the page."""
    rows, parts = [], blocks(queried(data, count)["street"])
    for nprobe in (1, 2, 4, 8, 16, 32):
        index = index.with_effort(index.effort._replace(nprobe=nprobe))
        started = time.process_time()
        found = np.concatenate([index.search(part, K)[1] for part in parts])
        seconds = (time.process_time() - started) / len(parts)
        rows.append(
            {
                "nprobe": nprobe,
                "recall": share_found(found, true["street rows"][: len(found)]),
                "cpu_ms": seconds * 1000,
            }
        )
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--lists", type=int, default=4096)
    parser.add_argument("--codes", nargs="+", choices=CODES, default=CODES)
    parser.add_argument("--queries", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    loops.set_thread_limit(1)
    with threadpool_limits(1):
        if arguments.memory_of is not None:
            kind = kinds(arguments)[arguments.memory_of]
            file = index_file(arguments.work, kind.factory, arguments.count).with_suffix(".json")
            facts = json.loads(file.read_text())
            print(json.dumps(memory(arguments, kind, facts)))
            return
        measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """All rows of the table."""
    data = material(arguments.data, arguments.work, arguments.count)
    facts = {factory: build(arguments.work, factory, data, arguments.queries) for factory in factories(arguments)}
    true = truth(arguments.work, data, arguments.queries)
    rows, found, efforts = [], {}, {}
    for factory in factories(arguments):
        index = open_index(arguments.work, Kind(factory, True), arguments.count, data.prototypes, facts[factory])
        found[factory] = quality(index if index.lists else None, data, true, arguments.queries)
        if index.lists:
            efforts[factory] = by_effort(index, data, true, arguments.queries)
    times = latencies(arguments, data, facts)
    for kind in kinds(arguments):
        own = facts[kind.factory]
        rows.append(
            {
                "index": kind.name,
                "nprobe": own["nprobe"],
                "rerank": own["rerank"],
                "file_mb": own["file_bytes"] / 1e6,
                **in_new_process(arguments, kind),
                "build of flat": own["build_cpu_seconds"] / facts["Flat"]["build_cpu_seconds"],
                "build_cpu_seconds": own["build_cpu_seconds"],
                **found[kind.factory],
                **times[kind.name],
            }
        )
    details = {
        **data.facts,
        "exemplars": arguments.count,
        "queries at a time": QUERIES,
        "dimension": data.prototypes.shape[1],
        "k": K,
        "threads": 1,
        "rounds": arguments.rounds,
        "builds": facts,
        "by effort": efforts,
        f"merging {SHARDS} shards, ms": merging_ms(arguments.rounds),
    }
    report("large_index", rows, details, arguments.out)


if __name__ == "__main__":
    main()
