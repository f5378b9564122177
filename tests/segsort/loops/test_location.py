"""Features with location beside naive loops."""

import math

import numpy as np
import pytest

from segsort.loops import at_most, location
from segsort.loops.blocks import PIECE
from segsort.pixel_sorting import sorting_features
from tests.segsort.loops.data import smooth_embeddings


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 7), (PIECE // 20, 20), (25, 21)])
@pytest.mark.parametrize("weight", [0.0, 0.7, 3.0])
def test_features_are_unit_vectors_of_embedding_and_location(size: tuple[int, int], weight: float) -> None:
    h, w = size
    embeddings = smooth_embeddings(4, h, w)[0].numpy()
    found, half = location.append(embeddings, weight), max(h, w) / 2
    assert found.shape == (h * w, 6)
    for y in range(h):
        for x in range(w):
            place = [weight * (y + 0.5 - h / 2) / half, weight * (x + 0.5 - w / 2) / half]
            vector = [*(float(e) for e in embeddings[:, y, x]), *place]
            length = math.sqrt(sum(value * value for value in vector))
            assert found[y * w + x].tolist() == pytest.approx([value / length for value in vector], abs=1e-6)


@pytest.mark.parametrize("size", [(13, 17), (128, 128), (90, 120)])
def test_features_are_those_of_the_plain_code(size: tuple[int, int]) -> None:
    embeddings = smooth_embeddings(8, *size)
    plain = sorting_features.__wrapped__(embeddings, 0.5)  # type: ignore[attr-defined]
    np.testing.assert_allclose(location.append(embeddings[0].numpy(), 0.5), plain[0], atol=1e-6)


def test_a_pixel_without_length_stays_zero() -> None:
    found = location.append(np.zeros((3, 2, 2), dtype=np.float32), 0.0)
    assert not found.any()


def test_planes_that_are_not_contiguous_are_read_in_their_order() -> None:
    embeddings = smooth_embeddings(4, 10, 12)[0].numpy()
    turned = np.ascontiguousarray(embeddings.transpose(1, 2, 0)).transpose(2, 0, 1)
    np.testing.assert_array_equal(location.append(turned, 0.5), location.append(embeddings, 0.5))


def test_threads_give_the_same_features() -> None:
    embeddings = smooth_embeddings(8, 90, 120)[0].numpy()
    found = []
    for count in (1, 3):
        with at_most(count):
            found.append(location.append(embeddings, 1.0))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 4), (10, 20), (21, 7)])
def test_the_longer_side_spans_two_weights_around_the_centre(height: int, width: int) -> None:
    y, x = location.centres(height, width, 0.5)
    longer = max(height, width)
    for centres, length in ((y, height), (x, width)):
        assert len(centres) == length
        assert centres.sum() == pytest.approx(0, abs=1e-5)
        assert centres[0] == pytest.approx(-0.5 * (length - 1) / longer)
