"""The queue, tested without a service on its own event loop. Callers stay in the engine until a test releases them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from service.answering.admission import Admission
from service.answering.fair_queue import FairQueue, Flow
from service.problems import CallerLeft, Problem

Message = dict[str, Any]


class Caller:
    """Sends one image, and may cancel."""

    def __init__(self, admission: Admission, pixels: int = 100, flow: Flow = Flow()) -> None:  # noqa: B008
        self.inside, self.gone, self._end = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.waited: float | None = None
        self.task = asyncio.ensure_future(self._ask(admission, pixels, flow))

    async def _ask(self, admission: Admission, pixels: int, flow: Flow) -> None:
        async with admission.admitted(pixels, self._receive, flow=flow) as self.waited:
            self.inside.set()
            await self._end.wait()

    async def _receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def end(self) -> None:
        self._end.set()
        await self.task


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 10))

    run.__name__ = test.__name__
    return run


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def admission(**options: Any) -> Admission:
    return Admission(**{"queue_pixels": 300, "deadline": 30.0, "least": 1, "at_once": 1, **options})


async def refusal(task: Awaitable[None]) -> Problem:
    with pytest.raises(Problem) as refused:
        await task
    return refused.value


@on_a_loop
async def test_images_take_their_turns_in_the_order_of_arrival() -> None:
    queue = admission(at_once=2)
    callers = [Caller(queue) for _ in range(5)]
    await settled()
    assert [c.inside.is_set() for c in callers] == [True, True, False, False, False]
    assert (queue.running, queue.length, queue.pixels) == (2, 3, 300)
    for n in (1, 0, 2, 3, 4):
        await callers[n].end()
        await settled()
    assert all(c.inside.is_set() for c in callers)
    assert (queue.running, queue.length) == (0, 0)


@on_a_loop
async def test_no_more_pixels_are_in_the_engine_than_it_has_memory_for() -> None:
    queue = admission(at_once=4, engine_pixels=250)
    small, large, after = Caller(queue), Caller(queue, 200), Caller(queue)
    await settled()
    assert [c.inside.is_set() for c in (small, large, after)] == [True, False, False]  # and nobody overtakes
    await small.end()
    await settled()
    assert [c.inside.is_set() for c in (large, after)] == [True, False]
    await large.end()
    huge = Caller(queue, 10_000)
    await settled()
    assert [c.inside.is_set() for c in (after, huge)] == [True, False]
    await after.end()
    await settled()
    assert huge.inside.is_set()  # alone
    await huge.end()


@on_a_loop
async def test_a_full_queue_refuses_and_says_when_to_come_again() -> None:
    queue = admission()
    queue.pace.add(100, 1.0)  # each takes a second
    callers = [Caller(queue) for _ in range(4)]  # one runs, three wait
    await settled()
    refused = await refusal(Caller(queue).task)
    assert refused.status == 429
    assert refused.headers["Retry-After"] in ("4", "5")
    assert queue.refused == {"queue_full": 1}
    await callers[0].end()
    await settled()
    callers.append(Caller(queue))  # there is room again
    for caller in callers[1:]:
        await caller.end()


@on_a_loop
async def test_an_image_larger_than_the_queue_is_let_in_where_nobody_waits() -> None:
    queue = admission()
    first, large = Caller(queue), Caller(queue, 10_000)
    await settled()
    assert (await refusal(Caller(queue, 1).task)).status == 429
    await first.end()
    await settled()
    assert large.inside.is_set()
    await large.end()


@on_a_loop
async def test_small_images_count_as_more_than_their_pixels() -> None:
    queue = admission(least=150)
    callers = [Caller(queue, 1) for _ in range(3)]
    await settled()
    assert queue.pixels == 300
    assert (await refusal(Caller(queue, 1).task)).status == 429
    for caller in callers:
        await caller.end()


@on_a_loop
async def test_what_cannot_make_its_deadline_is_refused_at_once() -> None:
    queue = admission(queue_pixels=10_000, deadline=2.5)
    queue.pace.add(100, 1.0)
    callers = [Caller(queue) for _ in range(3)]
    await settled()
    refused = await refusal(Caller(queue).task)
    assert refused.status == 429
    assert queue.refused == {"too_late": 1}
    for caller in callers:
        await caller.end()


@on_a_loop
async def test_what_waited_past_the_deadline_is_answered_and_never_begun() -> None:
    queue = admission(deadline=0.05)
    running, late = Caller(queue), Caller(queue)
    refused = await refusal(late.task)
    assert refused.status == 504
    assert not late.inside.is_set()
    assert (queue.running, queue.length, queue.refused) == (1, 0, {"deadline": 1})
    await running.end()
    assert queue.running == 0


@on_a_loop
async def test_a_caller_that_left_is_skipped() -> None:
    queue = admission()
    first, leaving, last = Caller(queue), Caller(queue), Caller(queue)
    await settled()
    leaving.gone.set()
    with pytest.raises(CallerLeft):
        await leaving.task
    await first.end()
    await settled()
    assert last.inside.is_set()
    assert not leaving.inside.is_set()
    assert queue.refused == {"caller_left": 1}
    await last.end()


@on_a_loop
async def test_a_turn_that_comes_when_the_caller_is_gone_goes_to_the_next() -> None:
    queue = admission()
    first, leaving, last = Caller(queue), Caller(queue), Caller(queue)
    await settled()
    leaving.gone.set()
    await first.end()
    with pytest.raises(CallerLeft):
        await leaving.task
    await settled()
    assert last.inside.is_set()
    await last.end()
    assert queue.running == 0


@on_a_loop
async def test_a_request_that_is_cancelled_or_fails_gives_its_turn_back() -> None:
    queue = admission()
    first, cancelled, last = Caller(queue), Caller(queue), Caller(queue)
    await settled()
    cancelled.task.cancel()
    first.task.cancel()
    await asyncio.wait({cancelled.task, first.task})
    await settled()
    assert last.inside.is_set()
    await last.end()
    assert (queue.running, queue.length) == (0, 0)
    assert queue.pace.seconds(100) > 0  # the one that was answered
    with pytest.raises(ZeroDivisionError):
        async with queue.admitted(100, last._receive):
            raise ZeroDivisionError
    assert queue.running == 0


@on_a_loop
async def test_the_pace_is_that_of_the_machine_however_many_run_at_once() -> None:
    now = 0.0
    queue = admission(at_once=2, clock=lambda: now)
    pair = [Caller(queue), Caller(queue)]
    await settled()
    now = 2.0  # both took two seconds, side by side: one second each
    for caller in pair:
        await caller.end()
    assert queue.pace.seconds(100) == pytest.approx(1.0)
    alone = Caller(queue)
    await settled()
    now = 2.25
    assert queue.seconds_ahead() == pytest.approx(0.75)
    await alone.end()
    assert queue.pace.seconds(100) == pytest.approx((1 + 1 + 0.25) / 3)  # it counts from its own entrance


@on_a_loop
async def test_an_image_that_fails_has_used_its_share_of_the_machine() -> None:
    now = 0.0
    queue = admission(at_once=2, clock=lambda: now)
    failing, other = Caller(queue), Caller(queue)
    await settled()
    now = 2.0  # two seconds side by side: one second each
    failing.task.cancel()
    await asyncio.wait({failing.task})
    now = 3.0  # and one second alone
    await other.end()
    assert queue.pace.seconds(100) == pytest.approx(2.0)


MANY, FEW = Flow("many"), Flow("few")


async def ended(callers: list[Caller]) -> None:
    for caller in callers:
        caller._end.set()
    await asyncio.gather(*(caller.task for caller in callers))


@on_a_loop
async def test_a_new_flow_waits_for_one_image_of_another_however_many_that_has() -> None:
    queue = admission(queue_pixels=10_000)
    many = [Caller(queue, flow=MANY) for _ in range(10)]
    await settled()
    few = [Caller(queue, flow=FEW) for _ in range(2)]
    await settled()
    order = list[str]()
    waiting = {"few": few, "many": many}
    for _ in range(6):
        for name, callers in waiting.items():
            inside = next((one for one in callers if one.inside.is_set()), None)
            if inside is not None:
                order.append(name)
                callers.remove(inside)
                await inside.end()
                await settled()
                break
    assert order == ["many", "few", "many", "few", "many", "many"]
    await ended(many)
    assert (queue.running, queue.length) == (0, 0)


@on_a_loop
async def test_flows_take_turns_by_their_pixels_and_weights() -> None:
    queue = admission(queue_pixels=10_000)
    first = Caller(queue)
    await settled()
    flows = {"large": (Flow("large"), 300), "small": (Flow("small"), 100), "heavy": (Flow("heavy", weight=3.0), 300)}
    callers = {name: [Caller(queue, pixels, flow) for _ in range(9)] for name, (flow, pixels) in flows.items()}
    await settled()
    await first.end()
    begun = dict.fromkeys(flows, 0)
    for _ in range(14):
        await settled()
        name, inside = next((n, one) for n, each in callers.items() for one in each if one.inside.is_set())
        begun[name] += 1
        callers[name].remove(inside)
        await inside.end()
    assert begun == {"large": 2, "small": 6, "heavy": 6}
    await ended([one for each in callers.values() for one in each])


@on_a_loop
async def test_a_full_queue_drops_the_last_image_of_the_flow_with_the_most_for_another() -> None:
    queue = admission()
    many = [Caller(queue, flow=MANY) for _ in range(4)]  # one runs, three wait
    await settled()
    few = Caller(queue, flow=FEW)
    assert (await refusal(many[3].task)).status == 429
    assert queue.refused == {"displaced": 1}
    assert (await refusal(Caller(queue, flow=MANY).task)).status == 429
    assert (queue.length, queue.refused["queue_full"]) == (3, 1)
    await ended([many[0], many[1], few, many[2]])
    assert (queue.running, queue.length) == (0, 0)


@on_a_loop
async def test_one_flow_leaves_a_place_and_pixels_to_others() -> None:
    queue = admission(queue_pixels=10_000, at_once=3, of_a_flow=2, engine_pixels=600, flow_pixels=300)
    many = [Caller(queue, flow=MANY) for _ in range(4)]
    await settled()
    assert [one.inside.is_set() for one in many] == [True, True, False, False]
    few = Caller(queue, 300, flow=FEW)
    await settled()
    assert few.inside.is_set()
    await few.end()
    large = [Caller(queue, 300, flow=Flow("large")) for _ in range(2)]
    await settled()
    assert [one.inside.is_set() for one in large] == [True, False]
    await ended([*many, *large])


@on_a_loop
async def test_the_backlog_of_one_flow_makes_no_other_too_late() -> None:
    queue = admission(queue_pixels=10_000, deadline=2.5)
    queue.pace.add(100, 1.0)
    many = [Caller(queue, flow=MANY) for _ in range(3)]
    await settled()
    assert (await refusal(Caller(queue, flow=MANY).task)).status == 429
    few = Caller(queue, flow=FEW)
    await ended([many[0], few, *many[1:]])
    assert queue.refused == {"too_late": 1}


@on_a_loop
async def test_only_urgent_images_engage_the_engine() -> None:
    queue = admission()
    job = Caller(queue, flow=Flow("jobs", urgent=False))
    await settled()
    assert (queue.running, queue.engaged) == (1, False)
    other = Caller(queue, flow=FEW)
    await settled()
    assert queue.engaged
    await job.end()
    await other.end()
    assert not queue.engaged


def test_work_that_is_not_wanted_any_more_costs_its_flow_nothing() -> None:
    queue = FairQueue[str]()
    gone = queue.add("gone", FEW, 1000)
    queue.discard(gone)
    assert queue.start_of(FEW) == gone.start
    assert [one.work for one in queue] == []
