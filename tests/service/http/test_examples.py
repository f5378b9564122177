"""Every JSON answer and every JSON body of the OpenAPI document has an example, and each example is valid."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from PIL import Image
from pydantic import TypeAdapter

from segsort.masks import bounding_boxes, decode_rle
from service.http import examples
from service.http.document import DocumentedApp
from service.http.examples.scene import ANSWER, EARLIER, LISTED_SECOND, LISTED_THIRD
from service.http.wire import Problem
from tests.conftest import Blocks
from tests.service.conftest import encoded
from tests.service.http.test_wire import Conformance
from tests.service.test_importing import zipped

JSON = "application/json"
FORM = "multipart/form-data"
BODIES = [(*key, name) for key, named in examples.BODIES.items() for name in named]


@pytest.fixture
def document(client: TestClient) -> Conformance:
    return Conformance(client)


def routes(client: TestClient) -> dict[str, APIRoute]:
    """The routes of the document by operation id."""
    assert isinstance(client.app, DocumentedApp)
    return {str(route.operation_id): route for route in client.app.documented_routes()}


def test_every_json_answer_of_every_operation_has_an_example_and_no_other_has(document: Conformance) -> None:
    answers = {
        (name, int(status)): answer["content"][JSON]
        for name, operation in document.operations.items()
        for status, answer in operation["responses"].items()
        if JSON in answer.get("content", {}) and answer["content"][JSON]["schema"].get("format") != "binary"  # a file
    }
    assert set(answers) == set(examples.ANSWERS)
    for key, content in answers.items():
        assert content["example"] == examples.ANSWERS[key], key


def test_every_json_body_of_every_operation_has_an_example_and_no_unknown_body_has(document: Conformance) -> None:
    bodies = {
        (name, media_type): content
        for name, operation in document.operations.items()
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items()
    }
    assert {key for key in bodies if key[1] == JSON} <= set(examples.BODIES) <= set(bodies)
    for key, named in examples.BODIES.items():
        assert bodies[key]["examples"] == named, key


@pytest.mark.parametrize("key", examples.ANSWERS, ids=lambda key: f"{key[0]} {key[1]}")
def test_each_example_of_an_answer_has_exactly_the_fields_of_its_schema(
    key: tuple[str, int], document: Conformance
) -> None:
    name, status = key
    schema = document.operations[name]["responses"][str(status)]["content"][JSON]["schema"]
    assert document.errors(schema, examples.ANSWERS[key]) == []


@pytest.mark.parametrize(("name", "media_type", "which"), BODIES)
def test_each_example_of_a_body_has_only_fields_of_its_schema(
    name: str, media_type: str, which: str, document: Conformance
) -> None:
    schema = document.operations[name]["requestBody"]["content"][media_type]["schema"]
    strict = schema | {"additionalProperties": False} if "properties" in schema else schema
    assert document.errors(strict, examples.BODIES[name, media_type][which]["value"]) == []


def test_each_example_of_an_answer_is_accepted_by_its_model(client: TestClient) -> None:
    checked = set()
    for name, route in routes(client).items():
        models = {int(status): more.get("model") for status, more in route.responses.items() if str(status).isdigit()}
        models[route.status_code or 200] = route.response_model
        for status, model in models.items():
            key = (name, status)
            if key in examples.ANSWERS:
                adapter = TypeAdapter[Any](model)
                parsed = adapter.validate_python(examples.ANSWERS[key])
                shown = adapter.dump_python(parsed, mode="json", by_alias=True, exclude_unset=True)
                assert shown == examples.ANSWERS[key], key
                checked.add(key)
    assert checked == set(examples.ANSWERS)


@pytest.mark.parametrize(("name", "media_type", "which"), BODIES)
def test_the_service_accepts_each_example_of_a_body(name: str, media_type: str, which: str, client: TestClient) -> None:
    image = encoded(np.asarray(Image.fromarray(Blocks("val")[0].image).resize((480, 360), Image.Resampling.NEAREST)))
    answer = client.post("/segment", content=image).raise_for_status().json()
    listed = client.get("/exemplars", params={"limit": 2}).json()["exemplars"]
    body = examples.BODIES[name, media_type][which]["value"]
    known = dict.fromkeys((ANSWER, EARLIER), answer["segmentation_id"])
    segments = [segment["segment_id"] for segment in answer["segments"]]
    known |= {f"{ANSWER}-15": segments[0], f"{EARLIER}-40": segments[1]}
    known |= {old: one["exemplar_id"] for old, one in zip((LISTED_SECOND, LISTED_THIRD), listed, strict=True)}
    if name == "revert_edit":
        client.delete(f"/exemplars/{listed[0]['exemplar_id']}").raise_for_status()
    if name == "carry_edits":
        Conformance(client).edit_an_earlier_release()
    if name == "build_release":
        classes = [{"name": one, "color": [i, i, i]} for i, one in enumerate(("nuclei", "debris", "background"))]
        files = {"classes.json": json.dumps({"classes": classes, "ignore": 255}).encode()}
        for file in ("images", "masks"):
            content = Blocks("val")[0].image if file == "images" else Blocks("val")[0].labels
            files |= {f"{file}/{number}.png": encoded(content) for number in "ab"}
        known["5c" * 16] = client.post("/releases/survey", content=zipped(files)).json()["survey_id"]
    route = routes(client)[name]
    ids = {"segment_id": segments[0], "segmentation_id": answer["segmentation_id"], "revision": 1, "name": "tiny"}
    if name == "resume_webhook":
        ids["webhook_id"] = client.post("/webhooks", json={"url": "http://localhost:9/"}).json()["webhook_id"]
    path = route.path.format(**ids)
    sent = {"json": replaced(body, known)} if media_type == JSON else {"files": as_form(replaced(body, known))}
    response = client.request(next(iter(route.methods)), path, **sent)
    assert response.status_code in (route.status_code, 200), response.text[:500]
    is_json = response.headers.get("content-type", "").startswith(JSON)
    if is_json and "edit" in response.json():
        assert response.json()["edit"] is not None


def replaced(value: Any, known: dict[str, str]) -> Any:
    """A JSON value in which ids of the examples are replaced by those of the service."""
    if isinstance(value, dict):
        return {key: replaced(one, known) for key, one in value.items()}
    if isinstance(value, list):
        return [replaced(one, known) for one in value]
    return known.get(value, value) if isinstance(value, str) else value


def as_form(fields: dict[str, str]) -> dict[str, tuple[None, str]]:
    """Texts as the fields of a multipart form."""
    return {name: (None, text) for name, text in fields.items()}


def test_the_example_of_a_problem_has_all_fields_of_its_model(document: Conformance) -> None:
    assert document.errors({"$ref": "#/components/schemas/Problem"}, examples.PROBLEM) == []
    assert set(examples.PROBLEM) == set(Problem.model_fields)


def test_the_vote_of_the_explanation_can_be_recomputed_by_hand() -> None:
    example = examples.ANSWERS["explain", 200]
    kappa = example["vote"]["kappa"]
    weights = [one["strength"] * math.exp(kappa * one["similarity"]) for one in example["exemplars"]]
    shares = [weight / sum(weights) for weight in weights]
    assert [one["weight"] for one in example["exemplars"]] == pytest.approx(shares, abs=1e-5)
    assert len(shares) == example["vote"]["k"]
    own = [
        share for share, one in zip(shares, example["exemplars"], strict=True) if one["class_id"] == example["class_id"]
    ]
    assert example["share"] == pytest.approx(sum(own), abs=1e-5)
    assert example["margin"] == pytest.approx(example["share"] - example["runner_up"]["weight"], abs=1e-5)
    nearest = example["exemplars"][0]["similarity"]
    assert example["familiarity"] == pytest.approx((nearest + example["image_similarity"]) / 2, abs=1e-5)
    curve = example["calibration"]
    confidence = np.interp(example["share"], curve["confidence_x"], curve["confidence_y"])
    confidence *= min(1, example["share"] / curve["confidence_x"][0])
    assert example["confidence"] == pytest.approx(confidence, abs=1e-5)
    assert example["known"] == (example["familiarity"] >= curve["known_threshold"])


def shapes(value: Any) -> Iterator[dict[str, Any]]:
    """All objects with a mask in a JSON value."""
    if isinstance(value, dict):
        if "mask" in value:
            yield value
        for one in value.values():
            yield from shapes(one)
    elif isinstance(value, list):
        for one in value:
            yield from shapes(one)


@pytest.mark.parametrize("key", [key for key, value in examples.ANSWERS.items() if any(shapes(value))], ids=str)
def test_area_and_box_of_each_example_are_those_of_its_mask(key: tuple[str, int]) -> None:
    for one in shapes(examples.ANSWERS[key]):
        mask = decode_rle(one["mask"]["counts"], tuple(one["mask"]["size"]))
        assert mask.sum() == one["area"]
        if "bbox" in one:  # labels of a comparison have none
            assert bounding_boxes(mask.astype(np.int64), 2)[1].tolist() == one["bbox"]
