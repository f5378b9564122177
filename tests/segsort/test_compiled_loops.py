"""What numba has compiled is taken again only while all sources of the loops are what they were."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import segsort

HERE = Path(segsort.__file__).parent
TELL = "import segsort, numba; print(numba.config.CACHE_DIR)"


def told(folder: Path, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    done = subprocess.run(
        [sys.executable, "-c", TELL],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_loops_are_kept_by_all_their_sources(tmp_path: Path) -> None:
    shutil.copytree(HERE, tmp_path / "segsort", ignore=shutil.ignore_patterns("__pycache__"))
    before = told(tmp_path)
    assert Path(before).is_relative_to(tmp_path / "segsort")
    assert told(tmp_path) == before
    with (tmp_path / "segsort" / "pixel_sorting.py").open("a") as other:
        other.write("# no loop\n")
    assert told(tmp_path) == before
    with (tmp_path / "segsort" / "sharing.py").open("a") as source:
        source.write("# part of many loops\n")
    assert told(tmp_path) != before


def test_a_folder_that_the_operator_names_is_used(tmp_path: Path) -> None:
    assert told(tmp_path, NUMBA_CACHE_DIR=str(tmp_path), PYTHONPATH=str(HERE.parent)) == str(tmp_path)
