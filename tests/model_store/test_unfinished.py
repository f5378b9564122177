"""Releases that are being written: a killed writer leaves nothing behind for long, and one name has one writer."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from model_store.release import Release, ReleaseError, write_release
from model_store.unfinished import is_being_written, remove_unfinished, unfinished

WRITER = """
import sys, time
from pathlib import Path
from model_store.unfinished import unfinished
with unfinished(Path(sys.argv[1])) as folder:
    (folder / "half.npz").write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(600)
"""


def aged(folder: Path) -> None:
    os.utime(folder, (1, 1))


def test_a_folder_is_kept_while_its_writer_lives_and_removed_when_it_was_killed(tmp_path: Path) -> None:
    place = tmp_path / "releases" / "mine"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(place)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        (folder,) = place.parent.iterdir()
        aged(folder)
        assert is_being_written(place)
        assert not is_being_written(place.with_name("other"))
        assert remove_unfinished(place.parent) == []
        writer.send_signal(signal.SIGKILL)
    aged(folder)
    assert not is_being_written(place)
    assert remove_unfinished(place.parent) == [folder]
    assert list(place.parent.iterdir()) == []


def test_a_folder_that_is_not_yet_locked_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / ".mine.abcd"
    folder.mkdir()
    assert remove_unfinished(tmp_path) == []
    assert folder.exists()


def test_an_error_removes_the_folder(tmp_path: Path) -> None:
    def fail() -> None:
        with unfinished(tmp_path / "mine") as folder:
            (folder / "half.npz").write_bytes(b"half")
            raise KeyError("a fault")

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_second_writer_of_a_name_is_refused_before_it_begins(tmp_path: Path, tiny_release: Path) -> None:
    release, place = Release.open(tiny_release), tmp_path / "mine"

    def write() -> None:
        images = [(source.file, b"") for source in release.sources]
        write_release(place, release.card, release.network_path, release.exemplars, release.sources, images)

    with unfinished(place), pytest.raises(ReleaseError, match="the name 'mine' is taken: another process is writing"):
        write()
    write()
    assert Release.open(place).digest
