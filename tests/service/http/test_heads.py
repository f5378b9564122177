"""HEAD is answered wherever GET is, with the same headers and no body."""

import re
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.service.serving import serving

CHANGING = {"x-request-id", "server-timing", "date"}


def headers(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in CHANGING}


def gets(app: FastAPI) -> list[str]:
    """The paths of all GET routes of the document, and of pages."""
    paths = [path for path, methods in app.openapi()["paths"].items() if "get" in methods]
    return [*paths, "/", "/docs", "/docs/swagger-ui.css", "/static/pages/app.js", "/openapi.json"]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_every_get_route_answers_head_with_the_same_headers(client: TestClient, photo: bytes, encoding: str) -> None:
    answer = client.post("/segment", content=photo).json()
    ids = {
        "segmentation_id": answer["segmentation_id"],
        "segment_id": answer["segments"][0]["segment_id"],
        "exemplar_id": answer["segments"][0]["exemplars"][0]["exemplar_id"],
        "name": answer["release"],
    }
    assert isinstance(client.app, FastAPI)
    client.headers["accept-encoding"] = encoding
    for path in gets(client.app):
        url = re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], "1"), path)
        got, head = client.get(url), client.head(url)
        assert (head.status_code, head.content) == (got.status_code, b""), url
        if path not in ("/metrics", "/export"):  # their content changes with each request
            assert headers(head) == headers(got), url


def test_over_a_socket_the_connection_stays_usable(settings: Settings) -> None:
    with serving(create_app(settings)) as address, httpx.Client(base_url=address, timeout=60) as client:
        for _ in range(3):
            head = client.head("/classes")
            assert (head.status_code, head.content) == (200, b"")
            assert int(head.headers["content-length"]) == len(client.get("/classes").content)


def test_head_is_not_allowed_where_get_is_not(client: TestClient) -> None:
    refused = client.head("/segment")
    assert (refused.status_code, refused.headers["allow"], refused.content) == (405, "POST", b"")
    assert client.head("/nothing").status_code == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/exemplars", "GET, POST, HEAD"),
        ("/classes", "GET, POST, HEAD"),
        ("/exemplars/a", "GET, DELETE, HEAD"),
        ("/docs", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_allowed_is_answered_with_all_that_are(
    client: TestClient, path: str, allowed: str
) -> None:
    refused = client.put(path)
    assert (refused.status_code, refused.headers["allow"], refused.json()["allowed"]) == (405, allowed, allowed)


def test_the_document_names_no_head_operation(client: TestClient) -> None:
    assert all("head" not in methods for methods in client.get("/openapi.json").json()["paths"].values())


def test_the_metrics_count_head_by_its_route(start: Callable[..., TestClient]) -> None:
    with start() as client:
        client.head("/classes")
        assert 'segsort_requests_total{method="HEAD",route="/classes",status="200"} 1.0' in client.get("/metrics").text
