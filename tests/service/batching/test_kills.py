"""Jobs of images in processes that are killed: every image is in the result once, and has one answer."""

import io
import json
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.running_service import start_service, stop
from tests.service.batching.conftest import ended, photos
from tests.service.test_importing import zipped

COUNT = 80
pytestmark = pytest.mark.timeout(600)


class Replica:
    """A service in a process of its own, over a database and a data folder that others may use too."""

    def __init__(self, data: Path, release: Path) -> None:
        self._data, self._flags = data, ("--release", str(release))
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start, perhaps again."""
        self.process, address = start_service(self._data, *self._flags)
        self.client = httpx.Client(base_url=address, timeout=60)

    def kill(self) -> None:
        """End the process without any warning."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.client.close()

    def close(self) -> None:
        """Stop the process."""
        self.client.close()
        if self.process is not None:
            stop(self.process)


@contextmanager
def closing(*replicas: Replica) -> Iterator[None]:
    """Stop the replicas after the block."""
    try:
        yield
    finally:
        for replica in replicas:
            replica.close()


@pytest.fixture
def replica(tiny_release: Path, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts services over one database and one data folder."""
    monkeypatch.setenv("SEGSORT_DATABASE_URL", database_url)
    (tmp_path / "data").mkdir()

    def make() -> Replica:
        return Replica(tmp_path / "data", tiny_release)

    return make


def wait_until_done(client: httpx.Client, job_id: str, wanted: int) -> int:
    """Wait until so many images of a job are done, and return how many are."""
    end = time.monotonic() + 60
    while (done := client.get(f"/jobs/{job_id}").json()["done"]) < wanted:
        assert time.monotonic() < end
    return int(done)


def check_once(client: httpx.Client, job_id: str, names: list[str]) -> None:
    """Every image is in the result once, and has one answer of its own, of the job's author."""
    images = client.get(f"/jobs/{job_id}/images", params={"limit": 1000}).json()
    assert [image["name"] for image in images["images"]] == names
    assert (images["done"], images["failed"]) == (len(names), 0)
    with zipfile.ZipFile(io.BytesIO(client.get(f"/jobs/{job_id}/result").content)) as archive:
        document = json.loads(archive.read("annotations/instances_default.json"))
    assert [image["file_name"] for image in document["images"]] == names
    answered = {image["segmentation_id"] for image in images["images"]}
    assert len(answered) == len(names)
    recorded = [one["segmentation_id"] for one in client.get("/segmentations", params={"limit": 1000}).json()]
    assert len(recorded) == len(set(recorded))
    assert answered <= set(recorded)
    by_name = {image["name"]: image["segmentation_id"] for image in images["images"]}
    numbers = {image["id"]: by_name[image["file_name"]] for image in document["images"]}
    segments = [one["segment_id"] for one in document["annotations"]]
    assert len(segments) == len(set(segments)) > len(names)
    for one in document["annotations"]:
        assert one["segment_id"].startswith(numbers[one["image_id"]])


def test_a_job_goes_on_after_kills_with_every_image_once(replica: Callable[[], Replica]) -> None:
    service, files = replica(), photos(COUNT)
    with closing(service):
        job_id = service.client.post("/jobs/segment", content=zipped(files)).json()["job_id"]
        done = 0
        for wanted in (COUNT // 4, COUNT // 2):
            done = max(done, wait_until_done(service.client, job_id, wanted))
            service.kill()
            service.start()
            assert service.client.get(f"/jobs/{job_id}").json()["done"] >= done
        job = ended(service.client, job_id)
        assert (job["state"], job["done"], job["total"]) == ("succeeded", COUNT, COUNT)
        check_once(service.client, job_id, list(files))
        assert len(service.client.get("/segmentations", params={"limit": 1000}).json()) == COUNT


def test_of_two_processes_one_works_on_a_job_and_the_other_takes_it_over(replica: Callable[[], Replica]) -> None:
    first, files = replica(), photos(COUNT)
    second = replica()
    with closing(first, second):
        ids = [first.client.post("/jobs/segment", content=zipped(files)).json()["job_id"]]
        ids += [second.client.post("/jobs/segment", content=zipped(files)).json()["job_id"]]
        wait_until_done(first.client, ids[0], COUNT // 4)
        first.kill()
        for job_id in ids:
            job = ended(second.client, job_id)
            assert (job["state"], job["done"]) == ("succeeded", COUNT)
            check_once(second.client, job_id, list(files))
        assert len(second.client.get("/segmentations", params={"limit": 1000}).json()) == 2 * COUNT


def test_a_job_that_another_process_works_on_can_be_cancelled_here(replica: Callable[[], Replica]) -> None:
    first, second = replica(), replica()
    with closing(first, second):
        job_id = first.client.post("/jobs/segment", content=zipped(photos(400))).json()["job_id"]
        assert second.client.post(f"/jobs/{job_id}/cancel").status_code == 200
        assert ended(second.client, job_id)["state"] == "cancelled"
        first.kill()
        assert second.client.get(f"/jobs/{job_id}").json()["state"] == "cancelled"
        assert second.client.delete(f"/jobs/{job_id}").status_code == 204


def test_uploads_that_a_killed_process_was_receiving_are_removed(
    replica: Callable[[], Replica], tmp_path: Path
) -> None:
    service = replica()
    with closing(service):
        host = service.client.base_url
        head = f"POST /jobs/segment HTTP/1.1\r\nHost: {host.host}\r\nContent-Length: 1000000\r\n\r\n"
        with httpx_socket(host.host, host.port or 80) as connection:
            connection.sendall(head.encode() + b"PK\x03\x04" + bytes(300_000))
            folder = tmp_path / "data" / "jobs"
            end = time.monotonic() + 30
            while not list(folder.glob("*/upload.zip")):
                assert time.monotonic() < end
                time.sleep(0.01)
            service.kill()
        service.start()
        end = time.monotonic() + 30
        while list(folder.glob("*")):
            assert time.monotonic() < end, list(folder.glob("*"))
            time.sleep(0.1)


@contextmanager
def httpx_socket(host: str, port: int) -> Iterator[Any]:
    """A connection over which a test writes bytes."""
    import socket

    connection = socket.create_connection((host, port))
    try:
        yield connection
    finally:
        connection.close()
