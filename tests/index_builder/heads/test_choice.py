import numpy as np
import pytest
import torch

from index_builder.heads import Candidate, Samples, fold_of
from index_builder.heads.choice import (
    ANOTHER_NETWORK,
    UNPROVEN,
    Chosen,
    Fit,
    Fitter,
    candidates,
    choose,
    named_candidate,
    score,
    score_head,
    splits,
)
from segsort.features import FeatureGroup
from segsort.head import FeatureStatistics, FitOptions
from segsort.posterior_heads import PosteriorOptions

GROUPS = (FeatureGroup("fine", 4, 4), FeatureGroup("coarse", 6, 16))
STREETS = FeatureGroup("streets", 3, 4)
QUICK, FEW = FitOptions(steps=8, anchors=32, references=64), PosteriorOptions(trees=5)


def samples_of(class_ids: list[int], images: list[int], parts: list[int] | None = None, seed: int = 0) -> Samples:
    """Samples whose fine features tell their class, among noise; each is a segment of its own."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(len(class_ids), 10)).astype(np.float32)
    rows[:, :4] = 0.3 * rows[:, :4] + np.eye(4)[class_ids]
    numbers = np.arange(len(class_ids))
    return Samples(
        rows=torch.from_numpy(rows),
        class_ids=torch.tensor(class_ids),
        images=np.array(images),
        places=numbers,
        parts=np.array(images if parts is None else parts),
        segments=numbers,
        weights=np.ones(len(class_ids), dtype=np.float32),
    )


def spread(images: int, each: int, classes: int = 3, seed: int = 0) -> Samples:
    """Samples of all classes in every image."""
    count = images * each
    return samples_of([n % classes for n in range(count)], [n // each for n in range(count)], seed=seed)


def fitter_of(samples: Samples, seed: int = 0) -> Fitter:
    return Fitter(GROUPS, FeatureStatistics.of(samples.rows), seed, 1, sorting=QUICK, posteriors=FEW)


def chosen_for(samples: Samples, fit: Fit = "auto", budget: float = 1000) -> Chosen:
    return choose(fitter_of(samples), samples, fit, budget)


# Folds


@pytest.mark.parametrize("seed", range(5))
def test_an_image_is_never_on_both_sides_of_a_fold(seed: int) -> None:
    random = np.random.default_rng(seed)
    images = random.integers(0, 7, 80)
    samples = samples_of(random.integers(0, 4, 80).tolist(), images.tolist(), random.integers(0, 30, 80).tolist())
    folds = fold_of(samples)
    assert folds is not None
    assert set(folds.tolist()) == {0, 1, 2}
    for image in range(7):
        assert len(set(folds[images == image].tolist())) == 1


def test_strokes_of_the_only_image_are_whole_in_their_folds() -> None:
    parts = np.repeat(np.arange(6), 5)
    samples = samples_of((parts % 2).tolist(), [3] * 30, parts.tolist())
    folds = fold_of(samples)
    assert folds is not None
    for part in range(6):
        assert len(set(folds[parts == part].tolist())) == 1
    for class_id in range(2):
        assert len(set(folds[parts % 2 == class_id].tolist())) == 3, "a class of three strokes is in all folds"


def test_a_rare_class_is_dealt_out_to_as_many_folds_as_it_has_images() -> None:
    images = np.repeat(np.arange(9), 10)
    class_ids = np.tile([0, 0, 0, 0, 0, 1, 1, 1, 1, 0], 9)
    class_ids[[5, 45]] = 2  # of images 0 and 4
    folds = fold_of(samples_of(class_ids.tolist(), images.tolist()))
    assert folds is not None
    assert folds[5] != folds[45]
    assert np.bincount(folds).min() >= 20, "images are spread evenly"


@pytest.mark.parametrize(
    ("class_ids", "images", "parts"),
    [
        ([0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1]),  # one stroke a class
        ([0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]),  # no class in two images
        ([0, 0, 0], [0, 0, 0], [0, 0, 0]),  # one stroke
        ([2], [5], [0]),  # one pixel
    ],
)
def test_where_no_class_is_in_two_images_or_strokes_there_are_no_folds(
    class_ids: list[int], images: list[int], parts: list[int]
) -> None:
    assert fold_of(samples_of(class_ids, images, parts)) is None


def test_each_sample_is_held_out_once_and_never_fitted_then() -> None:
    folds, count = np.array([0, 2, 1, 0, 2, 2]), np.zeros(6)
    for fitted, held in splits(folds):
        assert not (fitted & held).any()
        assert (fitted | held).all()
        count += held
    assert count.tolist() == [1] * 6


# Scores


def naive_score(embeddings: np.ndarray, samples: Samples, folds: np.ndarray) -> float:
    """Each sample is labelled by the 20 nearest samples of the other folds; mIoU of weighted samples."""
    class_ids = samples.class_ids.numpy()
    hits, unions = np.zeros(3), np.zeros(3)
    for i in range(len(class_ids)):
        others = [j for j in range(len(class_ids)) if folds[j] != folds[i]]
        nearest = sorted(others, key=lambda j: -float(embeddings[i] @ embeddings[j]))[:20]
        votes = np.zeros(3)
        for j in nearest:
            votes[class_ids[j]] += np.exp(10 * float(embeddings[i] @ embeddings[j]))
        found, true = int(votes.argmax()), class_ids[i]
        for c in {int(found), int(true)}:
            unions[c] += samples.weights[i]
        if found == true:
            hits[true] += samples.weights[i]
    return float(np.mean(hits / unions))


def test_a_score_is_the_miou_of_held_out_samples_in_a_naive_loop() -> None:
    samples = spread(6, 15)
    samples = samples._replace(weights=np.random.default_rng(1).uniform(0.5, 4, 90).astype(np.float32))
    fitter, folds = fitter_of(samples), fold_of(samples)
    assert folds is not None
    candidate = Candidate("identity", GROUPS)
    head = fitter.fit(candidate, samples)[0]
    expected = naive_score(head.embed(samples.rows).numpy(), samples, folds)
    assert 0.3 < expected < 0.99
    assert score(fitter, candidate, samples, folds) == pytest.approx(expected, abs=1e-4)
    assert score_head(fitter, head, samples, folds) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", ["identity", "linear", "forest", "softmax", "mlp"])
def test_what_only_tells_images_apart_does_not_raise_a_score(kind: str) -> None:
    """Each image has one class and features of its own, which say nothing about other images."""
    images = np.repeat(np.arange(12), 8)
    samples = samples_of((images % 2).tolist(), images.tolist())
    rows = (
        0.01 * np.random.default_rng(0).normal(size=(96, 10)) + np.random.default_rng(1).normal(size=(12, 10))[images]
    )
    samples = samples._replace(rows=torch.from_numpy(rows.astype(np.float32)))
    folds, leaking = fold_of(samples), np.arange(96) % 3
    assert folds is not None
    fitter, candidate = fitter_of(samples), Candidate(kind, GROUPS)  # type: ignore[arg-type]
    assert score(fitter, candidate, samples, folds) < 0.6
    assert score(fitter, candidate, samples, leaking) > 0.75


def test_where_the_other_folds_have_one_class_it_is_the_answer() -> None:
    samples = samples_of([0, 0, 0, 0, 1, 0], [0, 0, 1, 1, 2, 2])
    folds = np.array([0, 0, 1, 1, 2, 2])
    found = score(fitter_of(samples), Candidate("linear", GROUPS), samples, folds)
    assert found == pytest.approx((5 / 6 + 0) / 2)


# Candidates and the choice


@pytest.mark.parametrize(
    ("fit", "kind"),
    [("none", "identity"), *((kind, kind) for kind in ("linear", "mlp", "forest", "softmax", "ensemble"))],
)
def test_only_heads_of_the_kind_asked_for_are_tried(fit: Fit, kind: str) -> None:
    assert {one.kind for one in candidates(GROUPS, fit)} == {kind}
    assert chosen_for(spread(3, 12), fit).candidate.kind == kind


def test_every_kind_and_no_candidate_twice_is_tried_by_itself() -> None:
    found = candidates(GROUPS, "auto")
    assert {one.kind for one in found} >= {"identity", "linear", "ensemble"}
    assert len(set(found)) == len(found)
    for one in found:
        assert one.groups, one
        assert set(one.reads) <= set(GROUPS)


@pytest.mark.parametrize("fit", ["none", "linear", "mlp", "ensemble"])
@pytest.mark.parametrize("group", [*GROUPS, STREETS])
def test_candidates_over_one_map_are_not_repeated(group: FeatureGroup, fit: Fit) -> None:
    found = candidates((group,), fit)
    assert len(found) == 1
    assert found[0].reads == (group,)


def test_a_candidate_says_what_it_reads() -> None:
    assert str(Candidate("linear", GROUPS)) == "linear of fine, coarse"
    both = Candidate("forest", GROUPS[:1], GROUPS, 0.4)
    assert str(both) == "forest of fine; 40% linear of fine, coarse"
    assert both.reads == GROUPS


def test_the_first_candidate_is_always_tried_and_the_next_only_within_the_budget() -> None:
    samples = spread(3, 12)
    assert len(chosen_for(samples, budget=0).scores) == 1
    calls: list[tuple[int, int]] = []
    chosen = choose(fitter_of(samples), samples, "ensemble", 1000, lambda n, of: calls.append((n, of)))
    total = len(candidates(GROUPS, "ensemble"))
    assert len(chosen.scores) == total > 1
    assert calls == [(n + 1, total) for n in range(total)]


def test_the_choice_is_hardly_worse_than_the_best_that_was_tried() -> None:
    samples = spread(8, 18)
    chosen = chosen_for(samples)
    assert chosen.scores[str(chosen.candidate)] >= max(chosen.scores.values()) - UNPROVEN
    assert chosen.folds is not None
    assert chosen.folds.tolist() == fold_of(samples).tolist()  # type: ignore[union-attr]
    assert chosen.seconds > 0


@pytest.mark.parametrize("bonus", [0.5, 0.9, 1.1, 2.0])
def test_another_form_of_head_and_one_more_network_must_be_worth_it(
    bonus: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first candidate scores .5, each rival as much more as makes it chosen or not."""
    groups = (*GROUPS, STREETS)
    possible = candidates(groups, "auto")
    first, general = possible[:2]
    assert str(first) == "ensemble of coarse, streets; 40% linear of fine, coarse, streets"
    assert str(general) == "ensemble of coarse; 40% linear of fine, coarse"
    other = next(one for one in possible if one.kind == "identity" and STREETS in one.groups)
    for rival, base, cost in ((first, general, ANOTHER_NETWORK), (other, first, UNPROVEN)):
        values = {rival: 0.5 + bonus * cost, base: 0.5}
        monkeypatch.setattr(
            "index_builder.heads.choice.score", lambda _, candidate, *rest, values=values: values.get(candidate, 0.0)
        )
        samples = spread(6, 12)
        samples = samples._replace(rows=torch.cat([samples.rows, samples.rows[:, :3]], 1))
        fitter = Fitter(groups, FeatureStatistics.of(samples.rows), 0, 1)
        assert choose(fitter, samples, "auto", 1000).candidate == (rival if bonus > 1 else base)


def test_for_one_image_the_first_candidate_and_identity_heads_are_compared() -> None:
    samples = samples_of([n % 2 for n in range(48)], [0] * 48, [n // 4 for n in range(48)])
    names = list(chosen_for(samples).scores)
    assert names[0] == str(candidates(GROUPS, "auto")[0])
    assert {name.split()[0] for name in names[1:]} == {"identity"}


def test_the_seed_decides_the_choice_and_its_scores() -> None:
    samples = spread(4, 12)
    first, second = chosen_for(samples, "forest"), chosen_for(samples, "forest")
    assert (first.candidate, first.scores) == (second.candidate, second.scores)
    other = choose(fitter_of(samples, seed=1), samples, "forest", 1000)
    assert other.scores != first.scores


@pytest.mark.parametrize(
    ("class_ids", "parts"), [([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2]), ([1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2])]
)
def test_one_stroke_a_class_and_one_class_get_the_identity_head(class_ids: list[int], parts: list[int]) -> None:
    """It is then never worse than the identity head, because it is the identity head."""
    chosen = chosen_for(samples_of(class_ids, [0] * 6, parts))
    assert chosen.candidate.kind == "identity"
    assert set(chosen.candidate.groups) == set(GROUPS)
    assert chosen.scores == {}
    assert chosen.folds is None


# Fitting a candidate


@pytest.mark.parametrize("kind", ["identity", "linear", "mlp"])
def test_samples_are_embedded_by_the_head_itself(kind: str) -> None:
    samples = spread(3, 12)
    head, embeddings = fitter_of(samples).fit(Candidate(kind, GROUPS[1:]), samples)  # type: ignore[arg-type]
    assert head.kind == kind
    assert head.groups == GROUPS[1:]
    torch.testing.assert_close(embeddings, head.embed(samples.rows[:, 4:]))


def test_samples_of_a_forest_are_embedded_by_trees_that_did_not_see_them() -> None:
    """Random classes cannot be predicted from the features; trees can only memorise their own samples."""
    random = np.random.default_rng(0)
    samples = samples_of(random.integers(0, 2, 200).tolist(), [0] * 200)
    samples = samples._replace(rows=torch.from_numpy(random.normal(size=(200, 10)).astype(np.float32)))
    fitter = Fitter(
        GROUPS, FeatureStatistics.of(samples.rows), 0, 1, sorting=QUICK, posteriors=PosteriorOptions(trees=20)
    )
    head, embeddings = fitter.fit(Candidate("forest", GROUPS, GROUPS, 0.0), samples)
    seen, unseen = (vectors[:, :2].argmax(1) == samples.class_ids for vectors in (head.embed(samples.rows), embeddings))
    assert float(seen.float().mean()) > 0.85
    assert float(unseen.float().mean()) < 0.65


def test_a_forest_and_the_linear_head_beside_it_read_maps_of_their_own() -> None:
    samples = spread(3, 12)
    head, embeddings = fitter_of(samples).fit(Candidate("forest", GROUPS[:1], GROUPS[1:], 0.5), samples)
    assert head.groups == GROUPS
    assert embeddings.shape == (36, head.dimension)
    fine, coarse = samples.rows.clone(), samples.rows.clone()
    fine[:, 4:], coarse[:, :4] = 9, 9
    whole = head.embed(samples.rows)
    torch.testing.assert_close(head.embed(fine)[:, :3], whole[:, :3])
    torch.testing.assert_close(head.embed(coarse)[:, 3:], whole[:, 3:])


@pytest.mark.parametrize("kind", ["linear", "none", "mlp", "ensemble", "forest", "softmax"])
def test_a_candidate_is_found_again_by_its_description(kind: Fit) -> None:
    for candidate in candidates(GROUPS, kind):
        assert named_candidate(GROUPS, str(candidate)) == candidate
    assert named_candidate(GROUPS, "a head of nothing") is None
