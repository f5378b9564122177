"""The number of clusters: the smallest tried that is tight enough."""

import numpy as np
import pytest

from model_store.clustering import COUNTS, grouped
from segsort.sphere import unit_rows


def blobs(kinds: int, each: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """[kinds * each, 16] float32 unit vectors around orthogonal directions, and the kind of each."""
    random = np.random.default_rng(seed)
    kind = np.repeat(np.arange(kinds), each)
    return unit_rows((np.eye(16)[kind] + random.normal(0, spread, (len(kind), 16))).astype(np.float32)), kind


@pytest.mark.parametrize("kinds", [1, 2, 3, 4, 6, 8])
def test_well_separated_kinds_are_the_clusters(kinds: int) -> None:
    prototypes, kind = blobs(kinds, 12, 0.02)
    found = grouped(prototypes, np.random.default_rng(1).uniform(1, 5, len(kind)), 0.95)
    assert len(found.centres) == kinds
    assert len({(a, b) for a, b in zip(kind.tolist(), found.labels.tolist(), strict=True)}) == kinds


def test_with_each_number_that_was_passed_over_less_than_90_percent_of_the_area_is_near() -> None:
    prototypes, kind = blobs(5, 20, 0.12)
    areas = np.random.default_rng(2).uniform(1, 5, len(kind))
    found = grouped(prototypes, areas, 0.8)
    near = sum(
        float(area)
        for one, area, label in zip(prototypes, areas, found.labels, strict=True)
        if float(one @ found.centres[label]) >= 0.8
    )
    assert near >= 0.9 * areas.sum()
    assert len(found.centres) in COUNTS
    assert len(found.centres) > 4, "five kinds are not near four centres"
    for one, label in zip(prototypes, found.labels, strict=True):
        assert int(np.argmax(found.centres @ one)) == label


def test_clusters_unite_segments_even_if_all_differ() -> None:
    prototypes = np.eye(16, dtype=np.float32)[:9]
    assert len(grouped(prototypes, np.ones(9), 0.99).centres) <= 4
    assert len(grouped(prototypes[:1], np.ones(1), 0.99).centres) == 1
