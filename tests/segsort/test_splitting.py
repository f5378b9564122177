"""Segments of several classes are split, beside loops that do it pixel by pixel."""

import numpy as np
import pytest
import torch

from segsort import loops
from segsort.pixel_sorting import SortingOptions, sorting_features
from segsort.segments import outline_images, segment_image
from segsort.sphere import unit_rows
from segsort.splitting import ClassDirections, Splitting, class_directions, split


def drawn(seed: int = 0, pixels: int = 700, segments: int = 6, classes: int = 4) -> tuple[np.ndarray, ...]:
    """Features [N, 5+2], labels [N], weights [C, 5] and offsets [C]; one segment number does not occur."""
    random = np.random.default_rng(seed)
    features = unit_rows(random.normal(size=(pixels, 7)))
    labels = random.integers(0, segments, pixels)
    labels[labels == 2] = 3
    weights = random.normal(size=(classes, 5)).astype(np.float32)
    return features, labels, weights, random.normal(scale=0.2, size=classes).astype(np.float32)


def naive_split(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, offsets: np.ndarray, least: int
) -> tuple[list[int], np.ndarray]:
    looks = []
    for row in features.astype(np.float64):
        embedding = row[:5] / np.linalg.norm(row[:5])
        looks.append(int(np.argmax([embedding @ weights[c] + offsets[c] for c in range(len(weights))])))
    pairs = list(zip(labels.tolist(), looks, strict=True))
    found = []
    for segment, look in pairs:
        sizes = [pairs.count((segment, c)) for c in range(len(weights))]
        found.append((segment, look if sizes[look] >= least else sizes.index(max(sizes))))
    numbers = {part: number for number, part in enumerate(sorted(set(found)))}
    parts = [numbers[part] for part in found]
    sums = np.zeros((len(numbers), features.shape[1]))
    for part, row in zip(parts, features, strict=True):
        sums[part] += row
    return parts, sums / np.linalg.norm(sums, axis=1, keepdims=True)


@pytest.mark.parametrize("least", [0, 1, 20, 45, 10_000])
def test_segments_are_split_as_pixel_by_pixel(least: int) -> None:
    features, labels, weights, offsets = drawn()
    expected, means = naive_split(features, labels, weights, offsets, least)
    plain = split.__wrapped__(  # type: ignore[attr-defined]
        *map(torch.from_numpy, (features, labels)), 6, *map(torch.from_numpy, (weights, offsets)), least
    )
    for found, theta in (split(features, labels, 6, weights, offsets, least), plain):
        assert found.tolist() == expected
        np.testing.assert_allclose(theta, means, atol=1e-6)
    if least == 10_000:
        assert len(means) == 5, "no part is large enough, so that all segments stay whole"


def test_the_number_of_threads_changes_nothing() -> None:
    features, labels, weights, offsets = drawn(pixels=9000)
    with loops.at_most(1):
        alone = split(features, labels, 6, weights, offsets, 8)
    with loops.at_most(3):
        together = split(features, labels, 6, weights, offsets, 8)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_class_without_prototypes_is_never_found() -> None:
    random = np.random.default_rng(1)
    class_ids = np.array([0, 0, 0, 2, 2, 2])
    rows = unit_rows(np.repeat([[5.0, 0, 0], [0, 5.0, 0]], 3, axis=0) + random.normal(size=(6, 3)))
    directions = class_directions(rows, class_ids, 4)
    assert np.isneginf(directions.offsets[[1, 3]]).all()
    assert (rows @ directions.weights.T + directions.offsets).argmax(axis=1).tolist() == class_ids.tolist()


def test_directions_are_those_of_scikit_learn() -> None:
    discriminant_analysis = pytest.importorskip("sklearn.discriminant_analysis")
    random = np.random.default_rng(2)
    class_ids = random.integers(0, 3, 300)
    rows = unit_rows(random.normal(size=(3, 6))[class_ids] * 2 + random.normal(size=(300, 6)))
    ours = class_directions(rows, class_ids, 3)
    theirs = discriminant_analysis.LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 3] * 3).fit(rows, class_ids)
    others = unit_rows(random.normal(size=(2000, 6)))
    agrees = (others @ ours.weights.T + ours.offsets).argmax(axis=1) == theirs.predict(others)
    assert agrees.mean() > 0.99, "but for a ridge of a thousandth"


def thin_pole() -> tuple[np.ndarray, Splitting]:
    """Embeddings [2, 12, 16] of two classes, one a pole one pixel wide, which a grid of two segments cannot see."""
    embeddings = np.zeros((2, 12, 16), dtype=np.float32)
    embeddings[0] = 1
    embeddings[:, :, 5] = [[0.6], [0.8]]
    directions = ClassDirections(np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.float32))
    return embeddings, Splitting(directions, 4)


def test_a_thin_pole_inside_a_segment_becomes_a_segment() -> None:
    embeddings, splitting = thin_pole()
    options = SortingOptions(segments=2, iterations=1, location_weight=3.0)
    whole = segment_image(embeddings, (48, 64), options, 0.0)
    assert len(whole.areas) == 2
    parts = segment_image(embeddings, (48, 64), options, 0.0, splitting)
    pole = parts.labels[24, 22]
    np.testing.assert_allclose(parts.prototypes[pole], [0.6, 0.8], atol=0.05)
    assert (parts.labels[:, 20:24] == pole).mean() > 0.9
    assert (parts.labels == pole).sum() < 2 * 48 * 4
    assert parts.areas.sum() == 48 * 64
    fewer = segment_image(embeddings, (48, 64), options, 0.0, splitting._replace(least=13))
    np.testing.assert_array_equal(fewer.labels, whole.labels)


def test_tensors_and_arrays_are_split_alike_alone_and_together() -> None:
    embeddings, splitting = thin_pole()
    noise = np.random.default_rng(3).normal(scale=0.2, size=(2, *embeddings.shape)).astype(np.float32)
    several = embeddings + noise
    several /= np.linalg.norm(several, axis=1, keepdims=True)
    options = SortingOptions(segments=4, iterations=2)
    together = outline_images(several, [(48, 64), (30, 40)], options, splitting)
    for one, size, found in zip(several, [(48, 64), (30, 40)], together, strict=True):
        alone = segment_image(torch.from_numpy(one), size, options, 0.0, splitting)
        np.testing.assert_array_equal(alone.labels, segment_image(one, size, options, 0.0, splitting).labels)
        assert len(np.unique(found.labels)) == len(alone.areas)


def test_sorted_features_are_not_changed() -> None:
    embeddings, splitting = thin_pole()
    features = np.asarray(sorting_features(embeddings[None], 0.5))[0]
    before, labels = features.copy(), np.zeros(len(features), dtype=np.int64)
    split(features, labels, 1, *splitting.directions, 4)
    np.testing.assert_array_equal(features, before)
    assert not labels.any()
