"""A process without PyTorch serves on a CPU: it answers, explains, corrects and exports, and refuses to fit heads."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Blocks
from tests.service.conftest import encoded

PROBE = """
import json, sys
from pathlib import Path

sys.modules["torch"] = None  # an import of it fails, as where it is not installed
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings

release, data, image = sys.argv[1:]
content, found = Path(image).read_bytes(), {}
settings = Settings(release=release, data_dir=Path(data), database_url=f"sqlite:///{data}/database.sqlite")
with TestClient(create_app(settings)) as client:
    def ask(method, path, **request):
        response = client.request(method, path, **request)
        found.setdefault("statuses", []).append(f"{method} {path.split('/')[1]} {response.status_code}")
        return response

    answer = ask("POST", "/segment", content=content).json()
    segment = answer["segments"][0]["segment_id"]
    ask("GET", "/explain/" + segment)
    line = {"class_name": "lava", "points": [[5, 8], [60, 50]], "width": 4}
    marks = f"/segmentations/{answer['segmentation_id']}/marks"
    found["marked"] = ask("POST", marks, json={"strokes": [line], "scope": "all"}).json()
    ask("POST", f"/segments/{segment}/label", json={"class_name": "kerb"})
    ask("POST", "/segment", content=content)
    ask("GET", "/exemplars")
    ask("GET", "/readyz")
    found["adapt"] = ask("POST", "/adapt", json={}).json()
found["answer"] = answer
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a service without PyTorch answered."""
    folder = tmp_path_factory.mktemp("without")
    (folder / "image.png").write_bytes(encoded(Blocks("val")[0].image))
    command = [sys.executable, "-c", PROBE, str(tiny_release), str(folder), str(folder / "image.png")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    body: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return body


def test_it_answers_explains_and_takes_edits(found: dict[str, Any]) -> None:
    assert found["statuses"] == [
        "POST segment 200", "GET explain 200", "POST segmentations 201", "POST segments 201", "POST segment 200",
        "GET exemplars 200", "GET readyz 200", "POST adapt 409",
    ]  # fmt: skip
    assert [one["name"] for one in found["marked"]["classes"]] == ["lava"]


def test_it_labels_as_a_process_with_pytorch(found: dict[str, Any], tiny_release: Path) -> None:
    from model_store.predictor import Predictor
    from model_store.release import Release

    expected = Predictor(Release.open(tiny_release)).predict(Blocks("val")[0].image)
    assert [one["area"] for one in found["answer"]["segments"]] == expected.segments.areas.tolist()
    assert [one["class_id"] for one in found["answer"]["segments"]] == expected.vote.class_ids.tolist()


def test_a_job_that_fits_a_head_is_refused_with_what_to_do(found: dict[str, Any]) -> None:
    assert found["adapt"]["received"] == "no PyTorch"
    assert "Install PyTorch" in found["adapt"]["fix"]


def test_a_command_that_fits_a_head_says_what_is_missing() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['segsort', 'adapt', 'streets', '--out', 'unused']; "
        "from command_line.main import app; app()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "segsort: this command needs PyTorch, which is not installed: pip install torch\n"
