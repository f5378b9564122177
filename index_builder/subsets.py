"""Evenly spread subsets of images."""


def evenly_spread(count: int, most: int) -> list[int]:
    """At most `most` of the positions 0..count-1, evenly spread and in increasing order."""
    most = min(most, count)
    return sorted({i * count // most for i in range(most)})
