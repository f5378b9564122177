"""The service below a path of a proxy: every address leads back through the proxy, and its own page may edit."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urljoin

import httpx
import pytest

from service.app import create_app
from service.http.keys import new_key
from service.settings import Settings
from tests.service.proxying import Publishing, nginx, small_proxy
from tests.service.serving import serving

PROXIES = pytest.mark.parametrize("proxy", [small_proxy, nginx])
Proxy = Callable[[str, Publishing], AbstractContextManager[str]]
Publish = Callable[..., AbstractContextManager[str]]
LINK = re.compile(r'(?:href|src)="([^"#]+)"')


@pytest.fixture
def publish(settings: Settings) -> Publish:
    """Serves the app with some settings changed behind a proxy; the address of the proxy."""

    @contextmanager
    def publish(proxy: Proxy, how: Publishing, **changes: object) -> Iterator[str]:
        app = create_app(settings.model_copy(update={"root_path": how.path, **changes}))
        with serving(app) as service, proxy(service, how) as address:
            yield address

    return publish


def links(address: str, page: str) -> set[str]:
    """The addresses that a page names, resolved as a browser does."""
    return {urljoin(address, link) for link in LINK.findall(page)}


@PROXIES
@pytest.mark.parametrize("strips", [True, False], ids=["path removed", "path kept"])
def test_every_address_leads_back_through_the_proxy(publish: Publish, proxy: Proxy, strips: bool, photo: bytes) -> None:
    with publish(proxy, Publishing(strips=strips)) as address, httpx.Client(base_url=address, timeout=60) as client:
        first = client.post("/sub/segment", content=photo).raise_for_status().json()
        second = client.post("/sub/segment", content=b"\n".join([photo, b""])).raise_for_status().json()
        segment = second["segments"][0]["segment_id"]
        pages = {"/sub/": client.get("/sub/"), "/sub/docs": client.get("/sub/docs")}
        pages[f"/sub/explain/{segment}"] = client.get(f"/sub/explain/{segment}", headers={"accept": "text/html"})
        found = set().union(*(links(f"{address}{path}", page.raise_for_status().text) for path, page in pages.items()))
        assert any(re.fullmatch(rf"{address}/sub/static/pages/app\.[0-9a-f]{{12}}\.js", one) for one in found)
        assert f"{address}/sub/openapi.json" in found
        assert f"{address}/sub/explain/{first['segments'][0]['segment_id']}"[:60] in {one[:60] for one in found}
        explained = client.get(f"/sub/explain/{segment}").json()
        exemplar = client.get("/sub/exemplars?limit=1").json()["exemplars"][0]
        answered = [first["image_url"], explained["image_url"], explained["crop_url"], exemplar["image_url"]]
        answered += [exemplar["crop_url"], explained["similar"][0]["crop_url"], explained["exemplars"][0]["crop_url"]]
        answered += [client.get("/sub/segmentations").json()[0]["image_url"]]
        assert all(path.startswith("/sub/") for path in answered)
        assert explained["label_url"] == f"/sub/segments/{segment}/label"
        for one in found | {urljoin(address, path) for path in answered}:
            assert client.get(one).status_code == 200, one
        assert client.get(first["image_url"]).content == photo
        assert client.get("/sub/openapi.json").json()["servers"] == [{"url": "/sub"}]


@PROXIES
@pytest.mark.parametrize("strips", [True, False], ids=["path removed", "path kept"])
def test_redirects_and_cookies_stay_below_the_path(publish: Publish, proxy: Proxy, strips: bool) -> None:
    key, line = new_key("anna", "curator")
    how = Publishing(strips=strips, port_in_host=False)
    with publish(proxy, how, api_keys=line.line) as address, httpx.Client(base_url=address, timeout=60) as client:
        moved = client.get("/sub/docs/", headers={"x-api-key": key})
        assert (moved.status_code, moved.headers["location"]) == (307, "/sub/docs")
        signed_in = client.post("/sub/session", json={"key": key})
        assert "path=/sub;" in signed_in.headers["set-cookie"].lower() + ";"
        assert client.get("/sub/me").json()["name"] == "anna"
        client.delete("/sub/session")
        assert client.get("/sub/me").status_code == 401


LOSES_PORT = Publishing(port_in_host=False)
NAMES_HOST = Publishing(port_in_host=False, headers={"X-Forwarded-Host": "{host}"})


@PROXIES
@pytest.mark.parametrize(
    ("how", "changes", "status"),
    [
        pytest.param(Publishing(), {}, 201, id="host kept"),
        pytest.param(LOSES_PORT, {}, 403, id="port lost"),
        pytest.param(LOSES_PORT, {"trusted_origins": "https://a.example, http://Here.example:81/"}, 201, id="trusted"),
        pytest.param(LOSES_PORT, {"trusted_origins": "https://a.example"}, 403, id="another trusted"),
        pytest.param(NAMES_HOST, {}, 403, id="proxy not trusted"),
        pytest.param(NAMES_HOST, {"trusted_proxies": "10.0.0.0/8, 127.0.0.1"}, 201, id="proxy trusted"),
        pytest.param(NAMES_HOST, {"trusted_proxies": "10.0.0.0/8"}, 403, id="another proxy trusted"),
    ],
)
def test_the_page_behind_a_proxy_may_edit(
    publish: Publish, proxy: Proxy, how: Publishing, changes: dict[str, str], status: int
) -> None:
    """A browser sends no Sec-Fetch-Site to a host without TLS, so that only Origin and Host can be compared."""
    with publish(proxy, how, allowed_hosts="here.example", **changes) as address:

        def edit(name: str, origin: str) -> httpx.Response:
            headers = {"Host": "here.example:81", "Origin": origin}
            return httpx.post(f"{address}/sub/classes", json={"name": name}, headers=headers, timeout=60)

        made = edit("fog", "http://here.example:81")
        assert made.status_code == status, made.text
        assert status == 201 or "SEGSORT_TRUSTED_ORIGINS" in made.json()["fix"]
        assert edit("mist", "http://there.example").status_code == 403
