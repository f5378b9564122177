"""Reads the commands that a document shows in blocks fenced as sh, and checks that they exist with their flags."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.running_service import COMMAND
from service.settings import Settings

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILTERS = {"jq", "python", "python3", "head"}  # what an answer may be piped into


class Written(NamedTuple):
    """A command as it stands in a document: its words, without assignments before it and pipes after it."""

    document: str
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """The first word without its folder."""
        return Path(self.words[0]).name

    @property
    def flags(self) -> set[str]:
        """The long flags, without their values."""
        return {word.partition("=")[0] for word in self.words if re.match(r"--\w", word)}

    def __str__(self) -> str:
        return f"{self.document}: {shlex.join(self.words)}"


def commands(document: str) -> list[Written]:
    """The commands of all blocks fenced as sh."""
    blocks = FENCE.findall((ROOT / document).read_text())
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [Written(document, words) for line in lines for words in simple_commands(line)]


def simple_commands(line: str) -> Iterator[tuple[str, ...]]:
    """Split a line at ;, &, && and |, dropping comments, redirections, assignments and known filters."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    piece: list[str] = []
    piped = False
    for token in [*lexer, ";"]:
        if not set(token) <= set(";&|"):
            piece.append(token)
            continue
        words = _words(piece)
        if words and not (piped and words[0] in FILTERS):
            yield words
        piece, piped = [], token == "|"


def _words(piece: Sequence[str]) -> tuple[str, ...]:
    redirections = [position for position, word in enumerate(piece) if set(word) <= set("<>&")]
    words = list(piece[: min(redirections, default=len(piece))])
    while words and (words[0] == "do" or re.fullmatch(r"\w+=\S*", words[0])):
        del words[0]
    return () if words and words[0] in ("for", "done") else tuple(words)


def segsort_subcommand(command: Written) -> tuple[str, ...]:
    """The words that name the subcommand: two of them for the groups."""
    return command.words[1:3] if command.words[1] in ("images", "keys", "releases", "regions") else command.words[1:2]


def check_make(command: Written) -> None:
    """The targets exist (a dry run finds what to do for them)."""
    done = subprocess.run(["make", "-n", *command.words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def check_segsort(command: Written) -> None:
    """The subcommand exists and its help names the flags."""
    _check_flags(command, _help(str(COMMAND), *segsort_subcommand(command)))


def check_python(command: Written) -> None:
    """The module exists and its help names the flags; a line of code compiles."""
    if command.words[1] == "-c":
        compile(command.words[2], str(command), "exec")
        return
    assert command.words[1] == "-m", f"{command}: only `python -m MODULE` is known"
    _check_flags(command, _help(sys.executable, *command.words[1:3]))


def check_docker(command: Written) -> None:
    """The files named exist, and so do the Dockerfile's arguments."""
    for flag, value in zip(command.words, command.words[1:], strict=False):
        if flag in ("-f", "--file"):
            assert (ROOT / value).is_file(), f"{command}: there is no {value}"
        if flag == "--build-arg":
            assert f"\nARG {value.partition('=')[0]}=" in (ROOT / "Dockerfile").read_text(), f"{command}: no such ARG"
    compose = "compose" in command.words or command.program == "docker-compose"
    assert (ROOT / ("docker-compose.yml" if compose else "Dockerfile")).is_file()


def check_pip(command: Written) -> None:
    """The extras asked for are declared."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extras in re.findall(r"\[(.*?)\]", " ".join(command.words)):
        assert set(extras.split(",")) <= set(declared), f"{command}: extras are {sorted(declared)}"


def check_export(command: Written) -> None:
    """Settings of the service that it sets exist."""
    for name in (word.partition("=")[0] for word in command.words[1:]):
        known = not name.startswith("SEGSORT_") or name.removeprefix("SEGSORT_").lower() in Settings.model_fields
        assert known or name in (ROOT / "docker-compose.yml").read_text(), f"{command}: there is no setting {name}"


def check_kubectl(command: Written) -> None:
    """Folders named exist."""
    for flag, value in zip(command.words, command.words[1:], strict=False):
        if flag == "--kustomize":
            assert (ROOT / value / "kustomization.yaml").is_file(), f"{command}: there is no {value}"


def check_nginx(command: Written) -> None:
    """The configuration exists."""
    file = command.words[command.words.index("-c") + 1].replace("$PWD", str(ROOT))
    assert Path(file).is_file(), f"{command}: there is no {file}"


def check_shell(command: Written) -> None:
    """Options of the shell, which it takes."""
    done = subprocess.run(["sh", "-c", shlex.join(command.words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def check_sourced(command: Written) -> None:
    """The file of variables exists."""
    assert (ROOT / command.words[1]).is_file(), f"{command}: there is no {command.words[1]}"


def check_ray(command: Written) -> None:
    """The subcommand of `ray` or `serve` exists, with its flags; files and applications that it names exist."""
    program = Path(sys.executable).with_name(command.program)
    if not program.is_file():
        pytest.skip("Ray is not installed; pip install 'segsort[ray]'")
    _check_flags(command, _help(str(program), command.words[1]))
    for word in command.words[2:]:
        if word.endswith(".yaml"):
            assert (ROOT / word).is_file(), f"{command}: there is no {word}"
        name, separator, _ = word.partition("=")
        if separator and not name.startswith("-"):
            assert name in Settings.model_fields, f"{command}: there is no setting {name}"
        if word.startswith("service."):
            module, _, attribute = word.partition(":")
            source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text()  # Ray warns when it is imported
            assert re.search(rf"^def {attribute}\(", source, re.MULTILINE), f"{command}: there is no {word}"


def check_standard(command: Written) -> None:
    """A program of every system."""
    assert shutil.which(command.program), f"{command}: there is no {command.program}"


CHECKERS: dict[str, Callable[[Written], None]] = {
    "": check_sourced,  # the command "."
    "cp": check_standard,
    "docker": check_docker,
    "docker-compose": check_docker,
    "export": check_export,
    "kubectl": check_kubectl,
    "make": check_make,
    "nginx": check_nginx,
    "pip": check_pip,
    "python": check_python,
    "ray": check_ray,
    "segsort": check_segsort,
    "serve": check_ray,
    "set": check_shell,
}


def _check_flags(command: Written, text: str) -> None:
    for flag in command.flags:
        assert re.search(rf"(?<![\w-]){flag}(?![\w-])", text), f"{command}: {flag} is not in its help:\n{text}"


@cache
def _help(*words: str) -> str:
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [*words, "--help"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
