"""Requests that Label Studio 1.23.2 sent, recorded from a project with an uploaded image of blocks, sent again."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.label_studio.studio import Studio, mask_of, photo, studio
from tests.service.conftest import encoded

RECORDED = Path(__file__).parent / "recorded_requests"
TOKEN = "a legacy token"


def recorded(name: str) -> dict[str, Any]:
    """The body of a request."""
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return found


class Uploads(BaseHTTPRequestHandler):
    """The uploads of Label Studio, for members only, and no API beside them."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        allowed = self.headers.get("Authorization") == f"Token {TOKEN}"
        content = encoded(photo()) if allowed and self.path.startswith("/data/upload/") else b""
        self.send_response(200 if content else 404 if allowed else 401)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def uploads() -> Iterator[tuple[str, list[str]]]:
    """The address of a server of uploads, and the paths that it was asked for."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Asked", (Uploads,), {"asked": asked}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def label_studio(service: str, uploads: tuple[str, list[str]], tmp_path: Path) -> Iterator[Studio]:
    with studio(service, tmp_path / "backend", label_studio=uploads[0], api_key=TOKEN) as found:
        assert found.backend.post("/setup", json=recorded("setup")).status_code == 200
        yield found


def test_an_upload_is_predicted_and_read_with_the_token_once(
    label_studio: Studio, uploads: tuple[str, list[str]]
) -> None:
    for _ in range(2):
        answer = label_studio.backend.post("/predict", json=recorded("predict"))
        assert answer.status_code == 200, answer.text
        (found,) = answer.json()["results"]
        assert len(found["result"]) > 2
    assert uploads[1] == [recorded("predict")["tasks"][0]["data"]["image"]]


def test_an_annotation_is_taught_changed_and_deleted(label_studio: Studio) -> None:
    def send(name: str) -> list[str]:
        """Send a webhook; returns the reasons of the edits that are then in effect."""
        assert label_studio.backend.post("/webhook", json=recorded(name)).status_code == 201
        label_studio.settled()
        made = [one for one in label_studio.edits() if one["kind"] == "mark" and one["reverted_by"] is None]
        return [one["reason"].split(" [")[0] for one in made]

    assert send("annotation_created") == ["Label Studio task 1, annotation 1, user 1"]
    assert send("annotation_created") == ["Label Studio task 1, annotation 1, user 1"], "the same version again"
    assert send("annotation_updated") == [], "it became the region that was predicted"
    assert send("annotations_deleted") == []
    (again,) = send("annotation_created_again")
    assert again.startswith("Label Studio task 1, annotation ")
    label_studio.backend.post("/webhook", json=recorded("tasks_deleted"))
    label_studio.settled()


def test_deleting_a_task_takes_back_what_its_annotations_taught(label_studio: Studio) -> None:
    label_studio.backend.post("/webhook", json=recorded("annotation_created"))
    label_studio.settled()
    assert len(label_studio.edits()) == 1
    label_studio.backend.post("/webhook", json=recorded("tasks_deleted"))
    label_studio.settled()
    assert label_studio.edits()[0]["reverts"] == label_studio.edits()[1]["revision"]


def test_a_smart_key_point_gives_a_region_of_its_label(label_studio: Studio) -> None:
    body = recorded("interactive")
    (found,) = label_studio.backend.post("/predict", json=body).json()["results"][0]["result"]
    click = body["params"]["context"]["result"][0]["value"]
    assert found["value"]["brushlabels"] == click["keypointlabels"] == ["Sea"]
    assert mask_of(found)[int(click["y"] * 0.72), int(click["x"] * 0.96)]


def test_start_training_without_an_api_is_answered_and_logged(label_studio: Studio) -> None:
    assert label_studio.backend.post("/webhook", json=recorded("start_training")).status_code == 201


def test_without_a_token_the_error_says_what_is_missing(
    service: str, uploads: tuple[str, list[str]], tmp_path: Path
) -> None:
    with studio(service, tmp_path / "backend", label_studio=uploads[0]) as found:
        answer = found.backend.post("/predict", json=recorded("predict"))
    assert answer.status_code == 424
    assert "--api-key" in answer.json()["error"]


def test_without_an_address_the_server_and_the_token_of_the_setup_are_used(
    service: str, uploads: tuple[str, list[str]], tmp_path: Path
) -> None:
    with studio(service, tmp_path / "backend") as found:
        body = recorded("setup") | {"hostname": uploads[0], "access_token": TOKEN}
        assert found.backend.post("/setup", json=body).status_code == 200
        assert found.backend.post("/predict", json=recorded("predict")).json()["results"][0]["result"]
