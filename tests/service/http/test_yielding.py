"""Yielding: heavy requests take turns beside images, and run as they wish without them."""

import asyncio
import time
from typing import Any

from service.http import yielding as module
from service.http.budgets import LaneBudget
from service.http.lanes import Lane
from service.http.yielding import SHARE, Yielding

WORK_S = 0.02


async def never() -> Any:
    await asyncio.Event().wait()


def lanes(yielding: Yielding, count: int = 2) -> list[Lane]:
    return [Lane(f"heavy {n}", LaneBudget(8, 100, 1, "for a test", "reads"), 20.0, yielding) for n in range(count)]


async def asked(several: list[Lane], each: int) -> tuple[int, list[int]]:
    """Let many requests run. Returns how many ran at the same time at most, and the lanes in the order of turns."""
    most, running, order = 0, 0, list[int]()

    async def ask(n: int) -> None:
        nonlocal most, running
        turn = await several[n].enter(never)
        running += 1
        most = max(most, running)
        order.append(n)
        await asyncio.sleep(WORK_S)
        running -= 1
        several[n].leave(turn)

    await asyncio.gather(*(ask(n) for n in range(len(several)) for _ in range(each)))
    assert [(one.running, one.waiting) for one in several] == [(0, 0)] * len(several)
    return most, order


def test_without_images_heavy_requests_run_side_by_side() -> None:
    yielding = Yielding()
    most, _ = asyncio.run(asked(lanes(yielding), 5))
    assert most == 10
    assert yielding.postponed == 0


def test_beside_images_one_runs_at_a_time_and_rests_and_lanes_take_turns() -> None:
    yielding = Yielding(lambda: True)
    began = time.monotonic()
    most, order = asyncio.run(asked(lanes(yielding), 4))
    assert most == 1
    assert time.monotonic() - began >= 7 * WORK_S / SHARE
    assert [sorted(order[n : n + 2]) for n in (1, 3, 5)] == [[0, 1]] * 3, "after the first, which found no other"
    assert yielding.running == 0
    assert yielding.postponed > 0


def test_they_run_side_by_side_again_when_the_images_are_done() -> None:
    engaged = True

    async def main() -> float:
        nonlocal engaged
        several = lanes(Yielding(lambda: engaged))
        asking = asyncio.create_task(asked(several, 6))
        await asyncio.sleep(0.05)
        engaged = False
        began = time.monotonic()
        most, _ = await asyncio.wait_for(asking, 20)
        assert most > 1
        return time.monotonic() - began

    assert asyncio.run(main()) < 10 * (module._LINGER_S + WORK_S)


def test_a_single_request_beside_images_does_not_wait() -> None:
    async def main() -> None:
        yielding = Yielding(lambda: True)
        one = lanes(yielding)[0]
        one.leave(await asyncio.wait_for(one.enter(never), 20))
        assert yielding.postponed == 0

    asyncio.run(main())
