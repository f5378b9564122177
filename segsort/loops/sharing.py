"""How threads share the work of one compiled loop: the protocol, and the atomic counters that it uses.

All threads run the same loop over the same arrays, each with its own number. Thread 0 is the caller's and leads. The
protocol has four rules:

1. Take pieces. A thread takes the next piece of the work by adding 1 to a counter, and stops when the counter is past
   the last piece. A thread that starts late, or never, leaves its pieces to the others.
2. Take room first. A thread allocates all memory that it needs before it takes its first piece. A thread that has taken
   a piece cannot fail, so others may wait for the piece.
3. Count done. After each piece a thread adds 1 to a second counter. Where all pieces must be done before the next step,
   threads wait until this counter has reached their number. Nobody waits for a thread, only for pieces that were taken.
4. Leave on failure. Where threads wait for a step of the leader, a thread that fails before its first piece lets them
   go: `share` calls the loop's `leave`, which marks the work as given up and counts the step as done.

An add is sequentially consistent. A thread that reads a counter sees everything that was written before the adds.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from segsort.loops import threads
from segsort.loops.cache import loop

LINE = 8  # numbers from one counter to the next: each has its own line of memory, so that they do not slow each other
_SPINS = 2000  # reads of a counter before a waiting thread yields its core
_YIELDS = hasattr(os, "sched_yield")


def counters(count: int) -> np.ndarray:
    """So many counters, all zero: [count * LINE] int64."""
    return np.zeros(count * LINE, dtype=np.int64)


def share(work: Callable[[int], None], count: int, leave: Callable[[], None]) -> None:
    """Run `work(number)` in `count` threads which may wait for each other (rule 4).

    Args:
        work: a compiled loop that keeps the protocol.
        count: number of threads.
        leave: lets the threads end that wait for one that has failed.
    """

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException:
            leave()
            raise

    threads.together(run, count)


_declared: Any = cgutils.get_or_insert_function


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


def _generate_add(typing_context: Any, counters: Any, at: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature, arguments)
        return builder.atomic_rmw("add", place, arguments[2], "seq_cst")

    return types.int64(counters, types.intp, types.int64), generate


def _generate_read(typing_context: Any, counters: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_place(context, builder, signature, arguments), "seq_cst", 8)

    return types.int64(counters, types.intp), generate


def _generate_leave_core(typing_context: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if _YIELDS:
            kind = ir.FunctionType(ir.IntType(32), [])
            builder.call(_declared(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), generate


_add: Any = intrinsic(_generate_add)
_read: Any = intrinsic(_generate_read)
_leave_core: Any = intrinsic(_generate_leave_core)


@loop()
def add(counters: Any, number: int, value: int) -> Any:
    """Add to a counter of an array of `counters`; returns its value before."""
    return _add(counters, number * LINE, value)


@loop()
def read(counters: Any, number: int) -> Any:
    """Value of a counter."""
    return _read(counters, number * LINE)


@loop()
def wait(counters: Any, number: int, least: int) -> None:
    """Wait until a counter is at least `least`: for pieces that other threads have taken, which end soon."""
    spins = 0
    while _read(counters, number * LINE) < least:
        spins += 1
        if spins > _SPINS:
            _leave_core()
