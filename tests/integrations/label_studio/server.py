"""A Label Studio server of its own, which SEGSORT_TEST_LABEL_STUDIO names, and a backend that it calls."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from segsort_label_studio import command
from segsort_label_studio.server import Application

PROGRAM = os.environ.get("SEGSORT_TEST_LABEL_STUDIO", "")
USER, PASSWORD, TOKEN = "anna@example.com", "a-long-password", "0123456789abcdef0123456789abcdef01234567"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def label_studio_server(folder: Path) -> Iterator[httpx.Client]:
    """Start Label Studio over an empty SQLite database, and yield a client with a legacy token."""
    if not PROGRAM:
        pytest.skip("SEGSORT_TEST_LABEL_STUDIO names no program; run the tests with .ci/label-studio")
    port = free_port()
    environment = os.environ | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder), "COLLECT_ANALYTICS": "False", "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "", "LATEST_VERSION_CHECK": "false", "ML_BLOCK_LOCAL_IP": "false",
        "SSRF_PROTECTION_ENABLED": "false", "PYTHONPATH": "",
    }  # fmt: skip
    arguments = [
        PROGRAM, "start", "--no-browser", "--data-dir", str(folder), "--port", str(port),
        "--internal-host", "127.0.0.1",
        "--username", USER, "--password", PASSWORD, "--user-token", TOKEN, "--enable-legacy-api-token",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(arguments, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        headers = {"Authorization": f"Token {TOKEN}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            _wait(client, process, folder / "log")
            yield client
    finally:
        process.terminate()
        process.wait(20)


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], log: Path, patience: float = 280.0) -> None:
    """Wait until the server has migrated its database and answers."""
    end = time.monotonic() + patience
    while True:
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < end, f"Label Studio did not start: {log.read_text()[-3000:]}"
        time.sleep(0.5)


@contextmanager
def backend_server(service: str, folder: Path, **options: str) -> Iterator[tuple[str, Application]]:
    """Serve the backend on a port; yields its address."""
    arguments = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
    application = command.make(command.parser().parse_args(["--segsort", service, "--data", str(folder), *arguments]))
    command.use_phrases()
    config = uvicorn.Config(application.app(), "127.0.0.1", 0, http="h11", log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", application
    finally:
        server.should_exit = True
        thread.join(20)
        application.close()


class Project:
    """A project of the server, over its API."""

    def __init__(self, client: httpx.Client, title: str, config: str) -> None:
        self.client = client
        body = {"title": title, "label_config": config}
        self.number: int = client.post("/api/projects", json=body).raise_for_status().json()["id"]

    def upload(self, name: str, content: bytes) -> int:
        """Import an image; returns the number of its task."""
        path = f"/api/projects/{self.number}/import"
        self.client.post(path, files={"file": (name, content, "image/png")}).raise_for_status()
        tasks = self.client.get(f"/api/tasks?project={self.number}&page_size=100").raise_for_status().json()["tasks"]
        return int(max(task["id"] for task in tasks))

    def connect(self, backend: str, **more: Any) -> httpx.Response:
        body = {"url": backend, "project": self.number, "title": "segsort", "is_interactive": True} | more
        return self.client.post("/api/ml", json=body)

    def retrieve(self) -> None:
        """The action "Retrieve predictions" on all tasks."""
        path = f"/api/dm/actions?id=retrieve_tasks_predictions&project={self.number}"
        self.client.post(path, json={"selectedItems": {"all": True, "excluded": []}}).raise_for_status()

    def predictions(self, task: int) -> list[dict[str, Any]]:
        """The predictions of a task, the latest last."""
        found = self.client.get(f"/api/tasks/{task}").raise_for_status().json()["predictions"]
        return sorted(found, key=lambda one: int(one["id"]))
