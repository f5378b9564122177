"""Rooms, floors, arrows and circles of small packages whose structure is known."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tools.structure import describe, read_structure, sources

HOUSE = {
    "house/__init__.py": "",
    "house/cellar.py": "import json\n",
    "house/kitchen.py": "from house import cellar\nfrom house.pantry import shelf\n",
    "house/pantry/__init__.py": "",
    "house/pantry/shelf.py": "from house.pantry import jar\n",
    "house/pantry/jar.py": "def open_jar():\n    from house.cellar import keys\n",
    "house/attic.py": "import house.kitchen\nimport house.kitchen as below\n",
}


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files with their folders; returns the folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_an_arrow_joins_two_rooms_once_and_stays_out_of_their_insides(tmp_path: Path) -> None:
    structure = read_structure("house", write(tmp_path, HOUSE))
    assert structure.imports == {
        "house": frozenset(),
        "house.attic": {"house.kitchen"},
        "house.cellar": frozenset(),
        "house.kitchen": {"house.cellar", "house.pantry"},
        "house.pantry": {"house.cellar"},
    }
    assert structure.arrows == 4


def test_a_room_is_one_floor_above_the_highest_that_it_imports(tmp_path: Path) -> None:
    structure = read_structure("house", write(tmp_path, HOUSE))
    assert structure.floors == (("house", "house.cellar"), ("house.pantry",), ("house.kitchen",), ("house.attic",))
    assert structure.circles == ()


def test_rooms_that_import_each_other_are_a_circle_on_one_floor(tmp_path: Path) -> None:
    files = {**HOUSE, "house/cellar.py": "from house.pantry import shelf\n"}
    structure = read_structure("house", write(tmp_path, files))
    assert structure.circles == (("house.cellar", "house.pantry"),)
    assert structure.floors == (("house", "house.cellar", "house.pantry"), ("house.kitchen",), ("house.attic",))


def test_a_circle_through_a_third_room_is_found(tmp_path: Path) -> None:
    files = {**HOUSE, "house/cellar.py": "import house.attic\n"}
    (circle,) = read_structure("house", write(tmp_path, files)).circles
    assert circle == ("house.attic", "house.cellar", "house.kitchen", "house.pantry")


def test_the_rooms_of_a_wing_are_its_modules(tmp_path: Path) -> None:
    structure = read_structure("house.pantry", write(tmp_path, HOUSE))
    assert structure.floors == (("house.pantry", "house.pantry.jar"), ("house.pantry.shelf",))


def test_the_text_begins_with_the_counts_and_ends_with_the_circles(tmp_path: Path) -> None:
    files = {**HOUSE, "house/cellar.py": "from house.pantry import shelf\n"}
    lines = describe(read_structure("house", write(tmp_path, files))).splitlines()
    assert lines[0] == "5 rooms, 3 floors, 5 arrows, 1 circles"
    assert lines[1:3] == ["floor 3", "  house.attic -> house.kitchen"]
    assert lines[-1] == "circle: house.cellar, house.pantry"


def test_the_sources_of_a_commit_are_read_and_not_those_of_the_working_tree(tmp_path: Path) -> None:
    write(tmp_path, HOUSE)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@localhost", "-C", str(tmp_path)]
    for step in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "A house"]):
        subprocess.run([*git, *step], check=True)
    (tmp_path / "house" / "attic.py").unlink()
    with sources("HEAD", tmp_path) as folder:
        assert "house.attic" in read_structure("house", folder).imports
    with sources(None, tmp_path) as folder:
        assert "house.attic" not in read_structure("house", folder).imports


def test_an_unknown_package_or_commit_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no package 'shed'"):
        read_structure("shed", tmp_path)
    with pytest.raises(ValueError, match="'nowhere'"), sources("nowhere", tmp_path):
        pass


def test_a_reader_that_closes_the_pipe_early_causes_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "tools.structure", "tools"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
