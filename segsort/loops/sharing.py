"""How threads share one compiled loop: the protocol, and its atomic counters.

The work is cut into pieces 0..n-1, and several threads run the loop at once, each with its own number. Thread 0 is the
caller's thread. Each step of the work has its own counters, which start at 0. The protocol has four rules:

1. Claim a piece. `add(counters, TAKEN, 1)` returns the next piece. A thread stops when this number is n or more. A
   thread that starts late, or never, delays no other thread.
2. Allocate first. A thread allocates its memory before its first piece of a step. Afterwards it cannot fail, so that
   other threads may wait for that piece.
3. Count finished pieces, where a later step needs all results. A thread adds 1 to `DONE` after each piece. Then
   `wait(counters, DONE, n)` returns when all pieces are finished. Only claimed pieces are ever waited for.
4. Steps of the leader. Thread 0 alone runs some steps, such as the M-step, and the others wait for them. If any thread
   fails, `share` calls the loop's `stop`. It marks the work as stopped, and then advances the counter that threads wait
   for. Each thread checks the mark after such a wait, and returns.

A loop by the rules 1 to 3:

    scratch = np.empty(...)                # rule 2
    piece = add(counters, TAKEN, 1)        # rule 1
    while piece < n:
        ...                                # the work of this piece, in `scratch`
        add(counters, DONE, 1)             # rule 3
        piece = add(counters, TAKEN, 1)
    wait(counters, DONE, n)                # where results of other threads are needed

Run a loop that uses rule 4 with `share`, and any other with `threads.together`.

Counters are sequentially consistent. A thread that sees an addition also sees all earlier writes of the thread that
added.
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

LINE = 8  # numbers from one counter to the next: each has its own cache line, to avoid false sharing
_SPINS = 2000  # reads of a counter before a waiting thread yields its core
_YIELDS = hasattr(os, "sched_yield")


def counters(count: int) -> np.ndarray:
    """An array of `count` counters, all zero: [count * LINE] int64."""
    return np.zeros(count * LINE, dtype=np.int64)


def share(work: Callable[[int], None], count: int, stop: Callable[[], None]) -> None:
    """Run `work(number)` in `count` threads which may wait for steps of thread 0 (rule 4).

    Args:
        work: a compiled loop that keeps the protocol.
        count: number of threads.
        stop: marks the work as stopped and ends all waits for thread 0. It is called after a failure.
    """

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException:
            stop()
            raise

    threads.together(run, count)


_declared: Any = cgutils.get_or_insert_function


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Address of element `arguments[1]` of the array `arguments[0]`."""
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


def _generate_yield_core(typing_context: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if _YIELDS:
            kind = ir.FunctionType(ir.IntType(32), [])
            builder.call(_declared(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), generate


_add: Any = intrinsic(_generate_add)
_read: Any = intrinsic(_generate_read)
_yield_core: Any = intrinsic(_generate_yield_core)


@loop()
def add(counters: Any, number: int, value: int) -> Any:
    """Add a value to a counter, atomically; returns the value before."""
    return _add(counters, number * LINE, value)


@loop()
def read(counters: Any, number: int) -> Any:
    """Read a counter, atomically."""
    return _read(counters, number * LINE)


@loop()
def wait(counters: Any, number: int, least: int) -> None:
    """Wait until a counter is at least `least`: spin, and after a while yield the core between two reads."""
    spins = 0
    while _read(counters, number * LINE) < least:
        spins += 1
        if spins > _SPINS:
            _yield_core()
