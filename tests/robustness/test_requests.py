"""Ids, queries, headers and methods that no caller in his senses sends."""

from fastapi.testclient import TestClient


def test_a_name_too_long_for_a_file_is_not_found(client: TestClient) -> None:
    assert client.get("/static/" + "a" * 300).status_code == 404
    assert client.get("/static/" + "a/" * 3000).status_code == 404
