"""Masks of all segments of a label map as COCO run lengths, and their bounding boxes.

COCO's runs go down the columns, but a label map is stored by rows. Therefore each row is compared with the row above,
and a run that begins there is written at the next place of its column.
"""

import numpy as np

from segsort.loops.cache import loop
from segsort.loops.grouping import grouped

_MOST = int(np.iinfo(np.int32).max)


def encode_with_boxes(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts, their ends and boxes of segments 0..count-1 of labels [H, W]: see `segsort.loops.encode_masks`."""
    boxes = np.empty((count, 4), dtype=np.int32)
    text, ends = encode(labels, boxes)
    return text, ends, boxes


def boxes_of(labels: np.ndarray, count: int) -> np.ndarray:
    """Bounding boxes of segments 0..count-1 of labels [H, W]: [count, 4] int32 (x, y, width, height)."""
    boxes = np.empty((count, 4), dtype=np.int32)
    boxes_of_runs(*column_runs(labels), len(labels), boxes)
    return boxes


@loop(inner=True)
def _begins(labels: np.ndarray, x: int) -> bool:
    """Whether a run begins at the top of column x; not if the column before ends with the same label."""
    return bool(x == 0 or labels[0, x] != labels[labels.shape[0] - 1, x - 1])


@loop()
def column_runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of equal labels [H, W], down the columns.

    Returns:
        Label of each run [R] int32, and the pixel x * H + y at which each starts, with the end H * W [R+1] int64.
    """
    H, W = labels.shape
    if H == 0 or W == 0:
        return np.empty(0, np.int32), np.zeros(1, np.int64)
    at = np.zeros(W + 1, np.int64)  # place of the next run of each column
    for x in range(W):
        at[x + 1] = _begins(labels, x)
    for y in range(1, H):
        row, above = labels[y], labels[y - 1]
        for x in range(W):
            at[x + 1] += row[x] != above[x]
    for x in range(W):
        at[x + 1] += at[x]
    owner, start = np.empty(at[W], np.int32), np.empty(at[W] + 1, np.int64)
    start[at[W]] = H * W
    for x in range(W):
        if _begins(labels, x):
            owner[at[x]], start[at[x]] = labels[0, x], x * H
            at[x] += 1
    for y in range(1, H):
        row, above = labels[y], labels[y - 1]
        for x in range(W):
            if row[x] != above[x]:
                owner[at[x]], start[at[x]] = row[x], x * H + y
                at[x] += 1
    return owner, start


@loop()
def boxes_of_runs(owner: np.ndarray, start: np.ndarray, height: int, boxes: np.ndarray) -> None:
    """Smallest box around each segment into boxes [S, 4] (x, y, width, height), zeros where it has no pixel.

    Args:
        owner, start: of `column_runs`.
        height: H of the label map.
        boxes: [S, 4] int32, the result.
    """
    for box in boxes:
        box[0] = box[1] = _MOST
        box[2] = box[3] = -1
    left = 0
    for run in range(len(owner)):
        first, last = start[run], start[run + 1] - 1
        while first >= (left + 1) * height:
            left += 1
        if not 0 <= owner[run] < len(boxes):
            continue
        box, right = boxes[owner[run]], left if last < (left + 1) * height else last // height
        box[0] = min(box[0], left)
        box[2] = max(box[2], right)
        box[1] = min(
            box[1], first - left * height if left == right else 0
        )  # a run over several columns touches the top
        box[3] = max(box[3], last - right * height if left == right else height - 1)
    for box in boxes:
        if box[2] < 0:
            box[0] = box[1] = box[2] = box[3] = 0
        else:
            box[2] += 1 - box[0]
            box[3] += 1 - box[1]


@loop(inner=True)
def compress_runs(owner: np.ndarray, start: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """COCO's compressed run lengths of each segment, as rleToString of COCO's maskApi.c writes them.

    Args:
        owner, start: of `column_runs`.
        count: S.

    Returns:
        The texts one after the other [n] uint8, and the end of each [S] int64.
    """
    order, bounds = grouped(owner, count)
    text, ends = (
        np.empty(7 * (2 * len(order) + count), np.uint8),
        np.empty(count, np.int64),
    )  # 7 digits a length at most
    size, at = start[-1], 0
    for segment in range(count):
        position, before, last, lengths = 0, 0, 0, 0  # `last` and `before` are the last length and the one before it
        for i in range(bounds[segment], bounds[segment + 1] + 1):
            done = i == bounds[segment + 1]
            first = size if done else start[order[i]]
            stop = size if done else start[order[i] + 1]
            for length in (first - position, stop - first):
                if done and length == 0 and lengths > 0:
                    continue  # nothing after the last pixel
                value = length - before if lengths > 2 else length
                more = True
                while more:
                    digit = value & 0x1F
                    value >>= 5
                    more = value != -1 if digit & 0x10 else value != 0
                    text[at] = (digit | 0x20 if more else digit) + 48
                    at += 1
                before, last = last, length
                lengths += 1
                if done:
                    break
            position = stop
        ends[segment] = at
    return text[:at], ends


@loop()
def encode(labels: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compressed run lengths of the segments of labels [H, W], as of `compress_runs`; fills their boxes [S, 4]."""
    owner, start = column_runs(labels)
    boxes_of_runs(owner, start, len(labels), boxes)
    return compress_runs(owner, start, len(boxes))
