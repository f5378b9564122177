from pathlib import Path

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


@pytest.mark.parametrize("file", sorted(file for file in STATIC.rglob("*") if file.is_file()), ids=lambda f: f.name)
def test_every_file_of_the_page_has_its_media_type(client: TestClient, file: Path) -> None:
    response = client.get(f"/static/{file.relative_to(STATIC).as_posix()}")
    kind = {".js": "javascript", ".css": "css", ".html": "html", ".svg": "svg"}[file.suffix]
    assert response.content == file.read_bytes()
    assert kind in response.headers["content-type"]
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e/app.py", "..%2fapp.py", "nothing.js", "%00", "", "/etc/passwd"])
def test_files_outside_the_static_folder_are_not_served(client: TestClient, name: str) -> None:
    response = client.get(f"/static/{name}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_bodies_past_the_limit_are_refused_by_every_route(client: TestClient) -> None:
    response = client.post("/exemplars/remove", content=b"x", headers={"content-length": str(10**9)})
    assert response.status_code == 413
    assert "SEGSORT_MAX_BYTES" in response.json()["fix"]
