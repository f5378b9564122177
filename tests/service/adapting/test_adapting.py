"""Adaptations of a running service, with real processes: success, cancellation, and sudden ends."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from benchmarks.running_service import COMMAND, start_service, stop
from model_store.live import LiveExemplars
from model_store.release import Release
from model_store.snapshot_release import write_live
from service.app import create_app
from service.settings import Settings
from tests.conftest import BLOCK_CLASSES, Blocks
from tests.service.conftest import encoded

pytestmark = pytest.mark.timeout(900)  # processes that load torch, one after another

TRAIN = Blocks("train", count=4)
PATIENCE = 240.0  # seconds; the child has a low priority, and machines may be busy
QUICK = {"fit": "none", "budget_s": 1}


@pytest.fixture(autouse=True)
def usual_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, a process of low priority would take too long."""
    monkeypatch.setenv("SEGSORT_ADAPT_NICE", "0")


def wait_for(holds: Callable[[], object]) -> None:
    """Wait for a condition, with pauses that do not slow the service down."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"the condition is still false after {PATIENCE:g} s"
        time.sleep(0.3)


class Service:
    """A running service and a client of it."""

    def __init__(self, data: Path, release: Path) -> None:
        self.data = data
        self.process, address = start_service(data, "--release", str(release), patience=180)
        self.client = httpx.Client(base_url=address, timeout=60)

    def ask(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        response = self.client.request(method, path, **request)
        assert response.status_code == status, response.text
        return response.json()

    def job(self, job_id: str) -> dict[str, Any]:
        return self.ask("GET", f"/jobs/{job_id}")

    def adapt(self, **body: Any) -> dict[str, Any]:
        return self.ask("POST", "/adapt", 202, json=QUICK | body)

    def wait_for_stage(self, job_id: str, *stages: str) -> None:
        def reached() -> bool:
            job = self.job(job_id)
            assert job["state"] != "running" or job["stage"] != "queued", job
            return job["stage"] in stages or job["ended"] is not None

        wait_for(reached)
        assert self.job(job_id)["state"] == "running", self.job(job_id)

    def ended(self, job_id: str) -> dict[str, Any]:
        wait_for(lambda: self.job(job_id)["ended"])
        return self.job(job_id)

    def teach(self, number: int) -> dict[str, Any]:
        """Mark each block of an image with a short stroke: the answer before, and what the strokes gave."""
        sample = TRAIN[number]
        answer = self.ask("POST", "/segment", content=encoded(sample.image))
        strokes = [
            {
                "class_name": BLOCK_CLASSES[sample.labels[24 * y + 12, 24 * x + 12]].name,
                "points": [[24 * x + 6, 24 * y + 8], [24 * x + 18, 24 * y + 16]],
                "width": 3,
            }
            for y in range(3)
            for x in range(4)
        ]
        self.ask("POST", "/exemplars", 201, json={"segmentation_id": answer["segmentation_id"], "strokes": strokes})
        return answer

    @property
    def leftovers(self) -> list[Path]:
        """What jobs left in the data folder."""
        return [*self.data.glob("adapting/*"), *self.data.glob("releases/.*")]


@contextmanager
def running(data: Path, release: Path) -> Iterator[Service]:
    service = Service(data, release)
    try:
        yield service
    finally:
        service.client.close()
        stop(service.process)


def processes_of(job_id: str) -> list[str]:
    """Command lines of the processes that work in the folder of a job."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # the process has just ended
            continue
        if f"adapting/{job_id}" in command:
            found.append(command)
    return found


def test_the_new_release_is_served_with_every_edit_and_old_answers_stay_explained(tmp_path: Path, blank: Path) -> None:
    with running(tmp_path, blank) as service:
        answers = [service.teach(number) for number in range(3)]
        old = service.ask("POST", "/segment", content=encoded(TRAIN[0].image))
        why = service.ask("GET", f"/explain/{old['segments'][0]['segment_id']}")
        started = service.adapt(name="taught", activate="always", reason="enough marks")
        job_id = started["job_id"]
        assert (started["state"], started["release"], started["reason"]) == ("queued", "blank", "enough marks")
        refused = service.client.post("/adapt", json={})
        assert refused.status_code == 409
        assert refused.json()["received"]["job_id"] == job_id
        assert refused.headers["location"] == f"/jobs/{job_id}"
        service.wait_for_stage(job_id, "features", "head", "calibration", "exemplars")

        # while it runs: requests are answered, and edits are made
        assert processes_of(job_id)
        service.teach(3)
        made = service.ask("POST", "/classes", 201, json={"name": "lava", "color": "#102030"})
        removed = service.ask("GET", "/exemplars?query=picture&limit=500")["exemplars"][-1]["exemplar_id"]
        service.ask("DELETE", f"/exemplars/{removed}")
        count = service.ask("GET", "/readyz")["exemplars"]
        assert not {"taught"} & {one["name"] for one in service.ask("GET", "/releases")} or service.job(job_id)["ended"]
        progress, failures = list[float](), list[int]()
        while not (job := service.job(job_id))["ended"]:
            progress.append(job["progress"])
            time.sleep(0.2)
            found = service.client.post("/segment", content=encoded(TRAIN[1].image))
            failures += [found.status_code] if found.is_error else []
        assert (job["state"], job["stage"]) == ("succeeded", "activation"), job
        assert (job["done"], job["total"], job["progress"]) == (1, 1, 1.0)
        assert failures == []
        assert progress == sorted(progress)
        assert all(len(str(value)) <= len("0.123456789") for value in progress), progress
        result = job["result"]
        assert (result["release"], result["activated"], result["why_not"]) == ("taught", True, None)
        assert (result["index_revision"], result["carried_over"]) == (3, 3)

        # images that were marked before count as marked, though their exemplars belong to the new release now
        again = service.ask("POST", "/segment", content=encoded(TRAIN[0].image))["image_id"]
        listed = {one["image_id"]: one for one in service.ask("GET", "/segmentations?latest=true&limit=100")}
        assert listed[again]["release"] == "taught"
        assert listed[again]["marked"] > 0
        suggested = service.ask("GET", "/suggestions?limit=20")
        assert suggested["marked"] > 0
        assert again not in {one["image_id"] for one in suggested["suggestions"]}

        ready = service.ask("GET", "/readyz")
        assert (ready["release"], ready["exemplars"]) == ("taught", count)
        offered = {info["name"]: info for info in service.ask("GET", "/classes")}
        assert offered["lava"]["color"] == made["class"]["color"]
        edits = [edit for edit in service.ask("GET", "/edits") if edit["release"] == "taught"]
        assert {edit["kind"] for edit in edits} == {"add", "remove", "class"}
        assert all("carried over" in edit["reason"] for edit in edits)
        Release.open(tmp_path / "releases" / "taught")
        assert service.leftovers == []
        assert processes_of(job_id) == []

        # the old release still explains its answers; the new one answers anew, and is taught further
        again = service.ask("GET", f"/explain/{old['segments'][0]['segment_id']}")
        assert (again["release"], again["vote"], again["flip_set"]) == ("blank", why["vote"], why["flip_set"])
        for answer in answers:
            service.ask("GET", f"/explain/{answer['segments'][0]['segment_id']}")
        new = service.ask("POST", "/segment", content=encoded(TRAIN[0].image))
        assert new["release"] == "taught"
        correct = {BLOCK_CLASSES[label].name for label in range(3)}
        assert {s["class_name"] for s in new["segments"]} <= correct
        body = {"class_name": "lava"}
        service.ask("POST", f"/segments/{new['segments'][0]['segment_id']}/label", 201, json=body)
        assert [one["job_id"] for one in service.ask("GET", "/jobs")] == [job_id]


def test_a_new_release_is_accepted_later_with_the_edits_made_meanwhile(tmp_path: Path, blank: Path) -> None:
    with running(tmp_path, blank) as service:
        for number in range(3):
            service.teach(number)
        job_id = service.adapt(name="later", activate="never")["job_id"]
        assert service.ask("POST", f"/jobs/{job_id}/accept", 409)["allowed"].startswith("a job that has succeeded")
        job = service.ended(job_id)
        assert (job["state"], job["result"]["activated"]) == ("succeeded", False)
        assert job["result"]["images"] == 3
        assert service.ask("GET", "/readyz")["release"] == "blank"

        # edits before the decision: an image is marked, and an exemplar is removed
        service.teach(3)
        removed = service.ask("GET", "/exemplars?query=picture&limit=500")["exemplars"][-1]["exemplar_id"]
        service.ask("DELETE", f"/exemplars/{removed}")
        count = service.ask("GET", "/readyz")["exemplars"]
        (listed,) = (one for one in service.ask("GET", "/releases") if one["name"] == "later")
        assert (listed["parent"], listed["adapted"]["images"]) == ("blank", 3)
        done = service.ask("POST", f"/jobs/{job_id}/accept")
        assert (done["release"], done["before"], done["carried_over"]) == ("later", "blank", 2)
        ready = service.ask("GET", "/readyz")
        assert (ready["release"], ready["exemplars"]) == ("later", count)
        assert service.ask("POST", f"/jobs/{job_id}/accept")["changed"] is False

        # back to the release before, and from a third one nothing is carried over
        service.ask("POST", "/releases/blank/activate")
        assert service.ask("GET", "/readyz")["release"] == "blank"
        service.ask("POST", "/releases/streets/activate")
        assert service.ask("POST", f"/jobs/{job_id}/accept", 409)["received"] == "streets"
        assert service.ask("POST", "/jobs/none/accept", 404)["received"] == "none"


def test_a_cancelled_job_leaves_nothing(tmp_path: Path, blank: Path) -> None:
    with running(tmp_path, blank) as service:
        service.teach(0)
        job_id = service.adapt(name="never")["job_id"]
        wait_for(lambda: processes_of(job_id))
        cancelled = service.ask("POST", f"/jobs/{job_id}/cancel")
        assert (cancelled["state"], cancelled["result"]) == ("cancelled", None)
        assert processes_of(job_id) == []
        wait_for(lambda: service.leftovers == [])
        assert "never" not in {one["name"] for one in service.ask("GET", "/releases")}
        assert service.ask("POST", f"/jobs/{job_id}/cancel", 409)["received"] == "cancelled"
        assert service.ask("GET", "/readyz")["release"] == "blank"

        # one class is not enough: the next job says so
        for info in service.ask("GET", "/classes")[1:]:
            names = [
                e["exemplar_id"] for e in service.ask("GET", f"/exemplars?class_id={info['class_id']}")["exemplars"]
            ]
            service.ask("POST", "/exemplars/remove", json={"exemplar_ids": names})
        failed = service.ended(service.adapt()["job_id"])
        assert failed["state"] == "failed"
        assert "fewer than two classes" in failed["problem"]
        assert service.leftovers == []


def test_a_killed_service_leaves_no_process_and_loses_nothing(tmp_path: Path, blank: Path) -> None:
    service = Service(tmp_path, blank)
    try:
        service.teach(0)
        service.teach(1)
        before = service.ask("GET", "/exemplars?limit=200")
        job_id = service.adapt(name="half")["job_id"]
        service.wait_for_stage(job_id, "features", "head", "calibration", "exemplars")
        assert service.leftovers
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait()
        wait_for(lambda: not processes_of(job_id))
    finally:
        service.client.close()
        stop(service.process)
    with running(tmp_path, blank) as again:
        job = again.job(job_id)
        assert (job["state"], job["result"], job["problem"]) == ("interrupted", None, None)
        assert job["ended"] is not None
        assert again.leftovers == []
        assert "half" not in {one["name"] for one in again.ask("GET", "/releases")}
        assert again.ask("GET", "/exemplars?limit=200") == before
        assert again.ask("GET", "/readyz")["release"] == "blank"

        # a job of a service that ends as asked is interrupted too
        second = again.adapt(name="half")["job_id"]
        wait_for(lambda: processes_of(second))
        again.process.terminate()
        assert again.process.wait(30) == 0
        assert processes_of(second) == []
    with running(tmp_path, blank) as third:
        assert [job["state"] for job in third.ask("GET", "/jobs")] == ["interrupted", "interrupted"]


# Without a second process.


@pytest.fixture
def client(tiny_release: Path, tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(data_dir=tmp_path, release=str(tiny_release), threads=1))) as client:
        yield client


def test_a_release_without_features_cannot_be_adapted(client: TestClient) -> None:
    job_id = client.post("/adapt").raise_for_status().json()["job_id"]
    wait_for(lambda: client.get(f"/jobs/{job_id}").json()["ended"])
    job = client.get(f"/jobs/{job_id}").json()
    assert job["state"] == "failed"
    assert "features.onnx" in job["problem"]
    assert client.get("/readyz").json()["release"] == "tiny"


def test_refusals_say_what_is_allowed(client: TestClient) -> None:
    for body in (
        {"name": "tiny"}, {"name": "../x"}, {"name": ""}, {"fit": "deep"}, {"activate": True}, {"budget_s": 0},
        {"budget_s": 1e9}, {"unknown": 1}, {"reason": "x" * 2000},
    ):  # fmt: skip
        response = client.post("/adapt", json=body)
        assert response.status_code == 422, body
    assert client.get("/jobs/none").status_code == 404
    assert client.post("/jobs/none/cancel").status_code == 404
    assert client.get("/jobs").json() == []


def test_a_database_in_memory_cannot_be_adapted(tiny_release: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, release=str(tiny_release), threads=1, database_url="sqlite://")
    with TestClient(create_app(settings)) as client:
        problem = client.post("/adapt").json()
        assert (problem["status"], problem["received"]) == (409, "sqlite://")


def test_the_name_of_a_release_that_is_gone_is_not_used_again(tiny_release: Path, tmp_path: Path) -> None:
    edited = tmp_path / "releases" / "edited"
    write_live(LiveExemplars.of_release(Release.open(tiny_release)), edited, lambda image_id: b"", "edited")
    settings = Settings(data_dir=tmp_path, release="edited", threads=1)
    with TestClient(create_app(settings)) as client:
        client.post("/classes", json={"name": "lava"}).raise_for_status()
    shutil.rmtree(edited)
    with TestClient(create_app(settings.model_copy(update={"release": str(tiny_release)}))) as client:
        problem = client.post("/adapt", json={"name": "edited"}).json()
        assert (problem["status"], problem["received"]) == (422, "edited")


def test_two_services_over_one_database_adapt_one_at_a_time(
    tiny_release: Path, tmp_path: Path, database_url: str
) -> None:
    settings = Settings(data_dir=tmp_path, release=str(tiny_release), threads=1, database_url=database_url)
    with TestClient(create_app(settings)) as one, TestClient(create_app(settings)) as other:
        for client in (one, other):
            client.get("/jobs").raise_for_status()  # FastAPI prepares a route at its first request
            assert client.post("/adapt", json={"name": ""}).status_code == 422
        statuses = list[int]()

        def begin(client: TestClient) -> None:
            statuses.append(client.post("/adapt", json=QUICK).status_code)

        threads = [threading.Thread(target=begin, args=(client,)) for client in (one, other) * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [202, 409, 409, 409]
        (job,) = other.get("/jobs").json()
        assert one.get("/jobs").json()[0]["job_id"] == job["job_id"]
        cancelled = other.post(f"/jobs/{job['job_id']}/cancel")
        assert cancelled.status_code in (200, 409)  # 409: it has failed already, without features
        wait_for(lambda: one.get(f"/jobs/{job['job_id']}").json()["ended"])
        assert processes_of(job["job_id"]) == []


def test_the_child_ends_as_soon_as_its_standard_input_is_closed(tmp_path: Path, blank: Path) -> None:
    child = subprocess.Popen(
        [str(COMMAND), "adapt", str(blank), "--background", "0"], env={**os.environ, "SEGSORT_DATA_DIR": str(tmp_path)},
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0,
    )  # fmt: skip
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(PATIENCE) == -signal.SIGKILL


def test_the_command_writes_a_release_of_the_present_exemplars(tmp_path: Path, blank: Path) -> None:
    with running(tmp_path, blank) as service:
        for number in range(2):
            service.teach(number)
        alive = service.ask("GET", "/readyz")["exemplars"]
        done = subprocess.run(
            [str(COMMAND), "adapt", str(blank), "--fit", "none", "--budget", "1", "--json", "--progress"],
            env={**os.environ, "SEGSORT_DATA_DIR": str(tmp_path)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        result = httpx.Response(200, text=done.stdout).json()
        assert (result["release"], result["adapted_from"], result["index_revision"]) == ("blank-a2", "blank", 2)
        assert len(Release.open(Path(result["path"])).exemplars) == alive
        stages = [httpx.Response(200, text=line).json()["stage"] for line in done.stderr.splitlines()]
        assert list(dict.fromkeys(stages))[:2] == ["snapshot", "features"]
        assert {"blank-a2"} <= {one["name"] for one in service.ask("GET", "/releases")}
