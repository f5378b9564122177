"""The service with its images in object storage: a server of S3 that answers, is slow, or is gone."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.records.objects.store import ObjectStore
from service.settings import Settings
from tests.service.conftest import encoded
from tests.service.s3_server import BUCKET, KEY, SECRET, S3Server, s3_server


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as found:
        yield found


@pytest.fixture
def prefix() -> str:
    """Of the files of a test."""
    return f"{uuid4().hex}/images"


@pytest.fixture
def replica(
    server: S3Server, prefix: str, start: Callable[..., TestClient], settings: Settings
) -> Callable[..., TestClient]:
    """Makes clients of services over one database and one bucket."""
    database = f"sqlite:///{settings.data_dir / 'segsort.sqlite'}"

    def make(name: str, **changes: object) -> TestClient:
        shared = {
            "database_url": database,
            "images_url": f"s3://{BUCKET}/{prefix}",
            "images_cache_mb": 0,
        }
        return start(data_dir=settings.data_dir / name, **(shared | changes))

    return make


def store_of(client: TestClient) -> ObjectStore:
    store: ObjectStore = client.app.state.engine.records.images.objects.store  # type: ignore[attr-defined]
    return store


@contextmanager
def impatient(client: TestClient) -> Iterator[None]:
    """Let calls to the store of a service take 3 seconds at most while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_of(client), "_timeout", 3.0)
        yield


def test_images_of_answers_and_exemplars_are_in_the_bucket_and_every_replica_shows_them(
    replica: Callable[..., TestClient], server: S3Server, prefix: str, photo: bytes
) -> None:
    with replica("a") as a, replica("b") as b:
        answer = a.post("/segment", content=photo).raise_for_status().json()
        assert len(server.names(prefix)) == 1
        assert b.get(answer["image_url"]).content == photo
        assert b.get(f"{answer['image_url']}?size=64").status_code == 200
        segment = answer["segments"][0]["segment_id"]
        assert b.get(f"/segments/{segment}/crop").status_code == 200
        made = b.post(f"/segments/{segment}/label", json={"class_name": "lava"}).raise_for_status().json()
        assert b.get(f"/exemplars/{made['exemplar']['exemplar_id']}/image").content == photo
        metrics = a.get("/metrics").text
    assert 'segsort_image_store_seconds_count{operation="put"} 1.0' in metrics
    assert "segsort_image_store_up 1.0" in metrics


def test_a_missing_file_is_gone_and_an_unknown_answer_is_not_found(
    replica: Callable[..., TestClient], server: S3Server, prefix: str, photo: bytes
) -> None:
    with replica("a") as client:
        answer = client.post("/segment", content=photo).raise_for_status().json()
        (name,) = server.names(prefix)
        assert answer["image_id"] in name
        ObjectStore(f"s3://{BUCKET}").delete(name)
        gone = client.get(answer["image_url"])
        assert (gone.status_code, "its file is missing" in gone.json()["detail"]) == (410, True)
        assert client.get("/segmentations/0123456789abcdef/image").status_code == 404
        assert client.get(f"/explain/{answer['segments'][0]['segment_id']}").status_code == 200


def test_a_store_that_does_not_answer_costs_its_own_requests_a_503_and_nothing_else(
    replica: Callable[..., TestClient], server: S3Server, photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    other = encoded(np.full((40, 60, 3), 90, np.uint8))
    with replica("a") as client:
        answer = client.post("/segment", content=photo).raise_for_status().json()
        with server.stopped(), impatient(client), ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(client.post, "/segment", content=other) for _ in range(3)]
            waiting += [pool.submit(client.get, answer["image_url"]) for _ in range(3)]
            assert client.get("/livez").status_code == 200
            assert client.get("/readyz").status_code == 200
            assert client.get(f"/explain/{answer['segments'][0]['segment_id']}").status_code == 200
            assert client.get("/segmentations").status_code == 200
            answers = [one.result() for one in waiting]
            answers.append(client.post("/segment", content=other))
            assert "segsort_image_store_up 0.0" in client.get("/metrics").text
        for one in answers:
            assert one.status_code == 503, one.text
            assert int(one.headers["Retry-After"]) >= 1
            assert "image store does not answer" in one.json()["detail"]
        store_of(client)._state._not_before = 0.0  # the pause has ended
        assert client.post("/segment", content=other).status_code == 200
        assert client.get(answer["image_url"]).content == photo
    own = [record.getMessage() for record in caplog.records if record.name.startswith("segsort")]
    assert any("image store" in text for text in own)
    for text in (*own, *(one.text for one in answers)):
        assert SECRET not in text
        assert KEY not in text


def test_a_start_with_a_store_that_cannot_be_used_is_refused_and_says_what_to_do(
    replica: Callable[..., TestClient],
) -> None:
    with pytest.raises(ValueError, match="check SEGSORT_IMAGES_URL"):
        replica("a", images_url="s3://no-such-bucket/images")


def test_a_start_without_the_store_that_has_the_images_is_refused(
    replica: Callable[..., TestClient], photo: bytes
) -> None:
    with replica("a") as client:
        client.post("/segment", content=photo).raise_for_status()
    with pytest.raises(ValueError, match="segsort images move --to database"):
        replica("b", images_url=None)


def test_the_event_loop_does_not_wait_for_the_store(
    replica: Callable[..., TestClient], server: S3Server, photo: bytes
) -> None:
    """Health is answered on the loop of the service while a request waits for the store."""
    with replica("a") as client:
        answer = client.post("/segment", content=photo).raise_for_status().json()
        transport = httpx.ASGITransport(client.app)  # type: ignore[arg-type]

        async def ask() -> list[int]:
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asked:
                waiting = asyncio.create_task(asked.get(answer["image_url"]))
                healthy = []
                while not waiting.done():
                    healthy.append((await asked.get("/livez")).status_code)
                    await asyncio.sleep(0.05)
                return [*healthy, (await waiting).status_code]

        with server.stopped(), impatient(client):
            found = asyncio.run(ask())
    assert found[-1] == 503
    assert len(found) > 5
    assert set(found[:-1]) == {200}
