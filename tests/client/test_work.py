"""Exports, archives, jobs, releases and webhooks of both clients, and what they refuse before it is sent."""

import asyncio
import inspect
import io
import json
import os
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from segsort_client import AsyncClient, Client, InputError, JobError, SegsortError, Stroke
from segsort_client.operations import Operations
from tests.client.conftest import Call
from tests.client.scripted import scripted
from tests.conftest import Blocks

IMAGE = Blocks("val")[1].image


@pytest.mark.parametrize(
    "form", ["coco", "png", "color-png", "yolo", "geojson", "label-studio", "cvat", "labelme", "csv"]
)
def test_answers_are_exported_in_every_format(call: Call, form: str, tmp_path: Path) -> None:
    answers = [call("segment", IMAGE, name=f"{number}.png") for number in range(2)]
    export = call("export", form, answers, images=True)
    assert export.media_type == "application/zip"
    with zipfile.ZipFile(io.BytesIO(export.content)) as archive:
        names = {Path(name).stem for name in archive.namelist()}
        assert form == "csv" or {"0", "1"} <= names
    saved = call("export", form, answers, images=True, out=tmp_path / "all.zip")
    assert saved.content == b""
    assert zipfile.is_zipfile(saved.path)
    assert list(tmp_path.iterdir()) == [tmp_path / "all.zip"]  # no partial file
    assert call("export", form, limit=1).save(tmp_path).stat().st_size > 0


def test_an_export_that_is_refused_leaves_no_file(call: Call, tmp_path: Path) -> None:
    with pytest.raises(SegsortError, match="no such answer"):
        call("export", "coco", ["0" * 32], out=tmp_path / "all.zip")
    assert list(tmp_path.iterdir()) == []


def test_labelled_images_of_an_archive_are_imported_and_surveyed(call: Call, tmp_path: Path) -> None:
    answer = call("segment", IMAGE)
    export = call("export", "coco", [answer], images=True, out=tmp_path / "a.zip")
    imported = call("import_labels", export.path)
    assert imported.format == "coco"
    survey = call("survey", export.path.read_bytes(), format="coco")
    assert survey.images == 1
    assert call("read_survey", survey).survey_id == survey.survey_id
    call("delete_survey", survey)
    with pytest.raises(SegsortError) as caught:
        call("build", survey, "never")
    assert caught.value.status == 404


def test_a_few_images_in_one_request_have_an_answer_or_a_problem_each(call: Call, tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    batch = call("segment_batch", [tmp_path / "a.png", b"no image", IMAGE], k=3, exemplars=2)
    assert (batch.succeeded, batch.failed) == (2, 1)
    first, broken, last = batch.images
    assert first.answer.name == first.name == "a.png"
    assert first.answer.to_label_map().shape == IMAGE.shape[:2]
    assert (broken.answer, broken.status, broken.problem.status) == (None, 415, 415)
    assert last.answer.image_id != ""
    with pytest.raises(InputError, match="no image"):
        call("segment_batch", [])


@pytest.mark.parametrize("packed", ["a folder", "an archive", "bytes"])
def test_a_folder_is_segmented_by_a_job(call: Call, tmp_path: Path, packed: str) -> None:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for number in range(3):
        Image.fromarray(Blocks("val")[number].image).save(folder / "deep" / f"{number}.png")
    (folder / "notes.txt").write_text("not sent")
    (folder / "broken.png").write_bytes(b"no image")
    source: Any = folder
    if packed != "a folder":
        source = tmp_path / "photos.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in sorted(folder.rglob("*.png")):
                archive.write(path, path.relative_to(folder))
        source = source.read_bytes() if packed == "bytes" else source
    job = call("segment_archive", source, single=True, names="path", reason="a test")
    seen: list[float] = []
    done = call("wait", job, poll=0.1, progress=lambda one: seen.append(one.progress))
    assert seen == sorted(seen)
    assert (done.kind, done.result.images, done.result.failed, seen[-1]) == ("segment", 3, 1, 1.0)
    page = call("job_images", job)
    assert (page.done, page.failed) == (3, 1)
    (broken,) = call("job_images", job, state="failed").images
    assert (broken.name, broken.problem.status) == ("broken.png", 415)
    assert len(call("segmentation", page.images[-1].segmentation_id)) > 3
    export = call("job_result", job)
    assert len(json.loads(export.content)["images"]) == 3
    saved = call("job_result", job, out=tmp_path / "out.json")
    assert saved.path.read_bytes() == export.content
    assert len(export.content) == done.result.size
    call("delete_job", job)
    with pytest.raises(SegsortError) as caught:
        call("job_result", job)
    assert caught.value.status in (404, 409)


def test_an_archive_that_is_none_is_refused(call: Call, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images"):
        call("segment_archive", tmp_path)
    for name in ("segment_archive", "import_labels", "survey"):
        with pytest.raises(InputError, match=r"missing\.zip"):
            call(name, tmp_path / "missing.zip")


def test_a_webhook_is_made_tested_and_deleted(call: Call) -> None:
    with scripted([(204, {}, b"")]) as receiver:
        made = call("add_webhook", f"{receiver.address}/events", events=["job.ended"])
        assert made.secret not in repr(made)
        assert call("test_webhook", made).delivered
        assert receiver.requests[0][1] == "/events"
        assert made.webhook_id in {one.webhook_id for one in call("webhooks")}
        assert call("resume_webhook", made).events == ("job.ended",)
        assert call("webhook", made).failures == 0
        call("delete_webhook", made)
        assert made.webhook_id not in {one.webhook_id for one in call("webhooks")}


def test_releases_are_listed_and_compared(call: Call) -> None:
    (served,) = (one for one in call("releases") if one.active)
    assert call("release_card", served.name)["name"] == served.name
    assert call("ready").release == served.name
    assert call("activate", served.name).changed is False
    assert call("wait", call("carry", served.name)).result.revision is None  # no edits waited
    with pytest.raises(SegsortError, match=r"40\d|422"):
        call("compare", served.name, "no-such", [call("segment", IMAGE)])
    assert call("me").role == "curator"
    with pytest.raises(SegsortError) as caught:
        call("new_release", served.name)
    assert caught.value.status in (409, 422)


def test_a_job_is_cancelled_and_waited_for(call: Call) -> None:
    job = call("adapt", fit="linear", activate="never", reason="a test")
    assert (job.kind, job.reason, job.is_over) == ("adapt", "a test", False)
    with pytest.raises(SegsortError) as caught:
        call("adapt")
    assert caught.value.status == 409  # one job at a time
    call("cancel", job)
    with pytest.raises(JobError, match="cancelled"):
        call("wait", job)
    assert call("job", job).is_over
    assert job.job_id in {one.job_id for one in call("jobs")}
    with pytest.raises(SegsortError) as caught:
        call("accept", job)
    assert caught.value.status == 409
    for name in ("job", "cancel", "accept", "wait"):
        with pytest.raises(SegsortError) as caught:
            call(name, "7b" * 16)
        assert caught.value.status == 404


@pytest.mark.parametrize("name", ["explain", "crop", "label", "exemplar", "pin", "wait"])
@pytest.mark.parametrize("value", ["", None, 7, object()])
def test_what_has_no_id_is_refused_before_it_is_sent(client: Client, name: str, value: Any) -> None:
    more = ("moss",) if name == "label" else ()
    with pytest.raises(InputError, match="has no id"):
        getattr(client, name)(value, *more)


def test_a_class_needs_a_name_or_an_id(client: Client) -> None:
    for options in ({}, {"class_name": "moss", "class_id": 1}):
        with pytest.raises(InputError, match="class_id"):
            client.label("s-1", **options)


@pytest.mark.parametrize("points", [[], [1, 2], [[1, 2, 3]], "x", [[1, float("nan")]], [[1], [2, 3]]])
def test_points_that_are_none_are_refused(points: Any) -> None:
    with pytest.raises(InputError, match="points"):
        Stroke.line("moss", points, 3)


def test_masks_that_are_none_are_refused() -> None:
    for mask in (np.zeros((3, 3)), np.zeros(3, dtype=bool), [[True]]):
        with pytest.raises(InputError, match="bool array"):
            Stroke.of_mask("moss", mask)  # type: ignore[arg-type]


def test_both_clients_have_the_same_documented_operations() -> None:
    for kind in (Client, AsyncClient):
        for name, function in inspect.getmembers(Operations, inspect.isfunction):
            if not name.startswith("_"):
                assert getattr(kind, name) is function
                assert function.__doc__
    method = Client("http://host").segment
    assert list(inspect.signature(method).parameters)[:2] == ["image", "name"] or "image" in str(method.__doc__)


def test_a_wait_ends_with_the_job() -> None:
    job = {
        "job_id": "j", "kind": "adapt", "state": "running", "release": "r", "release_digest": None,
        "author": "a", "reason": None,
        "created": "t", "started": "t", "ended": None, "stage": "head", "done": 1, "total": 2, "progress": 0.5,
        "result": None, "problem": None,
    }  # fmt: skip

    def answers(state: str, **more: Any) -> list[Any]:
        return [(200, {}, json.dumps(job | one).encode()) for one in ({}, {"progress": 0.7}, {"state": state, **more})]

    seen: list[float] = []
    with scripted(answers("succeeded", result={"of": "a newer kind"})) as script, Client(script.address) as found:
        done = found.wait("j", poll=0.01, progress=lambda one: seen.append(one.progress))
        assert (done.state, done.result) == ("succeeded", {"of": "a newer kind"})
        assert seen == [0.5, 0.7, 0.5]
    failed = answers("failed", problem="out of memory")
    with scripted(failed) as script, Client(script.address) as found, pytest.raises(JobError, match="out of memory"):
        found.wait("j", poll=0.01)
    running = answers("running")
    with scripted(running) as script, Client(script.address) as found, pytest.raises(SegsortError, match="not ended"):
        found.wait("j", poll=0.01, timeout=0.1)

    async def awaited() -> str:
        async with AsyncClient(script.address) as awaiting:
            return (await awaiting.wait("j", poll=0.01)).state

    with scripted(answers("succeeded")) as script:
        assert asyncio.run(awaited()) == "succeeded"


def test_a_folder_with_files_older_than_archives_can_say_is_sent(call: Call, tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    os.utime(tmp_path / "a.png", (0, 0))  # 1970; the dates of ZIP archives begin in 1980
    assert call("wait", call("segment_archive", tmp_path), poll=0.1).result.images == 1


def test_the_archive_of_a_folder_is_removed_when_it_cannot_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (images := tmp_path / "images").mkdir()
    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    Image.fromarray(IMAGE).save(images / "a.png")

    def interrupted(request: httpx.Request) -> httpx.Response:
        assert len(list(temporary.iterdir())) == 1
        raise KeyboardInterrupt

    http = httpx.Client(transport=httpx.MockTransport(interrupted))
    with pytest.raises(KeyboardInterrupt) as held:  # its traceback keeps the operation alive
        Client(http=http).segment_archive(images)
    assert held.value is not None
    assert list(temporary.iterdir()) == []
    os.symlink(tmp_path / "none.png", images / "b.png")
    (images / os.fsdecode(b"\xff.png")).write_bytes(b"x")  # a name that is not Unicode
    with pytest.raises(InputError, match="cannot be put into an archive"):
        Client(http=http).segment_archive(images)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("moment", ["before it is made", "between two images", "after the last image"])
def test_the_archive_of_a_folder_is_removed_when_the_operation_is_cancelled_while_packing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    (images := tmp_path / "images").mkdir()
    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for name in ("a.png", "b.png", "c.png"):
        (images / name).write_bytes(b"not looked at")
    packing, cancelled, packed = threading.Event(), threading.Event(), list[str]()
    make, write, close = tempfile.mkstemp, zipfile.ZipFile.write, zipfile.ZipFile.close

    def pause(now: str) -> None:
        if now == moment:
            packing.set()
            assert cancelled.wait(60)

    def paused_make(*args: Any, **options: Any) -> Any:
        pause("before it is made")
        return make(*args, **options)

    def paused_write(archive: zipfile.ZipFile, path: Path, *args: Any) -> None:
        write(archive, path, *args)
        packed.append(path.name)
        pause("between two images")

    def paused_close(archive: zipfile.ZipFile) -> None:
        close(archive)
        pause("after the last image")

    monkeypatch.setattr(tempfile, "mkstemp", paused_make)
    monkeypatch.setattr(zipfile.ZipFile, "write", paused_write)
    monkeypatch.setattr(zipfile.ZipFile, "close", paused_close)

    async def begin_and_cancel() -> None:
        async with AsyncClient("http://127.0.0.1:9") as client:
            running = asyncio.create_task(client.segment_archive(images))
            assert await asyncio.to_thread(packing.wait, 60)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            cancelled.set()

    asyncio.run(begin_and_cancel())  # waits for its threads
    assert list(temporary.iterdir()) == []
    assert packed == {"before it is made": [], "between two images": ["a.png"]}.get(moment, ["a.png", "b.png", "c.png"])
