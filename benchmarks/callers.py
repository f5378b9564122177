"""What finding the caller of a request costs, and what a good caller notices of callers with wrong keys.

python -m benchmarks.callers [--seconds 10] [--attackers 16] [--out DIR]
"""

import argparse
import asyncio
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.common import report
from benchmarks.latency import photo
from benchmarks.running_service import running_service
from service.http.callers.callers import Callers
from service.http.identified import Identified
from service.http.keys import new_key
from service.records.schema_version import open_database
from service.settings import Settings

ROUNDS, CALLS = 9, 3000
HEADERS = [(b"host", b"x"), (b"content-type", b"image/jpeg"), (b"content-length", b"100"), (b"accept", b"*/*")]
LIMITS: dict[str, Any] = {"images_per_minute": 10**9, "images_per_day": 10**9, "pixels_per_day": 10**12}


def costs() -> list[dict[str, Any]]:
    """Microseconds of processor time that the middleware adds to a request, the least of several rounds."""
    secrets = [new_key(f"n{n}", "reader") for n in range(1000)]
    one, all_keys = secrets[0][1].line, ",".join(key.line for _, key in secrets)
    bearer = (b"authorization", b"Bearer " + secrets[0][0].encode())
    database = open_database("sqlite://")
    token = Callers(Settings(api_keys=one), database).sessions.begin(secrets[0][1])
    cookie = (b"cookie", f"segsort_session={token}".encode())
    ways = {
        "without keys": (Settings(), []),
        "a key": (Settings(api_keys=one), [bearer]),
        "one key of 1000": (Settings(api_keys=all_keys), [bearer]),
        "a session": (Settings(api_keys=one), [cookie]),
        "a key with all limits": (Settings(api_keys=one, **LIMITS), [bearer]),
    }
    rows = []
    for name, (settings, headers) in ways.items():
        added = asyncio.run(_added(Identified(_answer, Callers(settings, database)), HEADERS + headers))
        rows.append({"caller": name, "microseconds": added * 1e6})
    return rows


async def _added(middleware: ASGIApp, headers: list[tuple[bytes, bytes]]) -> float:
    async def seconds(app: ASGIApp) -> float:
        started = time.process_time()
        for _ in range(CALLS):
            scope = {"type": "http", "method": "POST", "path": "/segment", "client": ("192.0.2.1", 1)}
            await app({**scope, "headers": headers}, _receive, _send)
        return (time.process_time() - started) / CALLS

    found = [(await seconds(_answer), await seconds(middleware)) for _ in range(ROUNDS)]
    return min(with_it for _, with_it in found) - min(without for without, _ in found)


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _receive() -> Message:
    return {"type": "http.request"}


async def _send(message: Message) -> None:
    pass


@contextmanager
def wrong_keys(port: int, attackers: int) -> Iterator[Counter[int]]:
    """Send wrong keys as fast as they are answered, each attacker with a connection of its own; yields the statuses."""
    answered: Counter[int] = Counter()
    stop = threading.Event()

    def attack(number: int) -> None:
        with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as client:
            while not stop.is_set():
                client.request("GET", "/classes", headers={"Authorization": f"Bearer wrong-{number}"})
                answer = client.getresponse()
                answer.read()
                answered[answer.status] += 1

    threads = [threading.Thread(target=attack, args=(n,)) for n in range(attackers)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def good_caller(port: int, secret: str, jpeg: bytes, seconds: float) -> dict[str, Any]:
    """Answers a second to one caller with a right key, and the 99th percentile of /livez in milliseconds."""
    answers, probes, end = 0, [], time.monotonic() + seconds
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as client:
        while time.monotonic() < end:
            client.request("POST", "/segment", jpeg, {"Content-Type": "image/jpeg", "X-API-Key": secret})
            answer = client.getresponse()
            answer.read()
            answers += answer.status == 200
            began = time.perf_counter()
            client.request("GET", "/livez")
            client.getresponse().read()
            probes.append(time.perf_counter() - began)
    return {"answers_per_s": answers / seconds, "livez_p99_ms": float(np.percentile(probes, 99) * 1000)}


def main() -> None:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--attackers", type=int, default=16)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    report("callers_cost", costs(), {}, asked.out)
    secret, key = new_key("good", "reader")
    os.environ["SEGSORT_API_KEYS"] = key.line
    rows, statuses = [], Counter[int]()
    with tempfile.TemporaryDirectory() as data, running_service(Path(data), patience=240) as address:
        port, jpeg = int(address.rsplit(":", 1)[1]), photo(None)
        good_caller(port, secret, jpeg, 2)
        for _ in range(3):
            rows.append({"beside": "nothing", **good_caller(port, secret, jpeg, asked.seconds)})
            with wrong_keys(port, asked.attackers) as answered:
                rows.append({"beside": "wrong keys", **good_caller(port, secret, jpeg, asked.seconds)})
            statuses += answered
    report("callers_wrong_keys", rows, {"attackers": asked.attackers, "statuses": dict(statuses)}, asked.out)
    print(f"wrong keys were answered with {dict(statuses)}")


if __name__ == "__main__":
    main()
