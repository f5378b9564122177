"""A request is sent again where that is safe, when the service asks for it, and a limited number of times."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import pytest

from segsort_client import Client, SegsortError, UnreachableError
from tests.client.scripted import HANG_UP, Script, scripted

PNG = b"\x89PNG\r\n\x1a\n"
CLASSES = (200, {}, b"[]")
GONE = (404, {}, json.dumps({"detail": "There is no such answer."}).encode())


def refusal(status: int, **headers: str) -> tuple[int, dict[str, str], bytes]:
    problem = {
        "title": "Too Many Requests", "status": status, "detail": "Too many images are waiting.", "received": 7,
        "allowed": "5", "fix": "Send it again in 1 s.", "request_id": "r1",
    }  # fmt: skip
    return status, {"Content-Type": "application/problem+json", **headers}, json.dumps(problem).encode()


def client(script: Script, **options: Any) -> Client:
    return Client(script.address, **{"max_wait": 5.0, **options})


SAFE: dict[str, Callable[[Client], object]] = {
    "classes": lambda found: found.classes(),
    "segment": lambda found: found.segment(PNG),
    "label": lambda found: found.label("s-1", "kerb"),
    "mark": lambda found: found.mark("s", labels={"s-1": "kerb"}),
    "add_exemplar": lambda found: found.add_exemplar(
        PNG, strokes=[{"class_name": "kerb", "points": [[1, 1]], "width": 1}]
    ),
    "pin": lambda found: found.pin("s"),
    "export": lambda found: found.export("coco", ["s"]),
}
UNSAFE: dict[str, Callable[[Client], object]] = {
    "revert": lambda found: found.revert(3),
    "adapt": lambda found: found.adapt(),
    "add_class": lambda found: found.add_class("kerb"),
    "new_release": lambda found: found.new_release("mine"),
    "remove_exemplar": lambda found: found.remove_exemplar("e"),
    "import_labels": lambda found: found.import_labels(b"PK"),
}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("name", [*SAFE, *UNSAFE])
def test_a_refusal_that_says_when_is_sent_again_then(name: str, status: int) -> None:
    """The service says Retry-After only where it has not carried out the request."""
    with scripted([refusal(status, **{"Retry-After": "0.2"}), refusal(404)]) as script, client(script) as found:
        began = time.monotonic()
        with pytest.raises(SegsortError) as caught:
            (SAFE | UNSAFE)[name](found)
        assert time.monotonic() - began >= 0.2
        assert caught.value.status == 404
        assert len(script.requests) == 2
        assert len(script.requests[0][3]) == len(script.requests[1][3])  # the whole body again


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A clock that is 14 hours ahead of Greenwich."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize("usegmt", [True, False], ids=["GMT", "-0000"])
def test_a_date_of_retry_after_is_understood(usegmt: bool) -> None:
    later = int(time.time()) + 2
    refused = refusal(429, **{"Retry-After": formatdate(later, usegmt=usegmt)})
    with scripted([refused, CLASSES]) as script, client(script) as found:
        assert found.classes() == ()
        assert time.time() > later - 0.1


@pytest.mark.parametrize("broken", [HANG_UP, refusal(503), (502, {}, b"<html>Bad Gateway</html>")])
@pytest.mark.parametrize("name", SAFE)
def test_what_is_safe_to_repeat_is_sent_again_after_an_answer_that_was_lost(name: str, broken: Any) -> None:
    with scripted([broken, refusal(404)]) as script, client(script) as found:
        with pytest.raises(SegsortError) as caught:
            SAFE[name](found)
        assert caught.value.status == 404
        assert len(script.requests) == 2


@pytest.mark.parametrize("broken", [HANG_UP, refusal(503), (502, {}, b"")])
@pytest.mark.parametrize("name", UNSAFE)
def test_what_is_not_safe_to_repeat_is_sent_once(name: str, broken: Any) -> None:
    with scripted([broken, CLASSES]) as script, client(script) as found:
        with pytest.raises(SegsortError) as caught:
            UNSAFE[name](found)
        assert len(script.requests) == 1
        assert caught.value.status in (None, 502, 503)
        if caught.value.status is None:
            assert "may have been carried out" in str(caught.value)


def test_an_answer_that_a_lost_try_deleted_is_deleted() -> None:
    with scripted([HANG_UP, GONE]) as script, client(script) as found:
        found.delete("s")
        assert len(script.requests) == 2
    with scripted([GONE]) as script, client(script) as found, pytest.raises(SegsortError, match="no such answer"):
        found.delete("s")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 415, 422, 500, 504, 507])
def test_other_errors_are_not_sent_again(status: int) -> None:
    with scripted([refusal(status)]) as script, client(script) as found:
        with pytest.raises(SegsortError) as caught:
            found.segment(PNG)
        assert len(script.requests) == 1
        error = caught.value
        assert (error.status, error.received, error.allowed, error.request_id) == (status, 7, "5", "r1")
        assert str(error) == f"{status}: Too many images are waiting. Received: 7. Allowed: 5. Send it again in 1 s."


def test_tries_end() -> None:
    with scripted([refusal(429, **{"Retry-After": "0"})]) as script, client(script, retries=3) as found:
        with pytest.raises(SegsortError) as caught:
            found.classes()
        assert len(script.requests) == 4
        assert caught.value.retry_after == 0


def test_a_wait_longer_than_the_longest_is_an_error_at_once() -> None:
    with scripted([refusal(429, **{"Retry-After": "3600"})]) as script, client(script) as found:
        began = time.monotonic()
        with pytest.raises(SegsortError) as caught:
            found.segment(PNG)
        assert caught.value.retry_after == 3600
        assert time.monotonic() - began < 60
        assert len(script.requests) == 1


def test_a_service_that_is_not_there_is_an_error_with_its_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Client(address, retries=1) as found, pytest.raises(UnreachableError, match=address):
            found.adapt()  # never arrived, so that it is tried again


def test_a_service_that_does_not_answer_in_time_is_asked_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(address, timeout=0.3) as found, pytest.raises(UnreachableError, match="in time"):
            found.segment(PNG)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {}, b"<html>"), "not JSON"),
        ((404, {}, b"<html>nginx</html>"), "nginx"),
        ((302, {"Location": "https://elsewhere.example/"}, b""), "https://elsewhere.example/"),
        ((500, {}, b"[]"), "500"),
        ((500, {}, b'{"detail": [{"loc": []}]}'), "loc"),
        ((200, {}, b'{"segments": 1}'), "cannot be read"),
        ((200, {"Content-Encoding": "gzip"}, b"no gzip"), "could not be reached"),
    ],
)
def test_an_answer_of_something_else_is_an_error_that_says_so(answer: Any, said: str) -> None:
    with scripted([answer]) as script, client(script) as found, pytest.raises(SegsortError, match=said):
        found.segment(PNG)


def test_a_service_below_a_path_is_asked_there() -> None:
    with scripted([CLASSES]) as script:
        for address in (f"{script.address}/sub", f"{script.address}/sub/"):
            with Client(address) as found:
                found.classes()
                found.edits(limit=3)
        with Client(f"{script.address}/a%20b/ü") as found:
            found.classes()
    paths = [request[1] for request in script.requests]
    assert paths == ["/sub/classes", "/sub/edits?limit=3"] * 2 + ["/a%20b/%C3%BC/classes"]


def test_ids_and_names_are_quoted() -> None:
    with scripted([(200, {}, b"{}")]) as script, client(script) as found:
        found.release_card("a/b?c#d é")
    assert script.requests[0][1] == "/releases/a%2Fb%3Fc%23d%20%C3%A9"


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_what_would_be_another_path_is_refused(part: str) -> None:
    with scripted([CLASSES]) as script, client(script) as found, pytest.raises(SegsortError):
        found.release_card(part)
    assert script.requests == []


def test_a_url_of_an_image_that_redirects_for_ever_is_an_error_of_the_client() -> None:
    again = (302, {"Location": "/again"}, b"")
    with scripted([again]) as script, client(script) as found, pytest.raises(UnreachableError, match="be fetched"):
        found.segment(f"{script.address}/a.png")
