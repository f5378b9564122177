"""Webhooks of whole services: killed in the middle, two over one database, and who may make them."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from benchmarks.running_service import free_port, start_service, stop
from benchmarks.webhook_receiver import read, receiving
from service.app import create_app
from service.http.keys import new_key
from service.settings import Settings
from tests.service.serving import wait_until
from tests.service.test_importing import zipped

ANNA, ANNAS = new_key("anna", "curator")
BO, BOS = new_key("bo", "reader")
EDITS = int(os.environ.get("SEGSORT_TEST_EVENTS", "60"))  # raise it for a longer run


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """Settings of the services of a test."""
    monkeypatch.setenv("SEGSORT_DATABASE_URL", database_url)
    monkeypatch.setenv("SEGSORT_WEBHOOK_PAUSE_S", "0.2")
    monkeypatch.setenv("SEGSORT_WEBHOOK_LONGEST_PAUSE_S", "1")
    monkeypatch.setenv("SEGSORT_WEBHOOK_TIMEOUT_S", "6")


@pytest.mark.usefixtures("quick")
def test_every_event_arrives_in_order_although_receiver_and_services_are_killed(
    tiny_release: Path, tmp_path: Path
) -> None:
    """Two services over one database. The receiver is down at first; the service that sends is killed in the middle."""
    folders = [tmp_path / name for name in ("one", "two", "again")]
    for folder in folders:
        folder.mkdir()
    log, port = tmp_path / "received", free_port()
    processes: list[Any] = []
    try:
        process, one = start_service(folders[0], "--release", str(tiny_release))
        processes.append(process)
        process, two = start_service(folders[1], "--release", str(tiny_release))
        processes.append(process)
        made = (
            httpx.post(f"{one}/webhooks", json={"url": f"http://127.0.0.1:{port}/hook"}, timeout=60)
            .raise_for_status()
            .json()
        )
        wanted = _edit(one, EDITS // 2)
        path = f"/webhooks/{made['webhook_id']}"
        wait_until(lambda: httpx.get(one + path, timeout=60).json()["state"] == "failing")
        with receiving(port, log, made["secret"]):
            wait_until(lambda: read(log))
            processes[0].kill()
            wanted += _edit(two, EDITS // 4)
            wait_until(lambda: len(read(log)) > EDITS // 2)
            processes[1].kill()
            process, again = start_service(folders[2], "--release", str(tiny_release))
            processes.append(process)
            wanted += _edit(again, EDITS // 4)
            wait_until(lambda: httpx.get(again + path, timeout=60).json()["waiting"] == 0)
    finally:
        for process in processes:
            stop(process)
    lines = read(log)
    first = [line for line in lines if not line["again"]]
    assert all(line["status"] == 204 for line in lines), "each signature is right"
    assert [line["data"]["revision"] for line in first] == wanted
    assert len(lines) - len(first) <= 2, "what a killed service had sent and not noted is sent once more"
    for folder in folders:
        assert made["secret"][6:] not in (folder / "service.log").read_text()


def _edit(address: str, count: int) -> list[int]:
    """Make classes; the revisions of these edits."""
    with httpx.Client(base_url=address, timeout=60) as client:
        taken = len(client.get("/classes").json())
        answers = [client.post("/classes", json={"name": f"class {taken + n}"}) for n in range(count)]
    return [answer.raise_for_status().json()["index_revision"] for answer in answers]


@pytest.fixture
def keyed(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings.model_copy(update={"api_keys": f"{ANNAS.line},{BOS.line}"}))) as client:
        yield client


def _with(key: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {key}"}}


def test_only_curators_see_webhooks_and_nobody_sees_a_secret_again(
    keyed: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    url = {"url": "http://127.0.0.1:9/hook?token=abc"}
    assert keyed.post("/webhooks", json=url, **_with(BO)).status_code == 403
    made = keyed.post("/webhooks", json=url, **_with(ANNA))
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    secret, webhook_id = made.json().pop("secret"), made.json()["webhook_id"]
    for path in ("/webhooks", f"/webhooks/{webhook_id}"):
        assert keyed.get(path, **_with(BO)).status_code == 403
        assert keyed.get(path).status_code == 401
        assert secret not in keyed.get(path, **_with(ANNA)).text
    assert made.json()["author"] == "anna"
    for more in ("test", "resume"):
        answer = keyed.post(f"/webhooks/{webhook_id}/{more}", **_with(ANNA))
        assert answer.status_code == 200
        assert secret not in answer.text
    assert secret not in keyed.get("/metrics").text + caplog.text
    assert "token=abc" not in caplog.text
    assert keyed.delete(f"/webhooks/{webhook_id}", **_with(ANNA)).status_code == 204
    assert keyed.delete(f"/webhooks/{webhook_id}", **_with(ANNA)).status_code == 404
    assert keyed.get("/webhooks", **_with(ANNA)).json() == []


def test_a_test_event_says_what_the_receiver_answered(client: TestClient, tmp_path: Path) -> None:
    log, port = tmp_path / "received", free_port()
    made = client.post("/webhooks", json={"url": f"http://localhost:{port}/", "events": ["job.ended"]}).json()
    tested = client.post(f"/webhooks/{made['webhook_id']}/test").json()
    assert (tested["delivered"], tested["status"]) == (False, None)
    assert "refused" in tested["problem"]
    with receiving(port, log, made["secret"]):
        tested = client.post(f"/webhooks/{made['webhook_id']}/test").json()
        assert (tested["delivered"], tested["status"], tested["problem"]) == (True, 204, None)
    (line,) = read(log)
    assert (line["type"], line["data"]) == ("webhook.test", {"webhook_id": made["webhook_id"]})
    assert re.fullmatch(r"test_[0-9a-f]{16}", line["id"])


@pytest.mark.parametrize(
    "body",
    [
        {}, {"url": 1}, {"url": "file:///etc/passwd"}, {"url": "http://169.254.169.254/latest"},
        {"url": "http://a.example", "events": []}, {"url": "http://a.example", "events": ["edit"]},
        {"url": "http://a.example", "events": ["edit.made"] * 3}, {"url": "http://a.example", "secret": "whsec_mine"},
    ],
)  # fmt: skip
def test_a_wrong_webhook_is_refused_with_the_fix(client: TestClient, body: dict[str, Any]) -> None:
    refused = client.post("/webhooks", json=body)
    assert refused.status_code == 422
    assert refused.json()["fix"]
    assert client.get("/webhooks").json() == []


def test_an_open_service_sends_nothing_unless_its_settings_say_so(settings: Settings) -> None:
    url = {"url": "http://127.0.0.1:9/"}
    for changes, status in (
        ({"open": True}, 403),
        ({"open": True, "webhook_targets": "any"}, 201),
        ({"open": True, "webhook_targets": "public"}, 422),
        ({"webhook_targets": "none"}, 403),
        ({"open": True, "api_keys": ANNAS.line}, 201),
    ):
        changed = settings.model_copy(update={"database_url": "sqlite://", **changes})
        with TestClient(create_app(changed)) as client:
            assert client.post("/webhooks", json=url, **_with(ANNA)).status_code == status, changes
            assert client.get("/webhooks", **_with(ANNA)).status_code == 200


def test_what_waits_is_in_the_list_and_in_the_metrics(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.webhooks.sender._IDLE_S", 0.05)
    with start(webhook_pause_s=0.01) as client:
        made = client.post("/webhooks", json={"url": f"http://127.0.0.1:{free_port()}/"}).json()
        client.post("/classes", json={"name": "kerb"})
        label = f'{{webhook="{made["webhook_id"]}"}}'
        wait_until(lambda: f"segsort_webhook_waiting_events{label} 1.0" in client.get("/metrics").text)
        wait_until(lambda: client.get("/webhooks").json()[0]["state"] == "failing")
        (found,) = client.get("/webhooks").json()
        assert (found["waiting"], found["delivered"]) == (1, None)
        assert found["problem"].startswith("edit_1_")
        resumed = client.post(f"/webhooks/{made['webhook_id']}/resume", json={"skip": True}).json()
        assert (resumed["waiting"], resumed["state"]) == (0, "active")
        assert f"segsort_webhook_stopped{label} 0.0" in client.get("/metrics").text


def test_a_job_of_images_tells_its_end(
    start: Any, photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.webhooks.sender._IDLE_S", 0.05)
    log, port = tmp_path / "received", free_port()
    with start() as client:
        made = client.post("/webhooks", json={"url": f"http://127.0.0.1:{port}/", "events": ["job.ended"]}).json()
        with receiving(port, log, made["secret"]):
            archive = zipped({"a.png": photo, "b.png": photo})
            job_id = client.post("/jobs/segment", content=archive).raise_for_status().json()["job_id"]
            wait_until(lambda: read(log))
            data = read(log)[0]["data"]
            assert (data["job_id"], data["kind"], data["state"]) == (job_id, "segment", "succeeded")
            assert client.get(data["url"]).json()["state"] == "succeeded"
