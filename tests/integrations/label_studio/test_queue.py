"""Corrections of Label Studio while the service is away, the backend is stopped or killed, or a key is wrong."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import PIL.Image
import pytest
import uvicorn

from segsort_label_studio.errors import BackendError
from segsort_label_studio.memory import Memory, Taught
from service.app import create_app
from service.http.keys import new_key
from service.server import Server
from service.settings import Settings
from tests.integrations.label_studio.server import free_port
from tests.integrations.label_studio.studio import Studio, mask_of, photo, region, studio
from tests.service.serving import wait_until


@contextmanager
def service_at(port: int, settings: Settings) -> Iterator[str]:
    """Serve on a port until the block ends."""
    app = create_app(settings)
    server = Server(app, settings.model_copy(update={"port": port}))
    thread = threading.Thread(target=uvicorn.Server.run, args=(server,), daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive())
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def settings(tiny_release: Path, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "service", release=str(tiny_release), threads=1)


MASK = np.zeros((72, 96), dtype=bool)
MASK[20:50, 30:70] = True


def marks(found: Studio) -> list[dict]:
    """The edits in effect that annotations made."""
    return [one for one in found.edits() if one["kind"] == "mark" and one["reverted_by"] is None]


def test_a_correction_waits_while_the_service_is_away_and_is_taught_once_when_it_is_back(
    settings: Settings, tmp_path: Path
) -> None:
    port = free_port()
    with studio(f"http://127.0.0.1:{port}", tmp_path / "backend") as away:
        away.webhook("ANNOTATION_CREATED", 34, [region("Sea", MASK)])
        memory = away.application.backend.memory
        wait_until(lambda: memory.waiting()[0].tries > 1)
        assert memory.counts() == (1, 0)
        page = away.backend.get("/", headers={"accept": "text/html"}).text
        assert "does not answer" in page
        assert away.predict().status_code == 503
        with service_at(port, settings):
            away.settled()
            assert len(marks(away)) == 1


def test_what_waits_outlives_a_restart_of_the_backend(settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    with studio(f"http://127.0.0.1:{port}", tmp_path / "backend") as before:
        before.webhook("ANNOTATION_CREATED", 34, [region("Sea", MASK)])
        before.webhook("ANNOTATION_CREATED", 35, [region("grass", ~MASK)])
    with service_at(port, settings), studio(f"http://127.0.0.1:{port}", tmp_path / "backend") as after:
        after.settled()
        assert sorted(one["reason"].split(",")[1] for one in marks(after)) == [" annotation 34", " annotation 35"]


def test_of_several_versions_that_wait_the_newest_is_taught(settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    with studio(f"http://127.0.0.1:{port}", tmp_path / "backend") as found:
        found.webhook("ANNOTATION_CREATED", 34, [region("Sea", MASK)])
        found.webhook("ANNOTATION_UPDATED", 34, [region("grass", MASK)])
        with service_at(port, settings):
            found.settled()
            assert len(found.edits()) in (
                1,
                3,
            )  # 3: the older one was being sent when the service came, and is replaced
            names = found.label_map(found.prediction())[MASK]
            assert (names == "grass").all()


def test_an_edit_that_was_made_before_a_crash_is_not_made_twice(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_taught = Memory.put_taught

    def killed(self: Memory, taught: Taught) -> None:
        if taught.edits:
            raise BackendError(503, "killed between the edit and its record", lasting=False)
        put_taught(self, taught)

    port = free_port()
    with service_at(port, settings) as address:
        with studio(address, tmp_path / "backend") as before, monkeypatch.context() as patched:
            patched.setattr(Memory, "put_taught", killed)
            before.webhook("ANNOTATION_CREATED", 34, [region("Sea", MASK)])
            wait_until(lambda: len(before.edits()) > 0)
            wait_until(lambda: before.application.backend.memory.waiting()[0].tries > 0)
            before.application.teacher.stop()
        with studio(address, tmp_path / "backend") as after:
            after.settled()
            assert len(marks(after)) == 1
            after.webhook("ANNOTATIONS_DELETED", 34)
            after.settled()
            assert marks(after) == []


def killed_with_an_edit(address: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotation 34 is taught as grass, and the backend ends before it records the edit."""
    with studio(address, folder) as before, monkeypatch.context() as patched:
        patched.setattr(Memory, "put_taught", stopped)
        before.webhook("ANNOTATION_CREATED", 34, [region("grass", MASK)])
        wait_until(lambda: before.application.backend.memory.waiting()[0].failed)
        assert len(marks(before)) == 1


def stopped(self: Memory, taught: Taught) -> None:
    raise BackendError(502, "killed between the edit and its record")


def test_an_edit_before_a_crash_is_found_below_many_newer_ones(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service_at(free_port(), settings) as address:
        killed_with_an_edit(address, tmp_path / "backend", monkeypatch)
        with studio(address, tmp_path / "other") as other:
            other.webhook("ANNOTATION_CREATED", 35, [region("Sea", ~MASK)])
            other.settled()
            for _ in range(60):  # reverts of reverts
                newest = other.edits()[0]["revision"]
                other.service.post(f"/edits/{newest}/revert", json={}).raise_for_status()
        with studio(address, tmp_path / "backend") as after:
            after.webhook("ANNOTATION_UPDATED", 34, [region("grass", MASK)])
            after.settled()
            found = after.service.get("/edits", params={"limit": 1000}).json()
            assert len(found) > 60
            mine = [one for one in found if one["kind"] == "mark" and "annotation 34" in one["reason"]]
            assert [one["reverted_by"] is None for one in mine] == [True, False]


@pytest.mark.parametrize("action", ["ANNOTATION_UPDATED", "ANNOTATIONS_DELETED"])
def test_an_edit_before_a_crash_is_undone_by_what_came_next(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    with service_at(free_port(), settings) as address:
        killed_with_an_edit(address, tmp_path / "backend", monkeypatch)
        with studio(address, tmp_path / "backend") as after:
            after.webhook(action, 34, [])
            after.settled()
            assert marks(after) == []


class Images:
    """A server of images, of which those that are away answer 503."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.asked: Counter[str] = Counter()

    @contextmanager
    def serving(self) -> Iterator[str]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/")
                outer.asked[name] += 1
                found = name not in outer.away
                self.send_response(200 if found else 503)
                self.end_headers()
                if found:
                    PIL.Image.fromarray(photo(int(name))).save(self.wfile, "PNG")

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join(20)


def annotated(found: Studio, images: list[str], results: list[dict]) -> None:
    """Send an annotation of a task with a list of images."""
    task = found.task() | {"data": {"image": images}}
    config = found.config.replace('value="$image"', 'valueList="$image"')
    body = {
        "action": "ANNOTATION_UPDATED", "task": task, "project": {"id": 3, "label_config": config},
        "annotation": {"id": 34, "result": results},
    }  # fmt: skip
    assert found.backend.post("/webhook", json=body).status_code == 201


def test_an_image_is_taught_once_while_another_one_of_its_task_cannot_be_read(
    settings: Settings, tmp_path: Path
) -> None:
    images = Images()
    images.away.add("1")
    with images.serving() as host, service_at(free_port(), settings) as address:
        with studio(address, tmp_path / "backend") as found:
            memory = found.application.backend.memory
            both = [region("Sea", MASK), region("grass", MASK, item_index=1)]
            annotated(found, [f"{host}/0", f"{host}/1"], both)
            wait_until(lambda: memory.waiting()[0].tries > 2)
            assert len(found.edits()) == 1
        with studio(address, tmp_path / "backend") as found:  # nor after a restart
            memory = found.application.backend.memory
            found.application.teacher.try_again()
            wait_until(lambda: memory.waiting()[0].tries > 0)
            assert len(found.edits()) == 1
            images.away.clear()
            found.application.teacher.try_again()
            found.settled()
            assert [one["kind"] for one in found.edits()] == ["mark", "mark"]
            assert "1 parts" in memory.latest()[0].note
            annotated(found, [f"{host}/0", f"{host}/1"], both)
            found.settled()
            assert len(found.edits()) == 2
            found.webhook("ANNOTATIONS_DELETED", 34)
            found.settled()
            assert marks(found) == []


def test_what_an_image_taught_is_taken_back_although_another_one_was_never_read(
    settings: Settings, tmp_path: Path
) -> None:
    images = Images()
    images.away.add("1")
    both = [region("Sea", MASK), region("grass", MASK, item_index=1)]
    with (
        images.serving() as host,
        service_at(free_port(), settings) as address,
        studio(address, tmp_path / "backend") as found,
    ):
        annotated(found, [f"{host}/0", f"{host}/1"], both)
        wait_until(lambda: found.application.backend.memory.waiting()[0].tries > 0)
        assert len(marks(found)) == 1
        found.webhook("ANNOTATIONS_DELETED", 34)
        found.settled()
        assert marks(found) == []


def test_an_image_without_a_region_is_not_read(settings: Settings, tmp_path: Path) -> None:
    images = Images()
    images.away.add("1")
    with (
        images.serving() as host,
        service_at(free_port(), settings) as address,
        studio(address, tmp_path / "backend") as found,
    ):
        annotated(found, [f"{host}/0", f"{host}/1"], [region("Sea", MASK)])
        wait_until(lambda: found.application.backend.memory.latest() or images.asked["1"])
        assert images.asked["1"] == 0
        assert len(found.edits()) == 1


def test_a_wrong_key_loses_no_correction(settings: Settings, tmp_path: Path) -> None:
    key, line = new_key("anna", "curator")
    port = free_port()
    with service_at(port, settings.model_copy(update={"api_keys": line.line})) as address:
        with studio(address, tmp_path / "backend", segsort_key="wrong") as wrong:
            wrong.webhook("ANNOTATION_CREATED", 34, [region("Sea", MASK)])
            memory = wrong.application.backend.memory
            wait_until(lambda: memory.waiting()[0].tries > 0)
            assert memory.counts() == (1, 0)
        with studio(address, tmp_path / "backend", segsort_key=key) as right:
            right.settled()
            found = httpx.get(f"{address}/edits", headers={"Authorization": f"Bearer {key}"}).json()
            assert [one["author"] for one in found] == ["anna"]


def test_a_correction_that_can_never_be_taught_is_shown_and_stops_no_other(settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    with service_at(port, settings) as address, studio(address, tmp_path / "backend") as found:
        found.image, image = "ftp://host/a.png", found.image
        found.webhook("ANNOTATION_CREATED", 34, [region("Sea", MASK)])
        found.image = image
        found.webhook("ANNOTATION_CREATED", 35, [region("Sea", MASK)])
        found.settled()
        assert found.application.backend.memory.counts() == (0, 1)
        assert len(marks(found)) == 1
        assert "is no address of an image" in found.backend.get("/", headers={"accept": "text/html"}).text
        assert "corrections_failed 1" in found.backend.get("/metrics").text


def test_a_restarted_service_that_lost_its_answers_gets_the_image_again(settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    with studio(f"http://127.0.0.1:{port}", tmp_path / "backend") as found:
        with service_at(port, settings):
            first = found.prediction()
        with service_at(port, settings.model_copy(update={"data_dir": tmp_path / "empty"})):
            second = found.prediction()
            assert [mask_of(one).sum() for one in second["result"]] == [mask_of(one).sum() for one in first["result"]]
            found.webhook("ANNOTATION_CREATED", 34, [region("Sea", MASK)])
            found.settled()
            assert len(marks(found)) == 1


def test_a_webhook_is_answered_at_once_while_the_service_hangs(tmp_path: Path) -> None:
    """Label Studio waits for a second, and never tries again."""
    with studio(f"http://127.0.0.1:{free_port()}", tmp_path / "backend") as found:
        results = [region("Sea", MASK) for _ in range(200)]
        start = time.monotonic()
        found.webhook("ANNOTATION_CREATED", 34, results)
        assert time.monotonic() - start < 10
