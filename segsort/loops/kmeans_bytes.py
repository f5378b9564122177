"""Spherical k-means whose E-step compares in eight bits, for processors that multiply bytes (AVX-512 VNNI).

Rows and means are rounded to bytes -127..127, scaled so that 127 is the largest number in them. Their products are
added in whole numbers: four times as many at once as in float32, and equal on every such processor. Means are still
computed from the float32 rows. Rounding changes only assignments between means that are almost equally near.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from segsort.loops.blocks import PIECE
from segsort.loops.cache import loop
from segsort.loops.kmeans import FIRST, MOVED, OPENED, Sorting, add_pieces, gather, is_open, means, stop
from segsort.loops.sharing import add, share

LANES = 16  # numbers of 32 bits in a vector
ROWS = 2 * LANES  # rows that are compared with the means at once
MEANS = 6  # means that they are compared with at once: so many sums fit into registers
NEVER = -(1 << 30)  # less than any product
LARGEST = 127  # the largest byte


class ByteSorting(NamedTuple):
    """Arrays that threads share while they sort N rows in eight bits.

    G is `words(D)`, and K' is K rounded up to a multiple of `MEANS`.

    Attributes:
        floats: rows, labels, means and sums.
        packed: [N/ROWS, G, ROWS] int32, the rows as bytes, see `nearest`.
        theta: [K', 4 * G] int8, the means as bytes; zeros at first.
        bias: [K'] int32, added to the products with each mean.
        scale: [1] float32, by which rows are multiplied before they are rounded.
    """

    floats: Sorting
    packed: np.ndarray
    theta: np.ndarray
    bias: np.ndarray
    scale: np.ndarray

    @classmethod
    def allocate(cls, floats: Sorting) -> "ByteSorting":
        """Allocate the arrays in bytes for float32 arrays that are already allocated."""
        N, K, depth = len(floats.rows), floats.theta.shape[1], words(floats.rows.shape[1])
        means = -(-K // MEANS) * MEANS
        return cls(
            floats, np.empty((-(-N // ROWS), depth, ROWS), dtype=np.int32), np.zeros((means, 4 * depth), dtype=np.int8),
            np.empty(means, dtype=np.int32), np.empty(1, dtype=np.float32),
        )  # fmt: skip


def sort(rows: np.ndarray, labels: np.ndarray, count: int, iterations: int, threads: int) -> np.ndarray:
    """Sort rows [N, D] float32 from labels [N] int64, which are changed: means [count, D] float32."""
    work = ByteSorting.allocate(Sorting.allocate(rows, labels, count, iterations, threads))
    counters = work.floats.counters
    share(lambda number: sort_rows(work, iterations, number), threads, lambda: stop(counters, iterations))
    return np.ascontiguousarray(work.floats.theta.T)


_declared: Any = cgutils.get_or_insert_function
_word, _vector = ir.IntType(32), ir.VectorType(ir.IntType(32), LANES)


@cache
def supported() -> bool:
    """Whether numba compiles for a processor with AVX-512 VNNI."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return {"+avx512f", "+avx512bw", "+avx512vnni"} <= set(features.split(","))


def words(dimension: int) -> int:
    """Number of 32-bit words that hold a row of `dimension` bytes."""
    return -(-dimension // 4)


def _spread(builder: Any, number: Any) -> Any:
    """A vector with the same number in each lane."""
    undefined = ir.Constant(_vector, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(_word, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_vector, [0] * LANES))


def _generate_nearest(typing_context: Any, rows: Any, theta: Any, bias: Any, own: Any, target: Any) -> Any:
    """Body of `_nearest`: for MEANS means at a time, sums over the words of two vectors of rows, and then the best."""
    i64, kind = ir.IntType(64), ir.FunctionType(_vector, [_vector] * 3)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b = builder
        arrays = [context.make_array(t)(context, b, v) for t, v in zip(signature.args, arguments, strict=True)]
        rows, theta, bias, own, target = (array.data for array in arrays)
        depth, columns = b.extract_value(arrays[1].shape, 1), b.extract_value(arrays[2].shape, 0)
        multiply = _declared(b.module, kind, "llvm.x86.avx512.vpdpbusd.512")

        def vector_at(base: Any, number: Any) -> Any:
            return b.bitcast(b.gep(base, [number]), _vector.as_pointer())

        halves = [ir.Constant(i64, 0), ir.Constant(i64, LANES)]
        labels = [b.load(vector_at(own, half), align=4) for half in halves]
        least = ir.Constant(_vector, [2 * NEVER] * LANES)
        before = b.block
        over_means, over_words, compare, end = (
            b.append_basic_block(name) for name in ("means", "words", "best", "end")
        )
        b.branch(over_means)

        b.position_at_end(over_means)
        k = b.phi(i64)
        best, index, held = ([b.phi(_vector) for _ in halves] for _ in range(3))
        k.add_incoming(ir.Constant(i64, 0), before)
        for half in range(2):
            best[half].add_incoming(least, before)
            index[half].add_incoming(labels[half], before)
            held[half].add_incoming(least, before)
        begin = [_spread(b, b.load(b.gep(bias, [b.add(k, ir.Constant(i64, m))]))) for m in range(MEANS)]
        b.branch(over_words)

        b.position_at_end(over_words)
        g = b.phi(i64)
        sums = [[b.phi(_vector) for _ in halves] for _ in range(MEANS)]
        g.add_incoming(ir.Constant(i64, 0), over_means)
        x = [b.load(vector_at(rows, b.add(b.mul(g, ir.Constant(i64, ROWS)), half)), align=4) for half in halves]
        following, totals = b.add(g, ir.Constant(i64, 1)), []
        for m in range(MEANS):
            at = b.add(b.mul(b.add(k, ir.Constant(i64, m)), depth), g)
            mean = _spread(b, b.load(b.gep(theta, [at])))
            totals.append([b.call(multiply, [sums[m][half], x[half], mean]) for half in range(2)])
            for half in range(2):
                sums[m][half].add_incoming(begin[m], over_means)
                sums[m][half].add_incoming(totals[m][half], over_words)
        g.add_incoming(following, over_words)
        b.cbranch(b.icmp_signed("<", following, depth), over_words, compare)

        b.position_at_end(compare)
        new_best, new_index, new_held = list(best), list(index), list(held)
        for m in range(MEANS):
            number = _spread(b, b.trunc(b.add(k, ir.Constant(i64, m)), _word))
            for half in range(2):
                nearer = b.icmp_signed(">", totals[m][half], new_best[half])
                new_best[half] = b.select(nearer, totals[m][half], new_best[half])
                new_index[half] = b.select(nearer, number, new_index[half])
                is_own = b.icmp_signed("==", labels[half], number)
                new_held[half] = b.select(is_own, totals[m][half], new_held[half])
        next_k = b.add(k, ir.Constant(i64, MEANS))
        k.add_incoming(next_k, compare)
        for half in range(2):
            best[half].add_incoming(new_best[half], compare)
            index[half].add_incoming(new_index[half], compare)
            held[half].add_incoming(new_held[half], compare)
        b.cbranch(b.icmp_signed("<", next_k, columns), over_means, end)

        b.position_at_end(end)
        moved = [b.icmp_signed(">", new_best[half], new_held[half]) for half in range(2)]
        for half in range(2):
            b.store(b.select(moved[half], new_index[half], labels[half]), vector_at(target, halves[half]), align=4)
        some = b.bitcast(b.or_(*moved), ir.IntType(LANES))
        return b.icmp_signed("!=", some, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(rows, theta, bias, own, target), generate


_nearest: Any = intrinsic(_generate_nearest)


@loop()
def nearest(rows: np.ndarray, theta: np.ndarray, bias: np.ndarray, own: np.ndarray, target: np.ndarray) -> Any:
    """Find the nearest mean of each of `ROWS` rows; a row keeps its own mean unless another is nearer.

    Args:
        rows: [G, ROWS] int32, contiguous: words of four bytes 1..255 that stand for -127..127.
        theta: [K, G] int32, contiguous: words of four bytes -127..127. K is a multiple of MEANS.
        bias: [K] int32, added to the products.
        own: [ROWS] int32, the mean of each row.
        target: [ROWS] int32, the result.

    Returns:
        Whether another mean is nearer to any row.
    """
    return _nearest(rows, theta, bias, own, target)


@loop(inner=True)
def _largest(rows: np.ndarray) -> Any:
    """The largest absolute value in float32 rows [N, D]."""
    bits = rows.view(np.int32).reshape(-1)
    top: Any = np.int32(0)
    for i in range(len(bits)):
        top = max(top, bits[i] & np.int32(0x7FFFFFFF))  # without their signs, bits are in the order of the numbers
    largest = np.array([top], np.int32)
    return largest.view(np.float32)[0]


@loop()
def pack_rows(rows: np.ndarray, scale: np.float32, packed: np.ndarray, buffer: np.ndarray) -> None:
    """Round rows to bytes in the layout of `nearest`.

    Args:
        rows: [N, D] float32.
        scale: the rows are multiplied by it.
        packed: [N/ROWS, G, ROWS] int32, the result.
        buffer: [4 * G] uint8, scratch memory; 128 past D.
    """
    N, D = rows.shape
    word = buffer.view(np.int32)
    for i in range(N):
        for d in range(D):
            buffer[d] = np.uint8(np.int32(rows[i, d] * scale + np.float32(128.5)))
        lanes = packed[i // ROWS]
        for g in range(len(word)):
            lanes[g, i % ROWS] = word[g]


@loop()
def pack_means(theta: np.ndarray, sizes: np.ndarray, packed: np.ndarray, bias: np.ndarray) -> None:
    """Round means to bytes in the layout of `nearest`.

    Args:
        theta: [D, K] float32, means in columns.
        sizes: [K] int64, rows of each; a mean without rows attracts none.
        packed: [K', 4 * G] int8, the result.
        bias: [K'] int32, the result; `NEVER` for means that attract none.
    """
    D, K = theta.shape
    largest = np.float32(1e-12)
    for d in range(D):
        for k in range(K):
            largest = max(largest, abs(theta[d, k]))
    scale = np.float32(LARGEST) / largest
    for k in range(len(bias)):
        if k >= K or sizes[k] == 0:
            bias[k] = NEVER
            continue
        total: Any = 0
        for d in range(D):
            scaled = np.floor(theta[d, k] * scale + np.float32(0.5))
            value = np.int32(scaled) if abs(scaled) <= LARGEST else 0  # NaN or infinite embeddings
            packed[k, d] = value
            total += value
        bias[k] = -128 * total


@loop(inner=True)
def _move_to_nearest(work: ByteSorting, first: int, last: int, own: np.ndarray, target: np.ndarray, number: int) -> int:
    """E-step of the rows first..last-1: move each to the group of the nearest mean; returns how many moved.

    Args:
        work: the sorting; its labels, and the thread's own sums and sizes, are changed.
        first, last: the rows; first is a multiple of ROWS.
        own, target: [ROWS] int32, scratch memory.
        number: of the thread.
    """
    rows, labels, theta = work.floats.rows, work.floats.labels, work.theta.view(np.int32)
    sums, sizes = work.floats.sums[number], work.floats.sizes[number]
    D, moved = rows.shape[1], 0
    for start in range(first, last, ROWS):
        count = min(ROWS, last - start)
        for i in range(count):
            own[i] = labels[start + i]
        if not nearest(work.packed[start // ROWS], theta, work.bias, own, target):
            continue
        for i in range(count):
            source, to = own[i], target[i]
            if source == to:
                continue
            labels[start + i] = to
            moved += 1
            sizes[source] -= 1
            sizes[to] += 1
            for d in range(D):
                sums[source, d] -= rows[start + i, d]
                sums[to, d] += rows[start + i, d]
    return moved


@loop()
def sort_rows(work: ByteSorting, iterations: int, number: int) -> None:
    """Run spherical k-means until no row moves. Each of the threads calls this with its number.

    Thread 0 leads: it computes the means (M-step) and opens an iteration. All threads share the E-step. The thread
    that takes a piece in the first iteration also rounds its rows to bytes.
    """
    floats, packed = work.floats, work.packed
    rows, counters = floats.rows, floats.counters
    pieces = -(-len(rows) // PIECE)
    buffer = np.full(4 * packed.shape[1], 128, np.uint8)  # rule 2 of `sharing`
    own, target = np.zeros(ROWS, np.int32), np.empty(ROWS, np.int32)
    add_pieces(floats, number)
    if number == 0:
        work.scale[0] = np.float32(LARGEST) / max(_largest(rows), np.float32(1e-12))
    for iteration in range(iterations):
        taken, done = FIRST + 2 * iteration, FIRST + 2 * iteration + 1
        if number == 0:
            means(floats.sums[0], floats.sizes[0], floats.theta)
            pack_means(floats.theta, floats.sizes[0], work.theta, work.bias)
            add(counters, OPENED, 1)
        elif not is_open(counters, iteration):
            return
        piece = add(counters, taken, 1)
        while piece < pieces:  # until this piece is done, thread 0 waits and changes nothing
            first, last = piece * PIECE, min((piece + 1) * PIECE, len(rows))
            if iteration == 0:
                pack_rows(rows[first:last], work.scale[0], packed[first // ROWS : -(-last // ROWS)], buffer)
            add(counters, MOVED, _move_to_nearest(work, first, last, own, target, number))
            add(counters, done, 1)
            piece = add(counters, taken, 1)
        if number == 0 and gather(floats, pieces, iteration) == 0:
            break
    if number == 0:
        means(floats.sums[0], floats.sizes[0], floats.theta)
        stop(counters, iterations)
