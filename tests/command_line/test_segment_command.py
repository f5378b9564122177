"""`segsort segment` over many images: killed and resumed, exit statuses, and what it leaves in its output folder."""

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image
from pycocotools.coco import COCO

from command_line.segment_command import segment
from model_store.exporting import ExportSummary
from service.batching.folder_run import FolderRun
from tests.command_line.test_commands import COMMAND, segsort
from tests.conftest import Blocks

COUNT = 24
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of blocks, of which two are equal and one is no image."""
    made = tmp_path / "photos"
    made.mkdir()
    blocks = Blocks(count=COUNT)
    for i in range(COUNT):
        Image.fromarray(blocks[i].image).save(made / f"{i:03d}.png")
    shutil.copy(made / "000.png", made / "copy of 000.png")
    (made / "bad.jpg").write_text("no image")
    return made


def answers(out: Path) -> dict[str, int]:
    """When each stored answer of an output folder was written, by name."""
    return {file.name: file.stat().st_mtime_ns for file in (out / ".segsort" / "answers").glob("*.answer")}


def test_a_killed_export_goes_on_and_has_every_image_once(tiny_release: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [str(COMMAND), "segment", str(folder), "--release", str(tiny_release), "--out", str(out)]
    command += ["--export", "coco"]
    environment = {**os.environ, "HOME": str(tmp_path), "SEGSORT_DATA_DIR": str(tmp_path / "data")}
    kills = 0
    for wanted in (5, 12):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while len(answers(out)) < wanted and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills, "the command was too fast to be killed"
    before = answers(out)
    assert not (out / "annotations").exists()
    done = segsort(*command[1:], data=tmp_path)
    assert done.returncode == 3, done.stderr
    after = answers(out)
    assert len(after) == COUNT + 1
    assert before.items() <= after.items(), "an image that was done was segmented again"
    assert f"{len(before)} were done before" in done.stderr
    coco = COCO(out / "annotations" / "instances_default.json")
    names = sorted(image["file_name"] for image in coco.dataset["images"])
    assert names == sorted(one.name for one in folder.glob("*.png"))
    assert len(set(coco.anns)) == len(coco.dataset["annotations"])
    assert [line.split("\t")[0] for line in (out / "failed.txt").read_text().splitlines()] == [str(folder / "bad.jpg")]
    assert list(out.rglob("*.part")) == []


def test_a_second_run_does_what_is_new_and_forgets_failures(tiny_release: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = ("segment", folder, "--release", tiny_release, "--out", out)
    assert segsort(*call, data=tmp_path).returncode == 3
    assert not list(out.glob("*.exemplars.png")), "sheets are drawn when they are asked for"
    assert len(list(out.glob("*.overlay.png"))) == COUNT + 1
    (folder / "bad.jpg").unlink()
    (out / "003.labels.png").unlink()
    Image.fromarray(Blocks("val")[0].image).save(folder / "new.png")
    times = {file.name: file.stat().st_mtime_ns for file in out.glob("*.json")}
    done = segsort(*call, data=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 images in" in done.stderr
    assert not (out / "failed.txt").exists()
    assert (out / "new.json").exists()
    assert (out / "003.labels.png").exists()
    again = {file.name: file.stat().st_mtime_ns for file in out.glob("*.json")}
    assert {name for name in again if again[name] != times.get(name)} == {"new.json", "003.json"}
    assert len(json.loads((out / "000.json").read_text())["segments"][0]["exemplars"]) <= 5
    exported = segsort(*call, "--export", "yolo", data=tmp_path)
    assert exported.returncode == 0, exported.stderr
    assert "0 images in" in exported.stderr


def test_an_output_folder_of_another_release_is_refused(
    tiny_release: Path, empty_release: Path, folder: Path, tmp_path: Path
) -> None:
    out, one = tmp_path / "out", folder / "001.png"
    assert segsort("segment", one, "--release", tiny_release, "--out", out, data=tmp_path).returncode == 0
    done = segsort("segment", one, "--release", empty_release, "--out", out, data=tmp_path)
    assert done.returncode == 2
    assert "has answers of release 'tiny'" in done.stderr
    assert "--again" in done.stderr
    done = segsort("segment", one, "--release", empty_release, "--out", out, "--again", data=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "001.json").read_text())["release"] == "blank"


def test_the_exit_status_says_whether_none_some_or_all_were_done(
    tiny_release: Path, folder: Path, tmp_path: Path
) -> None:
    good, bad, gone = folder / "001.png", folder / "bad.jpg", folder / "gone.png"
    statuses = {(good,): 0, (bad, gone): 1, (good, gone): 3}
    for number, (files, status) in enumerate(statuses.items()):
        call = ("segment", *files, "--release", tiny_release, "--out", tmp_path / f"out{number}", "--export", "csv")
        done = segsort(*call, data=tmp_path)
        assert done.returncode == status, done.stderr
    assert "gone.png" in (tmp_path / "out1" / "failed.txt").read_text()
    assert segsort("segment", good, "--export", "coco", "--sheets", data=tmp_path).returncode == 2
    blocked = segsort("segment", good, "--release", tiny_release, "--out", good, data=tmp_path)
    assert blocked.returncode == 2
    assert "cannot be used as output folder" in blocked.stderr


def test_a_terminal_shows_a_bar_with_the_rate_and_the_time_left(
    tiny_release: Path, folder: Path, tmp_path: Path
) -> None:
    main, other = pty.openpty()
    command = [str(COMMAND), "segment", str(folder), "--release", str(tiny_release), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm", "SEGSORT_DATA_DIR": str(tmp_path / "data")}
    process = subprocess.Popen([*command, "--export", "png"], env=environment, stderr=other, close_fds=True)
    os.close(other)
    shown = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(main)
    assert process.wait() == 3
    assert b"images/s" in shown
    assert f"{COUNT + 2}/{COUNT + 2}".encode() in shown
    assert b"bad.jpg" in shown


def test_an_image_that_is_removed_before_the_export_is_an_error_that_names_it(
    tiny_release: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSORT_DATA_DIR", str(tmp_path / "data"))
    good, gone = folder / "001.png", folder / "002.png"
    written = FolderRun.export

    def late(run: FolderRun, form: str, with_images: bool, join: bool) -> ExportSummary:
        gone.unlink()
        return written(run, form, with_images, join)

    monkeypatch.setattr(FolderRun, "export", late)
    with pytest.raises(ValueError, match=r"002\.png.*the same command goes on"):
        segment([good, gone], tmp_path / "out", export="coco", with_images=True, release=str(tiny_release))
