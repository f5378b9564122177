"""The key is sent to the service, and shown nowhere."""

import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from segsort_client import AsyncClient, Client, InputError, SegsortError
from segsort_client.png import png
from tests.client.scripted import HANG_UP, scripted

KEY = "sk-secret-7f3a"
OK = (200, {}, b"[]")
PASSWORD = "pass-word-1"


def test_the_key_is_sent_as_a_bearer() -> None:
    with scripted([OK]) as script, Client(script.address, KEY) as client:
        client.classes()
    assert script.requests[0][2]["authorization"] == f"Bearer {KEY}"


def test_a_password_in_the_address_is_that_of_a_proxy_and_the_key_goes_beside_it() -> None:
    with scripted([OK]) as script:
        address = script.address.replace("//", f"//anna:{PASSWORD}@")
        with Client(address, KEY) as client:
            client.classes()
            assert PASSWORD not in repr(client) + client.address
    headers = script.requests[0][2]
    assert headers["authorization"].startswith("Basic ")
    assert headers["x-api-key"] == KEY


def shown(error: BaseException) -> str:
    """Everything that is printed of an error, with its causes."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))


@pytest.mark.parametrize("answer", [HANG_UP, (401, {}, b'{"detail": "no"}'), (500, {}, b"oops"), (200, {}, b"{")])
def test_the_key_is_in_no_error_no_log_and_no_name(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted([answer]) as script:
        address = script.address.replace("//", f"//anna:{PASSWORD}@")
        for url in (script.address, address):
            with Client(url, KEY, retries=0) as client, pytest.raises(SegsortError) as caught:
                client.classes()
            text = shown(caught.value) + repr(client) + str(client) + repr(AsyncClient(url, KEY)) + caplog.text
            assert KEY not in text
            assert PASSWORD not in shown(caught.value) + repr(client)


@pytest.mark.parametrize("key", ["", f"{KEY}\n", f" {KEY}", f"{KEY}é", f"{KEY}\r\nX-Other: 1"])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(InputError) as caught:
        Client(key=key)
    assert KEY not in shown(caught.value)


@pytest.mark.parametrize(
    "address", ["", "localhost:8000", "ftp://host", "http://", "http://host/?a=1", "http://host/#x", "http://[::1", 7]
)
def test_an_address_that_is_none_is_refused(address: Any) -> None:
    with pytest.raises(InputError, match="http://127"):
        Client(address)


def test_a_password_of_a_wrong_address_is_not_shown() -> None:
    with pytest.raises(InputError) as caught:
        Client(f"ftp://anna:{PASSWORD}@host/")
    assert PASSWORD not in shown(caught.value)


def test_the_key_is_not_sent_to_where_an_image_is(tmp_path: Path) -> None:
    image = png(np.zeros((3, 3), dtype=np.uint8))
    with (
        scripted([(200, {}, image)]) as elsewhere,
        scripted([(302, {"Location": elsewhere.address + "/b.png"}, b"")]) as first,
        scripted([(422, {}, b'{"detail": "too small"}')]) as script,
        Client(script.address, KEY, headers={"X-Team": "cells"}) as client,
        pytest.raises(SegsortError, match="too small"),
    ):
        client.segment(f"{first.address}/a.png?token=1")
    assert script.requests[0][3] == image
    assert script.requests[0][2]["x-team"] == "cells"
    for request in (*first.requests, *elsewhere.requests):
        assert not {"authorization", "x-api-key", "x-team"} & set(request[2])
        assert KEY not in str(request)


def test_the_proxy_of_the_environment_is_used_unless_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with scripted([OK]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        with Client("http://segsort.invalid/sub", KEY) as client:
            assert client.classes() == ()
        assert proxy.requests[0][1] == "http://segsort.invalid/sub/classes"
        direct = Client("http://segsort.invalid", KEY, trust_env=False, retries=0)
        with direct, pytest.raises(SegsortError, match="could not be reached"):
            direct.classes()
        assert len(proxy.requests) == 1


def test_a_client_of_httpx_that_is_given_is_used_and_left_open() -> None:
    with scripted([OK]) as script, httpx.Client(headers={"X-Trace": "7"}, auth=("anna", PASSWORD)) as given:
        with Client(script.address, http=given) as client:
            client.classes()
            with scripted([(404, {}, b"")]) as elsewhere, pytest.raises(SegsortError):
                client.segment(elsewhere.address)
        assert not given.is_closed
    assert script.requests[0][2]["x-trace"] == "7"
    assert script.requests[0][2]["authorization"].startswith("Basic ")
    assert not {"x-trace", "authorization"} & set(elsewhere.requests[0][2])


def test_answers_may_be_compressed_and_say_who_asks() -> None:
    with scripted([OK]) as script, Client(script.address, KEY) as client:
        client.classes()
    assert "gzip" in script.requests[0][2]["accept-encoding"]
    assert script.requests[0][2]["user-agent"] == "segsort-client"


def test_an_error_survives_the_way_from_another_process() -> None:
    error = SegsortError("no", status=429, received=[1], allowed="2", fix="wait", retry_after=3, request_id="r")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again)) == (str(error), vars(error))
