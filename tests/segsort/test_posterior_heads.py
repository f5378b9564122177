import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier

from segsort.head import (
    Trees,
    columns_of,
    identity_head,
    joined_embedding,
    principal_basis,
)
from segsort.posterior_heads import PosteriorOptions, _flat
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
