import cc3d
import numpy as np
import pytest
import torch

from segsort.pixel_sorting import SortingOptions, sort_pixels, sorting_features
from segsort.segments import merge_small, outline, outline_images, prototypes, segment_image
from segsort.sphere import normalize
from tests.segsort.smooth_images import blobs, naive_prototypes


@pytest.mark.parametrize("width", [1, 2, 14, 15, 16, 17, 31, 32, 33, 47])
def test_runs_of_every_width_are_filled(width: int) -> None:
    random = np.random.default_rng(width)
    for _ in range(20):
        labels = np.repeat(random.integers(0, 4, (9, width)), random.integers(1, 3), axis=1)[:, :width].astype(np.int32)
        np.testing.assert_array_equal(merge_small(labels, 4), naive_merge(labels, 4))


@pytest.mark.parametrize("labels", [np.zeros((0, 4), dtype=np.int32), np.full((3, 4), -1, dtype=np.int32)])
def test_labels_that_are_none_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="number the segments from 0"):
        merge_small(labels, 3)


@pytest.mark.parametrize("size", [(60, 80), (61, 83), (15, 20), (7, 5), (1, 200)])
def test_segments_tile_an_image_of_any_size(size: tuple[int, int]) -> None:
    segments = segment_image(blobs(15, 20), size, SortingOptions(9), 0.001)
    assert segments.labels.shape == size
    assert segments.areas.sum() == size[0] * size[1]
    assert segments.areas.min() > 0
    assert set(np.unique(segments.labels)) == set(range(len(segments.areas)))
    np.testing.assert_allclose(np.linalg.norm(segments.prototypes, axis=1), 1, atol=1e-5)


def test_outline_equals_naive_interpolation_near_borders() -> None:
    """Pixels between cells take the best of the four cells' segments, by bilinearly interpolated features."""
    embeddings, options, size = blobs(9, 12), SortingOptions(6, location_weight=0.3), (36, 48)
    sorted_pixels = sort_pixels(embeddings[None], options)
    features = sorting_features(embeddings[None], 0.3)[0].reshape(9, 12, -1)
    cells, theta = sorted_pixels.labels[0], sorted_pixels.theta[0]
    expected = np.zeros(size, dtype=int)
    for y in range(size[0]):
        for x in range(size[1]):
            cy, cx = (min(max((p + 0.5) / 4 - 0.5, 0), n - 1) for p, n in ((y, 9), (x, 12)))
            y0, x0 = int(cy), int(cx)
            y1, x1 = min(y0 + 1, 8), min(x0 + 1, 11)
            wy, wx = cy - y0, cx - x0
            vector = (
                features[y0, x0] * (1 - wy) * (1 - wx) + features[y0, x1] * (1 - wy) * wx
                + features[y1, x0] * wy * (1 - wx) + features[y1, x1] * wy * wx
            )  # fmt: skip
            around = [int(cells[at]) for at in ((y0, x0), (y0, x1), (y1, x0), (y1, x1))]
            expected[y, x] = max(around, key=lambda s: float(vector @ theta[s]))
    found = segment_image(embeddings, size, options, 0.0).labels
    pairs = {(int(a), int(b)) for a, b in zip(expected.ravel(), found.ravel(), strict=True)}
    assert len(pairs) == len(np.unique(expected)) == len(np.unique(found))


def test_prototypes_are_means_over_cells_without_location() -> None:
    embeddings = blobs(12, 16)
    segments = segment_image(embeddings, (12, 16), SortingOptions(5), 0.0)
    for segment in range(len(segments.areas)):
        members = embeddings[:, torch.from_numpy(segments.labels == segment)]
        torch.testing.assert_close(torch.from_numpy(segments.prototypes[segment]), normalize(members.sum(dim=1), dim=0))


def test_a_small_component_is_merged_into_the_neighbour_with_the_longest_border() -> None:
    labels = np.zeros((8, 8), dtype=np.int32)
    labels[:, 4:] = 1
    labels[3, 3] = 2  # three sides in 0, one in 1
    labels[6, 6] = 0  # alone inside 1
    expected = np.zeros((8, 8), dtype=np.int32)
    expected[:, 4:] = 1
    np.testing.assert_array_equal(merge_small(labels, 3), expected)


def test_small_components_among_small_ones_end_in_something_large() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, (40, 40)).astype(np.int32)
    labels[:, 20:] = 7
    merged = merge_small(labels, 30)
    assert merged.shape == labels.shape
    assert set(np.unique(merged)) <= set(np.unique(labels))


def test_an_image_of_small_components_alone_keeps_its_labels() -> None:
    labels = np.arange(9, dtype=np.int32).reshape(3, 3)
    assert set(np.unique(merge_small(labels, 100))) <= set(range(9))


def naive_merge(labels: np.ndarray, min_pixels: float) -> np.ndarray:
    """Merging by the docstring of `merge_small`, pixel by pixel over cc3d's components."""
    components = cc3d.connected_components(labels + 1, connectivity=4).astype(np.int64) - 1
    count = int(components.max()) + 1
    areas, label_of = np.bincount(components.ravel()), np.empty(count, dtype=np.int32)
    label_of[components.ravel()] = labels.ravel()
    border: dict[int, dict[int, int]] = {component: {} for component in np.flatnonzero(areas < min_pixels).tolist()}
    for a, b in ((components[:, :-1], components[:, 1:]), (components[:-1], components[1:])):
        for one, other in zip(a[a != b].tolist(), b[a != b].tolist(), strict=True):
            for component, other_one in ((one, other), (other, one)):
                if component in border:
                    border[component][other_one] = border[component].get(other_one, 0) + 1
    target = {}
    for component, sides in border.items():
        if sides:
            target[component] = max(
                sides, key=lambda other_one: (other_one not in border, sides[other_one], areas[other_one], other_one)
            )
    largest = int(areas.argmax())
    for component in sorted(border, key=lambda component: (areas[component], component)):
        other = target.get(component, component)
        swaps = other in border and areas[other] <= areas[component] and target.get(other) == component
        if component == largest or swaps:
            target[component] = component
    end = np.arange(count)
    for component in range(count):
        while target.get(int(end[component]), end[component]) != end[component]:
            end[component] = target[int(end[component])]
    return label_of[end][components]


@pytest.mark.parametrize("seed", range(40))
def test_merging_equals_naive_loops(seed: int) -> None:
    random = np.random.default_rng(seed)
    size, kinds, magnified = random.integers(1, 25, 2), int(random.integers(1, 6)), int(random.integers(1, 4))
    labels = random.integers(0, kinds, size).astype(np.int32).repeat(magnified, 0).repeat(magnified, 1)
    min_pixels = int(random.integers(1, 30))
    np.testing.assert_array_equal(merge_small(labels, min_pixels), naive_merge(labels, min_pixels))


def test_several_images_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="pass one image"):
        segment_image(blobs(6, 6)[None], (24, 24), SortingOptions(), 0.0)


def test_embeddings_that_are_not_finite_are_refused() -> None:
    embeddings = blobs(15, 20)
    embeddings[:, 3, 4] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        segment_image(embeddings, (60, 80), SortingOptions(9), 0.001)


@pytest.mark.parametrize("size", [(9, 12), (36, 48), (35, 50), (4, 5)])
def test_the_plain_outline_is_that_of_the_compiled_loops(size: tuple[int, int]) -> None:
    features = sorting_features(blobs(9, 12)[None], 0.3)[0]
    found = sort_pixels(blobs(9, 12)[None], SortingOptions(6, location_weight=0.3))
    compiled = outline(features, found.theta[0], found.labels[0], size)
    plain = outline.__wrapped__(features, found.theta[0], found.labels[0], size)  # type: ignore[attr-defined]
    assert (compiled == plain).float().mean() > 0.999


@pytest.mark.parametrize("size", [(9, 12), (36, 48), (35, 50), (4, 5)])
def test_plain_prototypes_are_those_of_the_compiled_loops(size: tuple[int, int]) -> None:
    embeddings = blobs(9, 12)
    features = sorting_features(embeddings[None], 0.3)[0]
    labels = np.random.default_rng(0).integers(-1, 8, size).astype(np.int32)
    compiled = prototypes(embeddings, features, labels, 9)
    plain = prototypes.__wrapped__(embeddings, features, labels, 9)  # type: ignore[attr-defined]
    np.testing.assert_allclose(compiled, plain, atol=1e-5)
    assert not compiled[8].any()  # a segment without pixels


@pytest.mark.parametrize("sizes", [[], [(3, 4), (3, 4)], [(0, 4)]])
def test_a_size_is_needed_for_each_image(sizes: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="for each of the B images"):
        outline_images(blobs(6, 6)[None], sizes or [(1, 0)], SortingOptions(4))


def test_images_outlined_at_once_are_those_outlined_alone() -> None:
    several = torch.stack([blobs(9, 12, seed=seed) for seed in range(3)])
    sizes = [(36, 48), (35, 47), (9, 12)]
    together = outline_images(several, sizes, SortingOptions(6))
    for image, (one, size) in enumerate(zip(together, sizes, strict=True)):
        alone = outline_images(several[image : image + 1], [size], SortingOptions(6))[0]
        np.testing.assert_array_equal(one.labels, alone.labels)
        assert torch.equal(one.embeddings, several[image])


@pytest.mark.parametrize("size", [(9, 12), (36, 48), (35, 50), (4, 5), (1, 60)])
def test_prototypes_of_thick_and_thin_segments_equal_naive_loops(size: tuple[int, int]) -> None:
    embeddings, random = blobs(9, 12), np.random.default_rng(1)
    labels = np.kron(random.integers(0, 3, (-(-size[0] // 7), -(-size[1] // 7))), np.ones((7, 7)))
    labels = labels[: size[0], : size[1]].astype(np.int32)
    labels[:, -1], labels[0, :2], labels[-1, 0] = 3, 4, -1  # a thin column, two pixels, and a pixel of no segment
    features = sorting_features(embeddings[None], 0.7)[0]
    expected = naive_prototypes(embeddings, labels, 6)
    plain = prototypes.__wrapped__  # type: ignore[attr-defined]
    for form in (prototypes, plain):
        np.testing.assert_allclose(form(embeddings, features, labels, 6), expected, atol=1e-5)


@pytest.mark.parametrize("min_area", [0.0, 0.004, 0.03])
@pytest.mark.parametrize("size", [(36, 48), (35, 50)])
def test_an_image_is_segmented_by_outline_then_merging_then_prototypes(size: tuple[int, int], min_area: float) -> None:
    """Each step after sorting is done by plain code or naive loops."""
    embeddings, options = blobs(9, 12, seed=4), SortingOptions(12, location_weight=0.3)
    found = segment_image(embeddings, size, options, min_area)
    sorted_pixels, features = sort_pixels(embeddings[None], options), sorting_features(embeddings[None], 0.3)[0]
    outlined = outline.__wrapped__(features, sorted_pixels.theta[0], sorted_pixels.labels[0], size)  # type: ignore[attr-defined]
    merged = naive_merge(outlined.numpy().astype(np.int32), max(min_area * size[0] * size[1], 1))
    kept, labels = np.unique(merged, return_inverse=True)
    np.testing.assert_array_equal(found.labels, labels.reshape(size))
    np.testing.assert_array_equal(found.areas, np.bincount(labels.ravel()))
    np.testing.assert_allclose(
        found.prototypes, naive_prototypes(embeddings, labels.reshape(size), len(kept)), atol=1e-5
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("min_pixels", [2, 9, 40])
def test_merging_changes_small_components_alone_and_each_as_a_whole(seed: int, min_pixels: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 4, (23, 31)).astype(np.int32).repeat(2, 1)
    merged = merge_small(labels, min_pixels)
    components = cc3d.connected_components(labels + 1, connectivity=4)
    areas = np.bincount(components.ravel())
    stays = areas[components] >= min(min_pixels, areas[1:].max())
    np.testing.assert_array_equal(merged[stays], labels[stays])
    for component in np.unique(components[~stays]):
        inside = components == component
        assert len(np.unique(merged[inside])) == 1
    after = np.bincount(cc3d.connected_components(merged + 1, connectivity=4).ravel())[1:]
    assert (after < min_pixels).sum() <= (areas[1:] < min_pixels).sum() / 2  # no small one stays alone
