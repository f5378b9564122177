"""Spherical k-means whose E-step compares in eight bits, for processors that multiply bytes (AVX-512 VNNI).

Rows and means are rounded to bytes -127..127. Their products are added in whole numbers: four times as many at once as
in float32, and equal on every such processor. Means are still computed from the float32 rows.

**Rounding is relative to the spread.** The centre c of the rows is subtracted from rows before they are rounded, and
the centre b of the means from means. Each is scaled so that 127 is the largest number. The nearest mean stays the same,
because x.m = (x - c).(m - b) + c.(m - b) + x.b, and x.b is equal for all means. So embeddings in a narrow cone are
compared as well as embeddings all over the sphere.

**Fallback.** Means can also be near each other beside the spread of all rows, as in several narrow cones. After the
M-steps 0, 1, 2, 4, 8, ..., the means themselves are compared as if they were rows. A mean that rounding assigns to
another one is lost. If more than one mean in six is lost, the next E-step compares in float32, because means of an even
grid are often near each other in the first step alone. If it happens again, all further steps compare in float32.
"""

from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from segsort.loops import kmeans
from segsort.loops.blocks import PIECE
from segsort.loops.cache import loop
from segsort.loops.kmeans import FIRST, MOVED, OPENED, Sorting, add_pieces, gather, is_open, means, stop
from segsort.loops.rounding import LANES, LARGEST, NEVER, ROWS, extent, find_centre, pack_means, pack_rows
from segsort.loops.sharing import add, share

MEANS = 6  # means that they are compared with at once: so many sums fit into registers
LOST = 6  # an E-step compares in float32 if more than one in so many means is lost


class ByteSorting(NamedTuple):
    """Arrays that threads share while they sort N rows in eight bits.

    G is `words(D)`, and K' is K rounded up to a multiple of `MEANS`.

    Attributes:
        floats: rows, labels, means and sums.
        packed: [N/ROWS, G, ROWS] int32, the rows as bytes, see `nearest`.
        theta: [K', 4 * G] int8, the means as bytes; zeros at first.
        bias: [K'] int32, added to the products with each mean.
        scale: [1] float32, by which centred rows are multiplied before they are rounded.
        centre: [D] float32, subtracted from rows.
        remaining: [1] int64, iterations that are left for float32 after a fallback; 0: none.
    """

    floats: Sorting
    packed: np.ndarray
    theta: np.ndarray
    bias: np.ndarray
    scale: np.ndarray
    centre: np.ndarray
    remaining: np.ndarray

    @classmethod
    def allocate(cls, floats: Sorting) -> "ByteSorting":
        """Allocate the arrays in bytes for float32 arrays that are already allocated."""
        N, K, depth = len(floats.rows), floats.theta.shape[1], words(floats.rows.shape[1])
        means = -(-K // MEANS) * MEANS
        return cls(
            floats, np.empty((-(-N // ROWS), depth, ROWS), dtype=np.int32), np.zeros((means, 4 * depth), dtype=np.int8),
            np.empty(means, dtype=np.int32), np.empty(1, dtype=np.float32),
            np.zeros(floats.rows.shape[1], dtype=np.float32), np.zeros(1, dtype=np.int64),
        )  # fmt: skip


def sort(rows: np.ndarray, labels: np.ndarray, count: int, iterations: int, threads: int) -> np.ndarray:
    """Sort rows [N, D] float32 from labels [N] int64, which are changed: means [count, D] float32.

    It continues in float32 where bytes cannot tell the means apart, see the module.
    """
    left = iterations
    for floats in (1, iterations):  # E-steps in float32 after a fallback
        work = ByteSorting.allocate(Sorting.allocate(rows, labels, count, left, threads))
        share(partial(sort_rows, work, left), threads, partial(stop, work.floats.counters, left))
        if work.remaining[0] == 0:
            return np.ascontiguousarray(work.floats.theta.T)
        left = int(work.remaining[0])
        floats = min(floats, left)
        theta = kmeans.sort(rows, labels, count, floats, threads)
        left -= floats
        if left == 0:
            break
    return theta


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


@loop()
def count_lost(work: ByteSorting, rows: np.ndarray, blocks: np.ndarray, buffer: np.ndarray) -> Any:
    """How many means are lost, see the module.

    Args:
        work: the sorting, after its means were rounded.
        rows: [K, D] float32, scratch memory.
        blocks: [K/ROWS, G, ROWS] int32, scratch memory.
        buffer: [4 * G] uint8, scratch memory; 128 past D.
    """
    sizes, theta = work.floats.sizes[0], work.theta.view(np.int32)
    own, target, lost = np.zeros(ROWS, np.int32), np.empty(ROWS, np.int32), 0
    for k in range(len(rows)):
        for d in range(rows.shape[1]):
            rows[k, d] = work.floats.theta[d, k]
    pack_rows(rows, work.centre, work.scale[0], blocks, buffer)
    for start in range(0, len(rows), ROWS):
        count = min(ROWS, len(rows) - start)
        for i in range(count):
            own[i] = start + i
        if nearest(blocks[start // ROWS], theta, work.bias, own, target):
            for i in range(count):
                if target[i] != own[i] and sizes[start + i] > 0:
                    lost += 1
    return lost


@loop(inner=True)
def _lead(
    work: ByteSorting, iterations: int, iteration: int, rows: np.ndarray, blocks: np.ndarray, buffer: np.ndarray
) -> bool:
    """M-step and rounding of thread 0; whether bytes tell the means apart. If not, notes what remains for float32.

    Args:
        work: the sorting.
        iterations: how many there may be.
        iteration: this one.
        rows, blocks, buffer: scratch memory of `count_lost`.
    """
    floats, filled = work.floats, 0
    if iteration == 0:
        find_centre(floats.sums[0], len(floats.rows), work.centre)
        work.scale[0] = np.float32(LARGEST) / extent(floats.rows, work.centre)
    means(floats.sums[0], floats.sizes[0], floats.theta)
    pack_means(floats.theta, floats.sizes[0], work.centre, work.scale[0], work.theta, work.bias)
    if iteration & (iteration - 1) != 0:
        return True
    for size in floats.sizes[0]:
        filled += size > 0
    if LOST * count_lost(work, rows, blocks, buffer) <= filled:
        return True
    work.remaining[0] = iterations - iteration
    return False


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

    Thread 0 leads: it computes the means (M-step) and opens an iteration, unless it falls back, see the module. All
    threads share the E-step. The thread that takes a piece in the first iteration also rounds its rows to bytes.
    """
    floats, packed = work.floats, work.packed
    rows, counters = floats.rows, floats.counters
    pieces = -(-len(rows) // PIECE)
    buffer = np.full(4 * packed.shape[1], 128, np.uint8)  # rule 2 of `sharing`
    own, target = np.zeros(ROWS, np.int32), np.empty(ROWS, np.int32)
    K, depth = len(floats.empty), packed.shape[1]
    columns = np.empty((K if number == 0 else 0, rows.shape[1]), np.float32)
    blocks = np.zeros((-(-len(columns) // ROWS), depth, ROWS), np.int32)
    add_pieces(floats, number)
    for iteration in range(iterations):
        taken, done = FIRST + 2 * iteration, FIRST + 2 * iteration + 1
        if number == 0:
            if not _lead(work, iterations, iteration, columns, blocks, buffer):
                break
            add(counters, OPENED, 1)
        elif not is_open(counters, iteration):
            return
        piece = add(counters, taken, 1)
        while piece < pieces:  # until this piece is done, thread 0 waits and changes nothing
            first, last = piece * PIECE, min((piece + 1) * PIECE, len(rows))
            if iteration == 0:
                pack_rows(
                    rows[first:last], work.centre, work.scale[0], packed[first // ROWS : -(-last // ROWS)], buffer
                )
            add(counters, MOVED, _move_to_nearest(work, first, last, own, target, number))
            add(counters, done, 1)
            piece = add(counters, taken, 1)
        if number == 0 and gather(floats, pieces, iteration) == 0:
            break
    if number == 0:
        means(floats.sums[0], floats.sizes[0], floats.theta)
        stop(counters, iterations)
