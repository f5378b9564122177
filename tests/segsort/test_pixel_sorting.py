import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from segsort.pixel_sorting import (
    Means,
    SortingOptions,
    cosines,
    e_step,
    grid_labels,
    location_features,
    m_step,
    soft_e_step,
    sort_hard,
    sort_pixels,
    sort_soft,
    sorting_features,
)
from segsort.sphere import normalize


def blobs(batch: int = 2, height: int = 14, width: int = 18, dimension: int = 6, seed: int = 0) -> Tensor:
    """Smooth random unit vectors, so that sorting has something to find."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, dimension, 4, 5, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return normalize(fine + 0.1 * torch.randn(fine.shape, generator=generator), dim=1)


def naive_iteration(
    points: dict[tuple[int, int], list[float]], z: dict[tuple[int, int], int], valid: Tensor
) -> dict[tuple[int, int], int]:
    """One M-step and one E-step over some points."""
    means = {}
    for segment in set(z.values()):
        members = [points[at] for at in points if z[at] == segment and valid[at]]
        total = [sum(column) for column in zip(*members, strict=True)]
        length = math.sqrt(sum(c * c for c in total)) if members else 0.0
        if length:
            means[segment] = [c / length for c in total]
    return {
        at: max(sorted(means), key=lambda s: sum(a * b for a, b in zip(points[at], means[s], strict=True)))
        for at in points
    }


def naive_sort(embedding: Tensor, options: SortingOptions, valid: Tensor) -> list[list[int]]:
    """Spherical k-means of one image [D, h, w] with plain loops, in the words of the paper's section 3.1."""
    D, h, w = embedding.shape
    half = max(h, w) / 2
    points = {}
    for y in range(h):
        for x in range(w):
            location = [(y + 0.5 - h / 2) / half, (x + 0.5 - w / 2) / half]
            vector = [float(e) for e in embedding[:, y, x]] + [options.location_weight * c for c in location]
            length = math.sqrt(sum(c * c for c in vector))
            points[y, x] = [c / length for c in vector]
    z = {at: int(grid_labels(h, w, options.segments)[at]) for at in points}
    fewer = {(y, x): points[y, x] for y, x in points if y % 2 == x % 2 == 0}
    for _ in range(options.coarse_iterations):
        z |= {at: segment for at, segment in naive_iteration(fewer, z, valid).items() if valid[at]}
    if options.coarse_iterations:
        z = {(y, x): z[y - y % 2, x - x % 2] for y, x in points}
    for _ in range(options.iterations):
        z = naive_iteration(points, z, valid)
    return [[z[y, x] if valid[y, x] else -1 for x in range(w)] for y in range(h)]


@pytest.mark.parametrize("weight", [0.0, 0.7])
@pytest.mark.parametrize("coarse", [0, 3])
@pytest.mark.parametrize("size", [(14, 18), (13, 17)])
def test_hard_sorting_equals_naive_loop(weight: float, coarse: int, size: tuple[int, int]) -> None:
    embeddings = blobs(2, *size)
    valid = torch.ones(2, *size, dtype=torch.bool)
    valid[1, 9:] = False
    options = SortingOptions(segments=7, iterations=6, location_weight=weight, coarse_iterations=coarse)
    result = sort_pixels(embeddings, options, valid)
    for image in range(2):
        assert result.labels[image].tolist() == naive_sort(embeddings[image], options, valid[image])


def test_corrected_sums_equal_sums_added_up_anew() -> None:
    """After many iterations few pixels move and the sums are corrected in place; the means must still be those of Z."""
    embeddings = blobs(1, 40, 40)
    result = sort_pixels(embeddings, SortingOptions(segments=9, iterations=60, location_weight=0.0))
    for segment in result.labels.unique():
        members = embeddings[0][:, result.labels[0] == segment]
        expected = normalize(members.sum(dim=1), dim=0)
        torch.testing.assert_close(result.theta[0, segment, :-2], expected, atol=1e-4, rtol=0)


def test_objective_never_falls_with_more_iterations() -> None:
    embeddings = blobs(1)
    likelihood = []
    for iterations in range(1, 8):
        result = sort_pixels(embeddings, SortingOptions(12, iterations, location_weight=0.0))
        own = result.theta[0][result.labels[0], :-2]  # [h, w, D]
        likelihood.append(float((own.permute(2, 0, 1) * embeddings[0]).sum()))
    assert all(later >= earlier - 1e-3 for earlier, later in pairwise(likelihood))


def test_soft_sorting_approaches_hard_sorting_as_kappa_grows() -> None:
    embeddings = blobs()
    hard = sort_pixels(embeddings, SortingOptions(6, 5))
    soft = sort_pixels(embeddings, SortingOptions(6, 5, assignment="soft", kappa=5000.0))
    assert (hard.labels == soft.labels).float().mean() > 0.99


def test_soft_means_equal_naive_posterior_mean() -> None:
    embeddings = blobs(1, 5, 6, 3)
    options = SortingOptions(4, 1, location_weight=0.0, assignment="soft", kappa=3.0)
    points = [embeddings[0, :, y, x].double() for y in range(5) for x in range(6)]
    start = grid_labels(5, 6, 4).flatten().tolist()
    means = [normalize(torch.stack([p for p, z in zip(points, start, strict=True) if z == s]).sum(0)) for s in range(4)]
    expected = []
    posterior = []
    for p in points:
        terms = [math.exp(3.0 * float(p @ m)) for m in means]
        posterior.append([t / sum(terms) for t in terms])
    for s in range(4):
        expected.append(normalize(sum(q[s] * p for q, p in zip(posterior, points, strict=True))))
    result = sort_pixels(embeddings, options)
    torch.testing.assert_close(result.theta[0, :, :3].double(), torch.stack(expected), atol=1e-5, rtol=0)


def test_rotating_the_sphere_leaves_segments_unchanged() -> None:
    embeddings = blobs()
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))[0]
    rotated = torch.einsum("ij,bjhw->bihw", rotation, embeddings)
    options = SortingOptions(10, 5)
    assert torch.equal(sort_pixels(embeddings, options).labels, sort_pixels(rotated, options).labels)


def test_an_image_is_sorted_alike_alone_and_in_a_batch() -> None:
    embeddings = blobs(3)
    options = SortingOptions(8)
    together = sort_pixels(embeddings, options).labels
    for image in range(3):
        assert torch.equal(together[image], sort_pixels(embeddings[image : image + 1], options).labels[0])


def test_padding_changes_nothing_for_the_valid_pixels() -> None:
    """Padding that is marked so may hold anything."""
    embeddings = blobs(1)
    valid = torch.ones(1, 14, 18, dtype=torch.bool)
    valid[:, :, 12:] = False
    other = embeddings.clone()
    other[:, :, :, 12:] = normalize(torch.randn(1, 6, 14, 6), dim=1)
    options = SortingOptions(9)
    first, second = sort_pixels(embeddings, options, valid), sort_pixels(other, options, valid)
    assert torch.equal(first.labels, second.labels)
    assert (first.labels[:, :, 12:] == -1).all()
    torch.testing.assert_close(first.theta, second.theta)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1), (3, 3)])
@pytest.mark.parametrize("assignment", ["hard", "soft"])
def test_degenerate_images_give_finite_means(shape: tuple[int, int], assignment: str) -> None:
    one_colour = normalize(torch.ones(1, 4, *shape), dim=1)
    result = sort_pixels(one_colour, SortingOptions(25, assignment=assignment))  # type: ignore[arg-type]
    assert torch.isfinite(result.theta).all()
    assert (result.labels >= 0).all()


def test_nothing_valid_gives_no_segment_and_no_nan() -> None:
    result = sort_pixels(blobs(), SortingOptions(5), torch.zeros(2, 14, 18, dtype=torch.bool))
    assert (result.labels == -1).all()
    assert torch.equal(result.theta, torch.zeros_like(result.theta))


@pytest.mark.parametrize("segments", [1, 2, 7, 25, 64, 143])
def test_grid_has_exactly_the_cells_asked_for(segments: int) -> None:
    grid = grid_labels(30, 40, segments)
    sizes = torch.bincount(grid.flatten(), minlength=segments)
    assert len(sizes) == segments
    assert sizes.min() > 0
    assert sizes.max() <= 3 * sizes.min() + 40


def test_location_is_centred_and_isotropic() -> None:
    location = location_features(10, 20)
    assert torch.allclose(location.mean(dim=(1, 2)), torch.zeros(2), atol=1e-6)
    step_y, step_x = location[0, 1, 0] - location[0, 0, 0], location[1, 0, 1] - location[1, 0, 0]
    assert step_y == pytest.approx(float(step_x))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"segments": 0}, "segments=0"),
        ({"coarse_iterations": -1}, "coarse_iterations=-1"),
        ({"assignment": "firm"}, "'firm'"),
        ({"kappa": 0.0}, "kappa=0.0"),
        ({"precision": "int4"}, "'int4'"),
    ],
)
def test_options_refuse_what_makes_no_sense(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SortingOptions(**settings)  # type: ignore[arg-type]


def test_shapes_are_named_when_they_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"\(6, 14, 18\).*batch axis"):
        sort_pixels(blobs()[0], SortingOptions())
    with pytest.raises(ValueError, match=r"valid has shape \(2, 3, 3\)"):
        sort_pixels(blobs(), SortingOptions(), torch.ones(2, 3, 3, dtype=torch.bool))


def test_threads_share_the_pixels_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, options = blobs(1, 110, 120), SortingOptions(segments=20, iterations=8)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(sort_pixels(embeddings, options))
    assert torch.equal(found[0].labels, found[1].labels)
    torch.testing.assert_close(found[0].theta, found[1].theta, atol=1e-6, rtol=0)


def unit(*values: float) -> list[float]:
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values]


def test_m_step_takes_the_direction_of_the_sum_of_each_segments_pixels() -> None:
    features = normalize(torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(0)))
    labels = torch.randint(0, 3, (2, 20), generator=torch.Generator().manual_seed(1))
    means = m_step(features, torch.nn.functional.one_hot(labels, 4).float())
    for image in range(2):
        for segment in range(4):
            members = [features[image, n].tolist() for n in range(20) if labels[image, n] == segment]
            expected = unit(*(sum(column) for column in zip(*members, strict=True))) if members else [0.0] * 4
            assert means.theta[image, segment].tolist() == pytest.approx(expected, abs=1e-6)
            assert means.sizes[image, segment] == len(members)


def test_m_step_weighs_pixels_by_their_posteriors() -> None:
    features = torch.eye(2)[None]  # two pixels, at right angles
    means = m_step(features, torch.tensor([[[0.75, 0.25], [0.25, 0.75]]]))
    assert means.theta[0, 0].tolist() == pytest.approx(unit(3, 1))
    assert means.theta[0, 1].tolist() == pytest.approx(unit(1, 3))
    assert means.sizes.tolist() == [[1, 1]]


def test_cosines_to_an_empty_segment_are_minus_infinity() -> None:
    features, theta = torch.eye(2)[None], torch.tensor([[[1.0, 0.0], [0.0, 0.0], [0.6, 0.8]]])
    found = cosines(features, Means(theta, torch.tensor([[5.0, 0.0, 1.0]])))
    assert found[0, 0].tolist() == pytest.approx([1, -math.inf, 0.6])
    assert found[0, 1].tolist() == pytest.approx([0, -math.inf, 0.8])


def test_e_step_moves_each_pixel_to_the_nearest_mean() -> None:
    features = torch.tensor([[unit(1, 0.1), unit(0.1, 1), unit(1, 0.9)]])
    means = Means(torch.eye(2)[None], torch.tensor([[2.0, 1.0]]))
    assert e_step(features, means, torch.tensor([[1, 0, 1]])).tolist() == [[0, 1, 0]]


def test_e_step_leaves_a_pixel_where_it_is_on_a_tie() -> None:
    features, means = torch.tensor([[[0.6, 0.8]] * 3]), torch.tensor([[[1.0, 0.0], [0.6, 0.8], [0.6, 0.8]]])
    found = e_step(features, Means(means, torch.ones(1, 3)), torch.tensor([[0, 1, 2]]))
    assert found.tolist() == [[1, 1, 2]]


def test_e_step_never_assigns_a_pixel_to_an_empty_segment() -> None:
    features = torch.tensor([[[-1.0, 0.0]]])
    means = Means(torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]), torch.tensor([[4.0, 0.0]]))
    assert e_step(features, means, torch.tensor([[0]])).tolist() == [[0]]


@pytest.mark.parametrize("kappa", [0.1, 1.0, 10.0, 500.0])
def test_soft_e_step_gives_the_posteriors_of_vmf_densities_with_one_kappa(kappa: float) -> None:
    scores = torch.tensor([[[0.9, 0.2, -0.5]]], dtype=torch.float64)
    weights = [math.exp(kappa * (score - 0.9)) for score in (0.9, 0.2, -0.5)]
    expected = [weight / sum(weights) for weight in weights]
    assert soft_e_step(scores, kappa)[0, 0].tolist() == pytest.approx(expected)


def test_posteriors_of_an_empty_segment_are_zero() -> None:
    found = soft_e_step(torch.tensor([[[0.3, -math.inf, 0.3]]]), 10.0)
    assert found[0, 0].tolist() == pytest.approx([0.5, 0, 0.5])


@pytest.mark.parametrize("coarse", [0, 2])
def test_the_plain_code_equals_naive_loops(coarse: int) -> None:
    embeddings = blobs(1)
    options = SortingOptions(7, 5, location_weight=0.4, coarse_iterations=coarse)
    features = sorting_features.__wrapped__(embeddings, 0.4)  # type: ignore[attr-defined]
    plain = sort_hard.__wrapped__  # type: ignore[attr-defined]
    labels, _ = plain(features, grid_labels(14, 18, 7), 7, 5, coarse)
    expected = naive_sort(embeddings[0], options, torch.ones(14, 18, dtype=torch.bool))
    assert labels.reshape(14, 18).tolist() == expected


@pytest.mark.parametrize("left_out", [None, 0.3])
def test_soft_sorting_equals_its_steps_one_after_the_other(left_out: float | None) -> None:
    features = sorting_features(blobs(1), 0.5)
    out = None if left_out is None else torch.rand(1, 252, generator=torch.Generator().manual_seed(0)) < left_out
    labels, theta = sort_soft(features, grid_labels(14, 18, 6), 6, 1, 0, 8.0, out)
    start = torch.nn.functional.one_hot(grid_labels(14, 18, 6).reshape(1, -1), 6).float()
    taken = torch.ones(1, 252, 1) if out is None else (~out)[:, :, None].float()
    first = m_step(features, start * taken)
    second = m_step(features, soft_e_step(cosines(features, first), 8.0) * taken)
    expected = cosines(features, second).argmax(dim=2)
    torch.testing.assert_close(theta, second.theta)
    assert torch.equal(labels, expected if out is None else expected.masked_fill(out, -1))


@pytest.mark.parametrize("kappa", [2.0, 30.0])
@pytest.mark.parametrize("iterations", [1, 4])
def test_soft_sorting_equals_naive_loops(kappa: float, iterations: int) -> None:
    """Means are sums weighted by posteriors, without pixels left out. It stops when no nearest mean changes."""
    features, grid = sorting_features(blobs(1, 6, 7), 0.5), grid_labels(6, 7, 4).flatten().tolist()
    left_out = torch.arange(42)[None] % 5 == 3
    labels, theta = sort_soft(features, grid_labels(6, 7, 4), 4, iterations, 0, kappa, left_out)
    points = [vector.double().tolist() for vector in features[0]]
    used = [n for n in range(42) if not left_out[0, n]]
    weights, nearest = {n: [float(grid[n] == s) for s in range(4)] for n in used}, grid
    for step in range(iterations + 1):
        means = []
        for s in range(4):
            total = [sum(weights[n][s] * points[n][d] for n in used) for d in range(len(points[0]))]
            means.append(unit(*total))
        scores = [[sum(a * b for a, b in zip(point, mean, strict=True)) for mean in means] for point in points]
        before, nearest = nearest, [row.index(max(row)) for row in scores]
        if step == iterations or (step > 0 and nearest == before):
            break
        for n in used:
            densities = [math.exp(kappa * score) for score in scores[n]]
            weights[n] = [density / sum(densities) for density in densities]
    expected = [nearest[n] if n in used else -1 for n in range(42)]
    assert labels[0].tolist() == expected
    torch.testing.assert_close(theta[0].double(), torch.tensor(means, dtype=torch.float64), atol=1e-5, rtol=0)


def test_soft_sorting_has_a_coarse_start_too() -> None:
    features, grid = sorting_features(blobs(1), 0.5), grid_labels(14, 18, 6)
    found = sort_soft(features, grid, 6, 2, 3, 20.0)[0].reshape(14, 18)
    fewer = features.reshape(1, 14, 18, -1)[:, ::2, ::2].flatten(1, 2)
    coarse = sort_soft(fewer, grid[::2, ::2], 6, 3, 0, 20.0)[0].reshape(7, 9)
    start = coarse.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)
    assert torch.equal(found, sort_soft(features, start, 6, 2, 0, 20.0)[0].reshape(14, 18))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (30, 40)])
def test_features_are_unit_vectors_whose_last_two_numbers_point_to_the_location(height: int, width: int) -> None:
    embeddings = blobs(1, height, width)
    features = sorting_features(embeddings, 0.5)[0]
    torch.testing.assert_close(features.norm(dim=1), torch.ones(height * width))
    location = 0.5 * location_features(height, width).flatten(1).T
    joined = torch.cat([embeddings[0].flatten(1).T, location], dim=1)
    torch.testing.assert_close(features, normalize(joined))


def test_a_grid_is_not_shared_between_callers() -> None:
    first = grid_labels(6, 8, 4)
    first[:] = 99
    assert grid_labels(6, 8, 4).max() == 3
