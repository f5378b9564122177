"""Pixel sorting in eight bits: the inner loops of `kernels.sort_rows` for processors that multiply bytes (VNNI).

Rows and means become bytes, 127 for the largest number in any of them, and their products are added up in whole
numbers: four times as many at once as in float32, and the same on every such processor. Means are still taken of the
float32 rows. What rounding changes are assignments between means that are all but equally near.
"""

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from segsort.loops.kmeans import FIRST, MOVED, OPENED, PIECE, add_pieces, gather, is_open, leave, means
from segsort.loops.sharing import add

LANES = 16  # numbers of 32 bits in a vector
ROWS = 2 * LANES  # rows that are compared with the means at once
MEANS = 6  # means that they are compared with at once: so many sums are still in registers
NEVER = -(1 << 30)  # less than any product
LARGEST = 127
_declared: Any = cgutils.get_or_insert_function
_word, _vector = ir.IntType(32), ir.VectorType(ir.IntType(32), LANES)


@cache
def supported() -> bool:
    """Whether this process' compiled code may use the instructions: AVX-512 VNNI."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return {"+avx512f", "+avx512bw", "+avx512vnni"} <= set(features.split(","))


def words(dimension: int) -> int:
    """32-bit words for one row of so many bytes."""
    return -(-dimension // 4)


def _spread(builder: Any, number: Any) -> Any:
    """A number in each lane."""
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


@njit(cache=True, nogil=True)
def nearest(rows: np.ndarray, theta: np.ndarray, bias: np.ndarray, own: np.ndarray, target: np.ndarray) -> Any:
    """The nearest mean of each of `ROWS` rows into `target`, their own where none is nearer; says if any is.

    All are int32, contiguous. rows: [G, ROWS] words of four bytes 1..255 that stand for -127..127; theta: [K, G] words
    of four bytes -127..127; bias: [K], added to the products; own, target: [ROWS]. K is a multiple of MEANS.
    """
    return _nearest(rows, theta, bias, own, target)


@njit(cache=True, nogil=True)
def _largest(rows: np.ndarray) -> Any:
    """The largest number of float32 rows [N, D], whatever its sign."""
    bits = rows.view(np.int32).reshape(-1)
    top: Any = np.int32(0)
    for i in range(len(bits)):
        top = max(top, bits[i] & np.int32(0x7FFFFFFF))  # without their signs, bits are in the order of the numbers
    largest = np.array([top], np.int32)
    return largest.view(np.float32)[0]


@njit(cache=True, nogil=True)
def pack_rows(rows: np.ndarray, scale: np.float32, packed: np.ndarray, buffer: np.ndarray) -> None:
    """Rows [N, D] times a scale as bytes into `packed` [N/ROWS, G, ROWS], as `nearest` takes them.

    buffer: [4 * G] uint8, 128 past D.
    """
    N, D = rows.shape
    word = buffer.view(np.int32)
    for i in range(N):
        for d in range(D):
            buffer[d] = np.uint8(np.int32(rows[i, d] * scale + np.float32(128.5)))
        lanes = packed[i // ROWS]
        for g in range(len(word)):
            lanes[g, i % ROWS] = word[g]


@njit(cache=True, nogil=True)
def pack_means(theta: np.ndarray, sizes: np.ndarray, packed: np.ndarray, bias: np.ndarray) -> None:
    """Columns of theta [D, K] as bytes into `packed` [K', 4 * G] int8 and `bias` [K'], as `nearest` takes them.

    Those without rows, by their sizes [K], and those past K attract none.
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
            value = np.int32(scaled) if abs(scaled) <= LARGEST else 0  # no number, of embeddings that are none
            packed[k, d] = value
            total += value
        bias[k] = -128 * total


@njit(cache=True, nogil=True)
def _move_to_nearest(
    rows: np.ndarray,
    packed: np.ndarray,
    theta: np.ndarray,
    bias: np.ndarray,
    labels: np.ndarray,
    sums: np.ndarray,
    sizes: np.ndarray,
    own: np.ndarray,
    target: np.ndarray,
) -> int:
    """As `kernels._move_to_nearest`: packed [N/ROWS, G, ROWS], theta [K', G], bias [K']; own, target: room."""
    N, D = rows.shape
    moved = 0
    for start in range(0, N, ROWS):
        count = min(ROWS, N - start)
        for i in range(count):
            own[i] = labels[start + i]
        if not nearest(packed[start // ROWS], theta, bias, own, target):
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


@njit(cache=True, nogil=True)
def sort_rows(
    rows: np.ndarray,
    labels: np.ndarray,
    theta: np.ndarray,
    sums: np.ndarray,
    sizes: np.ndarray,
    packed: np.ndarray,
    packed_theta: np.ndarray,
    bias: np.ndarray,
    scale: np.ndarray,
    iterations: int,
    counters: np.ndarray,
    number: int,
) -> None:
    """As `kernels.sort_rows`, in eight bits.

    packed: [N/ROWS, G, ROWS] int32, room for the rows; packed_theta: [K', 4 * G] int8, zeros; bias: [K'] int32; scale:
    [1] float32, room. G is `words(D)`, K' a multiple of MEANS.
    """
    pieces = -(-len(rows) // PIECE)
    buffer = np.full(4 * packed.shape[1], 128, np.uint8)
    own, target, theta_words = np.zeros(ROWS, np.int32), np.empty(ROWS, np.int32), packed_theta.view(np.int32)
    add_pieces(rows, labels, sums, sizes, counters, number)
    if number == 0:
        scale[0] = np.float32(LARGEST) / max(_largest(rows), np.float32(1e-12))
    for iteration in range(iterations):
        taken, done = FIRST + 2 * iteration, FIRST + 2 * iteration + 1
        if number == 0:
            means(sums[0], sizes[0], theta)
            pack_means(theta, sizes[0], packed_theta, bias)
            add(counters, OPENED, 1)
        elif not is_open(counters, iteration):
            return
        piece = add(counters, taken, 1)
        while piece < pieces:  # from now on, and no sooner, thread 0 waits and changes nothing
            first, last = piece * PIECE, min((piece + 1) * PIECE, len(rows))
            some, blocks = slice(first, last), packed[first // ROWS : -(-last // ROWS)]
            if iteration == 0:
                pack_rows(rows[some], scale[0], blocks, buffer)
            moved = _move_to_nearest(
                rows[some], blocks, theta_words, bias, labels[some], sums[number], sizes[number], own, target
            )
            add(counters, MOVED, moved)
            add(counters, done, 1)
            piece = add(counters, taken, 1)
        if number == 0 and gather(sums, sizes, pieces, iteration, counters) == 0:
            break
    if number == 0:
        means(sums[0], sizes[0], theta)
        leave(counters, iterations)
