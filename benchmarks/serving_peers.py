"""One engine served by segsort, LitServe and BentoML, with 16 callers each.

python -m benchmarks.serving_peers [--seconds 6] [--rounds 4] [--callers 16] [--out DIR]

All servers run the same code for decoding, embedding, sorting, retrieval and recording. They return the same JSON,
which is checked first, while segsort runs its network in float32 too. segsort is then measured with its default
settings, the others with the network in float32, as an exported network is usually served. LitServe and BentoML run
with one worker and with two that share the cores. All servers are started once and measured in turn. The engine called
in this process by one thread for each core is the upper bound for servers with the default settings.
"""

import argparse
import base64
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import orjson

from benchmarks.common import report
from benchmarks.running_service import ServiceStartError, free_port, start_service, stop
from benchmarks.serving import looped
from benchmarks.serving_app import WORKERS, answering
from benchmarks.serving_load import Target, closed_loop, latency, rate_of
from benchmarks.street_images import photographs
from model_store.cores import available_cores

SETTLE = 1.0  # seconds at the beginning that do not count
PATIENCE = 120.0  # maximum time of a start, seconds
_SPENT = ("p50_ms", "p99_ms")
SEGSORT = "segsort"
ALONE = "no server: called in process"
FLOAT32 = {"SEGSORT_PRECISION": "float32"}


class Server(NamedTuple):
    """A server. package: its package, None for segsort; command: command line for a port; target: its requests."""

    package: str | None
    workers: int
    command: Callable[[int], list[str]]
    target: Callable[[str, Sequence[bytes]], Target]


def _litserve(port: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.serving_litserve", "--port", str(port)]


def _bentoml(port: int) -> list[str]:
    tool = str(Path(sys.executable).with_name("bentoml"))
    return [tool, "serve", "benchmarks.serving_bentoml:Segment", "--host", "127.0.0.1", "--port", str(port)]


def _json(address: str, jpegs: Sequence[bytes]) -> Target:
    bodies = [orjson.dumps({"image": base64.b64encode(jpeg).decode()}) for jpeg in jpegs]
    return Target(f"{address}/predict", bodies, {"content-type": "application/json"})


def _raw(address: str, jpegs: Sequence[bytes]) -> Target:
    return Target(f"{address}/segment", jpegs)


SERVERS: Mapping[str, Server] = {
    SEGSORT: Server(None, 1, lambda port: [], _raw),
    "LitServe, 1 worker": Server("litserve", 1, _litserve, _json),
    "LitServe, 2 workers": Server("litserve", 2, _litserve, _json),
    "BentoML, 1 worker": Server("bentoml", 1, _bentoml, _raw),
    "BentoML, 2 workers": Server("bentoml", 2, _bentoml, _raw),
}


def start(server: Server, jpegs: Sequence[bytes], stack: ExitStack, settings: Mapping[str, str]) -> Target:
    """Start a server with its own data folder and settings of the engine, and wait until it answers.

    Raises:
        ServiceStartError: if it does not answer within PATIENCE.
    """
    data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    if server.package is None:
        process, address = start_service(data, patience=PATIENCE, settings=settings)
        stack.callback(stop, process)
        return server.target(address, jpegs)
    port = free_port()
    environment = {**os.environ, "SEGSORT_DATA_DIR": str(data), WORKERS: str(server.workers), **settings}
    log = stack.enter_context((data / "log").open("wb"))
    process = subprocess.Popen(
        server.command(port),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    stack.callback(_stop_all, process)
    target = server.target(f"http://127.0.0.1:{port}", jpegs)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.post(target.url, content=target.bodies[0], headers=dict(target.headers), timeout=60).is_success:
                return target
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise ServiceStartError((data / "log").read_text(errors="replace")[-3000:])


def _stop_all(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and all processes that it started, because some of them would keep running."""
    group = process.pid  # the process leads its own session
    stop(process)
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def comparable(answer: bytes) -> list[Any]:
    """The parts of an answer that do not change from request to request: class, area, mask, ... of each segment."""
    kept = ("class_name", "area", "bbox", "mask", "known", "exemplars")
    return [{name: segment[name] for name in kept} for segment in orjson.loads(answer)["segments"]]


def check_equal(targets: Mapping[str, Target]) -> None:
    """Compare the answers of all servers to all images.

    Raises:
        RuntimeError: if they differ.
    """
    answered: dict[str, list[Any]] = {}
    for name, target in targets.items():
        with httpx.Client(timeout=60) as client:
            answers = [client.post(target.url, content=body, headers=dict(target.headers)) for body in target.bodies]
        answered[name] = [comparable(answer.raise_for_status().content) for answer in answers]
    different = [name for name, found in answered.items() if found != answered[SEGSORT]]
    if different:
        raise RuntimeError(
            f"the answers of {different} differ from those of {SEGSORT}; serve the same release and code"
        )


def measure(
    targets: Mapping[str, Target], alone: Callable[[float], float], callers: int, seconds: float, rounds: int
) -> list[dict[str, Any]]:
    """Rows of the table, medians of the rounds; alone: images per second of the engine in this process, by duration."""
    rates: dict[str, list[float]] = {name: [] for name in [*targets, ALONE]}
    spent: dict[str, list[dict[str, float]]] = {name: [] for name in targets}
    bad = dict.fromkeys(targets, 0)
    for number in range(rounds):
        for name in list(rates)[:: 1 if number % 2 == 0 else -1]:
            if name == ALONE:
                rates[name].append(alone(seconds))
                continue
            replies = closed_loop(targets[name], callers, SETTLE + seconds)
            rates[name].append(rate_of(replies, SETTLE, SETTLE + seconds))
            spent[name].append(latency(replies))
            bad[name] += sum(reply.status != 200 for reply in replies)
    return [
        {
            "served by": name,
            "images a second": float(np.median(found)),
            "segsort's": float(np.median(np.divide(rates[SEGSORT], found))),
            **{at: float(np.median([one[at] for one in spent[name]])) if name in spent else "-" for at in _SPENT},
            "failed": bad.get(name, "-"),
        }
        for name, found in rates.items()
    ]


def main() -> None:
    """Start all servers, compare their answers, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--servers", nargs="+", choices=list(SERVERS), default=list(SERVERS))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    jpegs, versions, absent = photographs(), {}, {}
    with ExitStack() as stack:
        targets = {}
        for name in dict.fromkeys([SEGSORT, *arguments.servers]):
            package = SERVERS[name].package
            try:
                if package is not None:
                    versions[package] = version(package)
                targets[name] = start(SERVERS[name], jpegs, stack, {} if package is None else FLOAT32)
            except (PackageNotFoundError, ServiceStartError) as error:
                absent[name] = str(error) or type(error).__name__
                print(f"{name} is left out: {absent[name]}", file=sys.stderr)
        with ExitStack() as checking:
            check_equal(targets | {SEGSORT: start(SERVERS[SEGSORT], jpegs, checking, FLOAT32)})
        answer = answering(data=Path(stack.enter_context(tempfile.TemporaryDirectory())))

        def alone(seconds: float) -> float:
            return looped(answer, jpegs, available_cores(), seconds)

        alone(SETTLE)  # to warm up
        rows = measure(targets, alone, arguments.callers, arguments.seconds, arguments.rounds)
    details = {"callers": arguments.callers, "seconds": arguments.seconds, "rounds": arguments.rounds}
    report("serving_peers", rows, details | {"versions": versions, "absent": absent}, arguments.out)


if __name__ == "__main__":
    main()
