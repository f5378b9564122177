"""Whitespace that a commit must not have."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.whitespace import cleaned


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (b"a \nb\t\n", b"a\nb\n"),
        (b"a\n\n\n", b"a\n"),
        (b"a", b"a\n"),
        (b"  a\n\n  b\n", b"  a\n\n  b\n"),
        (b"a \r\nb\r\n", b"a\r\nb\n"),
        (b"", b""),
        (b" \n", b""),
    ],
)
def test_spaces_at_line_ends_go_and_one_newline_ends_the_file(text: bytes, clean: bytes) -> None:
    assert cleaned(text) == clean
    assert cleaned(clean) == clean


def test_a_changed_file_is_named_and_stops_the_commit(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_bytes(b"a\n")
    bad.write_bytes(b"a \n")
    command = [sys.executable, "-m", "tools.whitespace", str(good), str(bad)]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (first.returncode, first.stdout) == (1, f"{bad}: whitespace removed\n")
    assert bad.read_bytes() == b"a\n"
    assert subprocess.run(command, check=False).returncode == 0
