"""The napari plugin: its pixels and marks over a real service, and the widget in napari without a display."""

import os
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segsort_client import Client
from segsort_napari.pixels import visible_slice
from segsort_napari.session import Session
from service.app import create_app
from service.settings import Settings
from tests.conftest import Blocks
from tests.service.serving import serving

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "integrations" / "napari"
PYTHON = Path(os.environ.get("SEGSORT_NAPARI_PYTHON", ROOT / ".venv-napari" / "bin" / "python"))
IMAGE = Blocks("val")[1].image


@pytest.fixture
def address(tiny_release: Path, tmp_path: Path) -> Iterator[str]:
    settings = Settings(data_dir=tmp_path / "service", release=str(tiny_release), threads=1)
    with serving(create_app(settings)) as found:
        yield found


@pytest.fixture
def session(address: str) -> Iterator[Session]:
    with Client(address) as client:
        yield Session(client)


@pytest.mark.parametrize(
    ("shape", "rgb", "step", "picked"),
    [
        ((5, 7), False, (2, 3), ()),
        ((5, 7, 3), True, (2, 3), ()),
        ((4, 5, 7), False, (3, 2, 3), (3,)),
        ((4, 6, 5, 7, 4), True, (3, 1, 2, 3), (3, 1)),
        ((5, 7), False, (9, 2, 3), ()),  # beside a stack
        ((4, 5, 7), False, (8, 1, 2, 3), (1,)),
    ],
)
def test_the_slice_that_is_shown_is_sent(
    shape: tuple[int, ...], rgb: bool, step: tuple[int, ...], picked: tuple[int, ...]
) -> None:
    data = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    assert (visible_slice(data, rgb, step, (0, 1)) == data[picked]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint32])
def test_other_values_are_sent_as_they_are_shown(dtype: Any) -> None:
    data = (
        np.array([[-50, 0, 50], [100, 150, 200]]).astype(dtype)
        if dtype is not np.uint32
        else np.arange(6).reshape(2, 3)
    )
    shown = visible_slice(data, False, (0, 0), (0, 100) if dtype is not np.uint32 else (0, 5))
    assert shown.dtype == np.uint8
    assert shown.ravel().tolist() == (
        [0, 0, 128, 255, 255, 255] if dtype is not np.uint32 else [0, 51, 102, 153, 204, 255]
    )


def test_what_is_no_number_is_black_and_truth_is_white() -> None:
    assert visible_slice(np.array([[np.nan, np.inf]]), False, (0, 0), (0, 1)).tolist() == [[0, 255]]
    assert visible_slice(np.array([[False, True]]), False, (0, 0), (0, 1)).tolist() == [[0, 255]]
    sixteen = np.array([[0, 65535]], dtype=np.uint16)
    assert visible_slice(sixteen, False, (0, 0), (0, 9)) is not None
    with pytest.raises(ValueError, match="1 dimensions"):
        visible_slice(np.zeros(3), False, (0,), (0, 1))


def test_labels_are_class_ids_from_one(session: Session) -> None:
    labels = session.segment(IMAGE, "cells")
    assert session.answer is not None
    assert (labels == session.answer.to_label_map() + 1).all()
    assert [session.classes()[number][0] for number in (1, 2, 3)] == ["brick", "grass", "water"]
    assert "brick" in session.explain(0, 0) + session.explain(30, 0) + session.explain(60, 0) + session.explain(90, 30)
    assert session.explain(-1, 5) == session.explain(5, 1000) == ""


def test_painted_labels_teach_a_new_class_and_are_undone(session: Session) -> None:
    before = session.segment(IMAGE, "cells")
    number = session.add_class("moss")
    assert session.add_class("moss") == number == 4
    assert session.add_class("grass") == 2
    painted = np.zeros(IMAGE.shape[:2], dtype=np.int32)
    painted[10:20, 10:20], painted[50:60, 70:90] = number, 1
    assert "exemplars" in session.teach(painted)
    after = session.labels()
    assert (after[10:20, 10:20] == number).all()
    assert "moss" in session.explain(15, 15)
    session.undo()
    assert (session.labels() == before).mean() > 0.99


def test_what_is_painted_while_marks_are_sent_is_left_in_the_labels_of_its_classes(session: Session) -> None:
    session.segment(IMAGE, "cells")
    fern, reed = session.add_class("fern"), session.add_class("reed")
    painted = np.zeros(IMAGE.shape[:2], dtype=np.int32)
    painted[10:20, 10:20] = reed
    session.teach(painted)
    data = painted.copy()
    data[15:30, 10:20], data[12, 12], data[40:50, 40:50] = fern, 0, 1
    numbers = {name: number for number, (name, _) in session.classes().items()}
    assert (numbers["reed"], numbers["fern"]) == (fern, reed), "the class that was sent got the first free number"
    left = session.unsent(data, painted)
    expected = np.zeros_like(data)
    expected[15:30, 10:20], expected[40:50, 40:50] = numbers["fern"], 1
    np.testing.assert_array_equal(left, expected)
    session.teach(left)
    assert "fern" in session.explain(15, 25)


def test_marks_that_cannot_be_sent_are_refused_in_words(session: Session) -> None:
    with pytest.raises(ValueError, match="Press Segment first"):
        session.labels()
    session.segment(IMAGE, "cells")
    painted = np.zeros(IMAGE.shape[:2], dtype=np.int32)
    with pytest.raises(ValueError, match="Nothing is painted"):
        session.teach(painted)
    with pytest.raises(ValueError, match="size"):
        session.teach(painted[1:])
    painted[3, 3] = 77
    with pytest.raises(ValueError, match="77"):
        session.teach(painted)
    with pytest.raises(ValueError, match="needs a name"):
        session.add_class(" ")


def test_the_manifest_names_what_exists() -> None:
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    (manifest,) = project["entry-points"]["napari.manifest"].values()
    package, _, file = manifest.partition(":")
    text = (FOLDER / package / file).read_text()
    assert f"name: {project['name']}" in text
    assert "class SegsortWidget" in (FOLDER / package / "widget.py").read_text()


def test_the_plugin_segments_and_teaches_in_napari(address: str, tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("napari has an environment of its own, which .ci/tools makes")
    np.save(tmp_path / "image.npy", IMAGE)
    out = ROOT / "out" / "screenshots"
    out.mkdir(parents=True, exist_ok=True)
    program = FOLDER / "tests" / "drive_napari.py"
    environment = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        "QT_QPA_PLATFORM": "offscreen", "DISPLAY": "", "NAPARI_ASYNC": "0",
        "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path),
    }  # fmt: skip
    command = [str(PYTHON), str(program), address, str(tmp_path / "image.npy"), str(out / "napari.png")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout.endswith("done\n"), done.stdout + done.stderr
    assert (out / "napari.png").stat().st_size > 1000
