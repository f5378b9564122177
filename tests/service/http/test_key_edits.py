"""Edits of a file of keys, by the commands and by several processes at once."""

import json
import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.running_service import COMMAND
from service.http import key_edits
from service.http.key_edits import keys_of, revoke_key
from service.http.keys import new_key

_, ANNAS = new_key("anna", "curator", [("images_per_day", 1000), ("reads_per_minute", None)])
_, BOS = new_key("bo", "reader")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.txt"
    file.write_text(f"# who may do what\n\n  {ANNAS.line}\n{BOS.line}  \n# anna: ask her\n")
    file.chmod(0o640)
    return file


def test_a_revoked_key_is_removed_and_everything_else_stays(file: Path) -> None:
    assert revoke_key(file, "anna") == ANNAS
    assert file.read_text() == f"# who may do what\n\n{BOS.line}  \n# anna: ask her\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [one.name for one in file.parent.iterdir()] == ["keys.txt"]
    revoke_key(file, "bo")
    assert keys_of(file) == []


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.txt"
    link.symlink_to(file)
    revoke_key(link, "bo")
    assert link.is_symlink()
    assert keys_of(file) == [ANNAS]


def test_an_unknown_name_and_a_broken_file_change_nothing(file: Path) -> None:
    before = file.read_text()
    with pytest.raises(ValueError, match="no key has the name 'cy'; the names are: anna, bo"):
        revoke_key(file, "cy")
    broken = before + "half a li"
    file.write_text(broken)
    with pytest.raises(ValueError, match="line 6"):
        revoke_key(file, "anna")
    assert file.read_text() == broken
    with pytest.raises(ValueError, match="cannot be"):
        revoke_key(file.parent / "nothing" / "keys.txt", "anna")


def test_a_failure_while_the_file_is_replaced_leaves_the_old_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_text()

    def fail(*_: object) -> None:
        raise OSError("busy")

    monkeypatch.setattr(key_edits.os, "replace", fail)
    with pytest.raises(ValueError, match="cannot be replaced: busy"):
        revoke_key(file, "anna")
    assert file.read_text() == before
    assert [one.name for one in file.parent.iterdir()] == ["keys.txt"]


def test_several_revocations_at_once_lose_none(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    keys = [new_key(f"n{n}", "reader")[1] for n in range(40)]
    file.write_text("".join(f"{key.line}\n" for key in keys))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: revoke_key(file, f"n{n}"), range(39)))
    assert keys_of(file) == keys[39:]


def test_the_commands_list_revoke_and_write_limits(file: Path) -> None:
    environment = {**os.environ, "SEGSORT_API_KEYS_FILE": str(file)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(COMMAND), "keys", *words], env=environment, capture_output=True, text=True)

    listed = run("list").stdout.splitlines()
    assert listed == ["anna curator images_per_day=1000 reads_per_minute=none", "bo reader"]
    made = run("new", "cy", "--role", "reader", "--limit", "images_per_day=5", "--limit", "reads_per_minute=none")
    with file.open("a") as appended:
        appended.write(made.stdout)
    assert run("revoke", "anna").returncode == 0
    found = json.loads(run("list", "--json", "--file", str(file)).stdout)
    assert found[1] == {
        "name": "cy",
        "role": "reader",
        "limits": {"images_per_day": 5, "reads_per_minute": None},
    }
    assert [one["name"] for one in found] == ["bo", "cy"]
    again = run("revoke", "anna")
    assert again.returncode != 0
    assert "no key has the name 'anna'" in again.stderr
    assert run("new", "di", "--role", "reader", "--limit", "speed=9").returncode != 0
    del environment["SEGSORT_API_KEYS_FILE"]
    assert "SEGSORT_API_KEYS_FILE" in run("list").stderr
