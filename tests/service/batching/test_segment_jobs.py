"""Jobs of many images: accepted, worked on, exported, listed, cancelled and deleted."""

import io
import json
import stat
import time
import zipfile
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from pycocotools.coco import COCO

from tests.service.batching.conftest import ended, photos, sent
from tests.service.conftest import encoded
from tests.service.serving import wait_until
from tests.service.test_importing import zipped


def images_of(client: TestClient, job_id: str) -> list[dict[str, Any]]:
    """All images of a job."""
    found: list[dict[str, Any]] = client.get(f"/jobs/{job_id}/images", params={"limit": 1000}).json()["images"]
    return found


def coco_of(content: bytes) -> dict[str, Any]:
    """The annotations of an exported archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        found: dict[str, Any] = json.loads(archive.read("annotations/instances_default.json"))
    return found


def test_a_zip_of_images_becomes_an_export_that_pycocotools_opens(
    client: TestClient, some_photos: dict[str, bytes], tmp_path: Any
) -> None:
    job = sent(client, some_photos)
    assert (job["kind"], job["state"], job["total"], job["done"]) == ("segment", "queued", 6, 0)
    done = ended(client, job["job_id"])
    assert (done["state"], done["done"], done["total"], done["progress"]) == ("succeeded", 6, 6, 1.0)
    assert done["result"]["images"] == 6
    answer = client.get(done["result"]["result_url"])
    assert answer.headers["content-type"] == "application/zip"
    assert len(answer.content) == done["result"]["bytes"]
    document = coco_of(answer.content)
    (tmp_path / "coco.json").write_text(json.dumps(document))
    coco = COCO(tmp_path / "coco.json")
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == list(some_photos)
    assert coco.annToMask(coco.loadAnns(coco.getAnnIds())[0]).shape == (72, 96)


def test_parts_of_a_result_are_read_and_others_are_refused_as_problems(
    client: TestClient, some_photos: dict[str, bytes]
) -> None:
    job_id = sent(client, some_photos)["job_id"]
    ended(client, job_id)
    whole = client.get(f"/jobs/{job_id}/result").content
    for asked, expected in {"4-9": whole[4:10], "-5": whole[-5:], "7-": whole[7:], "0-999999999": whole}.items():
        part = client.get(f"/jobs/{job_id}/result", headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, expected)
    wrong = {"bytes=9-4": 400, "bytes=": 400, "bytes=a-b": 400, "rows=1-2": 400, "bytes=-": 400, "bytes=-0": 416,
             f"bytes={len(whole)}-": 416, "bytes=" + ",".join(["1-2"] * 50): 400}  # fmt: skip
    for asked, status in wrong.items():
        answer = client.get(f"/jobs/{job_id}/result", headers={"Range": asked})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), asked


def test_each_image_has_one_answer_that_equals_that_of_a_single_request_and_is_explained(
    client: TestClient, some_photos: dict[str, bytes]
) -> None:
    job = sent(client, some_photos)
    ended(client, job["job_id"])
    listed = client.get("/segmentations", params={"limit": 100}).json()
    images = images_of(client, job["job_id"])
    assert sorted(one["segmentation_id"] for one in listed) == sorted(one["segmentation_id"] for one in images)
    for image, content in zip(images, some_photos.values(), strict=True):
        answer = client.get(f"/segmentations/{image['segmentation_id']}").json()
        alone = client.post("/segment", content=content).json()
        assert [(s["mask"], s["class_id"], s["exemplars"]) for s in answer["segments"]] == [
            (s["mask"], s["class_id"], s["exemplars"]) for s in alone["segments"]
        ]
    explained = client.get(f"/explain/{images[0]['segmentation_id']}-0")
    assert explained.status_code == 200


def test_answers_that_are_not_to_be_kept_are_not_recorded_but_exported(
    client: TestClient, some_photos: dict[str, bytes]
) -> None:
    job = sent(client, some_photos, keep=False)
    assert ended(client, job["job_id"])["result"]["kept_answers"] is False
    assert client.get("/segmentations").json() == []
    assert {one["segmentation_id"] for one in images_of(client, job["job_id"])} == {None}
    assert len(coco_of(client.get(f"/jobs/{job['job_id']}/result").content)["images"]) == 6


def test_what_is_no_image_is_reported_by_entry_and_the_others_are_segmented(client: TestClient, photo: bytes) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b/c/deep.png", photo)
        archive.writestr("readme.txt", "no image")
        archive.writestr("/etc/passwd.png", photo)
        archive.writestr("../up.png", photo)
        archive.writestr("bomb.png", bytes(30_000_000))
        archive.writestr("__MACOSX/._deep.png", b"mac")
        archive.writestr("folder/", b"")
        archive.writestr("cut.png", photo[:500])
        archive.writestr("empty.png", b"")
        link = zipfile.ZipInfo("link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "a/b/c/deep.png")
        archive.writestr("blown.png", bytes(1_000_000), zipfile.ZIP_BZIP2)
        archive.writestr("twice.png", photo)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("twice.png", photo)
    job = client.post("/jobs/segment", content=content.getvalue()).json()
    done = ended(client, job["job_id"])
    assert done["state"] == "succeeded"
    found = {}
    for one in images_of(client, job["job_id"]):
        found.setdefault(one["name"], []).append(one["problem"] and one["problem"]["status"])
    assert found == {
        "a/b/c/deep.png": [None], "readme.txt": [415], "/etc/passwd.png": [422], "../up.png": [422],
        "bomb.png": [413], "cut.png": [422], "empty.png": [400], "link.png": [422], "twice.png": [None, 422],
        "blown.png": [422],
    }  # fmt: skip
    assert (done["result"]["images"], done["result"]["failed"], done["total"]) == (2, 9, 11)


def test_parts_of_a_form_keep_their_names_and_order(client: TestClient, some_photos: dict[str, bytes]) -> None:
    files = [("images", (f'füß {n} "x".png', content)) for n, content in enumerate(some_photos.values())]
    files.insert(2, ("images", ("large.png", bytes(21_000_000))))
    job = client.post("/jobs/segment", files=files, params={"format": "csv", "single": True}).json()
    done = ended(client, job["job_id"])
    assert (done["result"]["images"], done["result"]["failed"]) == (6, 1)
    images = images_of(client, job["job_id"])
    assert images[2]["name"] == "large.png"
    assert images[2]["problem"]["status"] == 413
    assert [one["position"] for one in images] == list(range(7))
    answer = client.get(f"/jobs/{job['job_id']}/result")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.count("\n") > 6


def test_bodies_without_usable_images_are_refused_and_leave_nothing(
    client: TestClient, photo: bytes, settings: Any
) -> None:
    cases = {
        b"": 415, b"not a zip": 415, zipped({}): 422, zipped({"a.txt": b"x"}): 422, zipped({"a.png": photo})[:-30]: 422,
    }  # fmt: skip
    for body, status in cases.items():
        answer = client.post("/jobs/segment", content=body)
        assert (answer.status_code, body[:9]) == (status, body[:9])
        assert answer.json()["fix"]
    form = "multipart/form-data; boundary=x"
    for body in (b"", b"--x--\r\n", b"--x\r\n", b"--x\r\nno head\r\n\r\nab\r\n--x--\r\n", b"--x\r\n" + b"a" * 10_000):
        answer = client.post("/jobs/segment", content=body, headers={"content-type": form})
        assert answer.status_code in (400, 422), (body[:20], answer.text)
    for query in ({"single": True, "format": "png"}, {"segments": 0}, {"format": "psd"}, {"names": "x"}):
        assert client.post("/jobs/segment", content=zipped({"a.png": photo}), params=query).status_code == 422
    answer = client.post("/jobs/segment", content=zipped({"a.png": photo}), params={"release": "nowhere"})
    assert answer.status_code == 404
    assert list((settings.data_dir / "jobs").iterdir()) == []
    assert client.get("/jobs").json() == []


def test_a_job_that_is_cancelled_or_deleted_leaves_its_answers_alone(start: Any, settings: Any) -> None:
    with start() as client:
        files = {f"{i}.png": encoded(np.full((40, 40, 3), i, dtype=np.uint8)) for i in range(60)}
        job = sent(client, files)
        assert client.delete(f"/jobs/{job['job_id']}").status_code == 409
        assert client.post(f"/jobs/{job['job_id']}/cancel").status_code == 200
        done = ended(client, job["job_id"])
        assert done["state"] == "cancelled"
        assert client.get(f"/jobs/{job['job_id']}/result").status_code == 409
        kept = len(client.get("/segmentations", params={"limit": 1000}).json())
        assert kept == sum(one["state"] == "done" for one in images_of(client, job["job_id"]))
        assert client.delete(f"/jobs/{job['job_id']}").status_code == 204
        assert client.get(f"/jobs/{job['job_id']}").status_code == 404
        assert len(client.get("/segmentations", params={"limit": 1000}).json()) == kept
        wait_until(lambda: list((settings.data_dir / "jobs").iterdir()) == [])  # the lock goes last


def test_a_job_goes_on_after_the_service_was_stopped(start: Any) -> None:
    files = photos(60)
    with start() as client:
        job_id = sent(client, files)["job_id"]
        while client.get(f"/jobs/{job_id}").json()["done"] < 5:
            time.sleep(0.01)
    with start() as client:
        assert client.get(f"/jobs/{job_id}").json()["done"] >= 5
        assert ended(client, job_id)["result"]["images"] == 60
        assert [image["name"] for image in images_of(client, job_id)] == list(files)
        assert len(client.get("/segmentations", params={"limit": 1000}).json()) == 60
