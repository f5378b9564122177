"""Requests to Label Studio's ML backend that are wrong, slow or not allowed, and what the package imports."""

import ast
import json
import re
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from segsort_client import Segmentation
from segsort_label_studio import backend as backend_module
from segsort_label_studio.answers import Answers
from segsort_label_studio.server import SECRET_HEADER
from tests.integrations.label_studio.studio import BRUSH, Studio, studio


@pytest.mark.parametrize(
    "image", ["ftp://host/a.png", "data:nonsense", "/data/upload/1/missing.png", "http://169.254.169.254/a"]
)
def test_an_image_that_cannot_be_read_is_an_error_that_label_studio_shows(label_studio: Studio, image: str) -> None:
    answer = label_studio.predict(label_studio.task(image=image))
    assert answer.status_code == 424
    assert answer.json()["error"]


def test_one_bad_task_of_several_has_no_prediction_and_the_others_have(label_studio: Studio) -> None:
    answer = label_studio.predict(label_studio.task(1), label_studio.task(2, "ftp://host/a.png"))
    good, bad = answer.json()["results"]
    assert good["result"]
    assert bad == []


def test_a_configuration_without_regions_is_refused(label_studio: Studio) -> None:
    body = {"project": "3.1", "schema": '<View><Image name="i" value="$image"/><Choices name="c" toName="i"/></View>'}
    assert label_studio.backend.post("/setup", json=body).status_code == 422
    assert label_studio.backend.post("/setup", json=body | {"schema": "<View"}).status_code == 422


MALFORMED = [
    ("/predict", {}),
    ("/predict", {"tasks": [{}], "label_config": BRUSH, "project": "1"}),
    ("/predict", {"tasks": 5, "label_config": "", "project": "1"}),
    ("/webhook", {}),
    ("/webhook", {"action": "ANNOTATION_CREATED"}),
    ("/setup", {}),
]


@pytest.mark.parametrize(("path", "body"), MALFORMED)
def test_a_malformed_request_is_400(label_studio: Studio, path: str, body: dict) -> None:
    assert label_studio.backend.post(path, json=body).status_code == 400


def test_it_imports_the_client_and_what_its_distribution_declares_alone() -> None:
    folder = Path(__file__).parents[3] / "integrations" / "label_studio"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    declared = {re.split("[<>=]", one)[0].replace("-", "_") for one in project["dependencies"]}
    found = set()
    for file in (folder / "segsort_label_studio").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found |= {name.partition(".")[0] for name in names}
    assert found - sys.stdlib_module_names - {"segsort_label_studio"} <= declared
    assert "segsort_client" in found


def test_more_tasks_than_label_studio_waits_for_are_answered_one_by_one(
    label_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an answer with one prediction for several tasks, Label Studio takes nothing, and sends each task alone."""
    tasks = [label_studio.task(number) for number in range(1, 9)]
    original = Answers.present

    def slow(self: Answers, *arguments: Any) -> Segmentation:
        time.sleep(0.3)
        return original(self, *arguments)

    monkeypatch.setattr(Answers, "present", slow)
    monkeypatch.setattr(backend_module, "_PATIENCE", 0.15)
    assert len(label_studio.predict(*tasks).json()["results"]) == 1


def test_a_password_and_a_secret_are_asked_for(service: str, tmp_path: Path) -> None:
    with studio(
        service, tmp_path / "backend", basic_auth_user="anna", basic_auth_pass="p", webhook_secret="s"
    ) as found:
        hook = {"action": "TASKS_CREATED"}
        assert found.backend.get("/livez").status_code == 200
        for path in ("/", "/health", "/versions", "/metrics"):
            assert found.backend.get(path).status_code == 401
            assert found.backend.get(path, auth=("anna", "wrong")).status_code == 401
            assert found.backend.get(path, auth=("anna", "p")).status_code == 200
        assert found.predict().status_code == 401
        assert found.backend.post("/webhook", json=hook).status_code == 401
        assert found.backend.post("/webhook", json=hook, auth=("anna", "p")).status_code == 401
        assert found.backend.post("/webhook", json=hook, headers={SECRET_HEADER: "x"}).status_code == 401
        assert found.backend.post("/webhook", json=hook, headers={SECRET_HEADER: "s"}).status_code == 200


def test_training_asks_for_the_secret_where_there_is_no_password(service: str, tmp_path: Path) -> None:
    body: dict[str, Any] = {"annotations": [], "project": "1", "label_config": ""}
    with studio(service, tmp_path / "backend", webhook_secret="s") as found:
        assert not found.application.guard.open
        assert found.backend.post("/train", json=body).status_code == 401
        assert found.backend.post("/train", json=body, headers={SECRET_HEADER: "x"}).status_code == 401
        assert found.backend.post("/train", json=body, headers={SECRET_HEADER: "s"}).status_code != 401


def test_a_server_that_setup_names_never_gets_the_secret(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"project": "3.1", "schema": BRUSH, "hostname": "http://192.0.2.7:8080", "access_token": "theirs"}
    for name, given, registered in (("a", {}, 0), ("b", {"label_studio": "http://127.0.0.1:9", "api_key": "ours"}, 2)):
        with studio(service, tmp_path / name, webhook_secret="s", **given) as found:
            urls: list[str] = []
            monkeypatch.setattr(found.application, "_register_soon", lambda _, url, urls=urls: urls.append(url))
            for _ in range(2):
                assert found.backend.post("/setup", json=body).status_code == 200
            assert len(urls) == registered


def test_a_page_of_another_site_cannot_teach(label_studio: Studio) -> None:
    """Browsers send plain text to other sites without asking them, and JSON only if they agree."""
    body = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}], "project": {"id": 1}}
    content = json.dumps(body)
    assert (
        label_studio.backend.post("/webhook", content=content, headers={"content-type": "text/plain"}).status_code
        == 400
    )
    assert label_studio.backend.options("/webhook", headers={"origin": "http://evil"}).status_code == 405
    headers = {"content-type": "application/json; charset=utf-8"}
    assert label_studio.backend.post("/webhook", content=content, headers=headers).status_code == 201
