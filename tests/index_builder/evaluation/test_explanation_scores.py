"""Scores of explanations, compared with naive loops. Wrong explanations and unstable labels lower the scores."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index_builder.datasets import IGNORE, Sample
from index_builder.evaluation import explanation_scores
from index_builder.evaluation.explanation_scores import ExplanationReport, measure_explanations
from index_builder.evaluation.explanation_trials import (
    DISTURBANCES,
    REMOVED,
    Disturbance,
    Neighbours,
    _flip_set_size,
    flip_set_sizes,
    labels_without,
    nearest,
    removal,
    steadiness,
    swap,
)
from model_store.exemplar_table import Exemplars
from model_store.explanation import explain_vote
from model_store.index import ExemplarIndex
from model_store.predictor import Prediction, Predictor, SegmentLabels
from model_store.release import Release
from segsort.retrieval import flip_set, vote
from segsort.segments import Segments
from tests.conftest import Blocks


class Messy(Blocks):
    """Blocks whose right half is noise and whose left third is labelled brick: votes are close and often wrong."""

    def __getitem__(self, i: int) -> Sample:
        sample = super().__getitem__(i)
        sample.image[:, 48:] = np.random.default_rng(i).integers(0, 256, (self.height, 48, 3))
        sample.labels[:, :32] = 0
        sample.labels[-9:] = IGNORE
        return sample


@pytest.fixture(scope="module")
def predictor(tiny_release: Path) -> Predictor:
    return Predictor(Release.open(tiny_release), threads=1)


@pytest.fixture(scope="module")
def report(predictor: Predictor) -> ExplanationReport:
    return measure_explanations(predictor, Messy("val", count=3), images=3)


@pytest.fixture(scope="module")
def predictions(predictor: Predictor) -> list[Prediction]:
    return [predictor.predict(Messy("val", count=3)[i].image) for i in range(3)]


def of_one_class(predictor: Predictor) -> Predictor:
    """Copy a predictor, with brick as the only class and the class of every exemplar."""
    other, release = copy.copy(predictor), predictor.release
    card = release.card.model_copy(update={"classes": release.card.classes[:1]})
    exemplars = replace(release.exemplars, class_ids=np.zeros_like(release.exemplars.class_ids))
    other.release = replace(release, card=card, exemplars=exemplars)
    return other


def test_a_release_that_retrieves_passes_every_trial_of_its_truth(report: ExplanationReport) -> None:
    assert (report.images, report.replay.label, report.replay.flip_set) == (3, 1.0, 1.0)
    assert 0 <= report.replay.greatest_share_difference < 1e-12
    assert report.swap is not None
    assert (report.swap.to_runner_up, report.swap.outside) == (1.0, 1.0)
    assert ExplanationReport.model_validate_json(report.model_dump_json()) == report
    shares = [value for name, value in report.rows() if isinstance(value, float) and "flip set of" not in name]
    assert all(0 <= value <= 1 for value in shares)


def test_right_wrong_and_purity_equal_loops_over_segments(
    predictor: Predictor, predictions: list[Prediction], report: ExplanationReport
) -> None:
    sizes: dict[bool, list[float]] = {True: [], False: []}
    voters = pixels = labelled = 0.0
    for i, found in enumerate(predictions):
        labels = Messy("val", count=3)[i].labels
        for s, winner in enumerate(found.vote.class_ids):
            inside = labels[(found.segments.labels == s) & (labels != IGNORE)]
            if not len(inside):
                continue
            counts = np.bincount(inside, minlength=3)
            sizes[bool(counts.argmax() == winner)].append(flip_set_sizes(predictor, found)[s])
            classes = predictor.release.exemplars.class_ids[found.rows[s, :5]]
            voters += len(inside) * np.mean([c == winner for c in classes])
            pixels += counts.max()
            labelled += len(inside)
    for scored, those in ((report.flip_sets.right, sizes[True]), (report.flip_sets.wrong, sizes[False])):
        assert scored.segments == len(those) > 0
        assert scored.median == pytest.approx(np.median(those))
        assert scored.mean == pytest.approx(np.mean(those))
        assert sum(scored.histogram.values()) == len(those)
        assert scored.histogram["3-4"] == sum(size in (3, 4) for size in those)
    pairs = [(wrong < right) + (wrong == right) / 2 for wrong in sizes[False] for right in sizes[True]]
    assert report.flip_sets.auroc == pytest.approx(np.mean(pairs))
    assert report.purity.voters == pytest.approx(voters / labelled)
    assert report.purity.pixels == pytest.approx(pixels / labelled)
    assert report.purity.pixels < 1


def test_a_detector_that_knows_the_class_alone_tells_nothing_within_classes() -> None:
    values, groups = np.array([1.0, 1, 1, 9, 9, 9]), np.array([0, 0, 0, 1, 1, 1])
    right = np.array([False, False, True, True, True, False])
    assert explanation_scores._detects(values, right, np.zeros(6)) == pytest.approx((2 * (0.5 + 2) + (0 + 2 * 0.5)) / 9)
    assert explanation_scores._detects(values, right, groups) == 0.5
    assert explanation_scores._detects(np.arange(6.0), right, groups) == pytest.approx((2 + 0) / 4)
    assert explanation_scores._detects(values, np.ones(6, dtype=bool), groups) is None


def lie_about_a_class(scored: dict[str, Any]) -> None:
    for exemplar in scored["exemplars"]:
        exemplar["class_id"] = (exemplar["class_id"] + 1) % 3


def lie_about_the_flip_set(scored: dict[str, Any]) -> None:
    scored["flip_set"] = [e["exemplar_id"] for e in scored["reserve"]]


def lie_about_kappa(scored: dict[str, Any]) -> None:
    scored["vote"]["kappa"] /= 2


@pytest.mark.parametrize(
    ("lie", "found"),
    [
        (lie_about_a_class, lambda replay: replay.label == 0),
        (lie_about_the_flip_set, lambda replay: replay.flip_set < 1),
        (lie_about_kappa, lambda replay: replay.greatest_share_difference > 0.01),
    ],
)
def test_explanations_that_lie_fail_the_replay(
    lie: Any, found: Any, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lying(*arguments: Any) -> dict[str, Any]:
        scored = explain_vote(*arguments)
        lie(scored)
        return scored

    monkeypatch.setattr(explanation_scores, "explain_vote", lying)
    assert found(measure_explanations(predictor, Messy("val", count=1)).replay)


def naive_label(cosines: np.ndarray, classes: np.ndarray, gone: set[int], k: int, kappa: float) -> int:
    """Class of a query by a full sort of all remaining exemplars; -1 if none remains."""
    left = sorted((-cosine, row) for row, cosine in enumerate(cosines) if row not in gone)[:k]
    shares: dict[int, float] = {}
    for cosine, row in left:
        shares[classes[row]] = shares.get(classes[row], 0.0) + np.exp(-kappa * cosine)
    return min(shares, key=lambda c: (-shares[c], c)) if shares else -1


def test_removal_equals_a_full_sort_without_what_was_removed(
    predictor: Predictor, predictions: list[Prediction]
) -> None:
    exemplars, card = predictor.release.exemplars, predictor.release.card.retrieval
    stayed = 0.0
    for found in predictions:
        top, by_chance = removal(predictor, found, np.random.default_rng(5))
        random = np.random.default_rng(5)
        for s, winner in enumerate(found.vote.class_ids):
            cosines = exemplars.prototypes @ found.segments.prototypes[s]
            own = np.flatnonzero(exemplars.class_ids == winner)
            by_nearness = own[np.argsort(-cosines[own], kind="stable")]
            drawn = random.permutation(own)
            for m, removed in enumerate(REMOVED):
                for stays, order in ((top, by_nearness), (by_chance, drawn)):
                    label = naive_label(cosines, exemplars.class_ids, set(order[:removed]), card.k, card.kappa)
                    assert stays[m, s] == (label == winner)
        assert top[0].all()
        assert not top[-1].any(), "32 are all of a class here"
        assert not by_chance[-1].any()
        stayed += by_chance.sum() - top.sum()
    assert stayed > 0, "what voted matters more than what did not"


def test_where_nothing_is_left_there_is_no_label() -> None:
    cosines, rows, classes = np.array([[0.9, 0.8]] * 2), np.array([[0, 1]] * 2), np.array([[1, 0]] * 2)
    found = Neighbours(cosines, rows, classes, np.ones((2, 2)))
    removed = np.array([[True, True], [True, False]])
    assert labels_without(found, removed, 2, 10.0, 2).tolist() == [-1, 0]


@pytest.mark.parametrize("seed", range(30))
def test_bisection_finds_the_size_of_the_flip_set(seed: int) -> None:
    random = np.random.default_rng(seed)
    R, k = int(random.integers(1, 60)), int(random.integers(1, 9))
    cosines = np.sort(random.uniform(0.3, 1, R))[::-1].astype(np.float32)
    classes = random.choice(3, R, p=[0.7, 0.2, 0.1])
    strengths = random.integers(1, 1 + seed % 3 * 4, R, endpoint=True)
    winner = int(vote(cosines[None, :k], classes[None, :k], 3, 10.0, strengths[None, :k]).class_ids[0])
    flips = flip_set(cosines, classes, min(k, R), 10.0, strengths)
    found = _flip_set_size(cosines, classes, strengths, winner, min(k, R), 10.0)
    assert found == (np.inf if flips is None else len(flips))


def test_what_counts_for_several_does_so_in_every_trial(predictor: Predictor) -> None:
    """The explanations of a release whose exemplars have strengths are still correct in every trial."""
    strong = np.random.default_rng(0).choice([1, 1, 1, 7], len(predictor.release.exemplars)).astype(np.float32)
    other, release = copy.copy(predictor), predictor.release
    other.release = replace(release, exemplars=replace(release.exemplars, strengths=strong))
    images = [Messy("val", count=3)[i].image for i in range(3)]
    assert any((other.predict(one).vote.shares != predictor.predict(one).vote.shares).any() for one in images)
    scored = measure_explanations(other, Messy("val", count=3), images=3)
    assert (scored.replay.label, scored.replay.flip_set, scored.replay.greatest_share_difference < 1e-12) == (
        1,
        1,
        True,
    )
    assert scored.swap is not None
    assert (scored.swap.to_runner_up, scored.swap.outside) == (1.0, 1.0)
    assert (scored.removal[0].top_segments, scored.removal[0].random_segments) == (1.0, 1.0)


def test_flip_sets_are_looked_for_as_deep_as_the_index_goes(predictor: Predictor) -> None:
    """The 950 nearest exemplars of the first query have one class. The first search returns far fewer."""
    angles = np.linspace(0, 1, 1000)
    prototypes = np.zeros((1000, 32), dtype=np.float32)
    prototypes[:, 0], prototypes[:, 1] = np.cos(angles), np.sin(angles)
    N, ones = len(prototypes), np.ones(1000, dtype=np.int64)
    classes = (np.arange(N) >= 950).astype(np.int64)
    exemplars = Exemplars([f"{n:016x}" for n in range(N)], prototypes, classes, ones, np.ones((N, 4)), ones, [""] * N)
    other = copy.copy(predictor)
    other.release, other.index = replace(predictor.release, exemplars=exemplars), ExemplarIndex.build(prototypes)
    segments = Segments(np.array([[0, 1]]), prototypes[[0, -1]], np.array([1, 1]))
    scored = flip_set_sizes(other, Prediction(segments, *other.retrieve(segments.prototypes, segments.areas, 20), {}))
    found = nearest(other, segments.prototypes, N)
    flips = [flip_set(found.cosines[s], found.classes[s], 20, 10.0) or [] for s in range(2)]
    assert scored.tolist() == [len(flips[0]), len(flips[1])]
    assert scored[0] > 900 > scored[1]


def test_a_label_that_does_not_come_from_exemplars_fails_the_swap(
    predictor: Predictor, predictions: list[Prediction]
) -> None:
    class Stubborn(Predictor):
        """Ignores removed exemplars and keeps the labels of the unchanged predictor."""

        def retrieve(self, prototypes: np.ndarray, areas: np.ndarray, k: int | None = None) -> SegmentLabels:
            return predictor.retrieve(prototypes, areas, k)

    class Global(Predictor):
        """Votes with more exemplars than its explanation names."""

        def retrieve(self, prototypes: np.ndarray, areas: np.ndarray, k: int | None = None) -> SegmentLabels:
            return super().retrieve(prototypes, areas, k and 3 * k)

    for kind, (follows, alone) in {Predictor: (1.0, 1.0), Stubborn: (0.0, 1.0), Global: (None, 0.0)}.items():
        other = copy.copy(predictor)
        other.__class__ = kind
        held = [swap(other, found) for found in predictions]
        shares = np.concatenate([one for one in held if one is not None]).mean(axis=0)
        assert follows is None or shares[0] == follows
        assert shares[1] == alone


def test_one_class_alone_has_nothing_to_swap_and_nothing_to_flip(predictor: Predictor) -> None:
    class Bricks(Blocks):
        classes = Blocks.classes[:1]

        def __getitem__(self, i: int) -> Sample:
            return Blocks("val")[i]._replace(labels=np.zeros((self.height, self.width), dtype=np.uint8))

    scored = measure_explanations(of_one_class(predictor), Bricks("val", count=1))
    assert scored.swap is None
    assert (scored.flip_sets.right.median, scored.flip_sets.right.mean, scored.flip_sets.auroc) == (
        None,
        None,
        None,
    )
    assert scored.flip_sets.right.histogram["none"] == scored.segments
    assert scored.replay.flip_set == 1
    json.dumps(scored.model_dump(), allow_nan=False)


def test_steadiness_equals_loops_over_segments_and_pixels(predictor: Predictor, predictions: list[Prediction]) -> None:
    image, found = Messy("val", count=3)[0].image, predictions[0]
    for name, disturbance in DISTURBANCES.items():
        scored = steadiness(predictor, image, found, disturbance, np.random.default_rng(1))
        other = predictor.predict(disturbance.change(image, np.random.default_rng(1)))
        shift = disturbance.shift
        before, after = found.segments.labels[:, : 96 - shift], other.segments.labels[:, shift:]
        jaccard, same = 0.0, 0
        for s in range(len(found.segments.areas)):
            covering = np.bincount(after[before == s], minlength=1).argmax()
            a, b = set(found.rows[s, :5].tolist()), set(other.rows[covering, :5].tolist())
            jaccard += (before == s).sum() * len(a & b) / len(a | b)
        for y, x in np.ndindex(*before.shape):
            same += int(found.class_map[y, x] == other.class_map[y, x + shift])
        assert scored == pytest.approx((jaccard, same, before.size)), name
        assert scored.jaccard < scored.pixels


def test_an_image_that_is_not_disturbed_is_answered_alike_and_another_one_is_not(
    predictor: Predictor, predictions: list[Prediction]
) -> None:
    image, random = Messy("val", count=3)[0].image, np.random.default_rng(0)
    same = steadiness(predictor, image, predictions[0], Disturbance(lambda image, _: image), random)
    assert same == (image[:, :, 0].size, image[:, :, 0].size, image[:, :, 0].size)
    other = steadiness(predictor, image, predictions[0], Disturbance(lambda image, _: 255 - image), random)
    assert other.jaccard / other.pixels < 0.3


def test_disturbances_are_what_they_are_called() -> None:
    image, random = Blocks("val")[0].image, np.random.default_rng(0)
    noisy = DISTURBANCES["noise"].change(np.full((200, 200, 3), 128, dtype=np.uint8), random)
    assert noisy.astype(int).std() == pytest.approx(5, rel=0.05)
    assert (DISTURBANCES["shift"].change(image, random)[:, 1:] == image[:, :-1]).all()
    compressed = DISTURBANCES["jpeg"].change(image, random).astype(int)
    assert 1 < np.abs(compressed - image).mean() < 15
    assert {noisy.dtype, DISTURBANCES["jpeg"].change(image, random).dtype} == {np.dtype(np.uint8)}


def test_the_same_seed_gives_the_same_numbers_on_images_evenly_spread(predictor: Predictor) -> None:
    seen: list[int] = []

    class Watched(Messy):
        def __getitem__(self, i: int) -> Sample:
            seen.append(i)
            return super().__getitem__(i)

    scored = [measure_explanations(predictor, Watched("val", count=6), images=2, seed=7) for _ in range(2)]
    assert seen == [0, 3, 0, 3]
    assert scored[0].model_copy(update={"seconds": 0}) == scored[1].model_copy(update={"seconds": 0})


def test_no_image_to_explain_is_refused(predictor: Predictor) -> None:
    with pytest.raises(ValueError, match="images=0, data set 'blocks' has 2 images"):
        measure_explanations(predictor, Blocks("val", count=2), images=0)
    with pytest.raises(ValueError, match="images=40, data set 'blocks' has 0 images"):
        measure_explanations(predictor, Blocks("val", count=0))
