"""Signing in with a browser, wrong keys, and what happens before a body is read."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message

from service.http import access, identified
from service.http.addresses import subscriber
from service.http.callers import rate
from service.http.callers.wrong_keys import IN_ALL, PER_ADDRESS, WrongKeys
from service.http.keys import new_key

ANNA, ANNAS = new_key("anna", "curator")
BO, BOS = new_key("bo", "reader")
BOTH = f"{ANNAS.line},{BOS.line}"
Start = Callable[..., TestClient]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def token(client: TestClient, key: str, name: str = "segsort_session", base: str = "") -> str:
    client.cookies.clear()
    client.post(f"{base}/session", json={"key": key}).raise_for_status()
    return client.cookies[name]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong keys are slowed by a moment only."""
    monkeypatch.setattr(identified, "DELAY", 0.001)
    monkeypatch.setattr(access, "DELAY", 0.001)


def test_the_cookie_holds_no_key_and_is_new_at_each_sign_in(start: Start) -> None:
    with start(api_keys=BOTH) as client:
        first = token(client, ANNA)
        assert ANNA not in first
        answer = client.post("/session", json={"key": ANNA})
        second = client.cookies["segsort_session"]
        assert first != second
        assert "max-age" not in answer.headers["set-cookie"].split("segsort_session=")[-1].lower()
        client.cookies.clear()
        statuses = [
            client.get("/me", headers={"Cookie": f"segsort_session={one}"}).status_code for one in (first, second)
        ]
        assert statuses == [401, 200], "a sign-in ends the session that the browser had"


def test_a_token_that_was_planted_before_the_sign_in_does_not_become_a_session(start: Start) -> None:
    with start(api_keys=BOTH) as client:
        client.cookies.set("segsort_session", "planted")
        client.post("/session", json={"key": ANNA}).raise_for_status()
        assert client.get("/me", headers={"Cookie": "segsort_session=planted"}).status_code == 401


def test_signing_out_ends_the_session_and_not_only_the_cookie(start: Start) -> None:
    with start(api_keys=BOTH) as client:
        stolen = {"Cookie": f"segsort_session={token(client, ANNA)}"}
        assert client.delete("/session").status_code == 204
        client.cookies.clear()
        assert client.get("/me", headers=stolen).status_code == 401


def test_the_key_itself_is_no_cookie_and_the_token_is_no_key(start: Start) -> None:
    with start(api_keys=BOTH) as client:
        mine = token(client, ANNA)
        client.cookies.clear()
        for name, value in (("segsort_key", ANNA), ("segsort_session", ANNA)):
            assert client.get("/me", headers={"Cookie": f"{name}={value}"}).status_code == 401
        assert client.get("/me", headers=bearer(mine)).status_code == 401
        out = client.delete("/session", headers={"Cookie": f"segsort_key={ANNA}"})
        assert 'segsort_key=""' in out.headers["set-cookie"], "the cookie of earlier versions is removed"


@pytest.mark.parametrize(("path", "name"), [("", "__Host-segsort_session"), ("/sub", "__Secure-segsort_session")])
def test_over_tls_the_name_of_the_cookie_binds_it_to_the_host(start: Start, path: str, name: str) -> None:
    base = f"https://testserver{path}"
    with start(api_keys=BOTH, root_path=path) as client:
        cookie = client.post(f"{base}/session", json={"key": ANNA}).headers["set-cookie"]
        assert cookie.startswith(f"{name}=")
        for flag in ("Secure", "HttpOnly", "SameSite=strict", f"Path={path or '/'}"):
            assert flag in cookie
        assert "Domain" not in cookie
        assert client.get(f"{base}/me").json()["name"] == "anna"
        mine = cookie.split("=")[1].split(";")[0]
        client.cookies.clear()
        other = {"Cookie": f"segsort_session={mine}"}
        assert client.get(f"{base}/me", headers=other).status_code == 401, "a host nearby may have set it"
        assert client.get(f"http://testserver{path}/me", headers=other).status_code == 200


def test_a_page_of_another_site_cannot_sign_a_browser_in(start: Start) -> None:
    with start(api_keys=BOTH) as client:
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            refused = client.post("/session", json={"key": BO}, headers=headers)
            assert refused.status_code == 403
            assert "set-cookie" not in refused.headers


@pytest.mark.usefixtures("quick")
def test_wrong_keys_are_slowed_and_counted_and_right_ones_are_not(start: Start) -> None:
    with start(api_keys=BOTH) as client:
        session = {"Cookie": f"segsort_session={token(client, BO)}"}
        client.cookies.clear()
        statuses = [client.get("/me", headers=bearer(f"wrong {n}")).status_code for n in range(PER_ADDRESS + 3)]
        assert statuses == [401] * PER_ADDRESS + [429] * 3
        signed = client.post("/session", json={"key": "guessed"})
        assert signed.status_code == 429
        assert 1 <= int(signed.headers["retry-after"]) <= 60
        for headers in (bearer(BO), {"X-API-Key": ANNA}, session):
            assert client.get("/me", headers=headers).status_code == 200
        client.cookies.clear()
        assert client.post("/session", json={"key": ANNA}).status_code == 200
        client.cookies.clear()
        assert client.get("/me").status_code == 401, "who sends no key has sent no wrong one"
        found = client.get("/metrics").text
        assert f'segsort_wrong_keys_total{{sent="header"}} {PER_ADDRESS + 3}.0' in found
        assert 'segsort_wrong_keys_total{sent="sign_in"} 1.0' in found
        assert "segsort_wrong_keys_slowed_total 4.0" in found


@pytest.mark.usefixtures("quick")
def test_an_ended_session_is_no_wrong_key(start: Start) -> None:
    """A page that asks once a second with an old cookie gets 401, so that it can ask its user to sign in."""
    with start(api_keys=BOTH) as client:
        ended = {"Cookie": f"segsort_session={token(client, BO)}"}
        client.delete("/session")
        client.cookies.clear()
        assert {client.get("/me", headers=ended).status_code for _ in range(PER_ADDRESS + 5)} == {401}


def test_wrong_keys_from_many_addresses_are_limited_in_all_and_the_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate, "_ADDRESSES", 100)
    limits = WrongKeys()
    waits = [limits.refused(f"10.0.{n // 250}.{n % 250}", "header") for n in range(3 * IN_ALL)]
    assert waits[:IN_ALL] == [0.0] * IN_ALL
    assert sum(wait > 0 for wait in waits) >= 2 * IN_ALL - 5
    assert len(limits._rates) <= 100


def test_an_address_stands_for_its_subscriber() -> None:
    assert subscriber("10.0.0.1") == "10.0.0.1"
    assert subscriber("2001:db8::1") == subscriber("2001:db8::ffff:1%eth0") == "2001:db8::/64"
    assert subscriber("2001:db8:0:1::1") != subscriber("2001:db8::1")
    assert subscriber("::ffff:10.0.0.1") == "10.0.0.1"
    assert subscriber("") == ""


@pytest.mark.parametrize("path", ["/segment", "/exemplars", "/nothing", "/releases/survey", "/segments/labels"])
@pytest.mark.parametrize("sent", [(b"content-length", b"1000"), (b"transfer-encoding", b"chunked")])
def test_without_a_key_no_body_is_read(start: Start, path: str, sent: tuple[bytes, bytes]) -> None:
    answered: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body is read")

    async def send(message: Message) -> None:
        answered.append(message)

    client = start(api_keys=BOTH)
    headers = [(b"host", b"localhost"), sent]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "scheme": "http", "headers": headers}
    asyncio.run(client.app(scope, receive, send))  # type: ignore[arg-type]  # of any kind
    assert answered[0]["status"] == 401


def test_a_revoked_key_is_refused_within_seconds_with_its_sessions(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"{ANNAS.line}\n{BOS.line}\n")
    with start(api_keys_file=file) as client:
        session = {"Cookie": f"segsort_session={token(client, ANNA)}"}
        client.cookies.clear()
        assert client.get("/me", headers=session).status_code == 200
        file.write_text(f"{BOS.line}\n")
        end = time.monotonic() + 20
        while client.get("/classes", headers=session).status_code == 200:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert client.get("/me", headers=bearer(ANNA)).status_code == 401
        assert client.get("/me", headers=bearer(BO)).status_code == 200
