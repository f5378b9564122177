"""Attacks on a running service: what happens meanwhile to health checks, to memory and to a good caller.

`python -m benchmarks.attacks` starts the service anew for each attack of `benchmarks.attackers`, on SQLite, without
keys. `--only NAME` runs one; `--seconds` is the time of each measurement.

A good caller segments an image and asks why, again and again. It is measured alone before and after the attack, with
the same watch of health checks and with what the attack needs in the database, and beside the attack. There are three
figures of it:

- `goodput`: its answers beside the attack, divided by those alone. Attackers, good caller and service share the cores,
  and attackers send the next request as soon as they have an answer. So it contains the computing of the attackers,
  which in reality is done elsewhere.
- `goodput, idle attackers`: the same beside attackers that get only computing time that nothing else wants (the
  scheduling class SCHED_IDLE of Linux). They attack less where the service leaves no core free.
- `of the service's CPU`: the part of the computing time of the service beside the attack that its good answers take
  when it is alone. It does not depend on how many cores the attackers take. What it lacks to 1 is spent on the attack.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import numpy as np
import typer

from benchmarks.attackers import ATTACKS
from benchmarks.common import report
from benchmarks.running_service import start_service, stop
from benchmarks.street_images import encoded, photographs, streets

ANSWERS = 1000  # in the database before a list is attacked
FILES = 1024  # hard limit of the open files of a service while its connections are attacked
WARM_S = 5.0  # before the first measurement: everything is loaded and compiled
REST_S = 3.0  # after an attack
PATIENCE = 10.0  # seconds that a health check waits; a longer wait counts as this


class Watch:
    """Asks health routes every 50 ms, and reads the memory of the service every 100 ms, until it is left."""

    def __init__(self, address: str, process: int) -> None:
        self._address, self._process = address, process
        self._stop = threading.Event()
        self.seconds: dict[str, list[float]] = {"/livez": [], "/readyz": []}
        self.failures = dict.fromkeys(self.seconds, 0)
        self.peak = 0

    def __enter__(self) -> "Watch":
        self._threads = [threading.Thread(target=self._ask, args=(path,)) for path in self.seconds]
        self._threads.append(threading.Thread(target=self._weigh))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, path: str) -> None:
        while not self._stop.wait(0.05):
            began = time.perf_counter()
            try:
                ok = self._status(path) == httpx.codes.OK
                self.seconds[path].append(time.perf_counter() - began)
            except (OSError, HTTPException):
                ok = False
                self.seconds[path].append(PATIENCE)
            self.failures[path] += not ok

    def _status(self, path: str) -> int:
        """The status of a check by a new connection, as balancers make them."""
        where = urlsplit(self._address)
        connection = HTTPConnection(where.hostname or "", where.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def _weigh(self) -> None:
        while not self._stop.wait(0.1):
            self.peak = max(self.peak, memory_of(self._process))


def memory_of(process: int) -> int:
    """Bytes of a process and its children; pages that they share count once. Linux alone tells this."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        own = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
        children = [file.read_text().split() for file in Path(f"/proc/{process}/task").glob("*/children")]
    except (OSError, StopIteration):  # it has ended
        return 0
    return own + sum(memory_of(int(child)) for several in children for child in several)


def computing_of(process: int) -> float:
    """Seconds of computing of a process, its children and those that have ended. Linux alone tells this."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        children = [file.read_text().split() for file in Path(f"/proc/{process}/task").glob("*/children")]
    except OSError:  # it has ended
        return 0.0
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(computing_of(int(child)) for several in children for child in several)


class Service(NamedTuple):
    """A running service. data: its folder."""

    process: int
    address: str
    data: Path


class Good(NamedTuple):
    """What a good caller got. rate: answers a second; computing: seconds of the service for each answer."""

    rate: float
    computing: float
    watch: Watch


def goodput(address: str, image: bytes, seconds: float) -> float:
    """Answers a second that one caller gets who segments an image and asks why, one after the other."""
    end, done = time.perf_counter() + seconds, 0
    with httpx.Client(base_url=address, timeout=seconds) as client:
        while (left := end - time.perf_counter()) > 0:
            try:
                answer = client.post("/segment", content=image, timeout=left)
                if answer.status_code == httpx.codes.OK:
                    segment = answer.json()["segments"][0]["segment_id"]
                    done += client.get(f"/explain/{segment}", timeout=left).status_code == httpx.codes.OK
            except httpx.HTTPError:
                continue
    return done / seconds


def watched(service: Service, image: bytes, seconds: float) -> Good:
    """A good caller under the watch of health checks."""
    before = computing_of(service.process)
    with Watch(service.address, service.process) as watch:
        rate = goodput(service.address, image, seconds)
    computing = computing_of(service.process) - before
    return Good(rate, computing / max(rate * seconds, 1), watch)


def attacked(name: str, seconds: float) -> dict[str, Any]:
    """One attack on a new service."""
    image = photographs(1)[0]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # of the attacker
    files = FILES if name == "idle connections" else None
    try:
        with tempfile.TemporaryDirectory() as folder:
            process, address = start_service(Path(folder), patience=300, files=files)
            try:
                return _measured(name, seconds, Service(process.pid, address, Path(folder)), image)
            finally:
                stop(process)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _measured(name: str, seconds: float, service: Service, image: bytes) -> dict[str, Any]:
    if name == "long lists":
        _fill(service.address)
    goodput(service.address, image, WARM_S)
    with _attacker(name, service) as attacker:
        before = watched(service, image, seconds)
        idle, size = memory_of(service.process), _size(service.data)
        beside = _beside(attacker, service, image, seconds)
        answers = _end(attacker)
        size = _size(service.data) - size
    goodput(service.address, image, REST_S)  # what the attack left behind comes to its end
    after = watched(service, image, seconds)
    with _attacker(name, service, os.SCHED_IDLE) as attacker:
        beside_idle = _beside(attacker, service, image, seconds)
        _end(attacker)
    alone = statistics.mean((before.rate, after.rate))
    computing = statistics.mean((before.computing, after.computing))
    watch = beside.watch
    return {
        "attack": name,
        "livez p99 s": _p99(watch.seconds["/livez"]),
        "readyz p99 s": _p99(watch.seconds["/readyz"]),
        "readyz median s": round(statistics.median(watch.seconds["/readyz"]), 3),
        "not ready": watch.failures["/readyz"],
        "memory above idle GB": round((watch.peak - idle) / 1e9, 2),
        "alone a second": round(alone, 1),
        "goodput": round(beside.rate / alone, 2),
        "goodput, idle attackers": round(beside_idle.rate / alone, 2),
        "of the service's CPU": round(min(1.0, computing / beside.computing), 2),
        "database MB": round(size / 1e6, 1),
        "answers to attacker": json.dumps(answers),
    }


@contextmanager
def _attacker(name: str, service: Service, scheduling: int = os.SCHED_OTHER) -> Iterator[subprocess.Popen[str]]:
    """An attacker that is ready to begin, see `benchmarks.attackers`."""
    database = f"sqlite:///{service.data / 'segsort.sqlite'}"
    command = [sys.executable, "-m", "benchmarks.attackers", name, service.address, database]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as attacker:
        try:
            assert attacker.stdout is not None
            assert attacker.stdout.readline() == "ready\n"
            os.sched_setscheduler(
                attacker.pid, scheduling, os.sched_param(0)
            )  # its threads begin later, and inherit it
            yield attacker
        finally:
            attacker.kill()


def _beside(attacker: subprocess.Popen[str], service: Service, image: bytes, seconds: float) -> Good:
    print(file=attacker.stdin, flush=True)
    return watched(service, image, seconds)


def _end(attacker: subprocess.Popen[str]) -> dict[str, int]:
    """End the attacker. Returns the answers that it got."""
    attacker.kill()
    assert attacker.stdout is not None
    answers = attacker.stdout.read().strip().splitlines()
    found: dict[str, int] = json.loads(answers[-1]) if answers else {}
    return found


def _p99(seconds: list[float]) -> float:
    return round(float(np.percentile(seconds, 99)), 3)


def _size(data: Path) -> int:
    return sum(file.stat().st_size for file in data.glob("segsort.sqlite*"))


def _fill(address: str) -> None:
    image = encoded(streets(1)[0], (64, 48))
    with httpx.Client(base_url=address, timeout=60) as client:
        for _ in range(ANSWERS):
            client.post("/segment", content=image).raise_for_status()


def main(
    only: Annotated[list[str] | None, typer.Option(help="Attack to run; may be repeated.")] = None,
    seconds: Annotated[float, typer.Option(min=2, help="Seconds of each attack.")] = 20,
    out: Annotated[Path | None, typer.Option(help="Folder of the JSON file.")] = None,
) -> None:
    """Attack a service, and measure what others notice."""
    rows = []
    for name in only or ATTACKS:
        rows.append(attacked(name, seconds))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    report("attacks", rows, {"seconds": seconds}, out)


if __name__ == "__main__":
    typer.run(main)
