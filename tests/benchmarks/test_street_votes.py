"""The comparison of votes: it measures what the evaluation of a release measures."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.street_confidence import Votes
from benchmarks.street_vote_variants import (
    ClassScores,
    Exemplars,
    Variant,
    Voting,
    distinct,
    splitting,
    whitened,
    with_interior_prototypes,
)
from benchmarks.street_votes import Images, add_row, counts_of, explained, label, opened
from benchmarks.street_votes_table import measured_at, splitting_table, tables
from index_builder.evaluation.explanation_trials import DISTURBANCES, removal, steadiness
from index_builder.evaluation.explanation_trials import REMOVED as POINTS
from index_builder.pixel_scores import iou_of
from index_builder.scores import intersection_over_union, label_counts
from model_store.predictor import Predictor
from model_store.release import Release
from segsort.segments import segment_image
from segsort.sphere import unit_rows
from tests.conftest import Blocks

VOTES = Path("docs/results/votes")


@pytest.fixture(scope="module")
def predictor(tiny_release: Path) -> Predictor:
    return Predictor(Release.open(tiny_release))


def served(predictor: Predictor) -> Variant:
    card, stored = predictor.release.card, predictor.release.exemplars
    voting = Voting.of(Exemplars(stored.prototypes, stored.class_ids), card.retrieval.k, card.retrieval.kappa)
    options = card.sorting.options()
    return Variant(lambda e, size: segment_image(e, size, options, card.sorting.min_area), voting)


def test_labels_and_steadiness_are_those_of_the_release(predictor: Predictor) -> None:
    samples = [Blocks("val")[i] for i in range(2)]
    shift = DISTURBANCES["shift"].change
    random = np.random.default_rng(0)
    embed = predictor.embedder.embed
    images = Images(
        np.stack([embed(sample.image) for sample in samples]),
        np.stack([sample.labels for sample in samples]),
        {"shift": np.stack([embed(shift(sample.image, random)) for sample in samples])},
    )
    variant, classes = served(predictor), len(predictor.release.card.classes)
    for i, sample in enumerate(samples):
        found = label(variant, images.embedding(i), sample.labels, classes)
        expected, known = predictor.predict(sample.image).class_map, sample.labels != 255
        assert found.confusion.trace() == (expected == sample.labels)[known].sum()
        assert found.confusion.sum() == known.sum()
    first = predictor.predict(samples[0].image)
    expected_jaccard = steadiness(predictor, samples[0].image, first, DISTURBANCES["shift"], random)
    alone = Images(images.embeddings[:1], images.labels[:1], {"shift": images.disturbed["shift"][:1]})
    scores = explained(variant, alone, classes)
    assert scores["jaccard shift"] == pytest.approx(expected_jaccard.jaccard / expected_jaccard.pixels, abs=1e-6)
    top, _ = removal(predictor, first, random)
    area = label_counts(first.segments.labels, samples[0].labels, len(first.segments.areas), classes).sum(axis=1)
    assert scores["removed 8"] == pytest.approx(float(top[POINTS.index(8)] @ area / area.sum()))


def test_votes_of_pixels_alone_follow_the_pixels(predictor: Predictor) -> None:
    sample = Blocks("val")[0]
    variant = served(predictor)._replace(pixels=np.inf)
    found = label(variant, np.asarray(predictor.embedder.embed(sample.image)), sample.labels, 3)
    assert found.confusion.trace() > 0.95 * found.confusion.sum()


def test_a_table_compares_variants_with_the_first_on_all_drives(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for part in ("held", "only"):
        for drive in ("one", "two"):
            confusions = random.integers(0, 50, (6, 3, 3))
            better = confusions + 20 * np.eye(3, dtype=np.int64)
            rows = {
                "first": {"counts": counts_of(confusions, 2), "segments": 80.0, "time": 1.0},
                "same": {"counts": counts_of(confusions, 2), "segments": 80.0, "time": 1.0},
                "better": {"counts": counts_of(better, 2), "segments": 90.0, "time": 1.5},
            }
            if (part, drive) == ("only", "one"):
                rows["half"] = rows["same"]
            (tmp_path / f"{part}-{drive}.json").write_text(json.dumps({"rows": rows}))
    lines = splitting_table(tmp_path).splitlines()
    same, best = (next(line for line in lines if line.startswith(f"| {name} |")) for name in ("same", "better"))
    assert "+0.0000 (+0.0000 to +0.0000)" in same
    assert not [line for line in lines if line.startswith("| half |")]
    cells = [cell.strip() for cell in best.split("|")]
    assert cells[2:4] == ["90", "1.50"]
    assert float(cells[7].split()[0]) > 0
    assert float(cells[7].split("(")[1].split()[0]) > 0, "the lower end"


def test_counts_of_blocks_give_the_iou_of_their_confusions() -> None:
    confusions = np.random.default_rng(1).integers(0, 50, (7, 3, 3))
    counts = np.asarray(counts_of(confusions, 3))
    assert counts.shape == (3, 3, 3)
    np.testing.assert_allclose(iou_of(counts.sum(axis=0)), intersection_over_union(confusions.sum(axis=0)))


def test_weak_evidence_of_pixels_keeps_the_labels_of_segments_and_strong_evidence_decides(
    predictor: Predictor,
) -> None:
    sample = Blocks("val")[0]
    embedding = np.asarray(predictor.embedder.embed(sample.image))
    always = ClassScores(np.zeros((3, len(embedding))), np.array([0.0, 0.0, 9.0]))  # looks like class 2 everywhere
    usual = label(served(predictor), embedding, sample.labels, 3).confusion
    weak = label(served(predictor)._replace(looks=always, weight=1e-6), embedding, sample.labels, 3).confusion
    strong = label(served(predictor)._replace(looks=always, weight=100.0), embedding, sample.labels, 3).confusion
    assert (weak == usual).all()
    assert strong[:, 2].sum() == strong.sum()


def test_each_curve_is_right_for_what_it_was_fitted_to() -> None:
    """All segments are right by majority, with 7 of 10 pixels."""
    found = Votes(np.full(4, 0.9), np.full(4, 10), np.full(4, 7), np.ones(4, dtype=bool))
    by_pixels, by_majorities = (found.errors(found.curve(by)) for by in ("pixels", "majorities"))
    assert by_pixels == pytest.approx({"pixels": 0.0, "segments": 0.3})
    assert by_majorities == pytest.approx({"pixels": 0.3, "segments": 0.0})


def test_the_committed_page_has_the_tables_of_its_measurements() -> None:
    page = Path("docs/results-votes.md").read_text(encoding="utf-8")
    for one in tables(VOTES):
        assert one in page


def test_rows_of_an_earlier_run_keep_their_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file is of a version that stated one commit for all its rows."""
    monkeypatch.setattr("benchmarks.street_votes.circumstances", lambda: {"commit": "c" * 40, "machine": "m"})
    facts = {"run": "segsort-0", "step": 2}
    for drive, commit in (("one", "a" * 40), ("two", "b" * 40)):
        out = tmp_path / f"only-{drive}.json"
        out.write_text(json.dumps({"rows": {"first": {}}, **facts, "environment": {"commit": commit, "machine": "m"}}))
        add_row(out, opened(out, facts), "second", {})
        add_row(out, opened(out, facts), "third", {})
        rows = json.loads(out.read_text())["rows"]
        assert [row["environment"]["commit"][0] for row in rows.values()] == [commit[0], "c", "c"]
    assert measured_at(tmp_path) == "At commit aaaaaaa and bbbbbbb, rows from `second` on at ccccccc; m."


def test_rows_of_other_images_are_not_added_to_an_output(tmp_path: Path) -> None:
    out = tmp_path / "only-one.json"
    add_row(out, opened(out, {"test": "val", "step": 1}), "first", {})
    with pytest.raises(ValueError, match=r"the rows of .* are of {'step': 1}; give another file"):
        opened(out, {"test": "val", "step": 4})


def test_near_duplicates_that_are_counted_keep_their_number() -> None:
    rows = unit_rows(np.repeat(np.eye(4), [3, 1, 2, 5], axis=0))
    kept = distinct(Exemplars(rows, np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1])), 0.99, counted=True)
    assert kept.strengths is not None
    assert kept.strengths.tolist() == [3, 1, 2, 5]
    assert len(kept.class_ids) == 4


def test_inner_prototypes_leave_small_segments_as_they_are(predictor: Predictor) -> None:
    embedding = np.asarray(predictor.embedder.embed(Blocks("val")[0].image))
    sort = served(predictor).sort
    plain, inner = (one(embedding, (72, 96)) for one in (sort, with_interior_prototypes(sort)))
    np.testing.assert_array_equal(plain.labels, inner.labels)
    np.testing.assert_allclose(np.linalg.norm(inner.prototypes, axis=1), 1, atol=1e-5)
    assert splitting(served(predictor).voting.exemplars, 0) is None


def test_behind_a_whitening_head_directions_in_which_a_class_varies_count_less() -> None:
    along = np.array([-0.6, -0.2, 0.2, 0.6, -0.4, 0.0, 0.4, 0.8])  # the classes alternate
    class_ids = np.repeat([0, 1], 4)
    rows = np.column_stack([0.2 * class_ids - 0.1, along, np.ones(8)])
    exemplars = Exemplars(unit_rows(rows).astype(np.float32), class_ids)
    query = unit_rows(np.array([[0.08, 0.2, 1.0]])).astype(np.float32)  # of class 1, beside an exemplar of class 0
    assert Voting.of(exemplars, k=1).shares(query, 2).argmax() == 0
    assert whitened(exemplars, 1.0)._replace(k=1).shares(query, 2).argmax() == 1
