"""The nearest exemplars of exemplars, without those of the same image."""

from typing import NamedTuple

import numpy as np

from model_store.auditing.material import Material
from segsort import loops

QUERIES = 1024  # of one search, which bounds the memory: about QUERIES * n / 16 floats
_SPARE = 32  # neighbours that are asked for in addition, because some are of the same image
NONE = -1  # place of a neighbour that does not exist


class Nearest(NamedTuple):
    """Neighbours of n exemplars.

    cosines: [n, k] float32, best first; places: [n, k] int32, positions among the exemplars; `NONE`, with the cosine
    -2, where there are fewer than k.
    """

    cosines: np.ndarray
    places: np.ndarray


def nearest_of_all(material: Material, count: int) -> Nearest:
    """The nearest `count` of all other exemplars for each one, of the same image too.

    Args:
        material: n exemplars.
        count: of neighbours, at least 1.
    """
    n = len(material.rows)
    found = _empty(n, count)
    for start in range(0, n, QUERIES):
        part = slice(start, min(start + QUERIES, n))
        cosines, places = loops.nearest_rows(material.prototypes, material.prototypes[part], count + 1)
        itself = np.arange(part.start, part.stop)
        _keep(found, part, cosines, places, places != itself[:, None])
    return found


def nearest_elsewhere(
    prototypes: np.ndarray, apart: np.ndarray, queries: np.ndarray, queries_apart: np.ndarray, count: int
) -> Nearest:
    """The nearest exemplars of each query, without those that have its number in `apart`. The search is exact.

    Args:
        prototypes: [n, D] float32 unit vectors, contiguous.
        apart: [n] int64, see `Material.apart`.
        queries: [Q, D] float32 unit vectors, contiguous.
        queries_apart: [Q] int64.
        count: of neighbours for each query, at least 1.

    Returns:
        For Q queries; places are positions in `prototypes`.
    """
    found = _empty(len(queries), count)
    for start in range(0, len(queries), QUERIES):
        part = slice(start, min(start + QUERIES, len(queries)))
        cosines, places = loops.nearest_rows(prototypes, queries[part], count + _SPARE)
        _keep(found, part, cosines, places, apart[places] != queries_apart[part, None])
    if len(prototypes) > count + _SPARE:  # else the search has seen every exemplar
        _complete(found, prototypes, apart, queries, queries_apart)
    return found


def _complete(
    found: Nearest, prototypes: np.ndarray, apart: np.ndarray, queries: np.ndarray, queries_apart: np.ndarray
) -> None:
    """Search again for the queries that have too few neighbours, one number after the other."""
    short = np.flatnonzero(found.places[:, -1] == NONE)
    for number in np.unique(queries_apart[short]).tolist():
        asked = short[queries_apart[short] == number]
        for start in range(0, len(asked), QUERIES):
            part = asked[start : start + QUERIES]
            cosines, places = loops.nearest_rows(prototypes, queries[part], found.places.shape[1], apart == number)
            _keep(found, part, cosines, places, np.ones(places.shape, dtype=bool))


def _empty(n: int, count: int) -> Nearest:
    return Nearest(np.full((n, count), -2, dtype=np.float32), np.full((n, count), NONE, dtype=np.int32))


def _keep(
    found: Nearest, part: slice | np.ndarray, cosines: np.ndarray, places: np.ndarray, wanted: np.ndarray
) -> None:
    """Write the first wanted neighbours of some queries into their rows of the result."""
    count = min(found.places.shape[1], places.shape[1])
    order = np.argsort(~wanted, axis=1, kind="stable")[:, :count]  # the wanted ones first, in their order
    kept = np.take_along_axis(wanted, order, axis=1)
    found.cosines[part, :count] = np.where(kept, np.take_along_axis(cosines, order, axis=1), -2)
    found.places[part, :count] = np.where(kept, np.take_along_axis(places, order, axis=1), NONE)
