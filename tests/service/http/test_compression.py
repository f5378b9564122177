"""Text answers are compressed for callers that accept gzip."""

import gzip

import pytest
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from service.http.compression import Compression, accepts_gzip

TEXT = b"0123456789" * 200


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.add_middleware(Compression)

    @app.get("/of")
    def of(kind: str, length: int = len(TEXT)) -> Response:
        return Response((TEXT * 100)[:length], media_type=kind, headers={"ETag": '"tag"', "Vary": "Origin"})

    @app.get("/parts")
    def parts() -> StreamingResponse:
        return StreamingResponse(iter([TEXT, TEXT]), media_type="text/plain")

    @app.get("/packed")
    def packed() -> Response:
        return Response(gzip.compress(TEXT * 100), media_type="text/plain", headers={"Content-Encoding": "gzip"})

    return TestClient(app)


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/problem+json", "application/geo+json", "text/plain", "text/html; charset=utf-8",
     "text/javascript", "text/css", "image/svg+xml"],
)  # fmt: skip
@pytest.mark.parametrize("length", [1000, 150_000])
def test_text_of_a_kilobyte_is_compressed(client: TestClient, kind: str, length: int) -> None:
    response = client.get("/of", params={"kind": kind, "length": length}, headers={"accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) < length / 5
    assert response.content == (TEXT * 100)[:length]
    assert response.headers["etag"] == 'W/"tag"'
    assert response.headers["vary"] == "Origin, Accept-Encoding"


@pytest.mark.parametrize(
    ("kind", "length"),
    [("image/png", 2000), ("image/jpeg", 2000), ("application/zip", 2000), ("application/octet-stream", 2000),
     ("text/plain", 999)],
)  # fmt: skip
def test_images_and_small_answers_are_not_compressed(client: TestClient, kind: str, length: int) -> None:
    response = client.get("/of", params={"kind": kind, "length": length}, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in response.headers
    assert (len(response.content), response.headers["etag"], response.headers["vary"]) == (length, '"tag"', "Origin")


@pytest.mark.parametrize("accepted", ["identity", "", "gzip;q=0", "br", "*;q=0"])
def test_a_caller_that_does_not_accept_gzip_gets_the_bytes_as_they_are(client: TestClient, accepted: str) -> None:
    response = client.get("/of", params={"kind": "text/plain"}, headers={"accept-encoding": accepted})
    assert "content-encoding" not in response.headers
    assert (response.content, response.headers["etag"]) == (TEXT, '"tag"')
    assert response.headers["vary"] == "Origin, Accept-Encoding"


def test_answers_in_parts_and_compressed_ones_are_left_alone(client: TestClient) -> None:
    assert client.get("/parts").content == TEXT * 2
    assert "content-encoding" not in client.get("/parts").headers
    assert client.get("/packed").content == TEXT * 100


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, False), ("", False), ("gzip", True), ("deflate, GZIP", True), ("gzip;q=0.5, br", True), ("*", True),
        ("gzip; q=0", False), ("gzip;q=0.000", False), ("*;q=0", False), ("br, *;q=0.1", True), ("x-gzip", True),
        ("gzip;q=0, *", False), ("identity", False), ("notgzip", False),
    ],
)  # fmt: skip
def test_accept_encoding_is_respected(header: str | None, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted
