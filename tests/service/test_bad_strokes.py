"""Strokes of POST /exemplars that are refused."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.stroking import DOT, IMAGE, LINE, answer_of, base64_of, mark


@pytest.mark.parametrize(
    ("stroke", "named"),
    [
        ({"points": []}, "points"),
        ({"points": [[1]]}, "points"),
        ({"points": [[1, 2, 3]]}, "points"),
        ({"points": [[1, "x"]]}, "points"),
        ({"points": [[1, None]]}, "points"),
        ({"points": [[1e300, 1]]}, "points"),
        ({"points": [[5, 5]] * 10_001}, "points"),
        ({"points": None}, "points"),
        ({"points": [[-40, -40], [-20, -9]]}, "outside"),
        ({"points": [[500, 500]]}, "outside"),
        ({"width": 0}, "width"),
        ({"width": -1}, "width"),
        ({"width": 97}, "wider"),
        ({"width": 1e9}, "width"),
        ({"width": None}, "width"),
        ({"class_name": None}, "either a name or an id"),
        ({"class_id": 0}, "either a name or an id"),
        ({"class_name": None, "class_id": 99}, "unknown class"),
        ({"class_name": ""}, "name of the class"),
        ({"color": "red"}, "colour"),
        ({"colour": "#ffffff"}, "colour"),
    ],
    ids=str,
)
def test_a_bad_stroke_is_refused_with_its_place_and_adds_nothing(
    client: TestClient, stroke: dict[str, Any], named: str
) -> None:
    problem = mark(client, [DOT, LINE | stroke], 422)
    assert named in problem["detail"]
    assert {"received", "fix"} <= set(problem)
    assert "allowed" in problem
    assert client.get("/edits").json() == []
    assert client.get("/classes").json()[-1]["name"] == "water"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(client: TestClient, text: str) -> None:
    for stroke in (
        f'[{{"class_name": "a", "points": [[1, {text}]], "width": 3}}]',
        f'[{{"class_name": "a", "points": [[1, 1]], "width": {text}}}]',
    ):
        response = client.post("/exemplars", files={"image": IMAGE}, data={"strokes": stroke})
        assert response.status_code == 422, response.json()
        body = f'{{"image": "{base64_of(IMAGE)}", "strokes": {stroke}}}'
        headers = {"content-type": "application/json"}
        assert client.post("/exemplars", content=body, headers=headers).status_code in (400, 422)


def test_too_many_strokes_points_and_rows_are_refused(client: TestClient) -> None:
    assert "strokes" in mark(client, [], 422)["detail"]
    assert "strokes" in mark(client, [DOT] * 1001, 422)["detail"]
    assert "too many points" in mark(client, [DOT | {"points": [[5, 5]] * 9000}] * 12, 422)["detail"]
    zigzag = [[5, 1], [5, 71]] * 5000
    assert "too long" in mark(client, [LINE | {"points": zigzag, "width": 90}] * 8, 422)["detail"]


def test_bodies_without_image_or_marks_are_refused(client: TestClient) -> None:
    for body, allowed in (
        ({"strokes": [DOT]}, "segmentation_id"),
        ({"image": base64_of(IMAGE)}, "strokes"),
        ({"image": base64_of(IMAGE), "segmentation_id": 7, "strokes": [DOT]}, "segmentation_id"),
    ):
        response = client.post("/exemplars", json=body)
        assert response.status_code == 422
        assert allowed in response.json()["allowed"]
    form = client.post("/exemplars", data={"strokes": json.dumps([DOT])}, files={"mask": IMAGE})
    assert form.status_code == 422
    form = client.post("/exemplars", files={"image": IMAGE}, data={"strokes": "not json"})
    assert form.status_code == 422
    answer = answer_of(client)
    form = client.post(
        "/exemplars", data={"strokes": json.dumps([DOT]), "segmentation_id": answer["segmentation_id"]},
        files={"reason": b"as a form"},
    )  # fmt: skip
    assert form.status_code == 201
    assert form.json()["edit"]["reason"] == "as a form"
