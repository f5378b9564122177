"""Real answers of every route have exactly the fields, types and ranges that the OpenAPI document gives."""

import copy
import io
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from pydantic import BaseModel

from model_store.live import LiveExemplars
from service.answering.engine import Engine
from service.http import wire
from service.http.wire import ReleaseCard, Wire
from service.records.follower import Author, Plan
from service.records.live_release import LiveRelease
from tests.service.test_importing import folder_files, zipped

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")  # the form of all times


class Conformance:
    """Checks answers against the document, in which no object may have undescribed fields.

    Attributes:
        operations: operations of the document by id.
        schemas: schemas of the document by name.
        checked: operation ids and statuses of the answers so far.
    """

    def __init__(self, client: TestClient) -> None:
        assert isinstance(client.app, FastAPI)
        self._client = client
        self._document = copy.deepcopy(client.app.openapi())
        for schema in self._document["components"]["schemas"].values():
            schema.setdefault("additionalProperties", False)
        self.schemas: dict[str, dict[str, Any]] = self._document["components"]["schemas"]
        self.operations = {
            one["operationId"]: one for methods in self._document["paths"].values() for one in methods.values()
        }
        self.checked: set[tuple[str, str]] = set()

    def edit_an_earlier_release(self) -> None:
        """Make a class on a release with the name of the served one and other content."""
        engine: Engine = self._client.app.state.engine  # type: ignore[attr-defined]
        release = replace(engine.served.release, digest="0" * 64)
        live = LiveRelease.of(LiveExemplars.of_release(release))
        engine.follower.follow(live)
        after = {"name": "haze", "color": [1, 2, 3]}
        payload = {"class_id": len(release.card.classes), "before": None, "after": after, "summary": "made class haze"}
        engine.follower.edit(live, Author("anna", None), lambda connection, revision: Plan("class", payload))

    def __call__(self, method: str, path: str, **request: Any) -> Any:
        """Send a request to a path of the document and check its answer; `ids` fill in the path.

        Returns:
            The JSON, or the response where it is something else.
        """
        operation = self._document["paths"][path][method.lower()]
        response = self._client.request(method, path.format(**request.pop("ids", {})), **request)
        answers = operation["responses"]
        status = str(response.status_code)
        described = answers.get(status) or answers[f"{status[0]}XX"]
        self.checked.add((operation["operationId"], status))
        if "content" not in described:
            assert response.content == b""
            return response
        media_type = response.headers["content-type"].partition(";")[0]
        schema = described["content"][media_type]["schema"]
        if not media_type.endswith("json"):
            assert schema["type"] == "string"
            return response
        found = json.loads(response.content, parse_float=short)
        assert self.errors(schema, found) == [], (method, path, status)
        assert [
            one for one in texts(found) if one[:4].isdigit() and "T" in one[10:11] and not TIME.fullmatch(one)
        ] == []
        return found

    def errors(self, schema: dict[str, Any], value: Any) -> list[str]:
        """Where and why a JSON value does not conform to a schema of the document; empty if it conforms."""
        validator = jsonschema_rs.validator_for(schema | {"components": self._document["components"]})
        return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]

    @property
    def successes(self) -> set[tuple[str, str]]:
        """Operation ids and statuses 2XX of the document."""
        return {
            (name, status) for name, one in self.operations.items() for status in one["responses"] if status[0] == "2"
        }


def short(number: str) -> float:
    """Read a number of an answer, which has at most nine digits that count."""
    assert len(Decimal(number).as_tuple().digits) <= 9, number
    return float(number)


def texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from texts(one)


@pytest.fixture
def ask(client: TestClient) -> Conformance:
    return Conformance(client)


def test_every_success_of_every_operation_conforms_to_the_document(ask: Conformance, photo: bytes) -> None:
    answer = ask("POST", "/segment", content=photo)
    segment = answer["segments"][0]
    _segmentations(ask, answer, photo)
    _segments(ask, segment)
    _marks(ask, answer)
    _exemplars(ask, photo)
    _classes_and_edits(ask)
    _releases(ask, answer["release"])
    _jobs(ask)
    _batches(ask, photo)
    _builds(ask)
    _files(ask)
    _webhooks(ask)
    for path in ("/me", "/livez", "/readyz", "/metrics"):
        ask("GET", path)
    ask("PUT", "/segmentations/{segmentation_id}/pin", ids=answer)
    assert any(one["pinned"] for one in ask("GET", "/segmentations"))
    ask("DELETE", "/segmentations/{segmentation_id}/pin", ids=answer)
    ask("DELETE", "/segmentations/{segmentation_id}", ids=answer)
    ask("POST", "/session", json={"key": "any"})
    ask("DELETE", "/session")
    assert ask.successes - ask.checked == set()


def _webhooks(ask: Conformance) -> None:
    ids = {"webhook_id": ask("POST", "/webhooks", json={"url": "http://127.0.0.1:9/"})["webhook_id"]}
    ask("GET", "/webhooks")
    ask("GET", "/webhooks/{webhook_id}", ids=ids)
    ask("POST", "/webhooks/{webhook_id}/test", ids=ids)
    ask("POST", "/webhooks/{webhook_id}/resume", ids=ids)
    ask("DELETE", "/webhooks/{webhook_id}", ids=ids)


def _segmentations(ask: Conformance, answer: dict[str, Any], photo: bytes) -> None:
    ids = {"segmentation_id": answer["segmentation_id"]}
    for masks in ("polygon", "none"):
        ask("POST", "/segment", params={"masks": masks}, files={"image": photo})
        ask("GET", "/segmentations/{segmentation_id}", ids=ids, params={"masks": masks})
    label_map = ask("POST", "/segment", content=photo, headers={"accept": "image/png"})
    assert Image.open(io.BytesIO(label_map.content)).size == (answer["width"], answer["height"])
    ask("GET", "/segmentations")
    ask("GET", "/suggestions")
    ask("GET", "/clusters", params={"which": "unsure"})
    ask("GET", "/segmentations/{segmentation_id}", ids=ids)
    assert ask("GET", "/segmentations/{segmentation_id}/image", ids=ids).content == photo
    ask("POST", "/segmentations/{segmentation_id}/relabel", ids=ids)
    ask("POST", "/segmentations/{segmentation_id}/segment", ids=ids)


def _segments(ask: Conformance, segment: dict[str, Any]) -> None:
    ids = {"segment_id": segment["segment_id"]}
    ask("GET", "/explain/{segment_id}", ids=ids)
    ask("GET", "/explain/{segment_id}", ids=ids, headers={"accept": "text/html"})
    ask("GET", "/segments/{segment_id}/crop", ids=ids)
    body = {"class_name": "kerb", "color": "#ff8800", "reason": "a test"}
    labelled = ask("POST", "/segments/{segment_id}/label", ids=ids, json=body)
    assert labelled["relabelled"]["changed"]
    again = ask("POST", "/segments/{segment_id}/label", ids=ids, json=body, params={"relabel": False})
    assert again["edit"] is None
    assert ask("GET", "/explain/{segment_id}", ids=ids)["corrections"]


def _marks(ask: Conformance, answer: dict[str, Any]) -> None:
    ids = {"segmentation_id": answer["segmentation_id"]}
    strokes = {"strokes": [{"class_name": "fog", "points": [[40, 40]], "width": 9}], "scope": "image"}
    found = ask("POST", "/segmentations/{segmentation_id}/preview", ids=ids, json=strokes)
    assert found["relabelled"]["changed"]
    assert ask("POST", "/segmentations/{segmentation_id}/marks", ids=ids, json=strokes)["relabelled"]["changed"]
    assert ask("POST", "/segmentations/{segmentation_id}/marks", ids=ids, json=strokes)["edit"] is None
    labels = {"labels": [{"segment_id": one["segment_id"], "class_name": "haze"} for one in answer["segments"][1:3]]}
    assert ask("POST", "/segments/labels", json=labels)["edit"]["segment_ids"]
    assert ask("POST", "/segments/labels", json=labels)["edit"] is None


def _exemplars(ask: Conformance, photo: bytes) -> None:
    annotations = json.dumps([{"class_name": "kerb", "polygons": [[10, 10, 60, 10, 60, 40, 10, 40]]}])
    added = ask("POST", "/exemplars", files={"image": photo}, data={"annotations": annotations})
    assert added["edit"] is not None
    assert ask("POST", "/exemplars", files={"image": photo}, data={"annotations": annotations})["edit"] is None
    ids = {"exemplar_id": added["exemplars"][0]["exemplar_id"]}
    first, second = (one["exemplar_id"] for one in ask("GET", "/exemplars", params={"class_id": 0})["exemplars"][:2])
    ask("GET", "/exemplars/{exemplar_id}", ids=ids)
    assert ask("GET", "/exemplars/{exemplar_id}/image", ids=ids).content == photo
    ask("GET", "/exemplars/{exemplar_id}/crop", ids=ids)
    ask("DELETE", "/exemplars/{exemplar_id}", ids={"exemplar_id": first})
    assert ask("POST", "/exemplars/remove", json={"exemplar_ids": [first, second]})["already"] == 1
    ask("GET", "/exemplars", params={"removed": True})
    third = ask("GET", "/exemplars", params={"class_id": 0})["exemplars"][0]["exemplar_id"]
    change = {"exemplar_id": third, "class_name": "grass"}
    ask("POST", "/exemplars/preview", json={"relabel": [change]})
    moved = ask("POST", "/exemplars/labels", json={"labels": [change]})["exemplars"][0]["exemplar_id"]
    same = {"exemplar_id": moved, "class_name": "grass"}
    assert ask("POST", "/exemplars/labels", json={"labels": [same]})["edit"] is None
    for kind in ("contradicted", "duplicates", "thin", "corrections"):
        assert ask("GET", "/exemplars/audit", params={"kind": kind})["kind"] == kind


def _classes_and_edits(ask: Conformance) -> None:
    made = ask("POST", "/classes", json={"name": "manhole"})
    ask("POST", "/classes", json={"class_id": made["class"]["class_id"], "color": "#102030"})
    ask("GET", "/classes")
    edits = ask("GET", "/edits")
    assert {edit["kind"] for edit in edits} >= {"label", "add", "mark", "remove", "class"}
    ids = {"revision": next(edit["revision"] for edit in edits if edit["kind"] == "remove")}
    ask("GET", "/edits/{revision}", ids=ids)
    ask("GET", "/edits/{revision}/effect", ids=ids)
    ask("POST", "/edits/{revision}/revert", ids=ids)
    assert ask("POST", "/edits/{revision}/revert", ids=ids)["status"] == 409
    ask("GET", "/edits")


def _releases(ask: Conformance, name: str) -> None:
    bundled = [release["name"] for release in ask("GET", "/releases")]
    for release in (name, *bundled):
        ask("GET", "/releases/{name}", ids={"name": release})
    ask("POST", "/releases/{name}/activate", ids={"name": name})
    for waits in (False, True):
        if waits:
            ask.edit_an_earlier_release()
        job = {"job_id": ask("POST", "/releases/{name}/carry", ids={"name": name})["job_id"]}
        while not (found := ask("GET", "/jobs/{job_id}", ids=job))["ended"]:
            time.sleep(0.3)
        assert (found["result"]["revision"] is not None) == waits
    ids = [ask("GET", "/segmentations")[0]["segmentation_id"]]
    assert ask("POST", "/releases/compare", json={"a": name, "b": "general", "segmentations": ids})["agreement"] >= 0
    assert ask("POST", "/releases", json={"name": "my-cells"})["classes"] == 0
    assert ask("POST", "/releases", json={"name": "my-cells"})["status"] == 422


def _builds(ask: Conformance) -> None:
    content = {"content": zipped(folder_files(2)), "headers": {"content-type": "application/zip"}}
    survey = ask("POST", "/releases/survey", **content)
    ids = {"survey_id": survey["survey_id"]}
    assert ask("GET", "/releases/survey/{survey_id}", ids=ids) == survey
    body = {"survey_id": survey["survey_id"], "name": "built", "features": "filters"}
    job = {"job_id": ask("POST", "/releases/build", json=body)["job_id"]}
    assert ask("POST", "/jobs/{job_id}/accept", ids=job)["status"] == 409
    while not (found := ask("GET", "/jobs/{job_id}", ids=job))["ended"]:
        time.sleep(0.3)
    assert found["state"] == "succeeded", found
    before = ask("GET", "/readyz")["release"]
    assert ask("POST", "/jobs/{job_id}/accept", ids=job)["before"] == before
    ask("POST", "/releases/{name}/activate", ids={"name": before})
    ids = {"survey_id": ask("POST", "/releases/survey", **content)["survey_id"]}
    ask("DELETE", "/releases/survey/{survey_id}", ids=ids)


def _batches(ask: Conformance, photo: bytes) -> None:
    archive = zipped({"a.png": photo, "b.txt": b"text"})
    assert ask("POST", "/segment/batch", content=archive)["failed"] == 1
    ids = {"job_id": ask("POST", "/jobs/segment", content=archive)["job_id"]}
    while not (found := ask("GET", "/jobs/{job_id}", ids=ids))["ended"]:
        time.sleep(0.1)
    assert found["result"]["images"] == 1
    assert ask("GET", "/jobs/{job_id}/images", ids=ids)["failed"] == 1
    assert ask("GET", "/jobs/{job_id}/result", ids=ids).content
    ask("GET", "/jobs/{job_id}/result", ids=ids, headers={"Range": "bytes=0-3"})
    ask("DELETE", "/jobs/{job_id}", ids=ids)


def _jobs(ask: Conformance) -> None:
    ids = {"job_id": ask("POST", "/adapt", json={"reason": "a test"})["job_id"]}
    ask("GET", "/jobs")
    ask("GET", "/jobs/{job_id}", ids=ids)
    ask("POST", "/jobs/{job_id}/cancel", ids=ids)


def _files(ask: Conformance) -> None:
    for form in ("csv", "png", "cvat"):
        ask("GET", "/export", params={"format": form, "limit": 1})
    newest = ask("GET", "/segmentations", params={"limit": 1})[0]["segmentation_id"]
    ask("POST", "/export", json={"segmentation_ids": [newest], "format": "csv", "single": True})
    content = {"content": zipped(folder_files(1)), "headers": {"content-type": "application/zip"}}
    assert ask("POST", "/import", **content)["images"][0]["exemplars"] > 0


@pytest.mark.parametrize(
    ("method", "path", "request_", "status"),
    [
        ("POST", "/segment", {"content": b"\xff\xd8 not an image"}, "415"),
        ("GET", "/explain/{segment_id}", {"ids": {"segment_id": "none"}}, "404"),
        ("GET", "/edits", {"params": {"limit": "x"}}, "422"),
        ("POST", "/classes", {"json": {"colour": "red"}}, "422"),
    ],
)
def test_refusals_conform_to_the_document(
    ask: Conformance, method: str, path: str, request_: dict[str, Any], status: str
) -> None:
    ask(method, path, **request_)
    assert {one for _, one in ask.checked} == {status}


def test_the_answer_of_a_service_that_is_not_ready_conforms_to_the_document(
    ask: Conformance, client: TestClient
) -> None:
    assert isinstance(client.app, FastAPI)
    client.app.state.readiness.draining = True
    ask("GET", "/readyz")
    assert ask.checked == {("get_readiness", "503")}


def models() -> Iterator[type[Wire]]:
    """All models of answers."""
    found = [Wire]
    while found:
        model = found.pop()
        found += model.__subclasses__()
        if model is not Wire:
            yield model


@pytest.mark.parametrize("model", sorted(models(), key=lambda model: model.__name__), ids=lambda model: model.__name__)
def test_examples_of_fields_fit_their_own_schema(model: type[Wire]) -> None:
    schema = model.model_json_schema(mode="serialization")
    for field, value in schema["properties"].items():
        for example in value.get("examples", ()):
            whole = value | {"$defs": schema.get("$defs", {})}
            assert jsonschema_rs.is_valid(whole, example), (field, example)


@pytest.mark.parametrize(
    "model", sorted({*models(), ReleaseCard}, key=lambda model: model.__name__), ids=lambda m: m.__name__
)
def test_a_field_that_may_be_null_says_when(model: type[BaseModel]) -> None:
    schema = model.model_json_schema(mode="serialization")
    for field, value in schema["properties"].items():
        if {"type": "null"} in value.get("anyOf", ()):
            assert "null" in value["description"].lower(), field


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (wire.DeviceSteps, "name"), (wire.Edit, "author"), (wire.Correction, "author"), (wire.Job, "author"),
        (wire.Edited, "edit"), (wire.ExemplarsRemoved, "edit"), (wire.NewAnswer, "image_id"),
    ],
)  # fmt: skip
def test_a_field_that_always_has_a_value_is_not_null(model: type[Wire], field: str) -> None:
    value = model.model_json_schema(mode="serialization")["properties"][field]
    assert {"type": "null"} not in value.get("anyOf", ())


def test_all_times_have_one_form(ask: Conformance) -> None:
    schemas = ask.schemas
    times = {
        (name, field)
        for name, schema in schemas.items()
        for field, value in schema.get("properties", {}).items()
        if any(kind.get("format") == "date-time" for kind in (value, *value.get("anyOf", ())))
    }
    webhook = {(name, time) for name in ("Webhook", "NewWebhook") for time in ("created", "next_try", "delivered")}
    assert times == webhook | {
        ("AnswerSummary", "created"), ("Edit", "created"), ("Job", "created"), ("Job", "started"), ("Job", "ended"),
        ("ReleaseCard", "created"), ("ReleaseSummary", "created"), ("Suggestion", "created"),
    }  # fmt: skip
    for name, field in times:
        value = schemas[name]["properties"][field]
        assert ask.errors(value, "2026-05-04T09:30:00.000Z") == []
        for other in ("2026-05-04T09:30:00+00:00", "2026-05-04T09:30:00Z", "2026-05-04"):
            assert ask.errors(value, other) != [], (name, field, other)
