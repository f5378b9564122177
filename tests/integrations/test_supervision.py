"""The example with supervision annotates an image and a video, and the page's example runs."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.app import create_app
from service.settings import Settings
from tests.conftest import Blocks
from tests.service.serving import serving

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "integrations" / "supervision.md"
IMAGE = Blocks("val")[1].image


@pytest.fixture(scope="module")
def address(tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), release=str(tiny_release), threads=1)
    with serving(create_app(settings)) as found:
        yield found


def annotate(source: Path, target: Path, address: str) -> None:
    program = ROOT / "integrations" / "supervision" / "annotate.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "client")}
    command = [sys.executable, str(program), str(source), str(target), "--address", address]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_image_is_annotated(address: str, tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "photo.png")
    annotate(tmp_path / "photo.png", tmp_path / "out.png", address)
    drawn = np.asarray(Image.open(tmp_path / "out.png"))
    assert drawn.shape == IMAGE.shape
    assert (drawn != IMAGE).any(axis=2).mean() > 0.9  # masks cover the image


def test_each_frame_of_a_video_is_annotated(address: str, tmp_path: Path) -> None:
    sv = pytest.importorskip("supervision")
    info = sv.VideoInfo(width=96, height=72, fps=5, total_frames=3)
    with sv.VideoSink(str(tmp_path / "in.mp4"), info) as sink:
        for number in range(3):
            sink.write_frame(np.ascontiguousarray(Blocks("val")[number].image[:, :, ::-1]))
    annotate(tmp_path / "in.mp4", tmp_path / "out.mp4", address)
    frames = list(sv.get_video_frames_generator(str(tmp_path / "out.mp4")))
    assert len(frames) == 3
    assert frames[0].shape == IMAGE.shape


def test_the_example_of_the_page_runs(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    Image.fromarray(IMAGE).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    exec(compile(example.replace("http://localhost:8000", address), PAGE, "exec"), {})
    assert capsys.readouterr().out == "1 True\n"
    assert (tmp_path / "annotated.png").is_file()
