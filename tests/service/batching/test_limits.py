"""Jobs of images at their limits: of number, size, age and room, of keys, and beside another release."""

import errno
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.answering.engine import Engine, Recording
from service.answering.limits import SegmentRequest
from service.app import create_app
from service.batching import work, workers
from service.batching.answer_files import AnswerFiles
from service.batching.one_image import answer_id
from service.batching.segment_jobs import SegmentJobs
from service.records.job_images import JobImages
from service.records.jobs import Job
from service.settings import Settings
from tests.service.batching.conftest import ended, photos, sent
from tests.service.conftest import encoded
from tests.service.http.test_access import ANNA, BO, BOTH, bearer
from tests.service.serving import network_held, wait_until
from tests.service.test_importing import zipped


def test_jobs_past_their_number_and_images_past_theirs_are_refused(start: Any, some_photos: dict[str, bytes]) -> None:
    with start(jobs_at_once=1, job_images=6, job_pixels=6 * 96 * 72, job_bytes=1_000_000) as client:
        with network_held(engine_of(client)):
            job = sent(client, some_photos)
            busy = client.post("/jobs/segment", content=zipped(some_photos))
            assert busy.status_code == 429
            assert int(busy.headers["Retry-After"]) > 0
        assert ended(client, job["job_id"])["state"] == "succeeded"
        seven = some_photos | {"seven.png": some_photos["photo-000.png"]}
        assert client.post("/jobs/segment", content=zipped(seven)).status_code == 413
        files = [("images", (name, content)) for name, content in seven.items()]
        assert client.post("/jobs/segment", files=files).status_code == 413
        large = {**dict(list(some_photos.items())[:5]), "x.png": encoded(np.zeros((100, 96, 3), dtype=np.uint8))}
        answer = client.post("/jobs/segment", content=zipped(large))
        assert answer.status_code == 413
        assert "pixels" in answer.json()["detail"]
        assert client.post("/jobs/segment", content=os.urandom(1_000_001)).status_code == 413
        assert client.post("/jobs/segment", content=iter([os.urandom(600_000)] * 2)).status_code == 413
        assert [path.name for path in folder_of(client).iterdir() if path.is_dir()] == [job["job_id"]]


def test_old_results_are_deleted_by_age_and_by_size_and_their_jobs_say_so(
    start: Any, some_photos: dict[str, bytes]
) -> None:
    with start(jobs_days=1) as client:
        jobs = jobs_of(client)
        ids = [sent(client, some_photos)["job_id"] for _ in range(3)]
        for job_id in ids:
            ended(client, job_id)
        wait_until(lambda: not jobs.workers.working_on)
        assert {path.name for path in folder_of(client).iterdir()} == set(ids)
        assert [file.name for file in (folder_of(client) / ids[0]).iterdir()] != []
        assert not (folder_of(client) / ids[0] / "upload.zip").exists()
        old = time.time() - 2 * 86_400
        os.utime(folder_of(client) / ids[0], (old, old))
        os.utime(folder_of(client) / ids[1], (time.time() - 100, time.time() - 100))
        jobs.tidy()
        assert client.get(f"/jobs/{ids[0]}/result").status_code == 410
        assert client.get(f"/jobs/{ids[0]}/images").status_code == 410
        assert client.get(f"/jobs/{ids[0]}").json()["state"] == "succeeded"
        assert client.get(f"/jobs/{ids[1]}/result").status_code == 200
        jobs.tidy(needed=20_000 * 1_000_000 - jobs.used + 1)
        left = [job_id for job_id in ids if client.get(f"/jobs/{job_id}/result").status_code == 200]
        assert left == ids[2:]
        assert "segsort_job_results_deleted_total 2.0" in client.get("/metrics").text
        assert 'segsort_job_images_total{outcome="done"} 18.0' in client.get("/metrics").text


def test_without_room_on_disk_a_job_is_refused_before_it_is_read(start: Any, some_photos: dict[str, bytes]) -> None:
    with start(jobs_mb=1) as client:
        answer = client.post("/jobs/segment", content=os.urandom(1_100_000))
        assert answer.status_code == 507
        answer = client.post("/jobs/segment", content=iter([os.urandom(600_000)] * 2))  # without a declared size
        assert answer.status_code == 507
        assert ended(client, sent(client, some_photos)["job_id"])["state"] == "succeeded"
    with start(reserve_mb=10**9) as client:
        assert client.post("/jobs/segment", content=zipped(some_photos)).status_code == 507


def test_a_job_waits_for_room_in_the_database_and_says_so(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with start() as client:
        room = engine_of(client).records.room
        with network_held(engine_of(client)):
            job = sent(client, photos(4))
            wait_until(lambda: jobs_of(client).workers.inside)
            monkeypatch.setattr(room, "limits", room.limits._replace(quota=1))
        wait_until(lambda: client.get(f"/jobs/{job['job_id']}").json()["problem"])
        waiting = client.get(f"/jobs/{job['job_id']}").json()
        assert "no room" in waiting["problem"]
        assert waiting["state"] == "running"
        monkeypatch.undo()
        done = ended(client, job["job_id"])
        assert (done["state"], done["problem"], done["result"]["images"]) == ("succeeded", None, 4)


def test_one_key_has_half_of_the_jobs_at_most(start: Any, some_photos: dict[str, bytes]) -> None:
    with start(api_keys=BOTH, jobs_at_once=4) as client, network_held(engine_of(client)):
        body = zipped(some_photos)
        statuses = [client.post("/jobs/segment", content=body, headers=bearer(BO)).status_code for _ in range(3)]
        assert statuses == [202, 202, 429]
        assert client.post("/jobs/segment", content=body, headers=bearer(ANNA)).status_code == 202


def test_keys_with_jobs_take_turns_image_by_image(start: Any) -> None:
    with start(api_keys=BOTH, at_once=1) as client:
        with network_held(engine_of(client)):
            large = client.post("/jobs/segment", content=zipped(photos(60)), headers=bearer(BO)).json()["job_id"]
            small = client.post("/jobs/segment", content=zipped(photos(6)), headers=bearer(ANNA)).json()["job_id"]
        client.headers.update(bearer(ANNA))
        for job in (small, large):
            assert ended(client, job)["state"] == "succeeded"
        images = client.get(f"/jobs/{small}/images", params={"limit": 100}).json()["images"]
        answers = client.get("/segmentations", params={"limit": 100}).json()[::-1]  # the oldest first
        place = {answer["segmentation_id"]: number for number, answer in enumerate(answers)}
        assert len(place) == 66
        assert max(place[image["segmentation_id"]] for image in images) < 36, "30 of the other job at most"


def test_a_job_that_arrives_during_a_search_for_jobs_begins_after_it(
    settings: Settings, some_photos: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    searching, may_end, search = threading.Event(), threading.Event(), JobImages.under_way

    def slow(images: JobImages) -> list[Job]:
        found = search(images)
        searching.set()
        assert may_end.wait(60)
        return found

    monkeypatch.setattr(workers, "_LOOK_S", 3600.0)  # no other search finds it
    monkeypatch.setattr(JobImages, "under_way", slow)
    with TestClient(create_app(settings)) as client:
        assert searching.wait(60)
        job_id = sent(client, some_photos)["job_id"]
        may_end.set()
        assert ended(client, job_id)["state"] == "succeeded"


def test_an_image_during_which_the_process_ended_three_times_is_given_up(
    settings: Settings, some_photos: dict[str, bytes]
) -> None:
    client = TestClient(create_app(settings))  # before its start, nothing works on jobs
    job_id = sent(client, some_photos)["job_id"]
    images = JobImages(engine_of(client).records.engine)
    assert [images.begin(job_id, 2) for _ in range(3)] == [1, 2, 3]
    with client:
        done = ended(client, job_id)
        assert (done["result"]["images"], done["result"]["failed"]) == (5, 1)
        failed = client.get(f"/jobs/{job_id}/images", params={"state": "failed"}).json()["images"]
        assert [(one["position"], one["problem"]["status"]) for one in failed] == [(2, 500)]


def test_an_answer_that_was_recorded_before_a_kill_is_used_and_not_made_again(
    settings: Settings, some_photos: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = TestClient(create_app(settings))
    job_id = sent(client, some_photos)["job_id"]
    engine, images = engine_of(client), JobImages(engine_of(client).records.engine)
    content = list(some_photos.values())[1]
    images.begin(job_id, 1)
    answer = engine.segment(content, SegmentRequest(), "local", recording=Recording(answer_id(job_id, 1)))
    contents = []
    segment = Engine.segment
    monkeypatch.setattr(Engine, "segment", lambda self, one, *more: contents.append(one) or segment(self, one, *more))
    with client:
        assert ended(client, job_id)["result"]["images"] == 6
        assert len(contents) == 5
        assert content not in contents
        listed = client.get(f"/jobs/{job_id}/images").json()["images"][1]
        assert listed["segmentation_id"] == answer.body["segmentation_id"]


def test_a_job_whose_files_are_gone_has_failed(settings: Settings, some_photos: dict[str, bytes]) -> None:
    client = TestClient(create_app(settings))
    job_id = sent(client, some_photos)["job_id"]
    shutil.rmtree(settings.data_dir / "jobs" / job_id)
    with client:
        job = ended(client, job_id)
        assert (job["state"], "gone" in job["problem"]) == ("failed", True)


def test_a_full_disk_is_waited_for_and_no_image_is_lost(
    start: Any, some_photos: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = iter([True] * 3 + [False] * 100)
    put, write = AnswerFiles.put, work.write_result

    def put_if_there_is_room(files: AnswerFiles, key: str, body: Any) -> None:
        if next(full):
            raise OSError(errno.ENOSPC, "No space left on device")
        put(files, key, body)

    exports = iter([True, False])

    def write_if_there_is_room(*arguments: Any) -> Path:
        if next(exports):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(*arguments)

    monkeypatch.setattr(AnswerFiles, "put", put_if_there_is_room)
    monkeypatch.setattr(work, "write_result", write_if_there_is_room)
    with start() as client:
        job_id = sent(client, some_photos)["job_id"]
        wait_until(lambda: "disk is full" in str(client.get(f"/jobs/{job_id}").json()["problem"]))
        done = ended(client, job_id)
        assert (done["state"], done["result"]["images"], done["result"]["failed"]) == ("succeeded", 6, 0)
        assert len(client.get("/segmentations").json()) == 6
        assert next(exports, None) is None


def test_single_images_pass_a_job(start: Any, photo: bytes) -> None:
    with start() as client:
        job = sent(client, photos(60))
        for _ in range(10):
            assert client.post("/segment", content=photo).status_code == 200
        assert ended(client, job["job_id"])["result"]["images"] == 60


def test_keys_see_and_change_their_own_jobs_and_curators_all(start: Any, some_photos: dict[str, bytes]) -> None:
    with start(api_keys=BOTH) as client:
        body = zipped(some_photos)
        of_bo = client.post("/jobs/segment", content=body, headers=bearer(BO)).json()["job_id"]
        of_anna = client.post("/jobs/segment", content=body, headers=bearer(ANNA)).json()["job_id"]
        client.headers.update(bearer(ANNA))
        ended(client, of_bo)
        ended(client, of_anna)
        client.headers.update(bearer(BO))
        assert [job["job_id"] for job in client.get("/jobs").json()] == [of_bo]
        for path in ("", "/images", "/result"):
            assert client.get(f"/jobs/{of_anna}{path}").status_code == 404
            assert client.get(f"/jobs/{of_bo}{path}").status_code == 200
        assert client.delete(f"/jobs/{of_anna}").status_code == 404
        assert client.post(f"/jobs/{of_anna}/cancel").status_code == 404
        assert client.post(f"/jobs/{of_bo}/cancel").status_code == 409
        assert client.delete(f"/jobs/{of_bo}").status_code == 204
        client.headers.update(bearer(ANNA))
        assert len(client.get("/segmentations").json()) == 12
        assert client.delete(f"/jobs/{of_anna}").status_code == 204


def test_a_job_keeps_its_release_when_another_is_served(
    start: Any, some_photos: dict[str, bytes], tiny_release: Path, settings: Any
) -> None:
    with start() as client:
        with network_held(engine_of(client)):
            job = sent(client, some_photos)
            assert client.post("/releases/general/activate").status_code == 200
        assert ended(client, job["job_id"])["state"] == "succeeded"
        found = client.get("/segmentations", params={"limit": 100}).json()
        assert {one["release"] for one in found} == {"tiny"}
        other = sent(client, dict(list(some_photos.items())[:1]), release="streets", keep=False)
        assert ended(client, other["job_id"])["release"] == "streets"


def engine_of(client: TestClient) -> Engine:
    """The engine of a client's service."""
    engine: Engine = client.app.state.engine  # type: ignore[attr-defined]
    return engine


def jobs_of(client: TestClient) -> SegmentJobs:
    """The jobs of images of a client's service."""
    jobs: SegmentJobs = client.app.state.segment_jobs  # type: ignore[attr-defined]
    return jobs


def folder_of(client: TestClient) -> Path:
    """Where the files of the jobs are."""
    return engine_of(client).settings.data_dir / "jobs"
