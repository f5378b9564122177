"""The address that the caller used, behind a proxy."""

from collections.abc import Callable
from ipaddress import ip_network

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from fastapi.testclient import TestClient

from service.answering.links import image_url
from service.http.identified import client_address
from service.http.origins import Origins
from service.http.proxied import Proxied, path_below_root


def client(root_path: str = "", proxies: tuple[str, ...] = (), peer: str = "10.0.0.7") -> TestClient:
    app = FastAPI()
    networks = tuple(map(ip_network, proxies))
    app.add_middleware(Proxied, origins=Origins(root_path, networks, frozenset(), ()))

    @app.get("/seen/{name}")
    def seen(request: Request) -> dict[str, str]:  # in another thread than the middleware
        below = path_below_root(request.scope)
        return {"scheme": request.url.scheme, "host": request.headers["host"], "below": below, "url": image_url("x")}

    @app.get("/address")
    def address(request: Request) -> str:
        return client_address(request.scope)

    @app.get("/go")
    def go(to: str) -> RedirectResponse:
        return RedirectResponse(to)

    return TestClient(app, client=(peer, 1), follow_redirects=False)


@pytest.mark.parametrize("path", ["/seen/a", "/sub/seen/a"])
def test_the_root_path_may_be_removed_or_kept(path: str) -> None:
    found = client("/sub").get(path).json()
    assert (found["below"], found["url"]) == ("/seen/a", "/sub/segmentations/x/image")


def test_without_a_root_path_urls_begin_at_the_root() -> None:
    found = client().get("/seen/sub").json()
    assert (found["below"], found["url"]) == ("/seen/sub", "/segmentations/x/image")
    assert client("/see").get("/seen/a").json()["below"] == "/seen/a", "a root path ends at a slash"
    assert client().get("/sub/seen/a").status_code == 404


FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example:8443, inner"}


def test_headers_of_a_trusted_proxy_give_scheme_and_host() -> None:
    found = client(proxies=("10.0.0.0/8",)).get("/seen/a", headers=FORWARDED).json()
    assert (found["scheme"], found["host"]) == ("https", "a.example:8443")
    odd = client(proxies=("10.0.0.0/8",)).get("/seen/a", headers={"X-Forwarded-Proto": "javascript"}).json()
    assert (odd["scheme"], odd["host"]) == ("http", "testserver")


@pytest.mark.parametrize(("proxies", "peer"), [((), "10.0.0.7"), (("10.0.0.0/8",), "11.0.0.7"), ((), "127.0.0.1")])
def test_headers_of_others_do_not_count(proxies: tuple[str, ...], peer: str) -> None:
    found = client(proxies=proxies, peer=peer).get("/seen/a", headers=FORWARDED).json()
    assert (found["scheme"], found["host"]) == ("http", "testserver")


@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("http://testserver/a?b=c#d", "/a?b=c#d"),
        ("http://testserver//evil.example/a", "/evil.example/a"),
        ("/a", "/a"),
        ("http://testserver", "/"),
    ],
)
def test_redirects_name_no_host(to: str, location: str) -> None:
    assert client().get("/go", params={"to": to}).headers["location"] == location


def test_a_slash_at_the_end_is_redirected_below_the_root_path() -> None:
    for path in ("/sub/go/", "/go/"):
        assert client("/sub").get(path).headers["location"] == "/sub/go"


def test_a_root_path_that_looks_like_a_route_ends_the_start(start: Callable[..., TestClient]) -> None:
    for path in ("/docs", "/segment/a", "/openapi.json"):
        with pytest.raises(ValueError, match="begins like a path of the service"):
            start(root_path=path)


def test_probes_below_the_root_path_are_answered_during_shutdown(start: Callable[..., TestClient]) -> None:
    with start(root_path="/sub") as service:
        service.app.state.readiness.draining = True  # type: ignore[attr-defined]
        assert service.get("/sub/livez").status_code == service.get("/livez").status_code == 200
        assert service.get("/sub/classes").status_code == 503


@pytest.mark.parametrize(
    ("forwarded", "found"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("6.6.6.6, 192.0.2.7", "192.0.2.7"),
        ("6.6.6.6, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("192.0.2.7:8080", "192.0.2.7"),
        ("[2001:db8::1]:8080", "2001:db8::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("unknown", "10.0.0.7"),
        ("6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
        ("6.6.6.6, <script>", "10.0.0.7"),
        ("", "10.0.0.7"),
        (",,,", "10.0.0.7"),
        ("1" * 5000, "10.0.0.7"),
    ],
    ids=range(13),
)
def test_the_address_of_a_client_is_the_last_that_no_trusted_proxy_has(forwarded: str, found: str) -> None:
    headers = {"X-Forwarded-For": forwarded}
    assert client(proxies=("10.0.0.0/8",)).get("/address", headers=headers).json() == found
    assert client().get("/address", headers=headers).json() == "10.0.0.7", "nobody is trusted"
