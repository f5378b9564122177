"""Multipart forms: their fields, and those that are refused."""

import os

import pytest
from httpx import Client

from service.http.forms import MOST_FIELDS, form_fields
from service.problems import Problem

KIND = "multipart/form-data; boundary=xyz"


def part(content: bytes, name: bytes = b'"a"', more: bytes = b"") -> bytes:
    return b"--xyz\r\nContent-Disposition: form-data; name=%b\r\n%b\r\n%b\r\n" % (name, more, content)


def refusal(body: bytes, kind: str = KIND) -> str:
    with pytest.raises(Problem) as raised:
        form_fields(kind, body)
    assert raised.value.status == 400
    return str(raised.value.received)


@pytest.mark.parametrize("content", [b"", b"\r\n", b"--xyz", b"\r\n--xy", os.urandom(100_000), b"\r\n\r\n--xyz--"])
def test_what_another_program_sends_is_read_unchanged(content: bytes) -> None:
    request = Client().build_request(
        "POST", "http://x/", files={"image": ("ä\".png", content, "image/png")}, data={"source": "Straße", "n": "1"}
    )  # fmt: skip
    fields = form_fields(request.headers["content-type"], request.read())
    assert fields == {"image": content, "source": "Straße".encode(), "n": b"1"}


def test_a_preamble_and_an_epilogue_are_left_out() -> None:
    assert form_fields(KIND, b"hello\r\n" + part(b"1") + b"--xyz--\r\nbye") == {"a": b"1"}


def test_a_quoted_boundary_is_read() -> None:
    assert form_fields('multipart/form-data; boundary="xyz"', part(b"1") + b"--xyz--") == {"a": b"1"}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"--xyz--", b"xx--xyz--", part(b"1"), part(b"1") + b"--xyz", 
        b"--xyz\r\n--xyz--", b"--xyz\r\nno head\r\n--xyz--", b"--xyz\r\na: b\r\n\r\n1\r\n--xyz--",
        part(b"1", b'"a"', b"x: " + b"y" * 5000 + b"\r\n") + b"--xyz--",
    ],
)  # fmt: skip
def test_broken_forms_are_refused(body: bytes) -> None:
    if body == b"--xyz--":
        assert form_fields(KIND, body) == {}
    else:
        refusal(body)


def test_the_number_of_fields_is_limited() -> None:
    few, many = (b"".join(part(b"1", b"n%d" % n) for n in range(most)) for most in (MOST_FIELDS, MOST_FIELDS + 1))
    assert len(form_fields(KIND, few + b"--xyz--")) == MOST_FIELDS
    assert "fields" in refusal(many + b"--xyz--")


@pytest.mark.parametrize("kind", ["", "; boundary=", "; boundary=" + "x" * 71])
def test_a_boundary_is_needed(kind: str) -> None:
    refusal(part(b"1") + b"--xyz--", f"multipart/form-data{kind}")
