"""`segsort releases`: list, verify, activate and roll back, with one line of output each."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from command_line.main import cli
from model_store.card import Card
from model_store.release import Release, write_release


@pytest.fixture
def data(tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one release, whose folder has another name than the release."""
    opened = Release.open(tiny_release)
    card = Card.model_validate({**opened.card.model_dump(), "name": "mine"})
    images = [(source.file, (tiny_release / source.file).read_bytes()) for source in opened.sources]
    folder = tmp_path / "releases" / "folder"
    write_release(folder, card, opened.network_path, opened.exemplars, opened.sources, images)
    monkeypatch.setenv("SEGSORT_DATA_DIR", str(tmp_path))
    return tmp_path


def releases(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["releases", *arguments])


def test_list_names_the_bundled_releases_and_ones_own(data: Path) -> None:
    listed = json.loads(releases("list", "--json").stdout)
    assert [(entry["name"], entry["active"], entry["bundled"]) for entry in listed] == [
        ("general", False, True),
        ("streets", True, True),
        ("mine", False, False),
    ]
    assert listed[2]["path"] == str(data / "releases" / "folder")
    assert "mine" in releases("list").stdout


def test_a_release_is_activated_verified_and_rolled_back_by_its_name(data: Path) -> None:
    assert releases("activate", "mine").stdout == "mine is active\n"
    assert releases("verify").stdout == "mine is intact: 60 exemplars of 3 classes in 6 images\n"
    assert json.loads((data / "active.json").read_text()) == {"active": "mine", "previous": ["streets"]}
    assert releases("activate", "streets").stdout == "streets is active\n"
    assert releases("rollback").stdout == "mine is active again\n"
    assert releases("rollback").stdout == "streets is active again\n"
    again = releases("rollback")
    assert again.exit_code
    assert "no release was active before" in str(again.exception)


def test_a_release_is_verified_by_its_path(tiny_release: Path, data: Path) -> None:
    assert releases("verify", str(tiny_release)).stdout.startswith("tiny is intact")
    copy = Path(shutil.copytree(tiny_release, data / "copy"))
    (copy / "images" / "00002.webp").unlink()
    damaged = releases("verify", str(copy))
    assert damaged.exit_code
    assert "images/00002.webp is missing" in str(damaged.exception)


@pytest.mark.parametrize("command", ["verify", "activate"])
def test_an_unknown_name_is_said_with_those_there_are(data: Path, command: str) -> None:
    refused = releases(command, "yours")
    assert refused.exit_code
    assert not refused.stdout
    assert "'yours'" in str(refused.exception)
    assert "streets, mine" in str(refused.exception)
    assert not (data / "active.json").exists()
