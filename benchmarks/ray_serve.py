"""Two replicas of Ray Serve beside two processes behind nginx: images a second, and requests during an update.

    .ci/postgres sh -c 'python -m benchmarks.ray_serve --database $SEGSORT_TEST_POSTGRES' [--rounds 12] [--seconds 5]
        [--callers 8] [--ingress haproxy|python] [--release RELEASE] [--no-update]

All four processes run the same code with the same settings over one PostgreSQL database, with one thread each. nginx
uses docs/proxies/nginx-replicas.conf, Ray the variables of deploy/ray/node.env. With `--ingress python`, Ray's own
proxy takes the place of HAProxy. Both ways are started once and measured in turn; the order alternates. Beside the
rate stands the processor time of an image in all processes of a way, which other work on the machine disturbs less.
Then the configuration of Ray changes under load, which replaces both replicas, and every answer is counted.
"""

import argparse
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.behind_nginx import behind_nginx
from benchmarks.beside import ratio
from benchmarks.common import report
from benchmarks.ray_cluster import RayCluster, ray_cluster
from benchmarks.running_service import free_port, start_service, stop
from benchmarks.serving_load import Target, closed_loop, latency, rate_of
from benchmarks.street_images import photographs

SETTLE = 1.0  # seconds at the beginning that do not count
NGINX, RAY = "nginx", "Ray Serve"
_COUNT = 2  # processes of each


def config(changes: dict[str, Any], **deployment: Any) -> dict[str, Any]:
    """A Serve config file of one application.

    Args:
        changes: settings that are its arguments.
        deployment: options of the deployment.
    """
    options = {"name": "segsort", "graceful_shutdown_timeout_s": 60, **deployment}
    options.setdefault("ray_actor_options", {"num_cpus": 1})
    return {
        "proxy_location": "HeadOnly", "logging_config": {"enable_access_log": False},
        "http_options": {"host": "0.0.0.0", "keep_alive_timeout_s": 75},
        "applications": [
            {"name": "segsort", "import_path": "service.ray:app", "args": changes, "deployments": [options]}
        ],
    }  # fmt: skip


class Load(threading.Thread):
    """Callers in a thread of their own, until `stop`; counts the statuses of answers, 0 for none."""

    def __init__(self, target: Target, callers: int) -> None:
        super().__init__(daemon=True)
        self._target, self._callers, self._ended = target, callers, threading.Event()
        self.statuses: Counter[int] = Counter()

    def run(self) -> None:
        """Ask in steps of a second."""
        while not self._ended.is_set():
            self.statuses.update(reply.status for reply in closed_loop(self._target, self._callers, 1.0))

    def stop(self) -> Counter[int]:
        """End, and return the counts."""
        self._ended.set()
        self.join(180)
        return self.statuses


def update(
    cluster: RayCluster, target: Target, callers: int, changes: dict[str, Any], **deployment: Any
) -> Counter[int]:
    """Replace the replicas of an application under load.

    Args:
        cluster: where it runs.
        target: requests.
        callers: that send one after another.
        changes: settings of the new replicas.
        deployment: options of the deployment.

    Returns:
        The number of answers by status; 0: no answer.
    """
    before = {one["replica_id"] for one in cluster.replicas()}
    load = Load(target, callers)
    load.start()
    try:
        cluster.deploy(config(changes, **deployment))
        cluster.wait_until_gone(before)
    finally:
        found = load.stop()
    return found


class Measured(NamedTuple):
    """Figures of each round of one way. rates: images a second; cpu_ms: processor time of an image in all processes of
    the way, proxy included, milliseconds; waits: `latency`."""

    rates: list[float]
    cpu_ms: list[float]
    waits: list[dict[str, float]]


def measure(
    targets: dict[str, Target], processes: dict[str, Callable[[], list[int]]], callers: int, seconds: float, rounds: int
) -> dict[str, Measured]:
    """Load the ways in turn, and return their figures by name.

    Args:
        targets: requests of each way.
        processes: give the ids of the processes of each way.
        callers: that send one request after another.
        seconds: of a turn.
        rounds: number of turns of each.

    Raises:
        RuntimeError: if a request fails.
    """
    found = {name: Measured([], [], []) for name in targets}
    for number in range(rounds):
        for name in list(targets)[:: 1 if number % 2 == 0 else -1]:
            before = _processor_time(processes[name]())
            replies = closed_loop(targets[name], callers, SETTLE + seconds)
            after = _processor_time(processes[name]())
            spent = sum(time - before.get(pid, 0.0) for pid, time in after.items())
            found[name].rates.append(rate_of(replies, SETTLE, SETTLE + seconds))
            found[name].cpu_ms.append(1000 * spent / len(replies))
            found[name].waits.append(latency(replies))
            bad = Counter(reply.status for reply in replies if reply.status != 200)
            if bad:
                raise RuntimeError(f"{name} answered {dict(bad)}")
    return found


def _processor_time(pids: Iterable[int]) -> dict[int, float]:
    """Seconds of processor time of processes so far, by id. Those that have ended are left out."""
    found = dict[int, float]()
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def _descendants() -> list[int]:
    """Ids of the processes that this one has started, and of those that they have started."""
    parents = dict[int, int]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {os.getpid()})


def _plain(database: str, release: str | None, stack: ExitStack) -> str:
    """Processes behind nginx; returns the address of nginx."""
    ports = [free_port() for _ in range(_COUNT)]
    flags = () if release is None else ("--release", release)
    settings = {"SEGSORT_DATABASE_URL": database, "SEGSORT_THREADS": "1", "SEGSORT_TRUSTED_PROXIES": "127.0.0.1"}
    for port in ports:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        process, _ = start_service(data, *flags, patience=600, port=port, settings=settings, session=True)
        stack.callback(stop, process)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    folder.chmod(0o755)  # workers of nginx are another user
    return stack.enter_context(behind_nginx(ports, folder))


def _ray(database: str, release: str | None, ingress: str, stack: ExitStack) -> tuple[RayCluster, dict[str, Any]]:
    """A cluster of one node with replicas, and their settings."""
    data = stack.enter_context(tempfile.TemporaryDirectory())
    variables = {"SEGSORT_DATABASE_URL": database, "SEGSORT_DATA_DIR": data, "SEGSORT_OPEN": "true"}
    if ingress == "python":
        variables["RAY_SERVE_ENABLE_HA_PROXY"] = "0"
    cluster = stack.enter_context(ray_cluster(variables, nodes=1, cpus=2 * _COUNT))
    changes: dict[str, Any] = {"threads": 1} | ({} if release is None else {"release": release})
    cluster.deploy(config(changes, num_replicas=_COUNT), patience=600)
    return cluster, changes


def _rows(found: dict[str, Measured]) -> list[dict[str, Any]]:
    shown = {NGINX: ("1", "1")}
    ratios = (
        ratio(np.array(getattr(found[RAY], of)), np.array(getattr(found[NGINX], of))) for of in ("rates", "cpu_ms")
    )
    rate, cpu = (f"{middle:.2f} [{low:.2f}, {high:.2f}]" for middle, low, high in ratios)
    shown[RAY] = (rate, cpu)
    return [
        {
            "two behind": name,
            "images a second": float(np.median(one.rates)),
            "/ nginx": shown[name][0],
            "CPU ms an image": float(np.median(one.cpu_ms)),
            "/ nginx ": shown[name][1],
            **{at: float(np.median([wait[at] for wait in one.waits])) for at in ("p50_ms", "p99_ms")},
        }
        for name, one in found.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Start both, measure in turn, update one, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True, help="SQLAlchemy URL of an empty PostgreSQL database")
    parser.add_argument("--release", help="name or path of a release; default: the bundled one")
    parser.add_argument("--ingress", choices=("haproxy", "python"), default="haproxy")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--no-update", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    jpegs = photographs()
    with ExitStack() as stack:
        plain = _plain(given.database, given.release, stack)
        cluster, changes = _ray(given.database, given.release, given.ingress, stack)
        targets = {name: Target(f"{at}/segment", jpegs) for name, at in ((NGINX, plain), (RAY, cluster.address))}
        for target in targets.values():
            closed_loop(target, given.callers, 3.0)  # to warm up
        processes = {NGINX: lambda: sorted({*_descendants()} - {*cluster.processes()}), RAY: cluster.processes}
        measured = measure(targets, processes, given.callers, given.seconds, given.rounds)
        details: dict[str, Any] = {"ingress": given.ingress, "callers": given.callers}
        details |= {name: one._asdict() for name, one in measured.items()}
        if not given.no_update:
            found = update(cluster, targets[RAY], given.callers, {**changes, "max_k": 199}, num_replicas=_COUNT)
            details["answers during the update"] = dict(found)
            print(f"answers during the update, by status: {dict(found)}")
    report("ray_serve", _rows(measured), details, given.out)


if __name__ == "__main__":
    main()
