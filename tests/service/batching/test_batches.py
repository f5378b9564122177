"""POST /segment/batch: an answer or a problem for each image, in order, and limits that name the jobs."""

import socket
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from tests.service.batching.conftest import photos
from tests.service.serving import network_held, serving, wait_until
from tests.service.test_importing import zipped


def form(files: dict[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    """Parts of a form."""
    return [("images", (name, content)) for name, content in files.items()]


@pytest.fixture(params=["form", "zip"])
def send(request: pytest.FixtureRequest) -> Any:
    """Sends files as a form, and as an archive."""

    def post(client: TestClient, files: dict[str, bytes], **query: Any) -> Any:
        body = {"files": form(files)} if request.param == "form" else {"content": zipped(files)}
        return client.post("/segment/batch", params=query, **body)

    return post


def test_each_image_is_answered_in_order_as_by_a_single_request(
    client: TestClient, some_photos: dict[str, bytes], send: Any
) -> None:
    answer = send(client, some_photos, k=3).json()
    assert (answer["succeeded"], answer["failed"]) == (6, 0)
    assert [image["name"] for image in answer["images"]] == list(some_photos)
    for image, content in zip(answer["images"], some_photos.values(), strict=True):
        alone = client.post("/segment", content=content, params={"k": 3}).json()
        assert image["status"] == 200
        assert image["problem"] is None
        assert [s["mask"] for s in image["answer"]["segments"]] == [s["mask"] for s in alone["segments"]]
        assert image["answer"]["image_id"] == alone["image_id"]
        explained = client.get(f"/explain/{image['answer']['segments'][0]['segment_id']}")
        assert explained.status_code == 200


def test_one_bad_image_fails_alone(client: TestClient, photo: bytes, send: Any) -> None:
    answer = send(client, {"a.png": photo, "b.txt": b"text", "c.png": photo[:300], "d.png": photo}).json()
    assert [image["status"] for image in answer["images"]] == [200, 415, 422, 200]
    assert (answer["succeeded"], answer["failed"]) == (2, 2)
    assert answer["images"][1]["answer"] is None
    assert answer["images"][1]["problem"]["fix"]
    assert len(client.get("/segmentations").json()) == 2


def test_too_many_images_and_too_large_bodies_are_sent_to_the_jobs(start: Any, photo: bytes, send: Any) -> None:
    with start(batch_images=3, max_bytes=100_000) as client:
        few = {f"{i}.png": photo for i in range(3)}
        assert send(client, few).status_code == 200
        for files in (few | {"4.png": photo}, {"a.png": bytes(range(256)) * 500, "b.png": photo}):
            answer = send(client, files)
            assert answer.status_code in (200, 413)
            if answer.status_code == 413:
                assert "POST /jobs/segment" in answer.json()["fix"]
        assert send(client, few | {"4.png": photo}).status_code == 413
        body = client.post("/segment/batch", content=bytes(100_001))
        assert body.status_code == 413
        assert "POST /jobs/segment" in body.json()["fix"]


def test_bodies_without_images_are_refused(client: TestClient, photo: bytes) -> None:
    assert client.post("/segment/batch", content=b"").status_code == 415
    assert client.post("/segment/batch", content=photo).status_code == 415
    assert client.post("/segment/batch", content=zipped({})).status_code == 422
    assert client.post("/segment/batch", content=zipped({"a.png": photo}), params={"k": 0}).status_code == 422


def test_each_image_counts_for_the_limits_of_the_caller(start: Any, some_photos: dict[str, bytes], send: Any) -> None:
    with start(images_per_day=8) as client:
        assert send(client, some_photos).json()["succeeded"] == 6
        answer = send(client, some_photos).json()
        assert [image["status"] for image in answer["images"]].count(200) == 2
        refused = [image for image in answer["images"] if image["status"] == 429]
        assert len(refused) == 4
        assert all(image["retry_after"] > 0 for image in refused)
        assert client.post("/segment", content=photos(1)["photo-000.png"]).status_code == 429
    with start(images_per_day=8) as client:
        assert client.post("/jobs/segment", content=zipped(some_photos)).status_code == 202
        assert client.post("/jobs/segment", content=zipped(some_photos)).status_code == 429
        assert send(client, photos(2)).json()["succeeded"] == 2  # what was refused was given back


def test_the_rest_of_a_batch_is_not_segmented_when_the_caller_leaves(settings: Any) -> None:
    app = create_app(settings)
    with serving(app) as address:
        body = zipped(photos(30))
        host, port = address.removeprefix("http://").split(":")
        head = f"POST /segment/batch HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
        admission = app.state.admission
        with network_held(app.state.engine):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(head.encode() + body)
                wait_until(lambda: admission.running)
            wait_until(lambda: admission.length == 0)
        wait_until(lambda: admission.running == 0)
        assert len(httpx.get(f"{address}/segmentations?limit=100", timeout=60).json()) < 5
        assert httpx.post(f"{address}/segment/batch", content=zipped(photos(3)), timeout=60).json()["succeeded"] == 3


def test_files_that_systems_add_to_folders_are_no_images(client: TestClient, photo: bytes) -> None:
    added = {"a/.DS_Store": b"x", "__MACOSX/a/._b.png": b"x", "a/Thumbs.db": b"x", "desktop.ini": b"x"}
    answer = client.post("/segment/batch", content=zipped({"a/b.png": photo, **added})).json()
    assert [image["name"] for image in answer["images"]] == ["a/b.png"]
