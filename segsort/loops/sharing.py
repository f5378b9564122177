"""Work that threads share inside compiled loops: counters that several of them change at once.

Each thread takes the next piece of the work by adding to a counter, until none is left. Nobody waits for a thread that
has not begun, so that one that starts late, or never, only leaves more to the others.
"""

import os
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 8  # numbers of a counter's own line of memory, so that counters do not slow each other
_SPINS = 2000  # looks at a counter before the core is left to others
_YIELDS = hasattr(os, "sched_yield")


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


@njit(cache=True, nogil=True)
def add(counters: Any, number: int, value: int) -> Any:
    """Add to a counter, of an int64 array with `LINE` numbers for each: what it was before."""
    return _add(counters, number * LINE, value)


@njit(cache=True, nogil=True)
def read(counters: Any, number: int) -> Any:
    """What a counter is; all that a thread wrote before it added to it can be seen now."""
    return _read(counters, number * LINE)


@njit(cache=True, nogil=True)
def wait(counters: Any, number: int, least: int) -> None:
    """Wait until a counter is at least so much: for work that another thread is at, which ends soon."""
    spins = 0
    while _read(counters, number * LINE) < least:
        spins += 1
        if spins > _SPINS:
            _leave_core()
