"""Places of equal keys: what a stable argsort gives, without sorting."""

import numpy as np

from segsort.loops.cache import loop


@loop()
def grouped(keys: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the places of each key.

    Args:
        keys: [N] int; keys outside 0..count-1 are left out.
        count: number of different keys.

    Returns:
        Places [n] int64: those of key 0 in rising order, then those of key 1, and so on. And bounds [count+2] int64:
        the places of a key begin at bounds[key], and end before bounds[key + 1].
    """
    bounds = np.zeros(count + 2, np.int64)  # until the end each begin is one further on
    for key in keys:
        if 0 <= key < count:
            bounds[key + 2] += 1
    for key in range(count):
        bounds[key + 2] += bounds[key + 1]
    order = np.empty(bounds[count + 1], np.int64)
    for place in range(len(keys)):
        key = keys[place]
        if 0 <= key < count:
            order[bounds[key + 1]] = place
            bounds[key + 1] += 1
    return order, bounds
