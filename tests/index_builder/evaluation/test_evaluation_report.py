"""The report of an evaluation: its formats, and scores that are not defined."""

import json

import numpy as np
import pytest

from index_builder.evaluation.evaluation_report import (
    TOLERANCES,
    ForeignScore,
    Outcomes,
    Report,
    defined,
    mean_of_defined,
    scores_of,
)
from tests.conftest import Blocks


@pytest.fixture
def outcomes() -> Outcomes:
    """Two images of three classes of which the last neither occurs nor is predicted."""
    boundary = np.full((2, len(TOLERANCES)), np.nan)
    boundary[0] = np.linspace(0.2, 1, len(TOLERANCES))
    return Outcomes(
        confusion=np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]]),
        names=[info.name for info in Blocks("val").classes],
        boundary=boundary,
        confidence=np.array([0.9, 0.3]),
        correct=np.array([True, False]),
        weights=np.array([9, 3]),
        raw=np.array([0.8, 0.6]),
        right=np.array([2 / 3, 0]),
    )


@pytest.fixture
def report(outcomes: Outcomes) -> Report:
    fields = {
        **scores_of(outcomes, Blocks("val")), "release": "tiny", "known_share": 0.5, "segments_per_image": 2.0,
        "timings_ms": {"embed": 1.0}, "foreign": {"moon": ForeignScore(images=1, auroc=0.75, known_share=0.25)},
    }  # fmt: skip
    return Report.model_validate(fields)


def test_scores_are_those_of_the_confusion_matrix(report: Report) -> None:
    assert list(report.per_class.values()) == [pytest.approx(6 / 9), pytest.approx(3 / 6), None]
    assert report.miou == pytest.approx((6 / 9 + 3 / 6) / 2), "a class without pixels does not count"
    assert report.pixel_accuracy == pytest.approx(9 / 12)
    assert report.mean_accuracy == pytest.approx((6 / 8 + 3 / 4) / 2)
    assert report.ece == pytest.approx((9 * 0.1 + 3 * 0.3) / 12)
    assert report.pixel_ece["raw"] == pytest.approx((9 * (0.8 - 2 / 3) + 3 * 0.6) / 12)
    assert report.pixel_ece["calibrated"] == pytest.approx((9 * (0.9 - 2 / 3) + 3 * 0.3) / 12)
    assert report.boundary_f == {str(t): pytest.approx(0.2 * t) for t in TOLERANCES}
    assert report.images == 2


def test_an_evaluation_without_labelled_pixels_has_no_scores(outcomes: Outcomes) -> None:
    empty = outcomes._replace(
        confusion=np.zeros((3, 3), dtype=int), boundary=np.full((1, len(TOLERANCES)), np.nan), weights=np.zeros(2)
    )
    scores = scores_of(empty, Blocks("val"))
    assert (scores["miou"], scores["pixel_accuracy"], scores["mean_accuracy"], scores["ece"]) == (None,) * 4
    assert set(scores["boundary_f"].values()) == {None}  # type: ignore[attr-defined]


def test_the_json_document_is_read_back_unchanged(report: Report) -> None:
    assert Report.model_validate_json(report.to_json()) == report
    assert "NaN" not in report.to_json()
    assert json.loads(report.to_json())["foreign"]["moon"]["auroc"] == 0.75


def test_the_text_has_a_line_for_each_value_and_a_dash_where_there_is_none(report: Report) -> None:
    lines = report.to_text().splitlines()
    assert len(lines) == len(list(report.rows()))
    assert len({line.index("  ", len(line) - len(line.lstrip())) for line in lines}) == 1, "values are in one column"
    assert [line.split()[-1] for line in lines if "IoU of" in line] == ["0.6667", "0.5000", "-"]
    assert any(line.endswith("known against moon, AUROC  0.7500") for line in lines)


def test_the_markdown_has_a_row_for_each_value_and_each_bin_with_pixels(report: Report) -> None:
    values, bins = report.to_markdown().split("\n\n")
    assert len(values.splitlines()) == 2 + len(list(report.rows()))
    assert "| pixel accuracy | 0.7500 |" in values
    assert bins.splitlines()[2:] == ["| 0.3000 | 0.0000 | 0.2500 |", "| 0.9000 | 1.0000 | 0.7500 |"]


def test_means_and_values_leave_nan_out() -> None:
    assert mean_of_defined(np.array([np.nan, 1.0, 2.0])) == 1.5
    assert mean_of_defined(np.array([np.nan])) is None
    assert defined(float("nan")) is None
    assert defined(np.float32(0.5)) == 0.5
