"""Which host names are allowed, by the settings."""

import socket
from pathlib import Path

import pytest

from service.http.hosts import AllowedHosts, host_name
from service.http.keys import new_key, read_access
from service.http.origins import Origins
from service.settings import Settings

KEYS = new_key("anna", "curator")[1].line


def allowed(**settings: object) -> AllowedHosts:
    made = Settings(data_dir=Path("unused"), **settings)
    return AllowedHosts.of(made, read_access(made), Origins.of(made))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"localhost", "localhost"),
        (b"LocalHost:8000", "localhost"),
        (b"localhost.", "localhost"),
        (b"A.Example.:81", "a.example"),
        (b" a.example ", "a.example"),
        (b"127.0.0.1:80", "127.0.0.1"),
        (b"[::1]:80", "::1"),
        (b"[FE80::1%25eth0]", "fe80::1%25eth0"),
        (b"a_b-c", "a_b-c"),
        (b"a.example:", "a.example"),
    ],
    ids=str,
)
def test_a_host_is_read_without_case_port_and_last_dot(host: bytes, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    "host",
    [b"", b":80", b".", b"[", b"[::1", b"::1", b"a b", b"a@localhost", b"localhost/a", b"localhost?", b"a,localhost",
     b"localhost:x", b"localhost:80:80", b"\xff", b"a" * 301, b"http://localhost", b"localhost#", b"localhost\\a"],
    ids=ascii,
)  # fmt: skip
def test_a_host_that_is_none_is_refused(host: bytes) -> None:
    assert host_name(host) is None


OWN = ["localhost", "a.localhost", "127.0.0.1", "::1", "192.168.1.4", "fe80::1%25eth0", socket.gethostname().lower()]
FOREIGN = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evillocalhost", "2130706433", "0x7f.1"]


@pytest.mark.parametrize("name", OWN)
def test_addresses_and_names_of_this_machine_are_always_allowed(name: str) -> None:
    for settings in ({}, {"allowed_hosts": "a.example"}, {"host": "0.0.0.0", "open": True}, {"api_keys": KEYS}):
        assert allowed(**settings).allows(name), settings


@pytest.mark.parametrize("name", FOREIGN)
def test_other_names_are_foreign_without_keys(name: str) -> None:
    assert not allowed().allows(name)
    assert not allowed(allowed_hosts="a.example", api_keys=KEYS).allows(name), "the setting holds with keys too"
    assert allowed(api_keys=KEYS).allows(name)
    assert allowed(allowed_hosts="*").allows(name)


def test_listed_names_are_allowed() -> None:
    hosts = allowed(allowed_hosts="gpu.example.com:8000, *.Lab.example, b., [::1]", trusted_origins="https://c.example")
    for name in ("gpu.example.com", "x.lab.example", "x.y.lab.example", "b", "c.example"):
        assert hosts.allows(name), name
    for name in ("example.com", "lab.example", "evillab.example", "a.gpu.example.com", "a.c.example"):
        assert not hosts.allows(name), name


def test_names_of_the_local_network_are_allowed_where_it_can_reach_the_service() -> None:
    near = allowed(host="0.0.0.0", open=True)
    assert all(near.allows(name) for name in ("gpubox", "segsort", "gpubox.local"))
    assert not any(near.allows(name) for name in ("evil.example", "a.gpubox", "local.evil.example"))
    for other in (allowed(), allowed(host="0.0.0.0", open=True, allowed_hosts="a.example")):
        assert not other.allows("gpubox")


@pytest.mark.parametrize(
    "entry", ["http://a.example", "a b", "a/b", "*", "*.", "a.*.example", "ä.example", "[::1", ":80"]
)
def test_an_entry_that_is_no_name_ends_the_start(entry: str) -> None:
    if entry == "*":
        assert allowed(allowed_hosts=f"a.example, {entry}").any_name
        return
    with pytest.raises(ValueError, match=r"SEGSORT_ALLOWED_HOSTS.*\*\.example\.com"):
        allowed(allowed_hosts=f"a.example, {entry}")
