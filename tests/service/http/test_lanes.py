"""Lanes: how many requests of a kind run, wait, and are refused."""

import asyncio
from collections import deque
from typing import Any

import pytest

from service.http.budgets import LaneBudget
from service.http.lanes import Lane
from service.problems import CallerLeft, Problem


async def never() -> Any:
    await asyncio.Event().wait()


def lane(at_once: int = 2, waiting: int = 2, deadline: float = 20.0) -> Lane:
    return Lane("quick", LaneBudget(at_once, waiting, 1, "for a test"), deadline)


def test_requests_run_in_their_order_and_no_more_than_allowed_at_once() -> None:
    async def main() -> None:
        one, order, most = lane(at_once=3, waiting=50), list[int](), 0

        async def ask(n: int) -> None:
            nonlocal most
            began = await one.enter(never)
            order.append(n)
            most = max(most, one.running)
            await asyncio.sleep(0.001)
            one.leave(began)

        await asyncio.gather(*(ask(n) for n in range(30)))
        assert order == list(range(30))
        assert most == 2
        assert (one.running, one.waiting) == (0, 0)

    asyncio.run(main())


def test_one_more_than_may_wait_is_refused_with_429_and_a_time() -> None:
    async def main() -> None:
        one = lane(at_once=1, waiting=1)
        began = await one.enter(never)
        waiting = asyncio.create_task(one.enter(never))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="1 at once and 1 waiting") as raised:
            await one.enter(never)
        assert raised.value.status == 429
        assert int(raised.value.headers["Retry-After"]) >= 1
        one.leave(began)
        one.leave(await waiting)
        assert (one.running, one.waiting, one.refused) == (0, 0, {"queue_full": 1})

    asyncio.run(main())


def test_a_wait_ends_at_the_deadline_with_429() -> None:
    async def main() -> None:
        one = lane(at_once=1, deadline=0.02)
        began = await one.enter(never)
        with pytest.raises(Problem) as raised:
            await one.enter(never)
        assert raised.value.status == 429
        one.leave(began)
        assert (one.running, one.waiting, one.refused) == (0, 0, {"deadline": 1})

    asyncio.run(main())


def test_a_caller_that_leaves_loses_its_place() -> None:
    async def main() -> None:
        one, messages = lane(at_once=1), [{"type": "http.request"}, {"type": "http.disconnect"}]

        async def leaving() -> Any:
            await asyncio.sleep(0)
            return messages.pop(0)

        began = await one.enter(never)
        with pytest.raises(CallerLeft):
            await one.enter(leaving)
        one.leave(began)
        assert (one.running, one.waiting) == (0, 0)

    asyncio.run(main())


def test_a_cancelled_wait_gives_its_turn_to_the_next() -> None:
    async def main() -> None:
        one = lane(at_once=1)
        began = await one.enter(never)
        first, second = (asyncio.create_task(one.enter(never)) for _ in range(2))
        await asyncio.sleep(0.01)
        one.leave(began)  # the turn of the first, which does not know it yet
        first.cancel()
        one.leave(await asyncio.wait_for(second, 5))
        assert (one.running, one.waiting) == (0, 0)

    asyncio.run(main())


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_callers_take_turns_however_many_requests_one_of_them_has() -> None:
    async def main() -> None:
        one, order = lane(at_once=1, waiting=50), list[str]()

        async def ask(caller: str) -> None:
            turn = await one.enter(never, caller)
            order.append(caller)
            await asyncio.sleep(0.001)
            one.leave(turn)

        await asyncio.gather(*(ask("many") for _ in range(20)), *(ask(name) for name in "abcab"))
        assert sorted(order[:6]) == ["a", "b", "c", "many", "many", "many"] or sorted(order[:5]) == [
            "a", "b", "c", "many", "many",
        ]  # fmt: skip
        assert order.index("c") < 6
        assert [n for n, name in enumerate(order) if name in "ab"][-1] < 9
        assert (one.running, one.waiting) == (0, 0)

    asyncio.run(main())


def test_the_last_place_is_for_another_caller() -> None:
    async def main() -> None:
        one = lane(at_once=3, waiting=50)
        asked = [asyncio.create_task(one.enter(never, "slow")) for _ in range(3)]
        await settled()
        assert (one.running, one.waiting) == (2, 1)
        other = await asyncio.wait_for(one.enter(never, "other"), 5)
        assert (one.running, one.waiting) == (3, 1)
        one.leave(other)
        await settled()
        assert (one.running, one.waiting) == (2, 1), "its place is not for the first caller either"
        for task in asked:
            one.leave(await asyncio.wait_for(task, 5))
        assert (one.running, one.waiting) == (0, 0)

    asyncio.run(main())


def test_in_a_full_queue_the_caller_with_the_most_loses_its_last_request_to_another() -> None:
    async def main() -> None:
        one = lane(at_once=1, waiting=4)
        first = await one.enter(never, "many")
        many = [asyncio.create_task(one.enter(never, "many")) for _ in range(4)]
        await settled()
        few = asyncio.create_task(one.enter(never, "few"))
        await settled()
        with pytest.raises(Problem) as raised:
            await many[3]
        assert raised.value.status == 429
        assert one.refused == {"displaced": 1}
        with pytest.raises(Problem):
            await one.enter(never, "many")
        for task in [many[0], few, *many[1:3]]:
            one.leave(first)
            first = await asyncio.wait_for(task, 5)
        one.leave(first)
        assert (one.running, one.waiting) == (0, 0)

    asyncio.run(main())


def test_waiting_requests_are_counted_in_another_thread_while_another_caller_begins_to_wait() -> None:
    """The metrics are read in a thread of their own."""
    one = lane()

    class Queue(deque[Any]):
        def __len__(self) -> int:
            one._queues.setdefault("new", deque([None]))
            return 1

    one._queues |= {"first": Queue(), "second": deque([None])}
    assert one.waiting == 2
    assert one.waiting == 3
