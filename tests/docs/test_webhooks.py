"""The receiver of docs/webhooks.md runs as it is written, and the page says what the program does."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from benchmarks.running_service import free_port
from service.app import create_app
from service.records.webhook_rows import MOST
from service.settings import Settings
from service.webhooks.events import AT_ONCE, NAMES
from tests.service.serving import wait_until

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
(CODE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@contextmanager
def receiver(code: Path, secret: str, port: int) -> Iterator[None]:
    """Run the receiver of the page; its output is in a file beside it."""
    environment = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port)}
    with (code.parent / "printed").open("wb") as printed:
        process = subprocess.Popen([sys.executable, str(code)], env=environment, stdout=printed)
    try:
        wait_until(lambda: _answers(port))
        yield
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    """The receiver refuses GET, so it is up."""
    try:
        return httpx.get(f"http://localhost:{port}/").status_code == 501
    except httpx.TransportError:
        return False


def test_the_receiver_of_the_page_prints_an_event_and_refuses_others(
    tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.webhooks.sender._IDLE_S", 0.05)
    code, port = tmp_path / "receiver.py", free_port()
    code.write_text(CODE)
    settings = Settings(data_dir=tmp_path / "data", release=str(tiny_release), threads=1, webhook_pause_s=0.05)
    with TestClient(create_app(settings)) as client:
        made = client.post("/webhooks", json={"url": f"http://localhost:{port}/segsort"}).json()
        with receiver(code, made["secret"], port):
            client.post("/classes", json={"name": "kerb"}).raise_for_status()
            wait_until(lambda: "'revision': 1" in (tmp_path / "printed").read_text())
            wait_until(lambda: client.get("/webhooks").json()[0]["waiting"] == 0)
            assert client.post(f"/webhooks/{made['webhook_id']}/test").json()["delivered"]
        with receiver(code, "whsec_" + "QUFB" * 8, port):
            tested = client.post(f"/webhooks/{made['webhook_id']}/test").json()
            assert (tested["delivered"], tested["status"]) == (False, 401)
            assert (tmp_path / "printed").read_text() == ""


def test_the_page_names_every_event_and_limit() -> None:
    named = set(re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", PAGE, re.MULTILINE))
    assert named == {*NAMES, "webhook.test"}
    assert f"at most {MOST}." in PAGE
    assert f"at most {AT_ONCE} events" in PAGE
    settings = Settings()
    assert f"more than {settings.webhook_backlog:,} events" in PAGE
    assert (settings.webhook_days, settings.webhook_pause_s, settings.webhook_longest_pause_s) == (3, 1, 3600)
