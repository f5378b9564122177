"""Origins of pages, and proxies, as settings list them."""

from pathlib import Path

import pytest

from service.http.origins import Origins, is_own
from service.settings import Settings


def origins(**settings: str) -> Origins:
    return Origins.of(Settings(data_dir=Path("unused"), **settings))


def test_without_settings_nobody_else_is_trusted() -> None:
    assert origins() == Origins("", (), frozenset(), ())
    assert not origins().trusts("127.0.0.1")


def test_origins_are_compared_as_browsers_send_them() -> None:
    found = origins(
        trusted_origins=" https://A.example/ ,http://b.example:80, http://[::1]:8080,https://c.example:8443,"
    )
    assert found.trusted == {"https://a.example", "http://b.example", "http://[::1]:8080", "https://c.example:8443"}
    assert origins(cors_origins="https://a.example:443").readers == ("https://a.example",)
    assert origins(cors_origins=" * ").readers == ("*",)


@pytest.mark.parametrize(
    "entry",
    ["a.example", "ftp://a.example", "https://", "https://a.example/path", "https://a:b@c", "http://a:port", "*"],
)
def test_what_is_no_origin_ends_the_start_and_names_the_setting(entry: str) -> None:
    with pytest.raises(ValueError, match=r"SEGSORT_TRUSTED_ORIGINS: .* is not the origin of a page"):
        origins(trusted_origins=f"https://a.example, {entry}")


def test_any_origin_stands_alone() -> None:
    with pytest.raises(ValueError, match="SEGSORT_CORS_ORIGINS"):
        origins(cors_origins="*, https://a.example")


def test_proxies_are_addresses_and_networks() -> None:
    found = origins(trusted_proxies="127.0.0.1, 10.1.2.3/8, ::1")
    trusted = ("127.0.0.1", "10.250.0.1", "::1", "::ffff:127.0.0.1")
    assert [found.trusts(client) for client in trusted] == [True] * 4
    assert [found.trusts(client) for client in ("127.0.0.2", "11.0.0.1", "", "testclient", None)] == [False] * 5
    with pytest.raises(ValueError, match="SEGSORT_TRUSTED_PROXIES: 'nginx' is not an IP address or network"):
        origins(trusted_proxies="nginx")


@pytest.mark.parametrize(("given", "path"), [("", ""), ("/", ""), ("/sub", "/sub"), ("/a/b-c_~.1/", "/a/b-c_~.1")])
def test_the_root_path_has_no_slash_at_its_end(given: str, path: str) -> None:
    assert origins(root_path=given).root_path == path


@pytest.mark.parametrize(
    "given", ["sub", "//sub", "/a//b", "/a b", "/a?b", "/../a", "/a/..", "/./a", "/a/.", "/ä", "/<"]
)
def test_a_root_path_that_is_no_path_ends_the_start(given: str) -> None:
    with pytest.raises(ValueError, match="SEGSORT_ROOT_PATH"):
        origins(root_path=given)


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://a.example", "a.example", True),
        ("http://A.example:80", "a.EXAMPLE", True),
        ("https://a.example", "a.example:443", True),
        ("http://a.example:8080", "a.example:8080", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("http://a.example:8080", "a.example", False),
        ("http://a.example", "b.example", False),
        ("https://a.example", "a.example:80", False),
        ("null", "a.example", False),
        ("null", "null", False),
        ("http://a.example", None, False),
        ("http://none", None, False),
        ("http://a.example:port", "a.example:port", False),
        ("http://[", "[", False),
    ],
)
def test_an_origin_is_own_if_host_and_port_are_those_of_the_request(origin: str, host: str | None, own: bool) -> None:
    assert is_own(origin, host) is own
