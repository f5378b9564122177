"""The file of keys is read again when it changes; a file that cannot be used changes nothing."""

import logging
import os
from pathlib import Path

import pytest

from service.http.callers.key_file import KeyFile
from service.http.keys import Caller, new_key
from service.settings import Settings

ANNA, ANNAS = new_key("anna", "curator")
BO, BOS = new_key("bo", "reader")
CY, CYS = new_key("cy", "reader")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.txt"
    file.write_text(f"{ANNAS.line}\n{BOS.line}\n")
    return file


def replace(file: Path, text: str) -> None:
    """Replace a file as editors do."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    beside.rename(file)


def test_a_key_is_added_and_another_is_revoked_while_the_service_runs(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="segsort.access")
    keys = KeyFile(Settings(api_keys=CYS.line, api_keys_file=file))
    replace(file, f"{BOS.line}:reads_per_minute=5\n")
    assert keys.access.caller(ANNA) == Caller("anna", "curator"), "it is not looked at yet"
    keys.check()
    assert keys.access.caller(ANNA) is None
    assert keys.access.caller(BO) == Caller("bo", "reader")
    assert keys.access.caller(CY) == Caller("cy", "reader"), "keys of the variable stay"
    assert "revoked anna; changed bo" in caplog.text
    with file.open("a") as appended:
        appended.write(f"{ANNAS.line}\n")
    keys.check()
    assert keys.access.caller(ANNA) == Caller("anna", "curator")


def test_a_change_of_the_same_size_and_time_is_seen(file: Path) -> None:
    keys = KeyFile(Settings(api_keys_file=file))
    before = file.stat()
    other = BOS.line.replace("bo:", "bi:")
    with file.open("r+") as opened:
        opened.write(f"{ANNAS.line}\n{other}\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    keys.check()
    assert keys.access.caller(BO) == Caller("bi", "reader")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (f"{ANNAS.line}\nbo:reader", "line 2: 2 parts"),
        (f"{ANNAS.line}\n{ANNAS.line}", "occurs twice"),
        (f"anna:curator:{ANNAS.digest.hex()}:speed=1", "not a limit"),
        (b"\xff\xfe", "cannot be read"),
        (None, "cannot be read"),
    ],
    ids=["half a line", "twice", "an unknown limit", "not text", "no file"],
)
def test_a_broken_file_keeps_the_last_good_keys_and_the_log_says_once_what_is_wrong(
    file: Path, broken: str | bytes | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys = KeyFile(Settings(api_keys_file=file))
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken if isinstance(broken, bytes) else broken.encode())
    for _ in range(3):
        keys.check()
    assert keys.access.caller(BO) == Caller("bo", "reader")
    assert keys.access.caller("") is keys.access.caller("wrong") is None
    assert keys.fault is not None
    assert caplog.text.count(said) == 1
    file.write_text(f"{ANNAS.line}\n")
    keys.check()
    assert keys.fault is None
    assert keys.access.caller(BO) is None


@pytest.mark.parametrize("text", ["", "\n", "# all are gone\n"])
def test_a_file_without_keys_revokes_all_of_its_keys_and_opens_nothing(file: Path, text: str) -> None:
    """It must be seen twice: a program that writes the file may empty it first."""
    keys = KeyFile(Settings(api_keys_file=file))
    file.write_text(text)
    keys.check()
    assert keys.access.caller(ANNA) is not None
    keys.check()
    for presented in (ANNA, BO, "", None):
        assert keys.access.caller(presented) is None
    assert keys.access.asked
    file.write_text(BOS.line)
    keys.check()
    assert keys.access.caller(BO) == Caller("bo", "reader")
