import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from service.routes.pages import STATIC


def test_the_page_has_a_content_security_policy_and_is_revalidated_by_etag(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert page.headers["cache-control"] == "no-cache"
    again = client.get("/", headers={"if-none-match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


FILES = sorted(file for file in STATIC.rglob("*") if file.is_file() and file.suffix != ".md")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_of_the_page_has_its_media_type(client: TestClient, file: Path) -> None:
    response = client.get(f"/static/{file.relative_to(STATIC).as_posix()}")
    kind = {".js": "javascript"}.get(file.suffix, file.suffix[1:])
    assert response.content == file.read_bytes()
    assert kind in response.headers["content-type"]
    assert response.headers["x-content-type-options"] == "nosniff"


def named(client: TestClient, page: str) -> list[str]:
    """The paths of the files that a page names."""
    links = re.findall(r'(?:href|src)="((?:static|docs)/[^"]+)"', client.get(page).text)
    return [urljoin(page, link) for link in links]


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_every_file_that_a_page_names_is_kept_for_a_year_and_compressed(client: TestClient, page: str) -> None:
    paths = named(client, page)
    assert 3 <= len(paths) <= 4
    for path in paths:
        plain = client.get(path, headers={"accept-encoding": "identity"})
        packed = client.get(path, headers={"accept-encoding": "gzip"})
        assert packed.status_code == plain.status_code == 200
        assert packed.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert packed.content == plain.content
        assert packed.headers["content-security-policy"].startswith("default-src 'self'")
        if len(plain.content) > 1000:
            assert packed.headers["content-encoding"] == "gzip"
            assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
            assert int(packed.headers["content-length"]) < len(plain.content) / 3
        again = client.get(path, headers={"if-none-match": packed.headers["etag"], "accept-encoding": "gzip"})
        assert (again.status_code, again.content) == (304, b"")
        head = client.head(path, headers={"accept-encoding": "gzip"})
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == packed.headers["content-length"]


def test_the_first_visit_loads_few_bytes(client: TestClient) -> None:
    """At 200 KB/s, this many bytes take 0.75 s; `python -m benchmarks.page_load` measures the time."""
    answers = [client.head(path, headers={"accept-encoding": "gzip"}) for path in ["/", *named(client, "/")]]
    assert sum(int(answer.headers["content-length"]) for answer in answers) < 150_000


def test_the_script_of_the_page_holds_every_script_that_runs(client: TestClient) -> None:
    (script,) = (path for path in named(client, "/") if path.endswith(".js"))
    text = client.get(script).text
    for path in STATIC.rglob("*.js"):
        names = re.findall(r"^(?:export )?(?:async )?(?:function|class|const) (\w+)", path.read_text(), re.MULTILINE)
        if path.name != "docs.js":  # the script of /docs
            assert not [name for name in names if not re.search(rf"(?:function|class|const) {name}\b", text)], path


def test_an_address_of_an_earlier_release_gives_the_present_file(client: TestClient) -> None:
    (script,) = (path for path in named(client, "/") if path.endswith(".js"))
    old = re.sub(r"\.[0-9a-f]{12}\.", ".0123456789ab.", script)
    answer = client.get(old)
    assert answer.content == client.get(script).content
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e/app.py", "..%2fapp.py", "nothing.js", "%00", "", "/etc/passwd"])
def test_files_outside_the_static_folder_are_not_served(client: TestClient, name: str) -> None:
    response = client.get(f"/static/{name}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_bodies_past_the_limit_are_refused_by_every_route(client: TestClient) -> None:
    response = client.post("/exemplars/remove", content=b"x", headers={"content-length": str(10**9)})
    assert response.status_code == 413
    assert "SEGSORT_MAX_BYTES" in response.json()["fix"]
