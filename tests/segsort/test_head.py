from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F

import segsort.head
from segsort.features import FeatureGroup
from segsort.head import (
    Basis,
    FeatureStatistics,
    FitOptions,
    columns_of,
    fit_by_sorting,
    identity_head,
    principal_basis,
)
from segsort.segment_sorting import vmf_nca_loss
from tests.segsort.labelled import (
    BASIS,
    FEATURES,
    GROUPS,
    IDENTITY,
    QUICK,
    STATISTICS,
    Labelled,
    accuracy,
    cosines,
    drawn,
    fit_forest,
    fitted,
)

# The identity head


def test_without_whitening_the_identity_head_has_the_angles_of_principal_components() -> None:
    """scikit-learn's own standardisation and components; lengths and signs of components do not matter to a cosine."""
    rows = drawn(5, 2000).rows
    one = (FeatureGroup("all", FEATURES, 4),)
    head = identity_head(one, principal_basis(FeatureStatistics.of(rows), one, 10, whitening=0))
    scores = PCA(10).fit_transform(StandardScaler().fit_transform(rows.double().numpy()))
    found = head.embed(rows[:60]).numpy()
    assert found.shape == (60, 10)
    np.testing.assert_allclose(found @ found.T, cosines(scores[:60]), atol=2e-4)


@pytest.mark.parametrize("whitening", [0.0, 0.25, 0.5])
def test_the_affine_layer_standardises_weights_groups_and_projects(whitening: float) -> None:
    head = identity_head(GROUPS, principal_basis(STATISTICS, GROUPS, 12, whitening))
    reference, rows = drawn(5, 2000).rows.double().numpy(), drawn(6, 50).rows
    mean, scale = reference.mean(axis=0), reference.std(axis=0, ddof=1)
    weight = np.concatenate([np.full(group.channels, 1 / np.sqrt(group.channels)) for group in GROUPS])
    weighted = (reference - mean) / scale * weight
    _, lengths, directions = np.linalg.svd(weighted, full_matrices=False)
    variances = lengths[:12] ** 2 / len(reference)
    scores = ((rows.numpy() - mean) / scale * weight) @ directions[:12].T
    expected = scores * (variances / variances[0]) ** -whitening / np.sqrt(variances[0])
    found = (rows @ torch.from_numpy(head.weight).T + torch.from_numpy(head.bias)).numpy()
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=2e-3)
    signs = np.sign(found[0] * expected[0])
    np.testing.assert_allclose(found * signs, expected, atol=2e-3)


def test_there_are_not_more_components_than_features() -> None:
    one = (FeatureGroup("fine", 5, 4),)
    basis = principal_basis(STATISTICS.columns(np.arange(5)), one, 48)
    assert basis.directions.shape == (5, 5)
    assert identity_head(one, basis).dimension == 5


@pytest.mark.parametrize("count", [2, 3, 40])
def test_statistics_are_those_of_naive_loops(count: int) -> None:
    rows = drawn(5, count).rows[:, [0, 7, 40]].clone()
    rows[:, 1] = 3  # never changes
    found = FeatureStatistics.of(rows)
    columns = [[float(row[f]) for row in rows] for f in range(3)]
    means = [sum(values) / count for values in columns]
    scales = [
        (sum((v - m) ** 2 for v in c) / (count - 1)) ** 0.5 or np.inf for c, m in zip(columns, means, strict=True)
    ]
    assert found.mean.tolist() == pytest.approx(means, abs=1e-5)
    assert found.scale.tolist() == pytest.approx(scales, abs=1e-5)
    for f in range(3):
        for g in range(3):
            products = [(a - means[f]) * (b - means[g]) for a, b in zip(columns[f], columns[g], strict=True)]
            assert found.correlation[f, g] == pytest.approx(sum(products) / count / scales[f] / scales[g], abs=1e-4)


def test_features_that_never_change_embed_as_zeros_and_not_as_nan() -> None:
    basis = principal_basis(FeatureStatistics.of(torch.full((5, FEATURES), 2.0)), GROUPS, 8)
    assert basis.directions.shape == (FEATURES, 8)
    assert torch.equal(identity_head(GROUPS, basis).embed(drawn(1, 4).rows), torch.zeros(4, 8))


def test_statistics_of_some_columns_are_those_of_the_features_in_them() -> None:
    rows, chosen = drawn(5, 500).rows, np.array([40, 2, 7])
    expected = FeatureStatistics.of(rows[:, chosen])
    for found, one in zip(FeatureStatistics.of(rows).columns(chosen), expected, strict=True):
        np.testing.assert_allclose(found, one, atol=1e-5)


def test_columns_of_groups_are_in_the_order_asked_for() -> None:
    groups = (FeatureGroup("a", 2, 4), FeatureGroup("b", 3, 8), FeatureGroup("c", 1, 16))
    assert columns_of(groups, (groups[2], groups[0])).tolist() == [5, 0, 1]
    assert columns_of(groups, groups).tolist() == [0, 1, 2, 3, 4, 5]


def test_statistics_need_two_rows() -> None:
    for count in (0, 1):
        with pytest.raises(ValueError, match=f"^{count} rows of features; statistics need two or more"):
            FeatureStatistics.of(torch.zeros(count, 4))


def test_a_feature_that_never_changed_has_no_part_in_the_embedding() -> None:
    """A channel that was constant in all images has no scale, and must not outweigh all others once it changes."""
    rows = drawn(5, 2000).rows.clone()
    rows[:, 3] = 0
    head = identity_head(GROUPS, principal_basis(FeatureStatistics.of(rows), GROUPS, FEATURES))
    moved = rows[:40].clone()
    moved[:, 3] = 1
    assert float((head.embed(rows[:40]) * head.embed(moved)).sum(1).min()) > 0.999


# Heads fitted by segment sorting


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_fitted_head_labels_more_samples_correctly_than_the_identity_head(kind: str) -> None:
    known, asked = drawn(1, 200), drawn(2, 400)
    before = accuracy(IDENTITY, IDENTITY.embed(known.rows), known, asked)
    head = fitted(kind, known)
    assert before < 0.88
    assert accuracy(head, head.embed(known.rows), known, asked) > before + 0.06


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_seed_decides_every_random_choice_of_a_fit(kind: str) -> None:
    known = drawn(1, 100)
    first, second, other = (fitted(kind, known, QUICK, seed).embed(known.rows) for seed in (4, 4, 5))
    assert torch.equal(first, second)
    assert not torch.allclose(first, other, atol=1e-3)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_random_state_and_the_gradient_mode_of_the_caller_do_not_matter(kind: str) -> None:
    known = drawn(1, 60)
    torch.manual_seed(1)
    expected = fitted(kind, known, QUICK).embed(known.rows)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    with torch.no_grad():
        found = fitted(kind, known, QUICK).embed(known.rows)
        assert not torch.is_grad_enabled()
    assert torch.equal(found, expected)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_head_starts_as_the_identity_head(kind: str) -> None:
    known = drawn(1, 60)
    head = fitted(kind, known, FitOptions(steps=0))
    torch.testing.assert_close(head.embed(known.rows), IDENTITY.embed(known.rows), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_large_decay_keeps_a_head_near_the_identity_head(kind: str) -> None:
    known = drawn(1, 60)
    near, far = (fitted(kind, known, QUICK._replace(decay=decay)).embed(known.rows) for decay in (100.0, 0.0))
    identity = IDENTITY.embed(known.rows)
    assert float((near * identity).sum(1).min()) > float((far * identity).sum(1).max())


def test_with_one_sample_a_class_a_linear_head_labels_about_as_well_as_the_identity_head() -> None:
    asked, both = drawn(2, 400), []
    for seed in range(6):
        known = drawn(100 + seed, 60).each(1)
        both.append(
            [accuracy(head, head.embed(known.rows), known, asked) for head in (IDENTITY, fitted("linear", known))]
        )
    before, after = np.mean(both, axis=0)
    assert after > before - 0.02


class Steps(NamedTuple):
    """What the loss was called with in each step, and what it answered."""

    pixels: list[Tensor]
    classes: list[Tensor]
    losses: list[Tensor]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Records the steps of a fit."""
    recorded = Steps([], [], [])

    def recording(pixels: Tensor, classes: Tensor, *others: object) -> Tensor:
        loss = vmf_nca_loss(pixels, classes, *others)  # type: ignore[arg-type]
        for kept, value in zip(recorded, (pixels, classes, loss), strict=True):
            kept.append(value.detach().clone())
        return loss

    monkeypatch.setattr(segsort.head, "vmf_nca_loss", recording)
    return recorded


def test_the_loss_of_a_step_is_that_of_a_naive_loop_over_segments(steps: Steps) -> None:
    """Without dropout, and with all samples as references: the first step is then known but for the pixels it draws."""
    known = drawn(1, 40)
    segments = known.class_ids * 4 + torch.arange(40) % 4  # 12 segments, each of one class
    options = FitOptions(steps=1, dropout=0, anchors=16, references=40, kappa=7)
    fit_by_sorting("linear", GROUPS, BASIS, known.rows, known.class_ids, segments, options=options)
    vectors = IDENTITY.embed(known.rows)
    means = {int(s): F.normalize(vectors[segments == s].sum(0), dim=0) for s in segments.unique()}
    assert len(steps.losses) == 1
    for pixel, class_id, loss in zip(steps.pixels[0], steps.classes[0], steps.losses[0], strict=True):
        i = int((vectors @ pixel).argmax())
        assert float(vectors[i] @ pixel) == pytest.approx(1, abs=1e-5)
        assert class_id == known.class_ids[i]
        attracting = repelling = 0.0
        for s, mean in means.items():
            if s != segments[i]:
                weight = np.exp(7 * float(mean @ vectors[i]))
                repelling += weight
                attracting += weight if s // 4 == class_id else 0
        assert float(loss) == pytest.approx(-np.log(attracting / repelling), abs=1e-4)


def test_a_step_draws_rare_classes_more_often_than_their_share(steps: Steps) -> None:
    """One sample in 25 is of the rare class; by the square root of its frequency it is one in six."""
    known = drawn(1, 400)
    common, rare = (torch.nonzero(known.class_ids == c)[:, 0] for c in (0, 1))
    known = Labelled(*(values[torch.cat([common[:96], rare[:4]])] for values in known))
    fitted("linear", known, FitOptions(steps=4, anchors=500))
    share = float(torch.cat(steps.classes).float().mean())
    assert share == pytest.approx(4**0.5 / (4**0.5 + 96**0.5), abs=0.05)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_folded_head_embeds_as_the_layers_that_were_fitted(kind: str, steps: Steps) -> None:
    """The rate falls to almost nothing, so that the last step hardly moves what it has embedded."""
    known = drawn(1, 60)
    head = fitted(kind, known, FitOptions(steps=60, dropout=0, hidden=16))
    same = (steps.pixels[-1] @ head.embed(known.rows).T).max(dim=1).values
    assert float(same.min()) > 0.9999
    assert float((steps.pixels[-1] @ IDENTITY.embed(known.rows).T).max(dim=1).values.max()) < 0.999, "it was fitted"


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_samples_of_one_class_are_refused(kind: str) -> None:
    known = drawn(1, 20)
    with pytest.raises(ValueError, match="have one class; a head is fitted to two or more: label another class"):
        fitted(kind, known._replace(class_ids=torch.zeros(20, dtype=torch.int64)))


# All kinds


@pytest.mark.parametrize("kind", ["identity", "linear", "mlp", "forest"])
def test_embeddings_are_unit_vectors_of_the_heads_dimension(kind: str) -> None:
    known, asked = drawn(1, 60), drawn(2, 30)
    if kind == "identity":
        head = IDENTITY
    elif kind == "forest":
        head = fit_forest(GROUPS, GROUPS, IDENTITY, *known).head
    else:
        head = fitted(kind, known, QUICK)
    vectors = head.embed(asked.rows)
    assert head.kind == kind
    assert vectors.shape == (30, head.dimension)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(30))


def test_a_basis_of_one_direction_is_a_head_of_one_dimension() -> None:
    basis = Basis(np.zeros(FEATURES, dtype=np.float32), np.eye(FEATURES, 1, dtype=np.float32))
    head = identity_head(GROUPS, basis)
    assert head.embed(torch.tensor([[2.0] + [0] * (FEATURES - 1), [-3.0] + [9] * (FEATURES - 1)])).tolist() == [
        [1],
        [-1],
    ]
