"""docs/openapi.json and the page's types are generated from the routes and committed, so that changes are reviewed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.app import create_app
from service.http.document import DocumentedApp
from service.http.keys import new_key
from service.settings import Settings
from tools.openapi import GOLDEN
from tools.types_js import TYPES, types_js

READER, READERS = new_key("rita", "reader")


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    assert isinstance(client.app, FastAPI)
    return client.app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of each."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_committed_document_is_that_of_the_service(client: TestClient, document: dict[str, Any]) -> None:
    committed = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert document == committed, "the routes have changed: review that, then run `make openapi` and commit"
    assert client.get("/openapi.json").json() == committed


def test_the_committed_types_of_the_page_are_generated_from_the_document(document: dict[str, Any]) -> None:
    assert TYPES.read_text(encoding="utf-8") == types_js(document), "run `make openapi` and commit"


def test_every_operation_has_a_schema_or_a_media_type_for_success(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        successes = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
        assert successes
        for status, answer in successes.items():
            if status == "204":
                assert "content" not in answer
                continue
            for media_type, content in answer["content"].items():
                schema = content["schema"]
                described = "$ref" in schema or schema.get("type") in ("array", "string")
                assert described, (method, path, status, media_type)


def test_every_operation_refuses_with_the_one_problem_schema(document: dict[str, Any]) -> None:
    reference = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for method, path, operation in operations(document):
        refusals = {status: answer for status, answer in operation["responses"].items() if status[0] in "45"}
        assert "4XX" in refusals
        for status, answer in refusals.items():
            assert answer["content"] == reference, (method, path, status)


def test_operation_ids_are_unique_and_words_in_snake_case(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert {"segment", "explain", "list_exemplars", "add_exemplars", "revert_edit"} <= set(ids)
    assert all(name.replace("_", "").isalpha() and name.islower() for name in ids)


def test_every_operation_parameter_and_tag_is_described(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for method, path, operation in operations(document):
        assert operation["description"], (method, path)
        assert set(operation["tags"]) <= tags, (method, path)
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description") or parameter["schema"].get("description"), (method, path, parameter)


def test_every_schema_and_each_of_its_fields_is_described(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
        assert [field for field, value in schema["properties"].items() if not value.get("description")] == [], name


def test_every_field_of_a_body_without_a_model_is_described(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            for field, value in content["schema"].get("properties", {}).items():
                assert value.get("description"), (method, path, media_type, field)


def test_every_summary_is_written_for_its_operation(client: TestClient, document: dict[str, Any]) -> None:
    assert isinstance(client.app, DocumentedApp)
    derived = {route.name.replace("_", " ").title() for route in client.app.documented_routes()}
    summaries = [operation["summary"] for _, _, operation in operations(document)]
    assert len(set(summaries)) == len(summaries) == len(derived)
    for summary in summaries:
        assert summary not in derived
        assert summary[0].isupper()
        assert not summary.endswith(".")


def test_only_callers_with_the_documented_role_are_accepted(settings: Settings, document: dict[str, Any]) -> None:
    changed = settings.model_copy(update={"api_keys": READERS.line, "database_url": "sqlite://"})
    with TestClient(create_app(changed)) as client:
        for method, path, operation in operations(document):
            url = path.replace("{revision}", "1").replace("{", "").replace("}", "")
            is_open = operation["security"] == []
            anonymous = client.request(method, url, json={})
            assert (anonymous.status_code == 401) == (not is_open or (method, path) == ("POST", "/session")) or (
                is_open and anonymous.status_code in (200, 204, 422)
            ), (method, path, anonymous.status_code)
            read = client.request(method, url, json={}, headers={"X-API-Key": READER})
            needs_curator = "Needs the key of a curator," in operation["description"]
            assert (read.status_code == 403) == needs_curator, (method, path, read.status_code)


def test_each_documented_security_scheme_authenticates_a_caller(settings: Settings, document: dict[str, Any]) -> None:
    changed = settings.model_copy(update={"api_keys": READERS.line, "database_url": "sqlite://"})
    with TestClient(create_app(changed)) as client:
        client.post("/session", json={"key": READER}).raise_for_status()
        token = client.cookies[document["components"]["securitySchemes"]["session"]["name"]]
        client.cookies.clear()
        for name, scheme in document["components"]["securitySchemes"].items():
            sent = {
                "bearer": {"Authorization": f"Bearer {READER}"},
                "header": {str(scheme.get("name")): READER},
                "session": {"Cookie": f"{scheme.get('name')}={token}"},
            }[name]
            assert client.get("/me", headers=sent).status_code == 200, name
