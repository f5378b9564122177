"""Copies in other light have the labels of their originals, and are always alike."""

import numpy as np
import pytest

from index_builder.training.other_light import WithOtherLight
from tests.conftest import Blocks


def test_the_originals_come_first_and_then_their_copies_with_equal_labels() -> None:
    original = Blocks()
    both = WithOtherLight(original)
    assert len(both) == 2 * len(original)
    changed = 0
    for i in range(len(original)):
        plain, kept, copy = original[i], both[i], both[len(original) + i]
        np.testing.assert_array_equal(kept.image, plain.image)
        np.testing.assert_array_equal(copy.labels, plain.labels)
        assert copy.image.shape == plain.image.shape
        assert copy.image.dtype == np.uint8
        assert copy.source != plain.source
        changed += bool((copy.image != plain.image).any())
    assert changed >= len(original) - 1


def test_a_copy_is_always_changed_alike_and_leaves_random_numbers_alone() -> None:
    import torch

    both = WithOtherLight(Blocks())
    torch.manual_seed(5)
    first = both[len(both) - 1].image
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))
    np.testing.assert_array_equal(both[len(both) - 1].image, first)
    np.testing.assert_array_equal(both.photograph(len(both) - 1).image, first)


@pytest.mark.parametrize("i", [-1, 99])
def test_other_positions_are_refused(i: int) -> None:
    with pytest.raises(IndexError, match="the positions are 0"):
        WithOtherLight(Blocks())[i]
