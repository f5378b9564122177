"""A release that changed under its name: its edits are kept, do not vote, are carried over, and answers explained."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from benchmarks.running_service import COMMAND
from model_store.explanation import replay
from service.app import create_app
from service.settings import Settings
from tests.service.serving import ended, wait_until
from tests.service.upgrades.changed import forget_digests, with_another_network

Start = Callable[[Path], TestClient]


@pytest.fixture(scope="module")
def other(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another release named tiny."""
    return with_another_network(tiny_run, tmp_path_factory.mktemp("other"))


@pytest.fixture
def first(tiny_release: Path, tmp_path: Path) -> Path:
    """A copy of the release tiny, which a test may remove."""
    return Path(shutil.copytree(tiny_release, tmp_path / "first" / "tiny"))


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def started(release: Path) -> TestClient:
        return TestClient(create_app(Settings(data_dir=tmp_path / "data", release=str(release), threads=1)))

    return started


def get(client: TestClient, path: str) -> Any:
    return client.get(path).raise_for_status().json()


def post(client: TestClient, path: str, **body: object) -> Any:
    return client.post(path, json=body).raise_for_status().json()


def taught(client: TestClient, photo: bytes) -> dict[str, Any]:
    """Answer an image, correct a segment to lava, rename a class, remove an exemplar; returns the answer."""
    answer: dict[str, Any] = client.post("/segment", content=photo).raise_for_status().json()
    segment, other = answer["segments"][0], answer["segments"][1]
    post(client, f"/segments/{segment['segment_id']}/label", class_name="lava")
    post(client, "/classes", class_id=0, name="wall")
    post(client, "/exemplars/remove", exemplar_ids=[other["exemplars"][0]["exemplar_id"]])
    return answer


def carried(client: TestClient, **body: object) -> dict[str, Any]:
    """Carry edits over, and wait for the result of the job."""
    job = ended(client, post(client, "/releases/tiny/carry", **body))
    assert (job["kind"], job["state"], job["problem"]) == ("carry", "succeeded", None), job
    return dict(job["result"])


def kept(data: Path) -> list[Path]:
    return list((data / "kept").glob("[0-9a-f]*"))


@pytest.mark.parametrize("digests", ["recorded", "unknown"])
def test_a_prototype_of_the_old_network_never_votes_in_the_space_of_the_new_one(
    start: Start, first: Path, other: Path, photo: bytes, tmp_path: Path, digests: str
) -> None:
    with start(first) as client:
        taught(client, photo)
    if digests == "unknown":
        forget_digests(tmp_path / "data" / "segsort.sqlite")
    with start(other) as client:
        ready = get(client, "/readyz")
        assert ready["earlier_edits"] == 3
        listed = next(one for one in get(client, "/releases") if one["active"])
        assert (listed["digest"], listed["edits"], listed["earlier_edits"]) == (ready["release_digest"], 0, 3)
        answer = client.post("/segment", content=photo).json()
        assert "lava" not in {info["name"] for info in answer["classes"]}
        assert get(client, "/exemplars")["total"] == 60
        assert [edit["kind"] for edit in get(client, "/edits")] == ["remove", "class", "label"]
    with start(first) as client:  # and back again
        assert get(client, "/readyz")["earlier_edits"] == 0
        assert "lava" in {info["name"] for info in get(client, "/classes")}
        assert get(client, "/exemplars")["total"] == 60


def test_edits_without_a_digest_apply_to_the_release_that_they_were_made_on(
    start: Start, first: Path, photo: bytes, tmp_path: Path
) -> None:
    with start(first) as client:
        taught(client, photo)
        polygon = '[{"class_name": "fog", "polygons": [[0, 0, 48, 0, 48, 36, 0, 36]]}]'
        form = {"files": {"image": ("b.png", photo, "image/png")}, "data": {"annotations": polygon}}
        client.post("/exemplars", **form).raise_for_status()
        post(client, "/edits/3/revert")
        before = get(client, "/exemplars?limit=100")
    forget_digests(tmp_path / "data" / "segsort.sqlite")
    for _ in range(2):
        with start(first) as client:
            assert get(client, "/readyz")["earlier_edits"] == 0
            assert get(client, "/exemplars?limit=100") == before
            assert {"lava", "wall", "fog"} <= {info["name"] for info in get(client, "/classes")}


@pytest.mark.parametrize("copy", ["kept", "gone"])
def test_edits_are_carried_over_by_one_edit_that_can_be_reverted_and_does_not_double(
    start: Start, first: Path, other: Path, photo: bytes, tmp_path: Path, copy: str
) -> None:
    with start(first) as client:
        wait_until(lambda: kept(tmp_path / "data"))
        taught(client, photo)
    shutil.rmtree(first)
    if copy == "gone":
        shutil.rmtree(tmp_path / "data" / "kept")
    with start(other) as client:
        before = client.post("/segment", content=photo).json()
        done = carried(client, reason="new network")
        edit = get(client, f"/edits/{done['revision']}")
        assert (edit["kind"], edit["reason"], done["exemplars"]) == ("carry", "new network", 1)
        assert (edit["author"], edit["summary"]) == ("local", done["summary"])
        assert edit["summary"] == "carried over 3 edits of an earlier tiny: an exemplar of lava"
        wait_until(lambda: get(client, "/readyz")["earlier_edits"] == 0)
        names = {info["name"] for info in get(client, "/classes")}
        assert {"lava", "wall"} <= names
        assert "brick" not in names
        assert get(client, "/exemplars")["total"] == (60 if copy == "kept" else 61)  # one is removed here too
        assert len(done["left"]) == (0 if copy == "kept" else 1)
        after = client.post("/segment", content=photo).json()
        assert "lava" in {segment["class_name"] for segment in after["segments"]}
        again = carried(client)
        assert (again["revision"], again["summary"], again["exemplars"]) == (None, None, 0)
        post(client, f"/edits/{edit['revision']}/revert")
        wait_until(lambda: get(client, "/readyz")["earlier_edits"] == 3)
        reverted = client.post("/segment", content=photo).json()
        assert [s["class_id"] for s in reverted["segments"]] == [s["class_id"] for s in before["segments"]]
        assert carried(client)["exemplars"] == 1
        assert get(client, "/exemplars")["total"] == (60 if copy == "kept" else 61)
    with start(other) as client:  # replayed
        assert "lava" in {info["name"] for info in get(client, "/classes")}
        assert get(client, "/readyz")["earlier_edits"] == 0


def test_later_edits_of_the_earlier_release_are_carried_over_alone(
    start: Start, first: Path, other: Path, photo: bytes, tmp_path: Path
) -> None:
    with start(first) as client:
        wait_until(lambda: kept(tmp_path / "data"))
        answer = taught(client, photo)
    with start(other) as client:
        assert carried(client)["exemplars"] == 1
    with start(first) as client:  # a replica that was not updated yet
        post(client, "/edits/1/revert")
        post(client, f"/segments/{answer['segments'][2]['segment_id']}/label", class_name="mist")
    with start(other) as client:
        done = carried(client)
        assert done["summary"] == "carried over 2 edits of an earlier tiny: an exemplar of mist"
        assert len(get(client, f"/edits/{done['revision']}")["replaces"]) == 1
        alive = {one["class_name"] for one in get(client, "/exemplars?limit=100")["exemplars"]}
        assert "mist" in alive
        assert "lava" not in alive


def test_old_answers_are_explained_from_a_copy_after_the_release_is_gone(
    start: Start, first: Path, other: Path, photo: bytes, tmp_path: Path
) -> None:
    with start(first) as client:
        wait_until(lambda: kept(tmp_path / "data"))
        answer = taught(client, photo)
        relabelled = post(client, f"/segmentations/{answer['segmentation_id']}/relabel")
        segments = [one["segment_id"] for one in [*answer["segments"], *relabelled["segments"]]]
        before = {one: get(client, f"/explain/{one}") for one in segments}
        read = get(client, f"/segmentations/{answer['segmentation_id']}")
    shutil.rmtree(first)
    assert not (kept(tmp_path / "data")[0] / "network.onnx").exists()
    with start(other) as client:
        for one, expected in before.items():
            assert get(client, f"/explain/{one}") == expected
            replay(expected)
        assert get(client, f"/segmentations/{answer['segmentation_id']}") == read
        exemplar = before[segments[0]]["exemplars"][0]
        for path in (f"/exemplars/{exemplar['exemplar_id']}", exemplar["image_url"], exemplar["crop_url"]):
            assert client.get(path).status_code == 200
        assert client.get(f"/explain/{segments[0]}", headers={"Accept": "text/html"}).status_code == 200
        assert get(client, "/edits/1/effect")["answers"] >= 1
        refused = client.post(f"/segmentations/{answer['segmentation_id']}/relabel")
        assert refused.status_code == 409
        assert f"/segmentations/{answer['segmentation_id']}/segment" in refused.json()["fix"]
        assert len(kept(tmp_path / "data")) == 2 or wait_until(lambda: len(kept(tmp_path / "data")) == 2) is None


@pytest.mark.parametrize("digests", ["recorded", "unknown"])
def test_without_a_copy_what_was_recorded_is_answered_and_what_is_missing_is_said(
    start: Start, first: Path, other: Path, photo: bytes, tmp_path: Path, digests: str
) -> None:
    with start(first) as client:
        answer = taught(client, photo)
        again = client.post("/segment", content=photo).json()
    shutil.rmtree(first)
    shutil.rmtree(tmp_path / "data" / "kept", ignore_errors=True)
    if digests == "unknown":
        forget_digests(tmp_path / "data" / "segsort.sqlite")
    with start(other) as client:
        for segment in [*answer["segments"], *again["segments"]]:
            why = get(client, f"/explain/{segment['segment_id']}")
            assert (why["share"], why["known"], why["bbox"]) == (segment["share"], segment["known"], segment["bbox"])
            assert why["exemplars"] == []
            assert "is gone, and no copy" in why["incomplete"]["reason"]
            named = segment["class_name"] if segment["class_name"] == "lava" else f"class {segment['class_id']}"
            assert why["class_name"] in (named, "wall")
            page = client.get(f"/explain/{segment['segment_id']}", headers={"Accept": "text/html"})
            assert page.status_code == 200
            assert "What is missing" in page.text
        read = get(client, f"/segmentations/{answer['segmentation_id']}")
        assert [one["mask"] for one in read["segments"]] == [one["mask"] for one in answer["segments"]]
        assert read["incomplete"]["missing"]
        assert client.get(f"/segments/{answer['segments'][0]['segment_id']}/crop").status_code == 200
        marked = client.post(f"/segments/{answer['segments'][0]['segment_id']}/label", json={"class_name": "x"})
        assert marked.status_code == 409
        assert "Send POST /segmentations/" in marked.json()["fix"]


def test_an_audit_is_computed_again_when_the_release_changes_under_its_name(
    start: Start, first: Path, other: Path
) -> None:
    audit = "/exemplars/audit?kind=duplicates&similarity=0.9"
    with start(other) as client:
        expected = get(client, audit)
    with start(first) as client:
        before = get(client, audit)
        shutil.rmtree(first)
        shutil.copytree(other, first)
        assert post(client, "/releases/tiny/activate")["changed"]
        after = get(client, audit)
    assert (before["index_revision"], after["index_revision"]) == (0, 0)
    assert after == expected != before


def test_edits_of_an_earlier_release_that_is_still_served_are_logged_once(
    start: Start, first: Path, other: Path, photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with start(first) as earlier, start(other) as later:
        engine = later.app.state.engine  # type: ignore[attr-defined]
        answer = earlier.post("/segment", content=photo).json()
        for number, segment in enumerate(answer["segments"][:3]):
            post(earlier, f"/segments/{segment['segment_id']}/label", class_name="lava")
            post(later, "/classes", name=f"class {number}")  # after it has read the log
            engine.earlier.refresh(engine.served.live)
    of_later = f"no effect on this one ({engine.served.live.digest[:12]})"  # the earlier service may log as well
    assert len([one for one in caplog.messages if of_later in one]) == 1


def test_a_job_that_carries_edits_over_is_followed_and_cancelled_without_effect(
    start: Start, first: Path, other: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(first) as client:
        taught(client, photo)
    with start(other) as client:
        before = get(client, "/edits")
        started = client.post("/releases/tiny/carry", json={})
        job = started.json()
        assert (started.status_code, started.headers["location"]) == (202, f"/jobs/{job['job_id']}")
        assert (job["state"], job["release_digest"]) == ("queued", get(client, "/readyz")["release_digest"])
        assert client.post("/releases/tiny/carry").status_code == 409
        assert post(client, f"/jobs/{job['job_id']}/cancel")["state"] == "cancelled"
        assert get(client, "/edits") == before
        assert get(client, "/readyz")["earlier_edits"] == 3
        assert client.post("/releases/streets/carry").status_code == 409
        job = ended(client, post(client, "/releases/tiny/carry"))
        assert (job["state"], job["stage"], job["progress"]) == ("succeeded", "edit", 1.0)
        assert job["result"]["exemplars"] == 1
        assert client.post(f"/jobs/{job['job_id']}/accept").status_code == 409


def test_the_command_carries_edits_over_by_a_job_that_the_service_lists(
    start: Start, first: Path, other: Path, photo: bytes, tmp_path: Path
) -> None:
    with start(first) as client:
        taught(client, photo)
    with start(other) as client:
        command = [COMMAND, "releases", "carry", str(other), "--json", "--progress"]
        environment = {**os.environ, "SEGSORT_DATA_DIR": str(tmp_path / "data")}
        done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=300)
        result, steps = json.loads(done.stdout), [json.loads(line) for line in done.stderr.splitlines()]
        assert (result["release"], result["exemplars"]) == ("tiny", 1)
        assert steps[-1]["stage"] in ("images", "edit")
        wait_until(lambda: "lava" in {info["name"] for info in get(client, "/classes")})
        (job,) = get(client, "/jobs")
        assert (job["job_id"], job["kind"], job["state"]) == (result["job_id"], "carry", "succeeded")
        assert get(client, f"/edits/{result['revision']}")["author"] == "carry"
        assert not list((tmp_path / "data" / "adapting").iterdir())
