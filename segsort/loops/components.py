"""Connected components of a label map, and merging the small ones, by runs of equal labels.

A label map has many pixels and few runs, so that work by runs costs little.
"""

from typing import NamedTuple

import numpy as np

from segsort.loops import threads
from segsort.loops.cache import loop
from segsort.loops.grouping import grouped
from segsort.loops.sharing import add, counters, read, share, wait

PIXELS_A_THREAD = 50_000  # pixels below which another thread costs more than it saves
BANDS = 8  # of rows, which threads share
WIDE = 16  # pixels that take no longer to fill than one
# Counters of `find_components`: bands whose runs are found, and bands claimed for that; whether the components are
# known; bands claimed for their borders; whether a thread has failed. COUNTERS is their number.
FOUND, FINDING, KNOWN, BORDERING, STOPPED, COUNTERS = range(6)


class Components(NamedTuple):
    """The connected components (by sides) of equal labels [H, W], in the order in which rows meet them.

    R is the number of runs, P the number of components.

    Attributes:
        first: [H+1] int64, the first run of each row, and R.
        start: [R] int32, the column at which each run begins.
        component: [R] int64, the component of each run.
        areas: [R] int64, pixels of each of the first P.
        labels: [R] int32, label of each of the first P.
        small: [R] bool, whether each of the first P has too few pixels.
        found: [1] int64, P.
        borders: [BANDS, M, 3] int64, (small component, other one, pixel sides) where small ones touch others. A pair
            may occur more than once.
        ends: [BANDS] int64, how many borders each band has.
    """

    first: np.ndarray
    start: np.ndarray
    component: np.ndarray
    areas: np.ndarray
    labels: np.ndarray
    small: np.ndarray
    found: np.ndarray
    borders: np.ndarray
    ends: np.ndarray

    @classmethod
    def allocate(cls, labels: np.ndarray) -> "Components":
        """Count the runs of labels [H, W] and allocate the arrays for their components."""
        H = len(labels)
        first = np.zeros(H + 1, dtype=np.int64)
        _count_runs(labels, first)
        R, band = int(first[H]), -(-H // BANDS)
        tops = np.minimum(np.arange(BANDS) * band, H)
        runs = first[np.minimum(tops + band, H)] - first[np.maximum(tops - 1, 0)]  # of a band and the row above it
        return cls(
            first, np.empty(R, dtype=np.int32), np.empty(R, dtype=np.int64), np.zeros(R, dtype=np.int64),
            np.empty(R, dtype=np.int32), np.zeros(R, dtype=bool), np.zeros(1, dtype=np.int64),
            np.empty((BANDS, 6 * int(runs.max()), 3), dtype=np.int64), np.zeros(BANDS, dtype=np.int64),
        )  # fmt: skip


def merge(labels: np.ndarray, min_pixels: float, numbered: bool) -> tuple[np.ndarray, np.ndarray]:
    """Merge components of fewer than `min_pixels` pixels into neighbours: see `segsort.loops.merge_small`."""
    components, steps = Components.allocate(labels), counters(COUNTERS)
    several = threads.useful(labels.size, PIXELS_A_THREAD)

    def find(number: int) -> None:
        find_components(labels, components, float(min_pixels), steps, number)

    share(find, several, lambda: stop(steps))
    after, pixels = merge_small(components, numbered)
    merged, filled = labels if numbered else labels.copy(), counters(1)
    threads.together(lambda _: fill_runs(merged, components, after, filled), several)
    return merged, pixels


@loop()
def _count_runs(labels: np.ndarray, first: np.ndarray) -> None:
    """Number of runs of equal labels in the rows before each row of [H, W], into first [H+1]."""
    H, W = labels.shape
    for y in range(H):
        row, count = labels[y], 1
        for x in range(1, W):
            count += row[x] != row[x - 1]
        first[y + 1] = first[y] + count


@loop(inner=True)
def _root(component: np.ndarray, run: int) -> int:
    """The first run of the component of a run, by union-find with path halving."""
    while component[run] != run:
        component[run] = component[component[run]]
        run = component[run]
    return run


@loop(inner=True)
def _connect(labels: np.ndarray, first: np.ndarray, start: np.ndarray, component: np.ndarray, y: int) -> None:
    """Connect the runs of row y with those of the row above; the first run of a component represents it."""
    W = labels.shape[1]
    above, below = first[y - 1], first[y]
    while above < first[y] and below < first[y + 1]:
        above_end = start[above + 1] if above + 1 < first[y] else W
        below_end = start[below + 1] if below + 1 < first[y + 1] else W
        x = max(start[above], start[below])
        if labels[y - 1, x] == labels[y, x]:
            a, b = _root(component, above), _root(component, below)
            component[max(a, b)] = min(a, b)
        if above_end <= below_end:
            above += 1
        if below_end <= above_end:
            below += 1


@loop(inner=True)
def _find_runs(labels: np.ndarray, components: Components, top: int, bottom: int, begins: np.ndarray) -> None:
    """Find the runs of the rows top..bottom-1 and connect them; begins: [W+1] int32, zeros, scratch memory."""
    first, start, component, W = components.first, components.start, components.component, labels.shape[1]
    for y in range(top, bottom):
        row, count = labels[y], 1
        for x in range(
            1, W
        ):  # without a branch, which could not be predicted: a place that is no beginning is overwritten
            begins[count] = x
            count += row[x] != row[x - 1]
        run = first[y]
        for i in range(count):
            start[run + i], component[run + i] = begins[i], run + i
        if y > top:
            _connect(labels, first, start, component, y)


@loop(inner=True)
def _number(labels: np.ndarray, components: Components, min_pixels: float) -> None:
    """Number the components, and count their pixels."""
    (H, W), first, start, component, count = labels.shape, components.first, components.start, components.component, 0
    for y in range(H):
        for run in range(first[y], first[y + 1]):  # the run that represents a component comes before its others
            if component[run] == run:
                number = count
                components.labels[number] = labels[y, start[run]]
                count += 1
            else:
                number = component[component[run]]
            component[run] = number
            components.areas[number] += (start[run + 1] if run + 1 < first[y + 1] else W) - start[run]
    for number in range(count):
        components.small[number] = components.areas[number] < min_pixels
    components.found[0] = count


@loop(inner=True)
def _noted(borders: np.ndarray, found: int, small: int, other: int, sides: int) -> int:
    """Write a border at place `found`; returns the next place."""
    borders[found, 0], borders[found, 1], borders[found, 2] = small, other, sides
    return found + 1


@loop(inner=True)
def _find_borders(width: int, components: Components, top: int, bottom: int, borders: np.ndarray) -> int:
    """Find where small components touch others in rows top..bottom-1 and the row above; returns how many borders."""
    first, start, component = components.first, components.start, components.component
    small, found = components.small, 0
    for y in range(top, bottom):
        for run in range(first[y], first[y + 1] - 1):
            left, right = component[run], component[run + 1]
            if small[left]:
                found = _noted(borders, found, left, right, 1)
            if small[right]:
                found = _noted(borders, found, right, left, 1)
        if y == 0:
            continue
        above, below = first[y - 1], first[y]
        while above < first[y] and below < first[y + 1]:
            above_end = start[above + 1] if above + 1 < first[y] else width
            below_end = start[below + 1] if below + 1 < first[y + 1] else width
            over, under = component[above], component[below]
            if over != under and (small[over] or small[under]):
                sides = min(above_end, below_end) - max(start[above], start[below])
                if small[over]:
                    found = _noted(borders, found, over, under, sides)
                if small[under]:
                    found = _noted(borders, found, under, over, sides)
            if above_end <= below_end:
                above += 1
            if below_end <= above_end:
                below += 1
    return found


@loop()
def find_components(
    labels: np.ndarray, components: Components, min_pixels: float, counters: np.ndarray, number: int
) -> None:
    """Find the components of labels [H, W], those of fewer than `min_pixels` pixels, and where these touch others.

    Threads call this together, each with its number, and share the rows. Thread 0 leads: it connects the bands and
    numbers the components. All borders are found when all threads have ended.
    """
    H, W = labels.shape
    rows = -(-H // BANDS)
    begins = np.zeros(W + 1, np.int32)  # rule 2 of `sharing`
    band = add(counters, FINDING, 1)
    while band < BANDS:
        _find_runs(labels, components, min(band * rows, H), min((band + 1) * rows, H), begins)
        add(counters, FOUND, 1)
        band = add(counters, FINDING, 1)
    if number == 0:
        wait(counters, FOUND, BANDS)
        for y in range(rows, H, rows):
            _connect(labels, components.first, components.start, components.component, y)
        _number(labels, components, min_pixels)
        add(counters, KNOWN, 1)
    else:
        wait(counters, KNOWN, 1)
        if read(counters, STOPPED):
            return
    band = add(counters, BORDERING, 1)
    while band < BANDS:
        top, bottom = min(band * rows, H), min((band + 1) * rows, H)
        components.ends[band] = _find_borders(W, components, top, bottom, components.borders[band])
        band = add(counters, BORDERING, 1)


@loop()
def stop(counters: np.ndarray) -> None:
    """Mark the work as stopped, so that all threads return that wait for thread 0 in `find_components`."""
    add(counters, STOPPED, 1)
    add(counters, KNOWN, 1)


@loop(inner=True)
def _all_borders(components: Components) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Borders of all bands: the small component [M], the other component [M] and the pixel sides [M] of each, int64."""
    total = 0
    for band in range(BANDS):
        total += components.ends[band]
    small, other, sides, found = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64), 0
    for band in range(BANDS):
        for i in range(components.ends[band]):
            small[found], other[found] = components.borders[band, i, 0], components.borders[band, i, 1]
            sides[found] = components.borders[band, i, 2]
            found += 1
    return small, other, sides


@loop(inner=True)
def _best_neighbours(components: Components, target: np.ndarray) -> None:
    """Find the best neighbour of each small component, into target [P]; target[i] = i at first.

    A large neighbour is better than a small one, then a longer border, then a larger component, then a later one.
    """
    small, areas = components.small, components.areas
    border_of, other, sides = _all_borders(components)
    order, begin = grouped(border_of, len(target))
    shared = np.zeros(len(target), np.int64)  # length of border with the current component
    for component in range(len(target)):
        for i in range(begin[component], begin[component + 1]):
            shared[other[order[i]]] += sides[order[i]]
        longest = 0
        for i in range(begin[component], begin[component + 1]):
            held, one = target[component], other[order[i]]
            length = shared[one]
            if length == 0:  # already compared
                continue
            shared[one] = 0
            if held == component:
                better = True
            elif small[held] != small[one]:
                better = small[held]
            elif length != longest:
                better = length > longest
            elif areas[one] != areas[held]:
                better = areas[one] > areas[held]
            else:
                better = one > held
            if better:
                target[component], longest = one, length


@loop(inner=True)
def _small_by_area(small: np.ndarray, areas: np.ndarray, count: int) -> np.ndarray:
    """The small ones of `count` components by rising area; equal ones in their order."""
    keys, largest = np.empty(count, np.int64), -1
    for component in range(count):
        keys[component] = areas[component] if small[component] else -1
        largest = max(largest, keys[component])
    return grouped(keys, largest + 1)[0]


@loop(inner=True)
def _merge(components: Components, target: np.ndarray) -> None:
    """Find the component that each component is merged into, into target [P]: a small one into its best neighbour.

    Small components that only small ones surround merge first. The largest component always stays.
    """
    small, areas, largest = components.small, components.areas, 0
    for component in range(len(target)):
        target[component] = component
        if areas[component] > areas[largest]:
            largest = component
    _best_neighbours(components, target)
    for component in _small_by_area(small, areas, len(target)):
        other = target[component]
        if component == largest or (small[other] and areas[other] <= areas[component] and target[other] == component):
            target[component] = component  # of two that would swap, the larger stays and the other is merged into it
    for component in range(len(target)):
        end = target[component]
        for _ in range(len(target)):  # ends also if components form a circle
            if target[end] == end:
                break
            end = target[end]
        target[component] = end


@loop()
def merge_small(components: Components, numbered: bool) -> tuple[np.ndarray, np.ndarray]:
    """Merge the small components into their neighbours.

    Args:
        components: of `find_components`; labels are 0 or more.
        numbered: number the remaining labels 0..K-1 in their order, instead of keeping them.

    Returns:
        New label of each component [P] int32, and pixels of each label [K] int64.
    """
    count = components.found[0]
    target, after, most = np.empty(count, np.int64), np.empty(count, np.int32), 0
    _merge(components, target)
    for component in range(count):
        after[component] = components.labels[target[component]]
        most = max(most, after[component])
    pixels = np.zeros(most + 1, np.int64)
    for component in range(count):
        pixels[after[component]] += components.areas[component]
    if not numbered:
        return after, pixels
    kept, number = 0, np.empty(most + 1, np.int32)
    for label in range(most + 1):
        number[label] = kept
        if pixels[label]:
            pixels[kept] = pixels[label]
            kept += 1
    for component in range(count):
        after[component] = number[after[component]]
    return after, pixels[:kept]


@loop()
def fill_runs(labels: np.ndarray, components: Components, to: np.ndarray, taken: np.ndarray) -> None:
    """Write new labels of components into a label map; threads share the rows.

    Args:
        labels: [H, W] int32, the labels that `find_components` saw, changed.
        components: of `find_components`.
        to: [P] int32, new label of each component.
        taken: one counter, zero.
    """
    H, W = labels.shape
    first, start, component = components.first, components.start, components.component
    before, rows = components.labels, -(-H // BANDS)
    while True:
        band = add(taken, 0, 1)
        if band >= BANDS:
            return
        for y in range(min(band * rows, H), min((band + 1) * rows, H)):
            row, written = labels[y], 0
            for run in range(first[y], first[y + 1]):
                begin, end = start[run], start[run + 1] if run + 1 < first[y + 1] else W
                label = to[component[run]]
                if label == before[component[run]] and begin >= written:
                    continue
                if begin + WIDE <= W:  # most runs are short; the runs to the right correct the excess
                    for x in range(WIDE):
                        row[begin + x] = label
                    begin += WIDE
                    written = begin
                for x in range(begin, end):
                    row[x] = label
