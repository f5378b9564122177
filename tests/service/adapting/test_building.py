"""Releases built from labelled images that were sent: surveys, refusals, and real builds in child processes."""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from model_store.release import CARD, Release
from service.adapting.labelled_archives import KEPT, LabelledArchives
from service.adapting.moving import move_release
from service.app import create_app
from service.settings import Settings
from tests.conftest import BLOCK_CLASSES, Blocks
from tests.service.conftest import encoded
from tests.service.http.test_wire import Conformance
from tests.service.test_importing import coco_files, zipped

pytestmark = pytest.mark.timeout(900)

PATIENCE = 240.0
BLOCKS = Blocks("train", count=8)
NAMES = [info.name for info in BLOCK_CLASSES]


@pytest.fixture(autouse=True)
def usual_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, a process of low priority would take too long."""
    monkeypatch.setenv("SEGSORT_ADAPT_NICE", "0")


@pytest.fixture
def settings(tiny_release: Path, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, release=str(tiny_release), threads=1, adapt_budget_s=1)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def labelled(names: list[str], *, classes: list[str] | None = None) -> dict[str, bytes]:
    """Images of blocks with masks, in the format `folder`."""
    listed = [
        {"name": name, "color": list(info.color)} for name, info in zip(classes or NAMES, BLOCK_CLASSES, strict=True)
    ]
    files = {"mine/classes.json": json.dumps({"classes": listed, "ignore": 255}).encode()}
    for number, name in enumerate(names):
        image, labels, _ = BLOCKS[number]
        files[f"mine/images/{name}.png"] = encoded(image)
        files[f"mine/masks/{name}.png"] = encoded(labels)
    return files


def survey(client: TestClient, content: bytes, status: int = 201, **query: str) -> Any:
    response = client.post("/releases/survey", content=content, params=query)
    assert response.status_code == status, response.text
    return response.json()


def ended(client: TestClient, job_id: str) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE
    stages = []
    while not (job := client.get(f"/jobs/{job_id}").json())["ended"]:
        stages.append(job["stage"])
        assert time.monotonic() < end, job
        time.sleep(0.2)
    return job | {"stages": stages}


def test_a_release_is_built_measured_beside_the_present_one_and_served(client: TestClient, settings: Settings) -> None:
    ask = Conformance(client)
    names = [f"{drive}_{number:02d}" for drive in "ab" for number in range(4)]
    content = zipped(
        {**labelled(names), "mine/images/notes.txt": b"-", "mine/images/bare.png": encoded(BLOCKS[0].image)}
    )
    found = ask("POST", "/releases/survey", content=content)
    assert (found["format"], found["images"], found["counted"], found["proposed_name"]) == ("folder", 8, 8, "mine")
    assert {one["name"]: one["images"] for one in found["classes"]} == dict.fromkeys(NAMES, 8)
    assert sum(one["share"] for one in found["classes"]) == pytest.approx(1, abs=1e-4)
    reasons = {Path(one["name"]).name: one["reason"] for one in found["skipped"]}
    assert reasons == {"bare.png": "no mask", "notes.txt": "not an image by its suffix"}
    assert found["held_out"] == 4
    assert "1 of 2 groups" in found["held_out_rule"]
    assert ask("GET", "/releases/survey/{survey_id}", ids={"survey_id": found["survey_id"]}) == found

    body = {"survey_id": found["survey_id"], "name": "blocks", "features": "filters"}
    job_id = ask("POST", "/releases/build", json=body)["job_id"]
    assert ask("POST", "/adapt")["status"] == 409, "one job at a time"
    job = ended(client, job_id)
    assert (job["state"], job["problem"]) == ("succeeded", None)
    ask("GET", "/jobs/{job_id}", ids={"job_id": job_id})
    result = job["result"]
    assert (result["images"], result["held_out"], result["compared_with"]) == (4, 4, "tiny")
    assert result["miou"] > 0.8
    assert result["miou_compared"] is not None
    assert [one["name"] for one in result["per_class"]] == NAMES
    mean = sum(one["iou"] for one in result["per_class"]) / len(NAMES)
    assert result["miou"] == pytest.approx(mean, abs=1e-6)
    assert client.get("/readyz").json()["release"] == "tiny", "it is not served without a decision"
    release = Release.open(settings.data_dir / "releases" / "blocks")
    held = {name[0] for name in names} - {one.source.rsplit("/", 1)[1][0] for one in release.sources}
    assert len(held) == 1, "frames of one drive are on one side"
    (listed,) = (one for one in client.get("/releases").json() if one["name"] == "blocks")
    assert listed["built"]["miou"] == pytest.approx(result["miou"], abs=1e-6)
    assert listed["built"]["compared_with"] == "tiny"
    assert ask("POST", "/jobs/{job_id}/accept", ids={"job_id": job_id})["release"] == "blocks"
    assert client.get("/readyz").json()["release"] == "blocks"
    assert [one["name"] for one in client.get("/classes").json()] == NAMES
    assert list(settings.data_dir.glob("labelled/*")) == [], "the images are not kept"
    assert list(settings.data_dir.glob("adapting/*")) == []


def test_classes_are_renamed_merged_and_left_out(client: TestClient, settings: Settings) -> None:
    found = survey(client, zipped(labelled([f"image{i}" for i in range(5)], classes=["Red Thing", "b", "c"])))
    body = {"survey_id": found["survey_id"], "name": "two", "features": "filters"}
    body["classes"] = {"Red Thing": "warm", "c": None}
    job = ended(client, client.post("/releases/build", json=body).raise_for_status().json()["job_id"])
    assert job["state"] == "succeeded", job
    card = Release.open(settings.data_dir / "releases" / "two").card
    assert [info.name for info in card.classes] == ["warm", "b"]
    assert job["result"]["miou_compared"] is None, "no class of the served release has such a name"


def test_a_class_of_the_served_release_is_proposed_for_a_name_that_differs_in_case_alone(client: TestClient) -> None:
    odd = [name.upper().replace(" ", "_") for name in NAMES[:2]] + ["something else"]
    found = survey(client, zipped(labelled(["a", "b"], classes=odd)))
    assert [one["proposed"] for one in found["classes"]] == [*NAMES[:2], "something else"]


def test_other_formats_are_surveyed(client: TestClient) -> None:
    found = survey(client, zipped(coco_files()))
    assert (found["format"], found["images"], found["held_out"]) == ("coco", 1, 0)
    assert found["held_out_rule"] == "there are too few images to hold one out"
    assert [one["name"] for one in found["classes"]] == ["chalk"]


@pytest.mark.parametrize(
    ("content", "query", "status", "told"),
    [
        (b"", {}, 400, "no archive"),
        (b"\xff\xd8 no archive", {}, 415, "not a complete ZIP"),
        (zipped({"a.txt": b"x"})[:-30], {}, 422, "not a complete ZIP"),
        (zipped({"readme.txt": b"nothing"}), {}, 422, "cannot be read"),
        (zipped(labelled(["a"])), {"format": "gif"}, 422, "format is not known"),
        (zipped(labelled(["a"])), {"format": "coco"}, 422, "cannot be read"),
    ],
    ids=["nothing", "JPEG", "cut off", "without images", "unknown format", "other format"],  # an archive holds the time
)
def test_what_is_no_archive_of_labelled_images_is_refused(
    client: TestClient, settings: Settings, content: bytes, query: dict[str, str], status: int, told: str
) -> None:
    problem = survey(client, content, status, **query)
    assert told in problem["detail"]
    assert str(settings.data_dir) not in json.dumps(problem)
    assert list(settings.data_dir.glob("labelled/*")) == []


def test_images_without_any_label_are_refused(client: TestClient) -> None:
    files = labelled(["a", "b"])
    blank = encoded(BLOCKS[0].labels * 0 + 255)
    files |= dict.fromkeys(("mine/masks/a.png", "mine/masks/b.png"), blank)
    assert survey(client, zipped(files), 422)["detail"] == "No image has labels."


def test_an_archive_that_is_too_large_is_refused_and_not_kept(settings: Settings) -> None:
    content = zipped(labelled(["a", "b"]))
    small = settings.model_copy(update={"max_archive_bytes": len(content) - 1, "max_bytes": 100})
    with TestClient(create_app(small)) as client:
        assert survey(client, content, 413)["status"] == 413
        parts = (content[i : i + 999] for i in range(0, len(content), 999))  # without Content-Length
        assert client.post("/releases/survey", content=parts).status_code == 413
        assert client.post("/import", content=content).status_code == 413
    assert list(settings.data_dir.glob("labelled/*")) == []
    with TestClient(create_app(small.model_copy(update={"max_archive_bytes": len(content)}))) as client:
        survey(client, content)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(3_000_000))
    with TestClient(create_app(settings.model_copy(update={"max_archive_bytes": 1_000_000}))) as client:
        assert survey(client, bomb.getvalue(), 413)["status"] == 413


def test_only_the_newest_archives_are_kept_and_one_can_be_removed(client: TestClient, settings: Settings) -> None:
    content = zipped(labelled(["a", "b"]))
    ids = [survey(client, content)["survey_id"] for _ in range(KEPT + 2)]
    statuses = [client.get(f"/releases/survey/{one}").status_code for one in ids]
    assert statuses == [404, 404, *[200] * KEPT]
    assert client.delete(f"/releases/survey/{ids[-1]}").status_code == 204
    assert client.get(f"/releases/survey/{ids[-1]}").status_code == 404
    assert client.delete(f"/releases/survey/{ids[-1]}").status_code == 404
    for strange in ("none", "..%2f..%2fetc", "a" * 32):
        assert client.get(f"/releases/survey/{strange}").status_code == 404


def test_archives_that_are_being_received_stay(settings: Settings) -> None:
    archives = LabelledArchives(settings, lambda job_id: False)
    with archives.receiving() as first, archives.receiving() as second:
        archives.remove_leftovers()
        assert first.folder.is_dir()
        assert second.folder.is_dir()
    for place in (first, second):  # as if the process had ended before the survey
        place.archive.write_bytes(b"half")
    archives.remove_leftovers()
    assert list(settings.data_dir.glob("labelled/*")) == []


def test_what_a_killed_service_received_is_removed_by_the_next(settings: Settings) -> None:
    left = settings.data_dir / "labelled" / ("5c" * 16)
    left.mkdir(parents=True)
    (left / "archive.zip").write_bytes(b"half")
    (left / "lock").touch()
    with TestClient(create_app(settings)) as client:
        assert not left.exists()
        survey_id = survey(client, zipped(labelled(["a", "b"])))["survey_id"]
    with TestClient(create_app(settings)) as client:
        assert client.get(f"/releases/survey/{survey_id}").status_code == 200


def test_labelled_images_stay_while_a_release_is_built_from_them(client: TestClient, settings: Settings) -> None:
    """Another process with the same data folder does not remove them either."""
    content = zipped(labelled(["a", "b", "c"]))
    first = survey(client, content)["survey_id"]
    body = {"survey_id": first, "name": "never", "features": "filters"}
    job_id = client.post("/releases/build", json=body).raise_for_status().json()["job_id"]
    with TestClient(create_app(settings)) as other:
        assert other.delete(f"/releases/survey/{first}").status_code == 409
        for _ in range(KEPT + 1):
            survey(other, content)
        assert client.get(f"/releases/survey/{first}").status_code == 200
        client.post(f"/jobs/{job_id}/cancel").raise_for_status()
        assert other.delete(f"/releases/survey/{first}").status_code == 204


def test_a_name_that_is_taken_during_a_build_is_said_without_paths(settings: Settings, tmp_path: Path) -> None:
    made, place = tmp_path / "made", tmp_path / "releases" / "mine"
    for folder in (made, place):
        folder.mkdir(parents=True)
        (folder / "card.json").touch()
    with pytest.raises(ValueError, match="the name 'mine' is taken") as refused:
        move_release(made, place)
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"name": "tiny"}, 422), ({"name": "a b"}, 422), ({"name": ""}, 422), ({"survey_id": "none"}, 404),
        ({"survey_id": "0" * 32}, 404), ({"classes": {"none": "x"}}, 422), ({"features": "streets"}, 422),
        ({"features": "facebook/dinov2-small"}, 422), ({"features": "../x"}, 422), ({"budget_s": 0}, 422),
        ({"classes": {NAMES[0]: None, NAMES[1]: None}}, 422), ({"classes": dict.fromkeys(NAMES, "one")}, 422),
        ({"classes": {NAMES[0]: ""}}, 422), ({"classes": {NAMES[0]: "x" * 500}}, 422), ({"unknown": 1}, 422),
    ],
)  # fmt: skip
def test_a_build_that_cannot_be_made_is_refused_at_once(
    client: TestClient, changes: dict[str, Any], status: int
) -> None:
    found = survey(client, zipped(labelled(["a", "b"])))
    body = {"survey_id": found["survey_id"], "name": "new", "features": "filters"} | changes
    assert client.post("/releases/build", json=body).status_code == status
    assert client.get("/jobs").json() == []


def test_a_build_is_cancelled_and_leaves_nothing_but_the_archive(client: TestClient, settings: Settings) -> None:
    found = survey(client, zipped(labelled(["a", "b", "c"])))
    body = {"survey_id": found["survey_id"], "name": "never", "features": "filters"}
    job_id = client.post("/releases/build", json=body).json()["job_id"]
    assert client.post(f"/jobs/{job_id}/cancel").json()["state"] == "cancelled"
    assert not (settings.data_dir / "releases" / "never").exists()
    assert client.get(f"/releases/survey/{found['survey_id']}").status_code == 200


def test_a_build_that_fails_says_why_without_paths(client: TestClient, settings: Settings) -> None:
    found = survey(client, zipped(labelled(["a", "b", "c"])))
    for mask in settings.data_dir.glob("labelled/*/files/mine/masks/b.png"):
        mask.write_bytes(b"damaged")
    body = {"survey_id": found["survey_id"], "name": "never", "features": "filters"}
    job = ended(client, client.post("/releases/build", json=body).json()["job_id"])
    assert job["state"] == "failed"
    assert "b.png" in job["problem"]
    assert str(settings.data_dir) not in job["problem"]


def test_a_reader_neither_surveys_nor_builds(settings: Settings) -> None:
    from service.http.keys import new_key

    key, entry = new_key("anna", "reader")
    headers = {"authorization": f"Bearer {key}"}
    with TestClient(create_app(settings.model_copy(update={"api_keys": entry.line})), headers=headers) as client:
        assert client.post("/releases/survey", content=b"x").status_code == 403
        assert client.get("/releases/survey/none").status_code == 403
        assert client.post("/releases/build", json={"survey_id": "x", "name": "y"}).status_code == 403


def test_the_card_says_how_the_release_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`segsort build --hold-out` on a folder, without a service."""
    from typer.testing import CliRunner

    from command_line.main import cli

    with zipfile.ZipFile(io.BytesIO(zipped(labelled(["a", "b", "c", "d", "e"])))) as archive:
        archive.extractall(tmp_path)
    monkeypatch.setenv("SEGSORT_DATA_DIR", str(tmp_path / "data"))
    flags = ["--embedder", "filters", "--budget", "1", "--hold-out", "0.2", "--threads", "1"]
    done = CliRunner().invoke(cli, ["build", str(tmp_path / "mine"), "--out", str(tmp_path / "made"), *flags])
    assert done.exit_code == 0, done.output
    held = json.loads((tmp_path / "made" / CARD).read_text())["data"]["held_out"]
    assert held["images"] == 1
    assert f"mIoU {held['miou']:.3f} on 1 held-out images" in done.output
    wrong = CliRunner().invoke(cli, ["build", str(tmp_path / "mine"), "--out", str(tmp_path / "no"), "--json"])
    assert isinstance(wrong.exception, ValueError)
    assert "need --hold-out" in str(wrong.exception)
