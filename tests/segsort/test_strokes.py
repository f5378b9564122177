"""Pieces of strokes, and the parts of a segment that are like them, against naive loops."""

import math

import numpy as np
import pytest
import torch

from segsort.pixel_sorting import SortingOptions
from segsort.segments import Segments, segment_image
from segsort.strokes import Region, parts_like, pieces_of_strokes
from tests.segsort.test_segments import blobs

IGNORE, SIZE = 9, (61, 83)
OPTIONS = SortingOptions(9, iterations=3)


def segmented() -> tuple[np.ndarray, Segments]:
    embeddings = blobs(15, 20).numpy()
    return embeddings, segment_image(embeddings, SIZE, OPTIONS, 0.001)


def marks(seed: int = 0) -> np.ndarray:
    """A few thin lines of two classes."""
    random, mask = np.random.default_rng(seed), np.full(SIZE, IGNORE)
    for class_id in (0, 3, 0, 3, 5):
        y, x = random.integers(0, 55), random.integers(0, 50)
        mask[y : y + random.integers(1, 4), x : x + random.integers(5, 33)] = class_id
    return mask


def cell(y: int, x: int) -> tuple[int, int]:
    return y * 15 // SIZE[0], x * 20 // SIZE[1]


def naive_pieces(segments: Segments, embeddings: np.ndarray, mask: np.ndarray) -> list[tuple[int, set, np.ndarray]]:
    """Class, pixels and sum of embeddings of each piece."""
    found: dict[tuple[int, int], tuple[int, set, np.ndarray]] = {}
    for y, x in zip(*np.nonzero(mask != IGNORE), strict=True):
        key = (int(mask[y, x]), int(segments.labels[y, x]))
        class_id, pixels, total = found.get(key, (key[0], set(), np.zeros(5)))
        row, column = cell(y, x)
        found[key] = (class_id, pixels | {(int(y), int(x))}, total + embeddings[:, row, column].astype(np.float64))
    pieces = list(found.values())
    while True:
        small = [p for p in pieces if len(p[1]) < mask.size / 300 and sum(o[0] == p[0] for o in pieces) > 1]
        if not small:
            return pieces
        one = min(small, key=lambda p: len(p[1]))
        others = [p for p in pieces if p[0] == one[0] and p is not one]
        best = max(others, key=lambda p: p[2] @ one[2] / math.hypot(*p[2]))
        pieces = [p for p in pieces if p is not one and p is not best]
        pieces.append((one[0], best[1] | one[1], best[2] + one[2]))


@pytest.mark.parametrize("seed", range(6))
def test_pieces_are_segments_by_class_with_small_ones_joined_as_in_naive_loops(seed: int) -> None:
    embeddings, segments = segmented()
    mask = marks(seed)
    found = pieces_of_strokes(segments, embeddings, mask, IGNORE)
    expected = {
        frozenset(pixels): (class_id, total) for class_id, pixels, total in naive_pieces(segments, embeddings, mask)
    }
    assert len(expected) == len(found.areas)
    for n, area in enumerate(found.areas):
        pixels = frozenset((int(y), int(x)) for y, x in np.argwhere(found.labels == n))
        class_id, total = expected[pixels]
        assert (found.class_ids[n], area) == (class_id, len(pixels))
        np.testing.assert_allclose(found.prototypes[n], total / np.linalg.norm(total), atol=1e-6)
        x, y, width, height = found.bboxes[n]
        ys, xs = np.nonzero(found.labels == n)
        assert (x, y, width, height) == (xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1)


@pytest.mark.parametrize("seed", range(6))
def test_no_marked_pixel_is_lost(seed: int) -> None:
    embeddings, segments = segmented()
    mask = marks(seed)
    found = pieces_of_strokes(segments, embeddings, mask, IGNORE)
    np.testing.assert_array_equal(found.labels >= 0, mask != IGNORE)
    np.testing.assert_array_equal(found.class_ids[found.labels[mask != IGNORE]], mask[mask != IGNORE])
    assert found.areas.sum() == (mask != IGNORE).sum()


def test_a_stroke_thinner_than_an_embedding_cell_is_one_piece() -> None:
    embeddings, segments = segmented()
    mask = np.full(SIZE, IGNORE)
    mask[30, 40] = 2
    found = pieces_of_strokes(segments, embeddings, mask, IGNORE)
    assert (found.areas.tolist(), found.class_ids.tolist()) == ([1], [2])
    row, column = cell(30, 40)
    np.testing.assert_allclose(found.prototypes[0], embeddings[:, row, column], atol=1e-6)


def test_without_a_mark_there_is_no_piece() -> None:
    embeddings, segments = segmented()
    found = pieces_of_strokes(segments, embeddings, np.full(SIZE, IGNORE), IGNORE)
    assert (found.labels == -1).all()
    assert (found.prototypes.shape, found.bboxes.shape) == ((0, 5), (0, 4))
    assert found.class_ids.tolist() == found.areas.tolist() == []


@pytest.mark.parametrize("ignore", [-1, 0, 255])
def test_an_image_marked_all_over_has_its_segments_as_pieces(ignore: int) -> None:
    embeddings, segments = segmented()
    assert segments.areas.min() >= SIZE[0] * SIZE[1] / 300  # none is small
    found = pieces_of_strokes(segments, embeddings, np.full(SIZE, 3), ignore)
    np.testing.assert_array_equal(found.labels, segments.labels)
    np.testing.assert_array_equal(found.areas, segments.areas)
    assert set(found.class_ids.tolist()) == {3}


@pytest.mark.parametrize(("name", "kind"), [(200, np.uint8), (30_000, np.int16), (1 << 40, np.int64)])
def test_pieces_keep_classes_of_any_number(name: int, kind: type) -> None:
    embeddings, segments = segmented()
    mask = marks()
    expected = pieces_of_strokes(segments, embeddings, mask, IGNORE)
    mask[mask == 5] = name
    found = pieces_of_strokes(segments, embeddings, mask.astype(kind), IGNORE)
    pixels = mask != IGNORE
    np.testing.assert_array_equal(found.class_ids[found.labels[pixels]], mask[pixels])
    assert sorted(found.areas.tolist()) == sorted(expected.areas.tolist())


def test_a_mask_of_another_size_is_refused() -> None:
    embeddings, segments = segmented()
    with pytest.raises(ValueError, match="same height and width"):
        pieces_of_strokes(segments, embeddings, np.zeros((3, 4)), IGNORE)


def two_halves(noise: float = 0.05) -> np.ndarray:
    """[4, 16, 24] embeddings: the left half is like the first axis, the right half like the second."""
    random = torch.Generator().manual_seed(0)
    embeddings = torch.zeros(4, 16, 24)
    embeddings[0, :, :12], embeddings[1, :, 12:] = 1, 1
    return torch.nn.functional.normalize(embeddings + noise * torch.randn(4, 16, 24, generator=random), dim=0).numpy()


def whole(pixels: np.ndarray) -> Region:
    return Region(pixels, 0, 0, pixels.shape)


AXES = np.eye(4, dtype=np.float32)


def test_the_part_of_a_segment_like_the_stroke_takes_its_class() -> None:
    pixels = np.ones((64, 96), dtype=bool)
    pixels[20:24, 60:90] = False  # under the stroke
    parts = parts_like(whole(pixels), two_halves(), AXES[1:2], np.array([7]), OPTIONS)
    assert (parts[pixels & (np.arange(96) >= 49)] == 7).all()
    assert (parts[pixels & (np.arange(96) < 47)] == -1).all()
    assert (parts[~pixels] == -1).all()


def test_each_part_takes_the_class_of_the_most_similar_stroke() -> None:
    pixels = np.ones((64, 96), dtype=bool)
    strokes = np.stack([AXES[1], AXES[0], AXES[2]])
    parts = parts_like(whole(pixels), two_halves(), strokes, np.array([7, 4, 5]), OPTIONS)
    assert set(np.unique(parts[:, :46])) == {4}
    assert set(np.unique(parts[:, 50:])) == {7}


def test_a_segment_unlike_the_stroke_stays_whole() -> None:
    pixels = np.zeros((64, 96), dtype=bool)
    pixels[8:50, :40] = True
    assert (parts_like(whole(pixels), two_halves(), AXES[3:], np.array([7]), OPTIONS) == -1).all()


def test_a_segment_of_less_than_two_cells_stays_whole() -> None:
    pixels = np.zeros((64, 96), dtype=bool)
    assert (parts_like(whole(pixels), two_halves(), AXES[:1], np.array([7]), OPTIONS) == -1).all()
    pixels[11:13] = True  # between the centres of cells
    pixels[10, 6] = True  # the centre of one cell
    assert (parts_like(whole(pixels), two_halves(), AXES[:1], np.array([7]), OPTIONS) == -1).all()


def test_parts_smaller_than_a_cell_stay_with_the_rest() -> None:
    embeddings = two_halves(0)
    embeddings[:, :, 12:] = AXES[0][:, None, None]
    embeddings[:, 8, 8] = AXES[2]
    pixels = np.ones((64, 96), dtype=bool)
    pixels[33:37, 32:36] = False
    pixels[32, 32:35] = False
    parts = parts_like(whole(pixels), embeddings, AXES[2:3], np.array([1]), OPTIONS)
    areas = np.unique(parts[pixels], return_counts=True)[1]
    assert areas.min() >= 16


def test_a_piece_is_compared_by_direction_and_not_by_place() -> None:
    """Naive: with noise-free halves, the pieces are pure, so that each pixel's own cosine decides."""
    embeddings, pixels = two_halves(0), np.ones((64, 96), dtype=bool)
    stroke = np.array([0.2, 0.9, 0.1, 0], dtype=np.float32) / math.sqrt(0.86)
    parts = parts_like(whole(pixels), embeddings, stroke[None], np.array([3]), OPTIONS)
    for y, x in ((5, 5), (60, 40), (5, 60), (60, 90)):
        vector = embeddings[:, y // 4, x // 4]
        rest = np.array([1, 1, 0, 0]) / math.sqrt(2)
        assert (parts[y, x] == 3) == (vector @ stroke > vector @ rest)


@pytest.mark.parametrize("window", [(8, 48, 3, 81), (13, 15, 20, 90), (33, 43, 30, 71)])
def test_a_window_of_the_image_is_divided_at_the_same_place(window: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = window
    pixels = np.ones((bottom - top, right - left), dtype=bool)
    pixels[0, ::3] = False
    parts = parts_like(Region(pixels, top, left, (64, 96)), two_halves(0.01), AXES[:1], np.array([7]), OPTIONS)
    x = np.broadcast_to(np.arange(left, right), pixels.shape)
    assert (parts[pixels & (x < 46)] == 7).all()
    assert (parts[pixels & (x >= 50)] == -1).all()
    assert (parts[~pixels] == -1).all()


def patches(seed: int) -> np.ndarray:
    """[4, 16, 24] embeddings in 4x4 patches, each of one direction, all in one quarter of a plane."""
    angles = torch.rand(4, 4, generator=torch.Generator().manual_seed(seed)) * math.pi / 2
    angles = angles.repeat_interleave(4, dim=0).repeat_interleave(6, dim=1)
    return torch.stack([angles.cos(), angles.sin(), 0 * angles, 0 * angles]).numpy()


def naive_parts(vectors: list[np.ndarray], stroke: np.ndarray, rounds: int) -> list[bool]:
    """Whether pieces of one size belong to the stroke, after so many comparisons with the mean of the rest."""
    taken = [False] * len(vectors)
    for _ in range(rounds):
        rest = np.sum([v for v, gone in zip(vectors, taken, strict=True) if not gone], axis=0)
        after = [bool(v @ stroke > v @ rest / math.hypot(*rest)) for v in vectors]
        if after == taken or all(after):
            return after
        taken = after
    return taken


@pytest.mark.parametrize("seed", [0, 16, 25, 58])
def test_pieces_are_compared_with_the_rest_until_nothing_changes(seed: int) -> None:
    embeddings, stroke = patches(seed), np.array([math.cos(0.2), math.sin(0.2), 0, 0], dtype=np.float32)
    options = SortingOptions(9, iterations=3, location_weight=0)  # each patch is a piece, whatever its neighbours
    parts = parts_like(whole(np.ones((64, 96), dtype=bool)), embeddings, stroke[None], np.array([3]), options)
    vectors = [embeddings[:, 4 * y + 2, 6 * x + 3].astype(np.float64) for y in range(4) for x in range(4)]
    expected = naive_parts(vectors, stroke.astype(float), 10)
    assert expected != naive_parts(vectors, stroke.astype(float), 1), "one comparison is not enough"
    assert [bool(parts[16 * y + 8, 24 * x + 12] == 3) for y in range(4) for x in range(4)] == expected


@pytest.mark.parametrize(("pixels_of_rest", "joins"), [(24 * 16, False), (9, True)])
def test_a_rest_smaller_than_a_cell_joins_the_largest_part(pixels_of_rest: int, joins: bool) -> None:
    """The largest part, not the one beside it."""
    embeddings, pixels = two_halves(0), np.ones((64, 96), dtype=bool)
    embeddings[:, :, 9:12] = embeddings[:, :, 12:15]  # the left part is the smaller one
    embeddings[:, 12:, :6] = AXES[3][:, None, None]
    if joins:
        pixels[48:, :24] = False
        pixels[58, 2:11] = True  # the centres of three cells
    parts = parts_like(whole(pixels), embeddings, AXES[:2], np.array([7, 4]), OPTIONS)
    corner = parts[48:, :24][pixels[48:, :24]]
    assert len(corner) == pixels_of_rest
    assert parts[58, 4] == (4 if joins else -1)
    assert set(np.unique(parts[pixels])) == ({4, 7} if joins else {-1, 4, 7})
    assert (parts[:46, :34] == 7).all()


def test_the_count_of_segments_and_the_precision_of_an_image_do_not_matter_within_a_segment() -> None:
    pixels, other = np.ones((64, 96), dtype=bool), SortingOptions(400, iterations=3, precision="int8")
    embeddings = blobs(16, 24, 4).numpy()
    strokes = embeddings[:, [3, 12], [4, 20]].T
    first, second = (parts_like(whole(pixels), embeddings, strokes, np.array([1, 2]), o) for o in (OPTIONS, other))
    assert set(np.unique(first)) == {-1, 1, 2}
    np.testing.assert_array_equal(first, second)
