"""Segments split where their pixels look like several classes."""

import numpy as np

from segsort.loops import threads
from segsort.loops.blocks import PIECE, UNORDERED, block_of, dot
from segsort.loops.cache import loop
from segsort.loops.kmeans import add_rows
from segsort.loops.location import ROWS_A_THREAD
from segsort.loops.sharing import add, counters
from segsort.sphere import unit_rows


def split(
    features: np.ndarray, labels: np.ndarray, segments: int, weights: np.ndarray, offsets: np.ndarray, least: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compiled form of `segsort.splitting.split`: new labels [N] int64 and means [S, D+2] float32."""
    C, D = weights.shape
    looks, taken, columns = np.empty(len(features), dtype=np.int64), counters(1), np.zeros((D + 2, C), dtype=np.float32)
    columns[:D] = weights.T  # the location counts for nothing
    threads.together(
        lambda _: classify(features, columns, offsets, looks, taken), threads.useful(len(features), ROWS_A_THREAD)
    )
    parts, count = regroup(labels, looks, segments, C, least)
    sums, sizes = np.zeros((count, features.shape[1])), np.zeros(count, dtype=np.int64)
    add_rows(features, parts, sums, sizes)
    return parts, unit_rows(sums)


@loop(fastmath=UNORDERED)
def classify(
    features: np.ndarray, weights: np.ndarray, offsets: np.ndarray, looks: np.ndarray, taken: np.ndarray
) -> None:
    """Class of each row by a linear classifier of its embedding; threads share the rows by counter 0.

    Args:
        features: [N, D+2] float32, unit embeddings with their location appended, scaled.
        weights: [D+2, C] float32, zeros in the last two rows.
        offsets: [C] float32; -inf for a class that is never found.
        looks: [N] int64, the result; the first class of equals.
        taken: one counter, zero.
    """
    D, C = len(weights) - 2, weights.shape[1]
    block = block_of(D + 2, C)
    scores = np.empty((block, C), np.float32)
    while True:
        start = add(taken, 0, PIECE)
        if start >= len(features):
            return
        end = min(start + PIECE, len(features))
        for first in range(start, end, block):
            count = min(block, end - first)
            np.dot(features[first : first + count], weights, scores[:count])
            for i in range(count):
                row = features[first + i, :D]
                length = np.sqrt(dot(row, row))  # scores are scaled by it, which leaves their order
                best, winner = scores[i, 0] + length * offsets[0], 0
                for c in range(1, C):
                    score = scores[i, c] + length * offsets[c]
                    if score > best:
                        best, winner = score, c
                looks[first + i] = winner


@loop()
def regroup(labels: np.ndarray, looks: np.ndarray, segments: int, classes: int, least: int) -> tuple[np.ndarray, int]:
    """Number the parts of segments that have at least `least` rows; smaller ones join the largest of their segment.

    Args:
        labels: [N] int64, segment of each row, 0..segments-1.
        looks: [N] int64, class that each row looks like, 0..classes-1.

    Returns:
        Number of the part of each row [N] int64, in the order of segments and classes; and how many parts there are.
    """
    sizes = np.zeros((segments, classes), np.int64)
    for i in range(len(labels)):
        sizes[labels[i], looks[i]] += 1
    number, count = np.empty((segments, classes), np.int64), 0
    for s in range(segments):
        largest = 0
        for c in range(1, classes):
            if sizes[s, c] > sizes[s, largest]:
                largest = c
        if sizes[s, largest] == 0:
            continue
        for c in range(classes):
            if c == largest or sizes[s, c] >= max(least, 1):
                number[s, c] = count
                count += 1
        for c in range(classes):
            if c != largest and sizes[s, c] < max(least, 1):
                number[s, c] = number[s, largest]
    parts = np.empty(len(labels), np.int64)
    for i in range(len(labels)):
        parts[i] = number[labels[i], looks[i]]
    return parts, count
