"""Corrections of Label Studio while the service is away, the backend is stopped or killed, or a key is wrong."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn

from benchmarks.running_service import free_port
from segsort_label_studio.errors import BackendError
from segsort_label_studio.memory import Memory, Taught
from service.app import create_app
from service.http.keys import new_key
from service.server import Server
from service.settings import Settings
from tests.integrations.label_studio.studio import Studio, mask_of, region, studio
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
    def killed(self: Memory, taught: Taught) -> None:
        raise BackendError(503, "killed between the edit and its record", lasting=False)

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
            found = httpx.get(f"{address}/edits", headers={"Authorization": f"Bearer {key}"}, timeout=60).json()
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
