import numpy as np
import pytest
import torch

from index_builder.datasets import IGNORE
from index_builder.heads import ImageMaps, Samples, cell_labels, gather_samples
from index_builder.heads.samples import draw_cells
from segsort.head import Basis, principal_basis
from tests.index_builder.heads.small import GROUPS, noise, small_statistics

BASIS = principal_basis(small_statistics(), GROUPS, 8)


def naive_cell_labels(labels: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    (H, W), (h, w) = labels.shape, cells
    found = np.full(cells, IGNORE, dtype=np.uint8)
    for y in range(h):
        for x in range(w):
            below = [labels[a, b] for a in range(H) for b in range(W) if a * h // H == y and b * w // W == x]
            classes = sorted({c for c in below if c != IGNORE})
            if classes:
                found[y, x] = max(classes, key=below.count)
    return found


@pytest.mark.parametrize(
    ("size", "cells"), [((24, 32), (6, 8)), ((23, 31), (6, 8)), ((10, 7), (12, 9)), ((9, 60), (9, 15))]
)
def test_a_cell_has_the_most_frequent_class_of_the_labelled_pixels_below_it(
    size: tuple[int, int], cells: tuple[int, int]
) -> None:
    random = np.random.default_rng(0)
    labels = random.choice(np.array([0, 1, 4, IGNORE], dtype=np.uint8), size, p=[0.2, 0.2, 0.1, 0.5])
    labels[: size[0] // 3] = IGNORE
    np.testing.assert_array_equal(cell_labels(labels, cells), naive_cell_labels(labels, cells))


def test_a_stroke_of_one_pixel_labels_every_cell_that_it_crosses() -> None:
    labels = np.full((40, 60), IGNORE, dtype=np.uint8)
    labels[17, 3:50] = 2
    found = cell_labels(labels, (10, 15))
    assert (found[4, :13] == 2).all()
    assert (found != IGNORE).sum() == 13


def test_cells_of_an_image_without_labels_have_none() -> None:
    assert (cell_labels(np.full((20, 30), IGNORE, dtype=np.uint8), (5, 8)) == IGNORE).all()


def test_a_few_labelled_cells_are_all_drawn_and_stand_for_themselves() -> None:
    labels = np.full((6, 9), IGNORE, dtype=np.uint8)
    labels[1, 2:5], labels[4, 8] = 3, 0
    y, x, weights = draw_cells(labels, 10, np.random.default_rng(0))
    assert sorted(zip(y.tolist(), x.tolist(), strict=True)) == [(1, 2), (1, 3), (1, 4), (4, 8)]
    assert weights.tolist() == [1, 1, 1, 1]


def test_classes_are_drawn_by_the_square_root_of_their_frequency() -> None:
    labels = np.zeros((60, 100), dtype=np.uint8)
    labels.flat[:600], labels.flat[600:603], labels.flat[603:700] = 1, 2, IGNORE
    y, x, weights = draw_cells(labels, 200, np.random.default_rng(0))
    drawn = labels[y, x]
    assert len(set(zip(y.tolist(), x.tolist(), strict=True))) == len(y), "no cell is drawn twice"
    assert abs(len(y) - 200) <= 3
    share = {c: int((drawn == c).sum()) for c in (0, 1, 2, IGNORE)}
    assert share[0] / share[1] == pytest.approx((5300 / 600) ** 0.5, rel=0.1)
    assert 1 <= share[2] <= 3
    assert share[IGNORE] == 0
    for c, cells in ((0, 5300), (1, 600), (2, 3)):
        assert weights[drawn == c].sum() == pytest.approx(cells, rel=1e-4), "the cells drawn stand for all of the class"


def two_images() -> list[tuple[ImageMaps, np.ndarray]]:
    """The first with two strokes of class 0 and an area of class 1, the second with a few pixels of class 1."""
    found = []
    for seed in (0, 1):
        maps = {g.name: noise(g.channels, 96 // g.stride, 128 // g.stride, seed=seed + g.stride) for g in GROUPS}
        labels = np.full((93, 125), IGNORE, dtype=np.uint8)
        if seed == 0:
            labels[5, 10:40], labels[50:80, 20], labels[40:90, 60:120] = 0, 0, 1
        else:
            labels[80:90, 100:110] = 1
        found.append((ImageMaps(maps, (24, 32)), labels))
    return found


def gathered(most: int = 1000, seed: int = 0) -> Samples:
    images = two_images()
    return gather_samples(2, images.__getitem__, GROUPS, BASIS, most=most, seed=seed)


def test_samples_have_the_features_and_classes_of_their_cells() -> None:
    samples, images = gathered(), two_images()
    assert sorted(set(samples.images.tolist())) == [0, 1]
    for i, (maps, labels) in enumerate(images):
        mine = samples.subset(samples.images == i)
        y, x = mine.places // 32, mine.places % 32
        torch.testing.assert_close(mine.rows, maps.rows(GROUPS, y, x))
        cells = cell_labels(labels, maps.cells)
        assert mine.class_ids.tolist() == cells[y, x].tolist()
        assert mine.weights.sum() == pytest.approx((cells != IGNORE).sum())


def test_parts_are_the_strokes_and_areas_of_one_class() -> None:
    samples = gathered()
    found = [(int(samples.images[at[0]]), *set(samples.class_ids[at].tolist())) for at in groups_of(samples.parts)]
    assert sorted(found) == [(0, 0), (0, 0), (0, 1), (1, 1)]


def test_segments_have_one_class_and_lie_in_one_image() -> None:
    samples = gathered()
    groups = groups_of(samples.segments)
    assert len(groups) > 6, "the area is sorted into several segments"
    for at in groups:
        assert len(set(samples.class_ids[at].tolist())) == 1
        assert len(set(samples.images[at].tolist())) == 1


def groups_of(numbers: np.ndarray) -> list[np.ndarray]:
    """Positions that have each number."""
    return [np.flatnonzero(numbers == number) for number in np.unique(numbers)]


def test_large_images_give_as_many_samples_as_they_may() -> None:
    maps = {g.name: noise(g.channels, 256 // g.stride, 256 // g.stride) for g in GROUPS}
    labels = (np.indices((256, 256)).sum(axis=0) > 200).astype(np.uint8)
    samples = gather_samples(1, lambda i: (ImageMaps(maps, (64, 64)), labels), GROUPS, BASIS, most=900, seed=0)
    assert len(samples.images) == pytest.approx(900, abs=2)
    assert samples.weights.sum() == pytest.approx(64 * 64, rel=1e-4)


def test_the_seed_decides_which_cells_are_drawn() -> None:
    maps = {g.name: noise(g.channels, 96 // g.stride, 96 // g.stride) for g in GROUPS}
    labels = (np.indices((96, 96))[0] > 50).astype(np.uint8)

    def places(seed: int) -> list[int]:
        image = (ImageMaps(maps, (24, 24)), labels)
        found: list[int] = gather_samples(1, lambda i: image, GROUPS, BASIS, most=1, seed=seed).places.tolist()
        return found

    assert places(3) == places(3) != places(4)


def test_images_without_a_label_are_refused() -> None:
    maps = two_images()[0][0]
    nothing = np.full((93, 125), IGNORE, dtype=np.uint8)
    with pytest.raises(ValueError, match="no pixel of the 3 images is labelled; label some, in two classes or more"):
        gather_samples(3, lambda i: (maps, nothing), GROUPS, BASIS, most=100, seed=0)


def test_a_few_samples_are_kept_in_their_order() -> None:
    samples = gathered()
    few = samples.thinned(40, seed=1)
    assert len(few.rows) == len(few.class_ids) == len(few.weights) == 40
    keys = list(zip(few.images.tolist(), few.places.tolist(), strict=True))
    whole = list(zip(samples.images.tolist(), samples.places.tolist(), strict=True))
    assert [whole.index(key) for key in keys] == sorted(whole.index(key) for key in keys)
    assert samples.thinned(len(samples.rows), seed=1) is samples
    assert samples.classes == 2
    assert samples.subset(np.array([0])).classes == 1


def test_samples_by_position_are_those_in_that_order() -> None:
    samples = gathered()
    two = samples.subset(np.array([5, 1]))
    assert two.places.tolist() == samples.places[[5, 1]].tolist()
    assert torch.equal(two.rows, samples.rows[[5, 1]])


def test_the_basis_decides_what_is_sorted_into_one_segment() -> None:
    """In a basis that sees only the sign of one feature, an area falls into two kinds of segments."""
    maps = {g.name: np.zeros((g.channels, 96 // g.stride, 96 // g.stride), dtype=np.float32) for g in GROUPS}
    maps["fine"][0, :, :12], maps["fine"][0, :, 12:] = 1, -1
    directions = np.eye(sum(g.channels for g in GROUPS), 1, dtype=np.float32)
    basis = Basis(np.zeros(len(directions), dtype=np.float32), directions)
    labels = np.zeros((96, 96), dtype=np.uint8)
    samples = gather_samples(1, lambda i: (ImageMaps(maps, (24, 24)), labels), GROUPS, basis, most=600, seed=0)
    for at in groups_of(samples.segments):
        assert len(set((samples.places[at] % 24 < 12).tolist())) == 1
