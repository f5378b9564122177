"""Pages of other origins: what they may read, and that they may not edit."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

HERE = "https://app.example"
PREFLIGHT = {"Origin": HERE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Authorization"}


def test_without_the_setting_no_page_may_read(client: TestClient, photo: bytes) -> None:
    answer = client.get("/classes", headers={"Origin": HERE})
    assert answer.status_code == 200
    assert client.post("/segment", content=photo, headers={"Origin": HERE}).status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert client.options("/segment", headers=PREFLIGHT).status_code == 405


def test_a_listed_page_may_read_answers_problems_and_headers(start: Callable[..., TestClient], photo: bytes) -> None:
    with start(cors_origins=f"{HERE}, http://localhost:3000") as client:
        asked = client.options("/segment", headers=PREFLIGHT)
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == HERE
        assert "authorization" in asked.headers["access-control-allow-headers"].lower()
        for answer in (
            client.post("/segment", content=photo, headers={"Origin": HERE}),
            client.post("/segment", content=b"", headers={"Origin": HERE}),
            client.post("/segment", content=b"x", headers={"Origin": HERE, "content-length": str(10**9)}),
            client.get("/nothing", headers={"Origin": HERE}),
        ):
            assert answer.headers["access-control-allow-origin"] == HERE
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
            assert "Origin" in answer.headers["vary"]
        client.app.state.readiness.draining = True  # type: ignore[attr-defined]
        assert client.get("/classes", headers={"Origin": HERE}).headers["access-control-allow-origin"] == HERE


def test_a_page_that_is_not_listed_may_not_read(start: Callable[..., TestClient]) -> None:
    with start(cors_origins=HERE) as client:
        for origin in ("https://other.example", "http://app.example", "null", f"{HERE}.evil.example"):
            answer = client.get("/classes", headers={"Origin": origin})
            assert "access-control-allow-origin" not in answer.headers
            assert client.options("/segment", headers=PREFLIGHT | {"Origin": origin}).status_code == 400


def test_any_page_may_read_but_never_with_credentials(start: Callable[..., TestClient], photo: bytes) -> None:
    with start(cors_origins="*") as client:
        for answer in (
            client.options("/segment", headers=PREFLIGHT),
            client.post("/segment", content=photo, headers={"Origin": HERE, "Cookie": "segsort_key=x"}),
        ):
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origins", [HERE, "*"])
def test_a_page_that_may_read_may_not_edit_unless_it_is_trusted(start: Callable[..., TestClient], origins: str) -> None:
    headers = {"Origin": HERE, "Sec-Fetch-Site": "cross-site"}
    with start(cors_origins=origins) as client:
        refused = client.post("/classes", json={"name": "fog"}, headers=headers)
        assert refused.status_code == 403
        assert refused.headers["access-control-allow-origin"] == origins
    with start(cors_origins=origins, trusted_origins=HERE) as client:
        assert client.post("/classes", json={"name": "fog"}, headers=headers).status_code == 201
