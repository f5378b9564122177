"""Composed answers, and recorded answers that are written again."""

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from service.answering.answers import Shapes, _numbered, compose_answer, margins_of, recorded_answer_json
from service.answering.engine import Engine
from service.answering.limits import AnswerOptions
from service.answering.release_view import ReleaseView
from service.answering.rounding import rounded
from tests.conftest import Blocks


@given(rows=st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), max_size=6))
@settings(deadline=None)
def test_numbering_rows_equals_unique_with_inverse(rows: list[list[int]]) -> None:
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    found, places = _numbered(table)
    expected, inverse = np.unique(table, return_inverse=True)
    assert found.tolist() == expected.tolist()
    assert places.tolist() == inverse.reshape(-1, 3).tolist()


@pytest.fixture
def engine(client: TestClient) -> Engine:
    engine: Engine = client.app.state.engine  # type: ignore[attr-defined]
    return engine


@pytest.mark.parametrize("masks", ["rle", "polygon", "none"])
@pytest.mark.parametrize("exemplars", [0, 2, 50])
def test_a_recorded_answer_is_written_again_as_it_was(
    client: TestClient, engine: Engine, photo: bytes, masks: str, exemplars: int
) -> None:
    body = client.post(f"/segment?masks={masks}&exemplars={exemplars}", content=photo).raise_for_status().json()
    answered = engine.records.answer(body["segmentation_id"])
    assert answered is not None
    view = engine.catalogue.view_of(answered)
    assert view is not None
    again = recorded_answer_json(view, answered, AnswerOptions(exemplars, masks), True)  # type: ignore[arg-type]
    del body["timings_ms"]
    assert again == body
    assert recorded_answer_json(view, answered, AnswerOptions(), False)["image_url"] is None


def test_an_unknown_segment_has_no_confidence(engine: Engine) -> None:
    prediction = engine.served.predictor.predict(Blocks("val")[0].image)
    known = np.arange(len(prediction.known)) % 2 == 0
    view, shapes = ReleaseView.current(engine.served.live), Shapes.of_segments(prediction.segments)
    body = compose_answer(view, shapes, prediction._replace(known=known), AnswerOptions()).body
    assert [one["confidence"] is not None for one in body["segments"]] == known.tolist()


def test_the_margin_of_a_single_class_is_its_share_and_without_classes_it_is_zero() -> None:
    assert margins_of(np.array([[1.0], [1.0]])).tolist() == [1, 1]
    assert margins_of(np.zeros((3, 0))).tolist() == [0, 0, 0]
    assert margins_of(np.array([[0.2, 0.5, 0.3]])) == pytest.approx([0.2])


def test_an_answer_says_of_each_segment_what_the_prediction_says(engine: Engine) -> None:
    prediction = engine.served.predictor.predict(Blocks("val")[0].image)
    view, shapes = ReleaseView.current(engine.served.live), Shapes.of_segments(prediction.segments)
    composed = compose_answer(view, shapes, prediction, AnswerOptions(exemplars=3), "id")
    assert len(composed.segments) == len(composed.body["segments"]) == len(prediction.segments.areas)
    ids = engine.served.release.exemplars.ids
    for n, segment in enumerate(composed.body["segments"]):
        class_id = int(prediction.vote.class_ids[n])
        assert (segment["segment_id"], segment["class_id"]) == (f"id-{n}", class_id)
        assert segment["class_name"] == view.name(class_id)
        assert composed.segments[n]["share"] == prediction.vote.shares[n, class_id]
        mask = prediction.segments.labels == n
        np.testing.assert_array_equal(shapes.mask(n), mask)
        x, y, width, height = segment["bbox"]
        assert mask[y : y + height, x : x + width].sum() == segment["area"] == mask.sum()
        assert [one["exemplar_id"] for one in segment["exemplars"]] == [ids[row] for row in prediction.rows[n, :3]]
        weights, similarities = prediction.vote.weights[n, :3].tolist(), prediction.similarities[n, :3].tolist()
        assert [one["weight"] for one in segment["exemplars"]] == [rounded(weight) for weight in weights]
        assert [one["similarity"] for one in segment["exemplars"]] == [rounded(cosine) for cosine in similarities]
        confidence = float(prediction.confidence[n])
        answered = rounded(confidence) if segment["known"] else None
        assert (segment["confidence"], composed.segments[n]["confidence"]) == (answered, confidence)
        best, second = sorted(prediction.vote.shares[n].tolist(), reverse=True)[:2]
        assert (segment["share"], segment["margin"]) == (rounded(best), rounded(best - second))
    names = [composed.retrieved.exemplar_ids[place] for place in composed.retrieved.neighbours[0]]
    assert names == [ids[row] for row in prediction.rows[0]]
