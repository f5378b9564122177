"""The files that `segsort segment` writes belong to the images of the command, and those of other programs stay."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from command_line.segment_command import segment
from service.batching.folder_run import FolderRun
from service.batching.image_work import ImageTask
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


def widths(out: Path) -> dict[str, int]:
    """The width of the image that the files of each name show. They show the same image."""
    found: dict[str, int] = {}
    for file in sorted(out.glob("*.json")):
        of = {"json": json.loads(file.read_text())["width"]}
        for kind in ("overlay", "labels"):
            with Image.open(out / f"{file.stem}.{kind}.png") as opened:
                of[kind] = opened.width
        assert len(set(of.values())) == 1, (file.stem, of)
        found[file.stem] = of["json"]
    return found


def test_files_follow_their_images_when_an_image_of_the_same_file_name_is_removed(
    command: Command, tmp_path: Path
) -> None:
    """Files of names that no image has any more stay, as they do when other images are segmented."""
    photos = [photo(tmp_path / "photos" / day / "img.png", width) for day, width in (("a", 60), ("b", 70), ("c", 80))]
    assert command(*filter(Path.exists, photos)) == 0
    assert widths(command.out) == {"img": 60, "img-2": 70, "img-3": 80}
    photos[0].unlink()
    assert command(*filter(Path.exists, photos)) == 0
    assert "0 images in" in command.said, "answers are not computed again"
    assert widths(command.out) == {"img": 70, "img-2": 80, "img-3": 80}


def test_files_show_the_images_of_the_last_command(command: Command, tmp_path: Path) -> None:
    first, second = (photo(tmp_path / day / "img.png", width) for day, width in (("day1", 60), ("day2", 70)))
    for file, width in ((first, 60), (second, 70), (first, 60)):
        assert command(file) == 0
        assert widths(command.out) == {"img": width}
    photo(first, 80)  # edited
    assert command(first) == 0
    assert widths(command.out) == {"img": 80}
    photo(first, 60)  # restored
    assert command(first) == 0
    assert "0 images in" in command.said
    assert widths(command.out) == {"img": 60}
    times = {file: file.stat().st_mtime_ns for file in command.out.glob("img.*")}
    assert command(first) == 0
    assert {file: file.stat().st_mtime_ns for file in command.out.glob("img.*")} == times, "nothing is drawn again"


def test_a_sheet_shows_the_image_of_the_other_files(command: Command, tmp_path: Path) -> None:
    first, second = (photo(tmp_path / day / "img.png", width) for day, width in (("day1", 60), ("day2", 70)))
    sheet = command.out / "img.exemplars.png"
    (command.out).mkdir()
    (command.out / "img.notes.txt").write_text("of the user")
    assert command(first, sheets=True) == 0
    shown = sheet.read_bytes()
    (command.out / "img.json").unlink()
    assert command(first) == 0
    assert sheet.read_bytes() == shown
    assert command(second) == 0
    assert not sheet.exists(), "the sheet of another image was left"
    assert command(second, sheets=True) == 0
    assert sheet.read_bytes() != shown
    assert command(first) == 0
    assert command(first, sheets=True) == 0
    assert sheet.read_bytes() == shown
    assert (command.out / "img.notes.txt").exists()


@pytest.mark.parametrize("last", ["img.overlay.png", "img.labels.png", "img.json"])
def test_files_of_two_images_are_not_mixed_after_a_stop(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    first, second = (photo(tmp_path / day / "img.png", width) for day, width in (("day1", 60), ("day2", 70)))
    assert command(first) == 0
    replace = Path.replace

    def stopped(file: Path, target: Path) -> Path:
        made = replace(file, target)
        if target.name == last:
            raise KeyboardInterrupt
        return made

    monkeypatch.setattr(Path, "replace", stopped)
    assert command(second) == 130
    monkeypatch.setattr(Path, "replace", replace)
    assert command(first) == 0
    assert widths(command.out) == {"img": 60}


def test_files_of_another_release_are_drawn_again(command: Command, empty_release: Path, tmp_path: Path) -> None:
    """Also if an export came between, so that the answer of the release is known."""
    file = photo(tmp_path / "img.png", 60)
    assert command(file) == 0
    assert command(file, release=str(empty_release), again=True, export="csv") == 0
    assert command(file, release=str(empty_release)) == 0
    assert "0 images in" in command.said
    assert json.loads((command.out / "img.json").read_text())["release"] == "blank"


def test_an_image_that_fails_leaves_the_files_of_an_earlier_command(command: Command, tmp_path: Path) -> None:
    file = photo(tmp_path / "img.png", 60)
    assert command(file) == 0
    file.write_text("no image")
    assert command(file) == 1
    assert widths(command.out) == {"img": 60}
    assert "img.png" in (command.out / "failed.txt").read_text()


def test_an_image_that_is_changed_meanwhile_is_not_taken_for_what_it_was(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, planned = photo(tmp_path / "img.png", 60), FolderRun._task

    def edited(run: FolderRun, place: int, key: str | None) -> ImageTask | None:
        task = planned(run, place, key)
        photo(file, 70)
        return task

    monkeypatch.setattr(FolderRun, "_task", edited)
    assert command(file) == 1
    assert "was changed" in (command.out / "failed.txt").read_text()
    monkeypatch.setattr(FolderRun, "_task", planned)
    for width in (70, 60):
        assert command(photo(file, width)) == 0
        assert widths(command.out) == {"img": width}
