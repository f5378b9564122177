"""Importing the package, or a part of it, loads only what it needs and changes nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import segsort

ROOT = Path(segsort.__file__).parent.parent


def run(code: str, folder: Path, **environment: str) -> list[str]:
    """Words that a new process prints."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True,
        env=inherited | {"PYTHONPATH": str(ROOT)} | environment,
    )  # fmt: skip
    return done.stdout.split()


def loaded_after(statement: str, folder: Path) -> set[str]:
    """Which of the heavy libraries are loaded after a statement."""
    heavy = ("numba", "llvmlite", "torch", "scipy", "transformers")
    return set(run(f"import sys; {statement}; print(*(name for name in {heavy} if name in sys.modules))", folder))


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import segsort", set()),
        ("import segsort.loops", set()),
        ("from segsort.loops import at_most, begin_compiling, run_in_background", set()),
        ("import segsort.retrieval", set()),
        ("from segsort.masks import decode_rle", set()),
        ("import segsort.cells", set()),
        ("import segsort.sphere", set()),
        ("import segsort.memory_bank", {"torch"}),
        ("import segsort.segment_sorting", {"torch"}),
        ("import segsort.pixel_sorting", set()),
        ("import segsort.segments", set()),
        ("import segsort.strokes", {"scipy"}),
        ("from segsort.pixel_sorting import SortingOptions; SortingOptions()", set()),
    ],
)
def test_an_import_loads_no_library_that_it_does_not_need(statement: str, allowed: set[str], tmp_path: Path) -> None:
    assert loaded_after(statement, tmp_path) <= allowed


def test_a_call_of_the_door_loads_numba(tmp_path: Path) -> None:
    statement = "from segsort.loops import sorts_in_bytes; sorts_in_bytes()"
    assert "numba" in loaded_after(statement, tmp_path)


def test_arrays_are_sorted_outlined_and_described_without_torch(tmp_path: Path) -> None:
    code = (
        "import numpy as np; from segsort.pixel_sorting import SortingOptions; "
        "from segsort.labelled_segments import split_by_label; from segsort.segments import segment_image; "
        "embeddings = np.full((4, 9, 12), 0.5, dtype=np.float32); "
        "found = segment_image(embeddings, (36, 48), SortingOptions(4), 0.01); "
        "split_by_label(found, embeddings, np.zeros((36, 48), dtype=int), 9, 0.01)"
    )
    assert "torch" not in loaded_after(code, tmp_path)


def test_decoding_a_mask_needs_no_compiler(tmp_path: Path) -> None:
    assert not loaded_after("from segsort.masks import decode_rle; decode_rle('04', (2, 2))", tmp_path)


@pytest.mark.parametrize("module", ["segsort", "segsort.loops", "segsort.pixel_sorting", "segsort.segments"])
def test_an_import_writes_no_file(module: str, tmp_path: Path) -> None:
    """Every place in which compiled loops may lie is empty afterwards."""
    home, cache = tmp_path / "home", tmp_path / "numba"
    run(
        f"import {module}", tmp_path, HOME=str(home), XDG_CACHE_HOME=str(home / "cache"), NUMBA_CACHE_DIR=str(cache),
        PYTHONDONTWRITEBYTECODE="1", TMPDIR=str(tmp_path),
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_numbas_configuration_stays_as_it_was(tmp_path: Path) -> None:
    code = (
        "import numba; before = numba.config.CACHE_DIR; "
        "from segsort.loops import sorts_in_bytes; sorts_in_bytes(); print(before == numba.config.CACHE_DIR)"
    )
    assert run(code, tmp_path) == ["True"]
