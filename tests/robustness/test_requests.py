"""Ids, queries, headers and methods that no caller in his senses sends."""

import hashlib

from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings


def test_a_name_too_long_for_a_file_is_not_found(client: TestClient) -> None:
    assert client.get("/static/" + "a" * 300).status_code == 404
    assert client.get("/static/" + "a/" * 3000).status_code == 404


def test_a_key_that_no_encoding_holds_is_a_wrong_key(settings: Settings) -> None:
    line = f"ann:curator:{hashlib.sha256(b'right').hexdigest()}"
    changed = settings.model_copy(update={"api_keys": line, "database_url": "sqlite://"})
    with TestClient(create_app(changed)) as client:
        for key in (rb'"\ud800"', rb'"\udcff"', rb'"\u0000"', b'"' + b"x" * 1001 + b'"'):
            answer = client.post(
                "/session", content=b'{"key": ' + key + b"}", headers={"Content-Type": "application/json"}
            )
            assert answer.status_code in (401, 422)
        assert client.post("/session", json={"key": "right"}).json()["name"] == "ann"
