"""Compiled loops are used again only while everything that they depend on is unchanged."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import segsort
from segsort.loops import cache as loop_cache

HERE = Path(segsort.__file__).parent
PRINT_FOLDER = "from segsort.loops import cache; print(cache.folder_of_loops())"


def printed_folder(folder: Path, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_FOLDER],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_loops_are_kept_by_all_their_sources(tmp_path: Path) -> None:
    shutil.copytree(HERE, tmp_path / "segsort", ignore=shutil.ignore_patterns("__pycache__"))
    before = printed_folder(tmp_path)
    assert Path(before).is_relative_to(tmp_path / "segsort")
    assert printed_folder(tmp_path) == before
    with (tmp_path / "segsort" / "pixel_sorting.py").open("a") as other:
        other.write("# no loop\n")
    assert printed_folder(tmp_path) == before
    with (tmp_path / "segsort" / "loops" / "sharing.py").open("a") as source:
        source.write("# part of many loops\n")
    assert printed_folder(tmp_path) != before


def test_a_folder_that_the_operator_names_is_used(tmp_path: Path) -> None:
    named = printed_folder(tmp_path, NUMBA_CACHE_DIR=str(tmp_path), PYTHONPATH=str(HERE.parent))
    assert Path(named).parent == tmp_path
    other = printed_folder(tmp_path, NUMBA_CACHE_DIR="", PYTHONPATH=str(HERE.parent))
    assert Path(other).name == Path(named).name
    assert Path(other).parent != tmp_path


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources that nobody may write beside, with a loop that was compiled when they were installed."""
    sources = tmp_path / "sealed"
    sources.mkdir()
    for name in ("some_kernels.py", "sharing.py"):
        (sources / name).write_text(name)
    monkeypatch.setattr(loop_cache, "_HERE", sources)
    monkeypatch.setattr(loop_cache, "_digest", loop_cache._digest.__wrapped__)
    monkeypatch.setattr(loop_cache.config, "CACHE_DIR", "")
    beside = loop_cache.find_folder()
    assert beside.parent == sources / "__pycache__"
    (beside / "loop.nbi").write_text("compiled")
    can_write = loop_cache._can_write
    monkeypatch.setattr(
        loop_cache, "_can_write", lambda folder: not folder.is_relative_to(sources) and can_write(folder)
    )
    return beside


def test_what_was_compiled_at_the_installation_is_copied_to_where_more_may_be_kept(
    sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept = loop_cache.find_folder()
    assert kept == tmp_path / "cache" / "segsort" / sealed.name
    assert (kept / "loop.nbi").read_text() == "compiled"
    (kept / "loop.nbi").write_text("compiled for this processor")
    assert loop_cache.find_folder() == kept
    assert (kept / "loop.nbi").read_text() == "compiled for this processor"
    assert list(kept.parent.iterdir()) == [kept]


def test_other_sources_find_other_loops(sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = loop_cache.find_folder()
    (sealed.parent.parent / "some_kernels.py").write_text("changed")
    after = loop_cache.find_folder()
    assert after.parent == before.parent
    assert not (after / "loop.nbi").exists()


@pytest.mark.parametrize("trouble", ["a file", "others may write", "the disk is full"])
def test_without_a_safe_place_of_the_users_a_process_keeps_its_own(
    trouble: str, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if trouble == "a file":
        cache.write_text("no folder")
    elif trouble == "others may write":
        (cache / "segsort").mkdir(parents=True)
        (cache / "segsort").chmod(0o777)
    else:
        copy = shutil.copytree

        def full(source: Path, target: Path) -> Path:
            if target.is_relative_to(cache):
                raise OSError(errno.ENOSPC, "no space left")
            return Path(copy(source, target))

        monkeypatch.setattr(shutil, "copytree", full)
    own = loop_cache.find_folder()
    assert own.parent.parent == tmp_path
    assert own.parent.name.startswith("segsort-")
    assert own != loop_cache.find_folder()
    assert (own / "loop.nbi").read_text() == "compiled"
    assert trouble != "the disk is full" or not list((cache / "segsort").iterdir())


@pytest.mark.parametrize("said", ["", "cache", "~/.cache"])
def test_a_cache_that_is_no_place_is_not_taken(
    said: str, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", said)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert loop_cache.find_folder() == tmp_path / "home" / ".cache" / "segsort" / sealed.name


def test_another_processor_finds_other_loops(sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = loop_cache.find_folder()
    monkeypatch.setattr(loop_cache.binding, "get_host_cpu_name", lambda: "another")
    after = loop_cache.find_folder()
    assert after.parent == before.parent
    assert not (after / "loop.nbi").exists()


def test_whether_loops_are_kept_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_cache, "folder_of_loops", lambda: tmp_path)
    assert not loop_cache.loops_are_kept()
    (tmp_path / "components.find_components-1.py311.1.nbc").touch()  # one loop is not all
    assert not loop_cache.loops_are_kept()
    loop_cache.mark_complete()
    assert loop_cache.loops_are_kept()


def test_processes_take_turns_to_save_loops(tmp_path: Path) -> None:
    """numba reads an index and writes it back; two processes at once would lose or mix up entries."""
    inside, most = 0, 0

    def save() -> None:
        nonlocal inside, most
        for _ in range(20):
            with loop_cache._one_process_at_a_time(tmp_path):
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


LOOP = """
from segsort.loops.cache import loop
import numpy as np

@loop({options})
def double(values):
    return values * 2

if __name__ == "__main__":
    double(np.arange(3.0))
    print(sum(double._cache_misses.values()), sum(double._cache_hits.values()))
"""


def compile_and_count(file: Path, folder: Path) -> str:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run([sys.executable, str(file)], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_loop_is_compiled_by_the_first_process_and_loaded_by_the_next(tmp_path: Path) -> None:
    file = tmp_path / "doubling.py"
    file.write_text(LOOP.format(options=""))
    assert compile_and_count(file, tmp_path / "kept") == "1 0"
    assert compile_and_count(file, tmp_path / "kept") == "0 1"
    assert compile_and_count(file, tmp_path / "other") == "1 0"


def test_a_loop_is_declared_without_the_lock_of_the_interpreter_and_with_its_flags() -> None:
    compiled: Any = loop_cache.loop(fastmath={"nnan"})(lambda values: values[0])
    assert compiled.targetoptions["nogil"] is True
    assert compiled.targetoptions["fastmath"] == {"nnan"}


def test_an_inner_loop_is_compiled_for_other_loops_alone() -> None:
    @loop_cache.loop(inner=True)
    def double(value: int) -> int:
        return 2 * value

    @loop_cache.loop()
    def twice(value: int) -> int:
        return double(double(value))

    assert twice(3) == 12
    assert double.targetoptions["no_cpython_wrapper"] is True  # type: ignore[attr-defined]


def test_where_no_folder_can_be_written_loops_are_compiled_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop_cache, "find_folder", lambda: None)
    monkeypatch.setattr(loop_cache, "folder_of_loops", loop_cache.folder_of_loops.__wrapped__)
    compiled: Any = loop_cache.loop()(lambda value: value + 1)
    assert compiled(1) == 2
    assert compiled._cache.cache_path is None
    assert "set NUMBA_CACHE_DIR" in caplog.text
    assert not loop_cache.loops_are_kept()


def test_a_named_folder_that_cannot_be_written_is_passed_over(
    sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(loop_cache.config, "CACHE_DIR", str(tmp_path / "file"))
    assert loop_cache.find_folder() == tmp_path / "cache" / "segsort" / sealed.name


def test_nothing_at_all_can_be_written(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_cache, "_can_write", lambda folder: False)
    assert loop_cache.find_folder() is None
