"""Replicas behind nginx over one PostgreSQL database: writers edit through the proxy while replicas are killed.

    .ci/postgres sh -c 'python -m benchmarks.replicas --database $SEGSORT_TEST_POSTGRES' [--release RELEASE]
        [--writers 8] [--seconds 60] [--kill-every 5] [--seed 0] [--apart]

The proxy is nginx with docs/proxies/nginx-replicas.conf. Writers make edits of all kinds and note what is acknowledged.
Every few seconds one replica is killed by SIGKILL and starts again. They share a data folder, or with --apart have one
each. Meanwhile an observer makes an edit through the proxy, and asks each running replica until it shows the edit: that
is the time until an edit is visible. At the end all edits are compared with what was acknowledged, explanations of all
replicas are compared, the result of a job is read several times through the proxy, and `segsort verify` checks the
whole database.
"""

import argparse
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np

from benchmarks.behind_nginx import PORTS, behind_nginx
from benchmarks.common import report
from benchmarks.kills import all_edits, segmented
from benchmarks.running_service import ServiceStartError, free_port, start_service, stop
from benchmarks.writers import Address, Writer, encoded
from service.records.head_file import HeadFile
from service.verifying.verify import verify_database

_LASTING = ("revision", "kind", "author", "exemplar_ids", "classes", "summary", "created")
_EXPLAINED = 8  # segments of answers between edits whose explanations are compared, beside one of each writer
_ENDLESS, _CLASSES = 1_000_000, 12  # edits of a writer; classes of a writer, of which all have 255 with those of labels


class Result(NamedTuple):
    """What came of a run. lost, double, unknown, altered: reasons of edits, see `benchmarks.kills.Result`;
    visible_ms: milliseconds until an acknowledged edit was visible on a replica, of each edit and replica; unequal:
    explanations that replicas gave differently; jobs: what was wrong with the result of a job; failures: what
    writers and the observer did not expect; damage: findings of the verification; interrupted: requests whose
    answer a kill took."""

    acknowledged: int
    interrupted: int
    kills: int
    lost: list[str]
    double: list[str]
    unknown: list[str]
    altered: list[str]
    visible_ms: list[float]
    explained: int
    unequal: list[str]
    jobs: list[str]
    failures: list[str]
    damage: list[str]
    seconds: float

    @property
    def faultless(self) -> bool:
        """Whether nothing was lost, doubled, altered or explained differently."""
        edits = (self.lost, self.double, self.unknown, self.altered)
        return not any((*edits, self.unequal, self.jobs, self.failures, self.damage))


class Replicas:
    """Processes over one database, which can be killed and started again.

    Args:
        data: folder of the service.
        url: of the database.
        count: number of processes.
        flags: options of `segsort serve`.
        apart: whether each process has a data folder of its own in `data`.

    Attributes:
        folders: the data folder of each process.
        ports: of each process; it keeps its port over restarts, because the proxy knows it.
        faults: why processes did not start again.
    """

    def __init__(self, data: Path, url: str, count: int, flags: Sequence[str], apart: bool) -> None:
        self._flags = tuple(flags)
        self.folders = [data / (f"data-{number}" if apart else "data") for number in range(count)]
        for folder in self.folders:
            folder.mkdir(exist_ok=True)
        self.ports = [free_port() for _ in range(count)]
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.faults = list[str]()
        self._settings = {"SEGSORT_DATABASE_URL": url, "SEGSORT_TRUSTED_PROXIES": "127.0.0.1"}

    @property
    def up(self) -> list[int]:
        """Numbers of the processes that were not killed."""
        return sorted(self._running)

    def address(self, number: int) -> str:
        """Where a process listens."""
        return f"http://127.0.0.1:{self.ports[number]}"

    def start(self, numbers: Sequence[int]) -> None:
        """Start processes, all at once, and wait until they are ready."""
        with ThreadPoolExecutor(len(self.ports)) as pool:
            list(pool.map(self._start, numbers))

    def kill(self, number: int) -> None:
        """Kill a process at once."""
        process = self._running.pop(number)
        process.kill()
        process.wait(timeout=60)

    def stop(self) -> None:
        """Stop all processes."""
        for process in self._running.values():
            stop(process)

    def _start(self, number: int) -> None:
        folder, port = self.folders[number], self.ports[number]
        log = folder.parent / f"replica-{number}.log"
        try:
            process, _ = start_service(folder, *self._flags, patience=300, port=port, log=log, settings=self._settings)
        except ServiceStartError as error:
            self.faults.append(f"replica {number} did not start: {error}")
        else:
            self._running[number] = process


@dataclass
class Observer:
    """Makes edits through the proxy, and measures how long each takes to be visible on each running replica."""

    proxy: str
    replicas: Replicas
    visible_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    made: dict[str, dict[str, Any]] = field(default_factory=dict)  # by reason: acknowledged edits
    cut_off: set[str] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Measure until `stop`."""
        number = 0
        with ExitStack() as stack, ThreadPoolExecutor(len(self.replicas.ports)) as pool:
            clients = [stack.enter_context(httpx.Client(base_url=self.replicas.address(n), timeout=30))
                       for n in range(len(self.replicas.ports))]  # fmt: skip
            proxied = stack.enter_context(httpx.Client(base_url=self.proxy, timeout=30))
            while not self._stop.wait(0.1):
                number += 1
                try:
                    self._one(number, proxied, clients, pool)
                except Exception as error:  # a thread's error would be lost
                    self.failures.append(f"observer {number}: {error!r}")

    def stop(self) -> None:
        """Measure no further edit."""
        self._stop.set()

    def _one(self, number: int, proxied: httpx.Client, clients: list[httpx.Client], pool: ThreadPoolExecutor) -> None:
        """Rename a class, and wait until each replica that runs has the new name."""
        reason, name = f"observer {number}", f"seen {number}"
        mine = next(iter(self.made.values()), None)
        body: dict[str, Any] = {"name": name, "reason": reason}
        if mine is not None:
            body["class_id"] = mine["classes"][0]["class_id"]
        try:
            answer = proxied.post("/classes", json=body)
        except httpx.TransportError:
            self.cut_off.add(reason)
            return
        if answer.status_code in (502, 504):
            self.cut_off.add(reason)
            return
        if answer.status_code in (409, 503):
            return
        acknowledged = time.monotonic()
        self.made[reason] = answer.raise_for_status().json()["edit"]
        waits = [pool.submit(self._seen, clients[n], name, acknowledged, n) for n in self.replicas.up]
        self.visible_ms += [1000 * seconds for wait in waits if (seconds := wait.result()) is not None]

    def _seen(self, client: httpx.Client, name: str, since: float, number: int) -> float | None:
        """Seconds until a replica shows a name; None: it was killed meanwhile, or has just started."""
        while time.monotonic() - since < 30:
            try:
                shown = client.get("/classes").raise_for_status()
            except httpx.HTTPError:
                return None
            after = time.monotonic() - since
            if name.encode() in shown.content:
                return after
            time.sleep(0.002)
        if number in self.replicas.up:
            self.failures.append(f"{name!r} is not visible on replica {number} after 30 s")
        return None


def run(
    data: Path,
    url: str,
    flags: Sequence[str] = (),
    writers: int = 8,
    seconds: float = 60.0,
    kill_every: float = 5.0,
    seed: int = 0,
    apart: bool = False,
) -> Result:
    """Let writers edit through nginx while replicas are killed, one after another.

    Args:
        data: folder of the service.
        url: of the database.
        flags: options of `segsort serve`.
        writers: number of writers.
        seconds: for which they write.
        kill_every: seconds between two kills.
        seed: of the random choices.
        apart: whether each replica has a data folder of its own.
    """
    count = len(PORTS)
    replicas, random = Replicas(data, url, count, flags, apart), np.random.default_rng(seed)
    with ExitStack() as stack:
        stack.callback(replicas.stop)
        replicas.start(range(count))
        if replicas.faults:
            raise ServiceStartError(replicas.faults[0])
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # workers of nginx are another user
        proxy = stack.enter_context(behind_nginx(replicas.ports, folder))
        writing = _writers(proxy, writers)
        observer = Observer(proxy, replicas)
        begun = time.monotonic()
        kills = _edit_and_kill(replicas, [*writing, observer], seconds, kill_every, random)
        lasted = time.monotonic() - begun
        replicas.start([n for n in range(count) if n not in replicas.up])
        with httpx.Client(base_url=proxy, timeout=120) as client:
            there = all_edits(client)
        between = [segment for writer in writing for segment in writer.explained]
        explained = [writer.segments[0] for writer in writing] + between[-_EXPLAINED:]
        jobs = _job_results(proxy, count)
        unequal = _unequal([replicas.address(n) for n in replicas.up], explained, there[0]["revision"])
    findings = verify_database(url, HeadFile.of(replicas.folders[0], url)).findings
    damage = [*replicas.faults, *map(str, findings)]
    return _result(writing, observer, there, kills, (explained, unequal), jobs, damage, lasted)


def _writers(proxy: str, count: int) -> list[Writer]:
    address = Address()
    address.set(proxy)
    names = "abcdefghijklmnopqrstuvwxyz"[:count]
    with httpx.Client(base_url=proxy, timeout=120) as client:
        return [Writer(name, address, segmented(client, n), _ENDLESS, _CLASSES) for n, name in enumerate(names)]


def _edit_and_kill(
    replicas: Replicas, editing: Sequence[Writer | Observer], seconds: float, every: float, random: np.random.Generator
) -> int:
    """Let all edit for a time, and kill a replica every few seconds. Returns the number of kills."""
    threads = [threading.Thread(target=one.run, daemon=True) for one in editing]
    for thread in threads:
        thread.start()
    restarts, kills, end = list[threading.Thread](), 0, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(every, left))
        up = replicas.up
        if left > every and len(up) > 1:
            victim = int(random.choice(up))
            replicas.kill(victim)
            kills += 1
            restart = threading.Thread(target=replicas.start, args=([victim],))
            restart.start()
            restarts.append(restart)
    for one in editing:
        one.stop()
    for thread in (*threads, *restarts):
        thread.join(300)
    return kills


def _job_results(proxy: str, times: int) -> list[str]:
    """What is wrong with a job of two images and its result, which is read several times through the proxy."""
    shades = np.random.default_rng(7).integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    images = [encoded(np.repeat(np.repeat(one, 16, 0), 16, 1)) for one in shades]
    files = [("images", (f"{number}.png", image)) for number, image in enumerate(images)]
    with httpx.Client(base_url=proxy, timeout=120) as client:
        job = client.post("/jobs/segment", files=files).raise_for_status().json()["job_id"]
        _until(lambda: client.get(f"/jobs/{job}").raise_for_status().json()["ended"] is not None)
        answers = [client.get(f"/jobs/{job}/result") for _ in range(times)]
    wrong = [f"{answer.status_code}: {answer.text[:200]}" for answer in answers if answer.status_code != httpx.codes.OK]
    return wrong + ["the results differ"] * (len({answer.content for answer in answers}) > 1)


def _unequal(addresses: Sequence[str], segments: Sequence[str], revision: int) -> list[str]:
    """The segments that replicas explain differently, once all have reached a revision."""

    def all_answers(address: str) -> list[bytes]:
        with httpx.Client(base_url=address, timeout=120) as client:
            _until(lambda: client.get("/readyz").json()["index_revision"] >= revision)
            return [client.get(f"/explain/{segment}").raise_for_status().content for segment in segments]

    with ThreadPoolExecutor(len(addresses)) as pool:
        answers = list(pool.map(all_answers, addresses))
    return [segment for segment, *others in zip(segments, *answers, strict=True) if len(set(others)) > 1]


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("a replica does not reach the last edit, or a job does not end")
        time.sleep(0.05)


def _result(
    writing: Sequence[Writer], observer: Observer, there: list[dict[str, Any]], kills: int,
    explanations: tuple[list[str], list[str]], jobs: list[str], damage: list[str], seconds: float,
) -> Result:  # fmt: skip
    acknowledged = {reason: edit for one in writing for reason, edit in one.acknowledged.items()} | observer.made
    cut_off = {reason for one in writing for reason in one.cut_off} | observer.cut_off
    times = Counter(str(edit["reason"]) for edit in there)
    found = {str(edit["reason"]): edit for edit in there}
    return Result(
        acknowledged=len(acknowledged),
        interrupted=len(cut_off),
        kills=kills,
        lost=sorted(acknowledged.keys() - found.keys()),
        double=[reason for reason, number in times.items() if number > 1],
        unknown=sorted(found.keys() - acknowledged.keys() - cut_off),
        altered=[
            reason
            for reason, edit in acknowledged.items()
            if reason in found and any(found[reason][name] != edit[name] for name in _LASTING)
        ],
        visible_ms=observer.visible_ms,
        explained=len(explanations[0]),
        unequal=explanations[1],
        jobs=jobs,
        failures=[failure for one in writing for failure in one.failures] + observer.failures,
        damage=damage,
        seconds=seconds,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True)
    parser.add_argument("--release")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kill-every", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--apart", action="store_true", help="a data folder for each replica")
    options = parser.parse_args()
    flags = () if options.release is None else ("--release", str(Path(options.release).absolute()))
    with tempfile.TemporaryDirectory() as folder:
        result = run(
            Path(folder), options.database, flags, options.writers, options.seconds, options.kill_every, options.seed,
            options.apart,
        )  # fmt: skip
    counted = ("lost", "double", "unknown", "altered", "unequal", "jobs", "failures", "damage")
    ms = np.percentile(result.visible_ms or [float("nan")], (50, 99, 100)).round(1).tolist()
    row = {"acknowledged": result.acknowledged, "interrupted": result.interrupted, "kills": result.kills}
    row |= {name: len(getattr(result, name)) for name in counted}
    row |= {"visible p50 ms": ms[0], "p99 ms": ms[1], "max ms": ms[2], "of": len(result.visible_ms)}
    report("replicas", [row], result._asdict())
    if not result.faultless:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
