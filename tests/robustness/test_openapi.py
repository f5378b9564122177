"""The OpenAPI document is kept in docs/openapi.json, so that a change of what callers rely on is seen in review."""

import json

from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.robustness.openapi import GOLDEN


def test_the_document_of_the_service_is_the_one_that_is_kept(client: TestClient) -> None:
    assert isinstance(client.app, FastAPI)
    kept = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert client.app.openapi() == kept, "routes have changed: look at it, then `make openapi` and commit"
    assert client.get("/openapi.json").json() == kept


def test_every_operation_says_how_it_refuses(client: TestClient) -> None:
    assert isinstance(client.app, FastAPI)
    for path, operations in client.app.openapi()["paths"].items():
        for method, operation in operations.items():
            assert "application/problem+json" in operation["responses"]["4XX"]["content"], (method, path)
