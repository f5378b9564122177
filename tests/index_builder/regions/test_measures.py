"""Measures of regions, compared with loops over pixels and regions, and with known values."""

import numpy as np
import pytest

from index_builder.regions.borders import boundary_pixels
from index_builder.regions.measures import measure

HALVES = np.repeat([[0, 1]], 8, axis=0).repeat(8, axis=1)  # [8, 16]


def recall_by_loops(regions: np.ndarray, drawn: np.ndarray, tolerance: int) -> float:
    ours, theirs = np.argwhere(boundary_pixels(regions)), np.argwhere(boundary_pixels(drawn))
    return float(np.mean([any(abs(pixel - other).max() <= tolerance for other in ours) for pixel in theirs]))


def undersegmentation_by_loops(regions: np.ndarray, drawn: np.ndarray) -> float:
    leaked = 0
    for segment in np.unique(drawn):
        for region in np.unique(regions[drawn == segment]):
            inside = ((regions == region) & (drawn == segment)).sum()
            leaked += min(inside, (regions == region).sum() - inside)
    return float(leaked / regions.size)


def accuracy_by_loops(regions: np.ndarray, drawn: np.ndarray) -> float:
    best = [max(((regions == r) & (drawn == s)).sum() for s in np.unique(drawn)) for r in np.unique(regions)]
    return float(sum(best) / regions.size)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tolerance", [0, 1, 2])
def test_measures_are_those_of_loops_averaged_over_annotators(seed: int, tolerance: int) -> None:
    random = np.random.default_rng(seed)
    regions = random.integers(0, 4, (3, 4)).repeat(4, axis=0).repeat(4, axis=1)
    drawn = [random.integers(5, 9, (4, 2)).repeat(3, axis=0).repeat(8, axis=1) for _ in range(3)]
    found = measure(regions, drawn, tolerance)
    assert found.boundary_recall == pytest.approx(np.mean([recall_by_loops(regions, d, tolerance) for d in drawn]))
    assert found.undersegmentation == pytest.approx(np.mean([undersegmentation_by_loops(regions, d) for d in drawn]))
    assert found.achievable_accuracy == pytest.approx(np.mean([accuracy_by_loops(regions, d) for d in drawn]))
    assert found.regions == len(np.unique(regions))


def test_a_partition_is_perfect_against_itself_and_whatever_is_coarser() -> None:
    fine = np.arange(8 * 16).reshape(8, 16)
    for partition in (HALVES, fine):
        assert measure(partition, [HALVES])[:3] == (1.0, 0.0, 1.0)


def test_a_partition_into_one_finds_no_boundary() -> None:
    found = measure(np.zeros_like(HALVES), [HALVES, np.zeros_like(HALVES)])
    assert found == (0.5, 0.5, 0.75, 1), "the second annotator drew none, so that none can be missed"


def test_a_border_may_lie_off_by_the_tolerance() -> None:
    moved = (np.arange(16) >= 10).astype(int)[None].repeat(8, axis=0)
    assert measure(moved, [HALVES], tolerance=2).boundary_recall == 1.0
    assert measure(moved, [HALVES], tolerance=1).boundary_recall == 0.5
    assert measure(moved, [HALVES], tolerance=0).boundary_recall == 0.0
    assert measure(moved, [HALVES]).undersegmentation == pytest.approx(2 * 2 / 16)


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(ValueError, match=r"shape \(8, 16\), the 1 drawn maps \[\(8, 8\)\]"):
        measure(HALVES, [HALVES[:, :8]])
    with pytest.raises(ValueError, match="the 0 drawn maps"):
        measure(HALVES, [])
    with pytest.raises(ValueError, match="negative values"):
        measure(HALVES - 1, [HALVES])
