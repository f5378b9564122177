from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from segsort.head import (
    Head,
    Trees,
    columns_of,
    identity_head,
    joined_embedding,
    principal_basis,
)
from segsort.posterior_heads import Grown, PosteriorOptions, _flat, fit_posteriors
from tests.segsort.labelled import (
    CLASSES,
    GROUPS,
    IDENTITY,
    STATISTICS,
    Labelled,
    accuracy,
    cosines,
    drawn,
    fit_forest,
)


def naive_posteriors(trees: Trees, sample: np.ndarray, counted: list[int]) -> np.ndarray:
    """Mean over the trees that count, each followed from its root to a leaf."""
    found = []
    for t in counted:
        node = first = int(trees.starts[t])
        while trees.feature[node] >= 0:
            left = sample[trees.feature[node]] <= trees.threshold[node]
            node = first + int((trees.left if left else trees.right)[node])
        found.append(trees.values[node])
    return np.mean(found, axis=0) if found else np.zeros(trees.values.shape[1])


def sklearn_forest(known: Labelled, **options: int) -> RandomForestClassifier:
    return RandomForestClassifier(12, random_state=0, **options).fit(known.rows.numpy(), known.class_ids.numpy())


def flat(forest: RandomForestClassifier) -> Trees:
    return _flat([one.tree_ for one in forest.estimators_])


@pytest.mark.parametrize("depth", [1, 3, 12])
def test_posteriors_of_trees_are_those_of_scikit_learn(depth: int) -> None:
    forest, asked = sklearn_forest(drawn(1, 150), max_depth=depth), drawn(2, 200).rows.numpy()
    np.testing.assert_allclose(flat(forest).posteriors(asked), forest.predict_proba(asked), atol=1e-6)


def test_posteriors_of_trees_that_are_one_leaf_are_the_shares_of_the_classes() -> None:
    forest, asked = sklearn_forest(drawn(1, 60), min_samples_split=61), drawn(2, 5).rows.numpy()
    assert max(one.tree_.node_count for one in forest.estimators_) == 1
    np.testing.assert_allclose(flat(forest).posteriors(asked), forest.predict_proba(asked), atol=1e-6)


@pytest.mark.parametrize("low", [1000.0, float(np.nextafter(np.float32(1000), np.float32(2000)))])
def test_a_value_beside_a_threshold_goes_to_the_side_that_scikit_learn_sends_it_to(low: float) -> None:
    """Between two neighbouring numbers of 32 bits there is a threshold of 64 bits, and none of 32."""
    first = np.float32(low)
    values = np.array([first, np.nextafter(first, np.float32(2000))]).repeat(20)[:, None]
    forest = RandomForestClassifier(3, random_state=0).fit(values, (np.arange(40) >= 20).astype(int))
    assert forest.predict_proba(values)[[0, -1], 1].tolist() == [0, 1]
    np.testing.assert_array_equal(flat(forest).posteriors(values), forest.predict_proba(values))


def test_posteriors_of_some_trees_are_those_of_a_naive_walk() -> None:
    trees, asked = flat(sklearn_forest(drawn(1, 80), max_depth=5)), drawn(2, 30).rows.numpy()
    counted = np.random.default_rng(0).random((30, 12)) < 0.4
    counted[0] = False
    expected = [naive_posteriors(trees, one, np.flatnonzero(c).tolist()) for one, c in zip(asked, counted, strict=True)]
    np.testing.assert_allclose(trees.posteriors(asked, counted), expected, atol=1e-6)


def test_a_sample_goes_left_up_to_the_threshold_in_its_own_tree() -> None:
    """Two trees by hand: a root with two leaves, and a leaf alone. Nodes are numbered within a tree."""
    trees = Trees(
        starts=np.array([0, 1, 4]),
        feature=np.array([-1, 1, -1, -1]),
        threshold=np.array([0, 0.5, 0, 0], dtype=np.float32),
        left=np.array([0, 1, 0, 0]),
        right=np.array([0, 2, 0, 0]),
        values=np.array([[0.5, 0.5], [0, 0], [1, 0], [0, 1]], dtype=np.float32),
    )
    samples = np.array([[9, 0.5], [-9, 0.5000001], [0, -np.inf], [0, np.nan]], dtype=np.float32)
    assert trees.posteriors(samples).tolist() == [[0.75, 0.25], [0.25, 0.75], [0.75, 0.25], [0.25, 0.75]]
    second = np.tile([False, True], (4, 1))
    assert trees.posteriors(samples, second).tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    assert trees.posteriors(samples, ~second).tolist() == [[0.5, 0.5]] * 4
    assert trees.posteriors(samples[:0]).shape == (0, 2)


@pytest.mark.parametrize("blend", [0.0, 0.3, 1.0])
def test_a_cosine_of_joined_embeddings_is_that_of_a_naive_loop_where_a_class_is_impossible(blend: float) -> None:
    posteriors, random = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]], np.random.default_rng(0)
    coordinates = random.normal(size=(3, 4))
    vectors = joined_embedding(torch.tensor(posteriors).double(), torch.from_numpy(coordinates), blend)
    least = [[value + 1e-6 for value in one] for one in posteriors]  # a posterior of 0 counts as a millionth
    for i in range(3):
        for j in range(3):
            shared = sum((a * b) ** 0.5 for a, b in zip(least[i], least[j], strict=True))
            shared /= (sum(least[i]) * sum(least[j])) ** 0.5
            expected = (1 - blend) * shared + blend * cosines(coordinates)[i, j]
            assert float(vectors[i] @ vectors[j]) == pytest.approx(expected, abs=1e-9)
    assert bool(vectors[:, :3].any()) == (blend < 1)
    assert bool(vectors[:, 3:].any()) == (blend > 0)


@pytest.mark.parametrize("blend", [0.0, 0.1, 0.5, 1.0])
def test_a_cosine_of_joined_embeddings_blends_bhattacharyya_coefficient_and_cosine(blend: float) -> None:
    random = np.random.default_rng(0)
    posteriors, coordinates = random.dirichlet(np.ones(4), 20), random.normal(size=(20, 6))
    vectors = joined_embedding(torch.from_numpy(posteriors), torch.from_numpy(coordinates), blend).numpy()
    assert vectors.shape == (20, 10)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    bhattacharyya = np.sqrt(posteriors) @ np.sqrt(posteriors).T
    np.testing.assert_allclose(
        vectors @ vectors.T, (1 - blend) * bhattacharyya + blend * cosines(coordinates), atol=1e-4
    )


def test_without_coordinates_a_cosine_is_the_bhattacharyya_coefficient() -> None:
    posteriors = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(4), 20))
    vectors = joined_embedding(posteriors, torch.zeros(20, 0), 0.5)
    torch.testing.assert_close(vectors @ vectors.T, posteriors.sqrt() @ posteriors.sqrt().T, atol=1e-4, rtol=0)


def test_classes_that_a_pixel_certainly_has_and_has_not_are_orthogonal() -> None:
    vectors = joined_embedding(torch.eye(3), torch.zeros(3, 0), 0.0)
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(3), atol=0.01, rtol=0)


def test_a_forest_labels_more_samples_correctly_than_the_identity_head() -> None:
    known, asked = drawn(1, 200), drawn(2, 400)
    head, exemplars = fit_forest(GROUPS, GROUPS, IDENTITY, *known).blended(0.2)
    before = accuracy(IDENTITY, IDENTITY.embed(known.rows), known, asked)
    assert accuracy(head, exemplars, known, asked) > before + 0.06


def test_own_samples_are_embedded_by_the_trees_that_did_not_see_them() -> None:
    """Of classes at random, trees learn those of their own samples by heart, and nothing else."""
    rows = drawn(1, 300).rows
    class_ids = torch.from_numpy(np.random.default_rng(0).integers(0, CLASSES, 300))
    grown = fit_forest(GROUPS, GROUPS, IDENTITY, rows, class_ids, PosteriorOptions(leaf=1))
    head, embeddings = grown.blended(0.0)
    seen = head.embed(rows)[:, :CLASSES].argmax(1)
    unseen = embeddings[:, :CLASSES].argmax(1)
    assert float((seen == class_ids).float().mean()) > 0.9
    assert float((unseen == class_ids).float().mean()) < 0.5
    torch.testing.assert_close(grown.posteriors.sum(1), torch.ones(300), atol=1e-4, rtol=0)


def test_coordinates_beside_the_trees_are_those_of_the_companion_over_its_own_groups() -> None:
    known, coarse = drawn(1, 60), GROUPS[1:]
    basis = principal_basis(STATISTICS.columns(columns_of(GROUPS, coarse)), coarse, 8)
    companion = identity_head(coarse, basis)
    head, exemplars = fit_forest(GROUPS, GROUPS[:1], companion, *known).blended(1.0)
    expected = companion.embed(known.rows[:, columns_of(GROUPS, coarse)])
    for found in (head.embed(known.rows), exemplars):
        torch.testing.assert_close(found[:, CLASSES:], expected, atol=1e-5, rtol=0)


def test_trees_read_only_the_groups_that_they_split_on() -> None:
    known = drawn(1, 80)
    grown = fit_forest(GROUPS, GROUPS[:1], IDENTITY, *known)
    head = grown.blended(0.0)[0]
    changed = known.rows.clone()
    changed[:, GROUPS[0].channels :] = 100
    torch.testing.assert_close(head.embed(known.rows)[:, :CLASSES], head.embed(changed)[:, :CLASSES])


def test_coarse_features_reach_the_trees_as_principal_components() -> None:
    known = drawn(1, 120)
    head = fit_forest(GROUPS, GROUPS[1:], IDENTITY, *known, PosteriorOptions(coarse=5)).head
    inputs = len(head.weight) - head.tail
    found = known.rows @ torch.from_numpy(head.weight[:inputs]).T + torch.from_numpy(head.bias[:inputs])
    expected = PCA(5).fit_transform(known.rows[:, GROUPS[0].channels :].double().numpy())[:, ::-1]
    np.testing.assert_allclose(found.abs().numpy(), np.abs(expected), atol=1e-3)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_forest_is_decided_by_its_seed_whatever_the_threads(threads: int) -> None:
    known, asked = drawn(1, 60), drawn(2, 20).rows
    grown = [
        fit_forest(GROUPS, GROUPS, IDENTITY, *known, seed=s, threads=n).head for s, n in ((3, threads), (3, 1), (4, 1))
    ]
    first, second, other = (head.embed(asked) for head in grown)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_forest_of_one_class_is_refused() -> None:
    rows = drawn(1, 20).rows
    with pytest.raises(ValueError, match="have one class; a head is fitted to two or more: label another class"):
        fit_forest(GROUPS, GROUPS, IDENTITY, rows, torch.ones(20, dtype=torch.int64))


def test_a_forest_of_one_sample_a_class_embeds_unit_vectors() -> None:
    """No tree can leave a sample out then; samples have posteriors that say nothing."""
    known = drawn(1, 60).each(1)
    head, exemplars = fit_forest(GROUPS, GROUPS, IDENTITY, *known).blended(0.2)
    for vectors in (exemplars, head.embed(drawn(2, 10).rows)):
        assert torch.isfinite(vectors).all()
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))


def test_another_blend_changes_the_cosines_and_nothing_else() -> None:
    known, asked = drawn(1, 60), drawn(2, 20).rows
    grown = fit_forest(GROUPS, GROUPS, IDENTITY, *known, PosteriorOptions(blend=0.4))
    assert grown.head.blend == 0.4
    alone, _ = grown.blended(0.0)
    beside, exemplars = grown.blended(1.0)
    assert (grown.head.blend, alone.blend, beside.blend) == (0.4, 0, 1)
    mixed = grown.head.embed(asked)
    for whole, share in ((alone.embed(asked)[:, :CLASSES], 0.6), (beside.embed(asked)[:, CLASSES:], 0.4)):
        part = mixed[:, :CLASSES] if share == 0.6 else mixed[:, CLASSES:]
        torch.testing.assert_close(part, share**0.5 * whole, atol=1e-6, rtol=0)
    torch.testing.assert_close(exemplars, beside.embed(known.rows), atol=1e-5, rtol=0)


def test_posteriors_that_are_known_are_not_computed_again() -> None:
    head = fit_forest(GROUPS, GROUPS, IDENTITY, *drawn(1, 60)).head
    hidden = drawn(2, 5).rows @ torch.from_numpy(head.weight).T + torch.from_numpy(head.bias)
    given = torch.eye(CLASSES)[[2, 0, 1, 1, 0]]
    expected = joined_embedding(given, hidden[:, -head.tail :], head.blend)
    assert torch.equal(head.finish(hidden, given), expected)
    assert not torch.allclose(head.finish(hidden), expected, atol=0.1)


@pytest.mark.parametrize("trees", [1, 7])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_forest_has_as_many_trees_as_asked_for_and_none_is_deeper(trees: int, depth: int) -> None:
    grown = fit_forest(GROUPS, GROUPS, IDENTITY, *drawn(1, 200), PosteriorOptions(trees=trees, depth=depth)).head.trees
    assert grown is not None
    assert len(grown.starts) == trees + 1
    depths = []
    for first in grown.starts[:-1].tolist():
        level = [first]
        for below in range(10):
            inner = [node for node in level if grown.feature[node] >= 0]
            if not inner:
                depths.append(below)
                break
            level = [first + int(child[node]) for node in inner for child in (grown.left, grown.right)]
    assert max(depths) == depth


# Softmax regressions and ensembles


def of_head(head: Head, rows: Tensor, classes: int = CLASSES) -> np.ndarray:
    """Posteriors that a head computes for rows, from its embeddings."""
    return (replace(head, blend=0.0).embed(rows)[:, :classes] ** 2).double().numpy()


def fit_softmax(known: Labelled, options: PosteriorOptions | None = None, seed: int = 0) -> Grown:
    return fit_posteriors("softmax", GROUPS, IDENTITY, *known, softmax_reads=GROUPS[1:], options=options, seed=seed)


@pytest.mark.parametrize("names", [[2, 7], [0, 1, 2], [9, 4, 6]])
def test_posteriors_of_a_softmax_head_are_those_of_scikit_learn(names: list[int]) -> None:
    """Columns are classes in rising order, whatever their numbers."""
    known, asked = drawn(1, 150), drawn(2, 40).rows
    known = known._replace(class_ids=torch.tensor(names)[known.class_ids % len(names)])
    grown, coarse = fit_softmax(known, PosteriorOptions(regularity=0.05)), columns_of(GROUPS, GROUPS[1:])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=1000))
    model.fit(known.rows[:, coarse].double().numpy(), known.class_ids.numpy())
    assert grown.head.dimension == len(names) + IDENTITY.dimension
    for rows, found in ((known.rows, grown.posteriors.numpy()), (asked, of_head(grown.head, asked, len(names)))):
        np.testing.assert_allclose(found, model.predict_proba(rows[:, coarse].double().numpy()), atol=5e-3)


def test_a_softmax_regression_reads_only_its_groups() -> None:
    known = drawn(1, 80)
    head, changed = fit_softmax(known).head, known.rows.clone()
    changed[:, : GROUPS[0].channels] = 100
    np.testing.assert_allclose(of_head(head, changed), of_head(head, known.rows), atol=1e-6)
    changed[:, GROUPS[0].channels :] += 100
    assert np.abs(of_head(head, changed) - of_head(head, known.rows)).max() > 0.1


def test_a_rare_class_that_is_not_drawn_is_fitted_all_the_same() -> None:
    known = drawn(1, 300)
    chosen = torch.cat([torch.nonzero(known.class_ids == c)[:n, 0] for c, n in ((0, 80), (1, 80), (2, 2))])
    known, options = Labelled(known.rows[chosen], known.class_ids[chosen]), PosteriorOptions(regressed=20)
    for seed in range(4):
        assert fit_softmax(known, options, seed).posteriors.shape == (162, CLASSES)


def test_a_feature_that_never_changes_leaves_a_softmax_head_finite() -> None:
    known = drawn(1, 80)
    known.rows[:, GROUPS[0].channels] = 7
    grown = fit_softmax(known)
    assert torch.isfinite(grown.posteriors).all()
    assert torch.isfinite(grown.head.embed(known.rows)).all()


def test_posteriors_of_an_ensemble_are_the_means_of_its_parts() -> None:
    known, asked = drawn(1, 150), drawn(2, 40).rows
    both = fit_posteriors(
        "ensemble", GROUPS, IDENTITY, *known, trees_read=GROUPS[:1], softmax_reads=GROUPS[1:], seed=3
    )  # fmt: skip
    forest, softmax = fit_forest(GROUPS, GROUPS[:1], IDENTITY, *known, seed=3), fit_softmax(known, seed=3)
    expected = (of_head(forest.head, asked) + of_head(softmax.head, asked)) / 2
    np.testing.assert_allclose(of_head(both.head, asked), expected, atol=1e-5)
    torch.testing.assert_close(both.posteriors, (forest.posteriors + softmax.posteriors) / 2)
    assert torch.equal(both.coordinates, forest.coordinates)
    assert [one.head.dimension for one in (both, forest, softmax)] == [CLASSES + IDENTITY.dimension] * 3


def test_a_head_of_no_part_is_refused() -> None:
    with pytest.raises(ValueError, match="trees_read and softmax_reads are both empty; give the groups of one"):
        fit_posteriors("ensemble", GROUPS, IDENTITY, *drawn(1, 20))
