"""Invalid and unusual ids, queries, headers and methods."""

import hashlib
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.robustness.bodies import HUGE
from tests.robustness.outcomes import Case, assert_well, faults

IDS = {
    "huge": HUGE,
    "5000 digits": "9" * 5000,
    "just past the database's": str(2**63),
    "minus one": "-1",
    "zero": "0",
    "one and a bit": "1.5",
    "not a number": "NaN",
    "NUL": "%00",
    "NUL within": "1%00",
    "not UTF-8": "%ff%fe",
    "half a pair": "%ED%A0%80",
    "right to left": "%E2%80%AEabc",
    "a digit of another script": "%D9%A3",
    "an emoji": "%F0%9F%98%80",
    "blank": "%20",
    "line break": "a%0d%0aX-Evil:%201",
    "up": "..%2f..%2f..%2fetc%2fpasswd",
    "upper case": "A" * 32,
    "hexadecimal": "0" * 32,
    "of nothing": "0" * 32 + "-0",
    "dash": "-",
    "dashes": "-" * 50,
    "wildcard": "%25",
    "quote": "'%20OR%201=1--",
    "long": "a" * 60_000,
    "semicolon": "a;b=c",
    "query": "a%3Fb",
}
WITH_ID = {
    "GET": (
        "/edits/{}", "/edits/{}/effect", "/explain/{}", "/segments/{}/crop", "/segmentations/{}",
        "/segmentations/{}/image", "/exemplars/{}", "/exemplars/{}/crop", "/exemplars/{}/image", "/releases/{}",
        "/static/{}", "/jobs/{}", "/jobs/{}/images", "/jobs/{}/result", "/releases/survey/{}", "/webhooks/{}", "/{}",
    ),
    "POST": (
        "/edits/{}/revert", "/segmentations/{}/relabel", "/segmentations/{}/segment", "/segments/{}/label",
        "/releases/{}/activate", "/releases/{}/carry", "/jobs/{}/cancel", "/jobs/{}/accept",
        "/webhooks/{}/test", "/webhooks/{}/resume",
    ),
    "DELETE": ("/exemplars/{}", "/jobs/{}", "/releases/survey/{}", "/webhooks/{}"),
}  # fmt: skip
WITH_QUERY = {
    "/edits": ("limit", "before"),
    "/edits/1/effect": ("recent",),
    "/segmentations": ("limit", "before"),
    "/clusters": ("limit", "members", "images", "which"),
    "/suggestions": ("limit", "images", "skip"),
    "/exemplars": ("class_id", "limit", "offset", "removed", "query"),
}
METHODS = ("HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "GET", "POST", "PROPFIND", "get")
PATHS = (
    "/",
    "/segment",
    "/exemplars",
    "/classes",
    "/edits",
    "/session",
    "/me",
    "/readyz",
    "/metrics",
    "/docs",
    "//",
    "*",
)


@pytest.fixture(autouse=True)
def _check_service_afterwards(client: TestClient, photo: bytes) -> Iterator[None]:
    yield
    assert_well(client, photo)


def test_no_id_makes_a_route_fail(client: TestClient) -> None:
    def cases() -> Iterator[Case]:
        for method, paths in WITH_ID.items():
            body = {"json": {"class_name": "kerb"}} if method == "POST" else {}
            for path in paths:
                for name, text in IDS.items():
                    url = path.format(text)
                    yield f"{method} {path} {name}", lambda m=method, u=url, b=body: client.request(m, u, **b)

    assert faults(cases()) == []


def test_no_query_makes_a_route_fail(client: TestClient, photo: bytes) -> None:
    def cases() -> Iterator[Case]:
        for name, text in IDS.items():
            for path, queries in WITH_QUERY.items():
                for query in queries:
                    yield f"{path} {query} {name}", lambda u=f"{path}?{query}={text}": client.get(u)
            for query in ("segments", "k", "exemplars", "masks", "min_index_revision"):
                url = f"/segment?{query}={text}"
                yield f"{query} {name}", lambda u=url: client.post(u, content=photo)
            yield f"a query {name}", lambda u=f"/edits?{text}": client.get(u)
        yield "the same twice", lambda: client.get("/edits?limit=1&limit=x")
        yield "many", lambda: client.get("/exemplars?" + "&".join(f"a{n}" for n in range(5000)))

    assert faults(cases()) == []


def test_every_method_is_answered_everywhere(client: TestClient) -> None:
    def cases() -> Iterator[Case]:
        for method in METHODS:
            for path in PATHS:
                yield f"{method} {path}", lambda m=method, p=path: client.request(m, f"http://testserver{p}")

    assert faults(cases()) == []


def test_no_header_makes_a_route_fail(client: TestClient, photo: bytes) -> None:
    odd = (
        "",
        "[",
        "[::1",
        "http://[",
        "\xff",
        "a" * 9000,
        "9" * 5000,
        "-1",
        "null",
        "http://a:b:c",
        "%00",
        "\x7f",
        ",;=",
    )
    names = (
        "Host", "Origin", "Sec-Fetch-Site", "Accept", "Authorization", "X-API-Key", "Cookie", "Content-Length",
        "Content-Encoding", "If-None-Match", "X-Request-ID", "X-Forwarded-For", "Range", "Expect", "traceparent",
    )  # fmt: skip

    def cases() -> Iterator[Case]:
        for name in names:
            for value in odd:
                headers = {name: value.encode("latin-1")}
                yield (
                    f"segment, {name}: {value[:20]}",
                    lambda h=headers: client.post("/segment", content=photo, headers=h),
                )
                yield f"classes, {name}: {value[:20]}", lambda h=headers: client.post("/classes", json={}, headers=h)
                for path in ("/", "/nothing"):
                    yield f"{path}, {name}: {value[:20]}", lambda p=path, h=headers: client.get(p, headers=h)

    assert faults(cases()) == []


def test_an_origin_that_is_not_a_url_is_another_site(client: TestClient) -> None:
    answer = client.post("/classes", json={"name": "kerb"}, headers={"Origin": "http://["})
    assert answer.status_code == 403


def test_a_name_too_long_for_a_file_is_not_found(client: TestClient) -> None:
    assert client.get("/static/" + "a" * 300).status_code == 404
    assert client.get("/static/" + "a/" * 900).status_code == 404
    assert client.get("/static/" + "a/" * 3000).status_code == 414


def test_a_key_that_utf8_cannot_encode_is_a_wrong_key(settings: Settings) -> None:
    line = f"ann:curator:{hashlib.sha256(b'right').hexdigest()}"
    changed = settings.model_copy(update={"api_keys": line, "database_url": "sqlite://"})
    with TestClient(create_app(changed)) as client:
        for key in (rb'"\ud800"', rb'"\udcff"', rb'"\u0000"', b'"' + b"x" * 1001 + b'"'):
            answer = client.post(
                "/session", content=b'{"key": ' + key + b"}", headers={"Content-Type": "application/json"}
            )
            assert answer.status_code in (401, 422)
        assert client.post("/session", json={"key": "right"}).json()["name"] == "ann"
