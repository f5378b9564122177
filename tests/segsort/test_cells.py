"""Cells and the pixels below them, beside naive loops."""

import numpy as np
import pytest

from segsort.cells import cells_below, centres_of_cells


@pytest.mark.parametrize(("cells", "pixels"), [(1, 1), (4, 16), (4, 15), (7, 30), (5, 5), (9, 4)])
def test_the_centre_of_a_cell_is_the_pixel_at_half_its_way(cells: int, pixels: int) -> None:
    expected = [int((cell + 0.5) * pixels / cells) for cell in range(cells)]
    assert centres_of_cells(cells, pixels).tolist() == expected


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (6, 8), (7, 9), (12, 5)])
def test_the_cell_below_a_pixel_covers_it(size: tuple[int, int]) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (12, 16)).astype(np.int32)
    h, w = size
    for segment in range(3):
        expected = [
            int(y * h / 12) * w + int(x * w / 16) for y in range(12) for x in range(16) if labels[y, x] == segment
        ]
        assert cells_below(labels, segment, size).tolist() == expected


def test_a_segment_without_pixels_lies_in_no_cell() -> None:
    assert cells_below(np.zeros((3, 3), dtype=np.int32), 1, (3, 3)).tolist() == []
