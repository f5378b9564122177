"""The integration with FiftyOne, in an environment with FiftyOne, over a real service. Samples are in memory."""

import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from service.app import create_app
from service.settings import Settings
from tests.conftest import Blocks
from tests.service.serving import serving

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("SEGSORT_FIFTYONE_PYTHON", ROOT / ".venv-fiftyone" / "bin" / "python"))


def test_samples_are_segmented_and_changed_labels_teach(tiny_release: Path, tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("FiftyOne has an environment of its own, which .ci/tools makes")
    Image.fromarray(Blocks("val")[1].image).save(tmp_path / "cells.png")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HOME": str(tmp_path), "FIFTYONE_DO_NOT_TRACK": "true"}
    program = ROOT / "integrations" / "fiftyone" / "tests" / "drive_fiftyone.py"
    settings = Settings(data_dir=tmp_path / "service", release=str(tiny_release), threads=1)
    with serving(create_app(settings)) as address:
        command = [str(PYTHON), str(program), address, str(tmp_path / "cells.png")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert done.stdout.endswith("done\n"), done.stdout + done.stderr
