"""Addresses that webhooks may be sent to."""

import socket
import time
from typing import Any

import pytest

from service.problems import Problem
from service.webhooks.addresses import RefusedAddress, Target, check_literal, connect, parse_url

NEVER = (
    "169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]",
    "[64:ff9b:1::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "[::169.254.169.254]",
    "100.100.100.200", "0.0.0.0", "[::]", "224.0.0.1", "255.255.255.255", "[ff02::1]",
)  # fmt: skip
PRIVATE = (
    "127.0.0.1",
    "10.0.0.7",
    "192.168.1.1",
    "172.16.0.1",
    "100.64.0.1",
    "[::1]",
    "[fd12::1]",
    "[::ffff:10.0.0.7]",
)
PUBLIC = ("93.184.216.34", "[2606:2800:220:1:248:1893:25c8:1946]")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Example.com", ("https", "example.com", 443, "/")),
        ("http://10.0.0.7:9000/a/b?c=d", ("http", "10.0.0.7", 9000, "/a/b?c=d")),
        ("http://[::1]:80/", ("http", "::1", 80, "/")),
    ],
)
def test_a_url_is_split(url: str, expected: tuple[Any, ...]) -> None:
    assert parse_url(url) == expected


def test_the_host_header_names_the_port_where_it_is_not_the_usual_one() -> None:
    assert parse_url("http://a.example:80/").netloc == "a.example"
    assert parse_url("https://a.example:80/").netloc == "a.example:80"
    assert parse_url("http://[::1]:81/").netloc == "[::1]:81"


@pytest.mark.parametrize(
    "url",
    [
        "", "a", "/a", "//a", "ftp://a", "file:///etc/passwd", "http://", "http:///a", "http://a:0/", "http://a:99999/",
        "http://a:b/", "http://[::1", "http://u:p@a/", "http://u@a/", "http://a/#b", "http://a/ b", "http://a/\r\nX: y",
        "http://a/\u00e9", "http://a/" + "b" * 2000, "http://" + "a" * 70 + ".example/", "http://\x00/",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_url(url)
    assert refused.value.status == 422
    assert refused.value.fix


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(Problem) as refused:
        parse_url("http://anna:whatever@example.com/")
    assert "whatever" not in str(refused.value)


@pytest.mark.parametrize("host", NEVER)
def test_addresses_of_links_groups_and_metadata_are_refused_always(host: str) -> None:
    for targets in ("any", "public"):
        with pytest.raises(Problem, match="Webhooks are not sent to this address"):
            check_literal(parse_url(f"http://{host}/"), targets)


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused_where_the_settings_say_so(host: str) -> None:
    target = parse_url(f"http://{host}/")
    check_literal(target, "any")
    with pytest.raises(Problem, match="SEGSORT_WEBHOOK_TARGETS=public"):
        check_literal(target, "public")


@pytest.mark.parametrize("host", PUBLIC)
def test_public_addresses_and_names_are_allowed(host: str) -> None:
    for name in (host, "a.example", "localhost"):
        check_literal(parse_url(f"http://{name}/"), "public")


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1"])
def test_a_name_is_checked_after_it_was_resolved(host: str) -> None:
    """Other ways to write an address are names here, and the system resolves them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = Target("http", host, server.getsockname()[1], "/")
        connect(target, "any", time.monotonic() + 60).close()
        with pytest.raises(RefusedAddress, match="private"):
            connect(target, "public", time.monotonic() + 60)


def test_no_connection_is_made_to_an_address_of_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name has another address now than when the webhook was made."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("a connection was made"))
    with pytest.raises(RefusedAddress, match="metadata"):
        connect(Target("http", "a.example", 80, "/"), "any", time.monotonic() + 60)
