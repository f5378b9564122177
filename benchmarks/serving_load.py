"""Load generators for a service on this machine: a closed loop of waiting callers, or arrivals at a constant rate."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import numpy as np

MOST_CALLERS = 64
MOST_ARRIVALS = 20_000
LONGEST = 900.0  # seconds
HERE = ("127.0.0.1", "localhost")


class Reply(NamedTuple):
    """start, end: seconds since the load began; status: HTTP status, 0 if the connection failed."""

    start: float
    end: float
    status: int

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Target:
    """A URL and the request bodies, which are sent in turn.

    Raises:
        ValueError: if the URL is not on this machine, or there are no bodies.
    """

    url: str
    bodies: Sequence[bytes]
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "image/jpeg"})

    def __post_init__(self) -> None:
        if urlsplit(self.url).hostname not in HERE or not self.bodies:
            raise ValueError(
                f"url={self.url!r} with {len(self.bodies)} bodies: the host must be this machine "
                f"({' or '.join(HERE)}), and there must be at least one body"
            )


def closed_loop(target: Target, callers: int, seconds: float) -> list[Reply]:
    """Replies to callers that each send the next request as soon as the last is answered, for some seconds.

    Raises:
        ValueError: if the number of callers or the time is above the limit of this machine.
    """
    if not 1 <= callers <= MOST_CALLERS or not 0 < seconds <= LONGEST:
        raise ValueError(
            f"callers={callers}, seconds={seconds}: choose 1 to {MOST_CALLERS} callers and at most {LONGEST:.0f} s"
        )
    return asyncio.run(_closed_loop(target, callers, seconds))


def open_loop(target: Target, rate: float, seconds: float, patience: float = 60) -> list[Reply]:
    """Replies to requests that arrive at a constant rate per second, whether earlier ones are answered or not.

    It waits for all replies, at most `patience` seconds after the last arrival.

    Raises:
        ValueError: if the rate or the time is above the limit of this machine.
    """
    if rate <= 0 or not 0 < seconds <= LONGEST or rate * seconds > MOST_ARRIVALS:
        raise ValueError(
            f"rate={rate}, seconds={seconds}: choose a rate above 0, at most {LONGEST:.0f} s and at most "
            f"{MOST_ARRIVALS} arrivals in all"
        )
    return asyncio.run(_open_loop(target, rate, seconds, patience))


def rate_of(replies: Sequence[Reply], first: float, last: float) -> float:
    """Successful answers per second between `first` and `last`, seconds since the load began."""
    return sum(reply.status == 200 and first <= reply.end < last for reply in replies) / (last - first)


def latency(replies: Sequence[Reply]) -> dict[str, float]:
    """Median and 99th percentile of the times of successful answers, milliseconds; NaN if there are none."""
    good = [reply.seconds * 1000 for reply in replies if reply.status == 200] or [float("nan")]
    return {"p50_ms": float(np.percentile(good, 50)), "p99_ms": float(np.percentile(good, 99))}


async def _closed_loop(target: Target, callers: int, seconds: float) -> list[Reply]:
    replies: list[Reply] = []
    started = time.perf_counter()
    async with _client(callers) as client:

        async def call(caller: int) -> None:
            turn = caller
            while time.perf_counter() - started < seconds:
                replies.append(await _ask(client, target, turn, started))
                turn += callers

        await asyncio.gather(*(call(caller) for caller in range(callers)))
    return replies


async def _open_loop(target: Target, rate: float, seconds: float, patience: float) -> list[Reply]:
    started = time.perf_counter()
    async with _client(0) as client:
        tasks = []
        for n in range(max(1, int(rate * seconds))):
            await asyncio.sleep(max(0.0, n / rate - (time.perf_counter() - started)))
            tasks.append(asyncio.create_task(_ask(client, target, n, started)))
        done, late = await asyncio.wait(tasks, timeout=patience)
        for task in late:
            task.cancel()
        now = time.perf_counter() - started
        return [task.result() for task in done] + [Reply(now - patience, now, 0) for _ in late]


async def _ask(client: aiohttp.ClientSession, target: Target, turn: int, began: float) -> Reply:
    start, status = time.perf_counter() - began, 0
    try:
        body = target.bodies[turn % len(target.bodies)]
        async with client.post(target.url, data=body, headers=target.headers) as answer:
            await answer.read()
            status = answer.status
    except aiohttp.ClientError:
        pass
    return Reply(start, time.perf_counter() - began, status)


@asynccontextmanager
async def _client(connections: int) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections), timeout=timeout) as client:
        yield client
