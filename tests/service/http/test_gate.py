"""What pages of other sites may send: by DNS rebinding and by simple requests, with every route of the document."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from service.http.keys import new_key

ANNA, ANNAS = new_key("anna", "curator")
BO, BOS = new_key("bo", "reader")
KEYS = f"{ANNAS.line},{BOS.line}"
EVIL = "evil.example:8931"
SIMPLE = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "application/json"]
CROSS_SITE = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver:99"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
]
PROBES = ("/livez", "/readyz")


def unsafe_routes(client: TestClient) -> list[tuple[str, str]]:
    """Method and path of each route that may change something. Ids are made up: access is checked before them."""
    paths = client.get("/openapi.json").json()["paths"]
    found = [(method, path) for path, methods in paths.items() for method in methods]
    return [(method.upper(), path.replace("{", "").replace("}", "")) for method, path in found if method != "get"]


def test_a_page_by_its_own_name_for_this_service_reaches_no_route(client: TestClient) -> None:
    """DNS rebinding: origin and host agree, so only the name shows the attack."""
    paths = client.get("/openapi.json").json()["paths"]
    headers = {"Host": EVIL, "Origin": f"http://{EVIL}", "Sec-Fetch-Site": "same-origin"}
    asked = 0
    for path, methods in paths.items():
        for method in methods:
            answer = client.request(method, path.replace("{", "").replace("}", ""), headers=headers)
            if path in PROBES:
                assert answer.status_code == 200
                continue
            asked += 1
            assert answer.status_code == 421, (method, path)
            assert answer.json()["received"] == EVIL
            assert "SEGSORT_ALLOWED_HOSTS=evil.example" in answer.json()["fix"]
    assert asked > 50
    assert client.get("/", headers=headers).status_code == client.get("/nothing", headers=headers).status_code == 421
    assert client.post("/classes", json={"name": "fog"}, headers={"Host": "localhost:8931"}).status_code == 201


def test_with_keys_any_name_is_answered_unless_names_are_listed(start: Callable[..., TestClient]) -> None:
    with start(api_keys=KEYS) as client:
        assert client.get("/classes", headers={"Host": EVIL}).status_code == 401
        assert client.get("/classes", headers={"Host": EVIL, "X-API-Key": BO}).status_code == 200
    with start(api_keys=KEYS, allowed_hosts="a.example") as client:
        assert client.get("/classes", headers={"Host": EVIL, "X-API-Key": BO}).status_code == 421
        assert client.get("/classes", headers={"Host": "a.example", "X-API-Key": BO}).status_code == 200


def test_a_request_needs_exactly_one_valid_host(client: TestClient) -> None:
    for hosts in (["testserver", "testserver"], ["testserver", "evil.example"]):
        answer = client.get("/livez", headers=[("Host", host) for host in hosts])
        assert (answer.status_code, answer.json()["received"]) == (400, "2 headers Host")
    for host in ("", "[", "a b", "a@testserver"):
        assert client.get("/livez", headers={"Host": host}).status_code == 400, host


def test_a_forwarded_host_counts_from_a_trusted_proxy_only(start: Callable[..., TestClient]) -> None:
    headers = {"X-Forwarded-Host": "a.example"}
    with start(allowed_hosts="a.example") as client:
        assert client.get("/classes", headers={"Host": EVIL, **headers}).status_code == 421
    with start(allowed_hosts="a.example", trusted_proxies="127.0.0.1") as client:
        client = TestClient(client.app, client=("127.0.0.1", 5000))
        assert client.get("/classes", headers={"Host": "upstream.example", **headers}).status_code == 200
        assert client.get("/classes", headers={"X-Forwarded-Host": EVIL}).status_code == 421


@pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
def test_no_page_of_another_site_may_send_what_is_not_a_plain_read(
    start: Callable[..., TestClient], headers: dict[str, str], photo: bytes
) -> None:
    """Neither without keys nor with the cookie of a curator; whatever kind of body a form can send."""
    with start() as client:
        for method, path in unsafe_routes(client):
            for kind in SIMPLE:
                answer = client.request(method, path, content=photo, headers={**headers, "Content-Type": kind})
                assert answer.status_code == 403, (method, path, kind)
        assert client.get("/segmentations").json() == []
    with start(api_keys=KEYS) as client:
        client.post("/session", json={"key": ANNA}).raise_for_status()
        for method, path in unsafe_routes(client):
            assert client.request(method, path, headers=headers).status_code == 403, (method, path)
        assert client.get("/me").json()["name"] == "anna", "the sign-out was refused too"
        keyed = client.post("/segment", content=photo, headers={**headers, "X-API-Key": BO})
        assert keyed.status_code == 200, "only its sender can have set the header"


def test_programs_the_own_page_and_listed_pages_may_send(start: Callable[..., TestClient], photo: bytes) -> None:
    page = "https://a.example"
    own = [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://testserver"}]
    with start() as client:
        for headers in own:
            assert client.post("/segment", content=photo, headers=headers).status_code == 200, headers
    cross = {"Origin": page, "Sec-Fetch-Site": "cross-site"}
    for changes, edits in (
        ({"trusted_origins": page}, 201),
        ({"cors_origins": page}, 403),
        ({"cors_origins": "*"}, 403),
    ):
        with start(**changes) as client:
            assert client.post("/segment", content=photo, headers=cross).status_code == 200, changes
            assert client.post("/classes", json={"name": "fog"}, headers=cross).status_code == edits, changes


def test_reading_from_another_site_is_left_to_the_browser(client: TestClient) -> None:
    for path in ("/classes", "/", "/livez"):
        assert client.get(path, headers=CROSS_SITE[0]).status_code == 200


def test_refused_requests_are_counted_and_have_an_id(client: TestClient) -> None:
    answer = client.get("/classes", headers={"Host": EVIL, "X-Request-ID": "abc"})
    assert (answer.headers["x-request-id"], answer.json()["request_id"]) == ("abc", "abc")
    assert 'segsort_requests_total{method="GET",route="none",status="421"} 1.0' in client.get("/metrics").text
