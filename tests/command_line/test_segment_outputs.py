"""The files that `segsort segment` writes belong to the images of the command, and those of other programs stay."""

from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from command_line.segment_command import segment
from tests.conftest import Blocks

pytestmark = pytest.mark.timeout(600)


class Command:
    """The command with one output folder.

    Attributes:
        out: the output folder.
        said: what the last call printed on standard error.
    """

    def __init__(self, release: Path, out: Path, output: pytest.CaptureFixture[str]) -> None:
        self._release, self.out, self._output, self.said = release, out, output, ""

    def __call__(self, *images: Path, **options: Any) -> int:
        """Segment images; returns the exit status."""
        with pytest.raises(typer.Exit) as ended:
            segment(list(images), self.out, **{"release": str(self._release), **options})
        self.said = self._output.readouterr().err
        return ended.value.exit_code

    def parts_of_others(self) -> list[str]:
        """Files of the output folder that end in .part, without the folder of the command."""
        return sorted(file.name for file in self.out.glob("*.part"))


@pytest.fixture
def command(
    tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.setenv("SEGSORT_DATA_DIR", str(tmp_path / "data"))
    return Command(tiny_release, tmp_path / "out", capsys)


def photo(file: Path, width: int) -> Path:
    """Write an image of a width that tells it from others."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(Blocks("val")[0].image[:, :width]).save(file)
    return file


def test_files_of_other_programs_in_the_output_folder_stay(command: Command, tmp_path: Path) -> None:
    good, bad = photo(tmp_path / "good.png", 60), tmp_path / "bad.png"
    bad.write_text("no image")
    command.out.mkdir()
    (command.out / "film.mp4.part").write_text("of a browser")
    (command.out / "failed.txt").write_text("of another program")
    assert command(good) == 0
    assert command.parts_of_others() == ["film.mp4.part"]
    assert (command.out / "failed.txt").read_text() == "of another program"
    assert command(good, bad) == 3
    assert "bad.png" in (command.out / "failed.txt").read_text()
    assert command(good) == 0
    assert not (command.out / "failed.txt").exists(), "the list is of the command itself"
    assert (command.out / "film.mp4.part").read_text() == "of a browser"


def test_a_stopped_command_leaves_parts_of_files_in_its_own_folder_until_the_next_one(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, replace = photo(tmp_path / "good.png", 60), Path.replace

    def stopped(file: Path, target: Path) -> Path:
        if target.name == "good.labels.png":
            raise KeyboardInterrupt
        return replace(file, target)

    monkeypatch.setattr(Path, "replace", stopped)
    assert command(good) == 130
    assert command.parts_of_others() == []
    assert [file.name for file in command.out.rglob("*.part")] == ["good.labels.png.part"]
    assert not (command.out / "good.labels.png").exists()
    monkeypatch.setattr(Path, "replace", replace)
    assert command(good) == 0
    assert list(command.out.rglob("*.part")) == []
    assert (command.out / "good.labels.png").exists()
