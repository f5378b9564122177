import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from command_line.main import cli
from index_builder.build import BuildOptions, build_release
from index_builder.datasets.streets import Streets
from index_builder.embedder_source import load_embedder_source
from index_builder.report.labelled_images import SHOWN, choose, open_shown, paint
from index_builder.report.page_writer import page_text, write_page
from model_store.predictor import Predictor
from tests.index_builder.report.conftest import Write, evaluation


def tables(text: str) -> list[list[list[str]]]:
    """The cells of every table of a page."""
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()] for table in found]


@pytest.fixture(scope="module")
def rendered(whole: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of everything, with its plots."""
    out = tmp_path_factory.mktemp("rendered") / "PAGE.md"
    write_page(whole, out, images=False)
    return out


def test_written_twice_all_of_it_has_the_same_bytes(whole: list[Path], rendered: Path) -> None:
    def contents() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in rendered.parent.rglob("*.*")}

    before = contents()
    write_page(whole[::-1], rendered, images=False)
    assert contents() == before
    named = re.findall(r"\]\(page/plots/(.*?)\)", before.pop("PAGE.md").decode())
    assert sorted(named) == sorted(before), "each plot is shown, and no other lies there"
    assert {"learning.png", "removal-camvid-val-knn.png", "sweep-k-camvid-held.png", "sweep-k-upper-camvid-held.png",
            "confusion-camvid-val-cluster.png", "reliability-camvid-val-knn.png"} <= before.keys()  # fmt: skip


def test_plots_are_white_and_as_wide_as_a_page_shows(rendered: Path) -> None:
    for file in (rendered.parent / "page" / "plots").iterdir():
        with Image.open(file) as plot:
            assert plot.width <= 900
            assert plot.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        assert file.stat().st_size < 60_000


def test_plots_that_no_longer_belong_to_the_page_are_removed(whole: list[Path], tmp_path: Path) -> None:
    plots = tmp_path / "page" / "plots"
    plots.mkdir(parents=True)
    (plots / "old.png").touch()
    write_page(whole[-1:], tmp_path / "PAGE.md", images=False)
    assert not list(plots.iterdir())


def test_figures_stand_in_the_table_of_their_protocol(whole: list[Path], tmp_path: Path) -> None:
    text = page_text(whole, tmp_path / "PAGE.md")
    scores = [table for table in tables(text) if "mIoU" in table[0] and table[0][0] == "on camvid/val"]
    # two seeds, 0.60 and 0.62: mean 0.61, spread 0.02 / sqrt(2)
    assert [[row[0], row[1], row[3]] for table in scores for row in table[2:]] == [
        ["vmf-nca, mobilenet_v2", "2 (0, 1)", "0.610 ± 0.014"],
        ["unsupervised", "1 (0)", "0.450"],
        ["softmax, mobilenet_v2", "1 (1)", "0.620"],
        ["unsupervised", "1 (0)", "0.300"],
    ]
    assert [len(table) - 2 for table in scores] == [2, 1, 1]
    quotients = [table for table in tables(text) if table[0][0] == "ratio"]
    # seed 1 over its twin of seed 1; the unsupervised run of seed 0 over the supervised one of seed 0
    assert [table[2][3:5] for table in quotients] == [["1 (1)", "1.000"], ["1 (0)", "0.750"]]


def test_what_was_measured_where_stands_beside_it_and_no_folder_of_a_machine(whole: list[Path], tmp_path: Path) -> None:
    text = page_text(whole, tmp_path / "PAGE.md")
    assert "Measured at commit 012345678, on a machine, 2 threads." in text
    assert "Measured on another one." in text
    assert "/home" not in text
    assert str(tmp_path) not in text
    assert "| `weights` | mobilenet.safetensors |" in text


def test_missing_parts_are_named_in_a_line(write_run: Write, tmp_path: Path) -> None:
    text = page_text([write_run("a", {"steps": 7})], tmp_path / "PAGE.md")
    for line in ("No run has an `evaluation.json`", "No run has a log",
                 "No evaluation has `explanations`.",
                 "No evaluation has `reliability`.", "No run has a `regions.json`"):  # fmt: skip
        assert line in text
    assert "| `steps` | 7 |" in text


def test_an_evaluation_with_hardly_anything_in_it_is_shown(write_run: Write, tmp_path: Path) -> None:
    folder = write_run("bare", evaluation={"dataset": "d", "miou": None, "explanations": None, "reliability": []})
    text = page_text([folder], tmp_path / "PAGE.md")
    assert ["bare", *8 * ["-"]] in [row for table in tables(text) for row in table]


def test_the_command_is_written_from_the_repository(write_run: Write, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    first, second = write_run("a", evaluation=evaluation(0.5)), write_run("b c", evaluation=evaluation(0.6))
    out = tmp_path / "docs" / "results.md"
    assert "\nsegsort report 'runs/b c' --out docs/results.md\n" in page_text([second], out)
    assert "\nsegsort report 'runs/*'" not in (text := page_text([first, second], out, "streets", "so it's"))
    assert "\nsegsort report runs/* --out docs/results.md --release streets --note 'so it'\"'\"'s'\n" in text


@pytest.fixture(scope="module")
def painted_release(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose exemplars are painted streets."""
    out = tmp_path_factory.mktemp("painted") / "painted"
    build_release(Streets("train", 3), load_embedder_source(tiny_run), out, options=BuildOptions(max_exemplars=60))
    return out


def test_a_release_of_exemplars_that_are_not_painted_is_refused(tiny_release: Path) -> None:
    with pytest.raises(ValueError, match=r"release tiny has exemplars such as blocks/.* --no-images"):
        open_shown(str(tiny_release))


def test_the_bundled_release_may_be_shown() -> None:
    assert open_shown(None).card.name == "streets"


def test_an_example_shows_the_image_and_segments_with_their_exemplars(painted_release: Path) -> None:
    predictor = Predictor(open_shown(str(painted_release)), threads=1)
    image = Streets("val", 1)[0].image
    first, second = (paint(image, predictor, ("road",)) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.width == 960
    left = np.asarray(first.crop((0, 0, 476, 357)), dtype=float)
    expected = np.asarray(Image.fromarray(image).resize((476, 357), Image.Resampling.LANCZOS), dtype=float)
    assert np.abs(left - expected).mean() < 1


def test_segments_are_chosen_by_class_first_then_by_size(painted_release: Path) -> None:
    predictor = Predictor(open_shown(str(painted_release)), threads=1)
    names = [info.name for info in predictor.release.card.classes]
    prediction = predictor.predict(Streets("val", 1)[0].image)
    found = [names[c] for c in prediction.vote.class_ids]
    chosen = choose(prediction, names, ("road",))
    assert found[chosen[0]] == "road"
    assert len({found[s] for s in chosen}) == len(chosen) <= 3
    areas = [int(prediction.segments.areas[s]) for s in chosen[1:]]
    assert areas == sorted(areas, reverse=True)


def test_the_command_collects_and_writes_page_and_images(
    whole: list[Path], painted_release: Path, tmp_path: Path
) -> None:
    out, kept = tmp_path / "docs" / "results.md", tmp_path / "docs" / "results" / "runs"
    arguments = ["report", *whole[3:], "--collect", kept, "--out", out, "--release", painted_release]
    done = CliRunner().invoke(cli, [str(word) for word in arguments], catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (0, f"{out}\n")
    text = out.read_text()
    assert "segsort report results/runs/* --out results.md --release painted" in text
    painted = [out.parent / "results" / "images" / shown.example.file for shown in SHOWN]
    assert all(file.stat().st_size > 1000 for file in painted)
    assert all(f"](results/images/{file.name})" in text for file in painted)
    assert text == page_text(sorted(kept.iterdir()), out, str(painted_release))


@pytest.mark.parametrize("flag", ["--no-images", "--no-pictures"])
def test_the_flag_and_its_earlier_name_leave_the_example_images_out(
    flag: str, whole: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "PAGE.md"
    CliRunner().invoke(cli, ["report", str(whole[-1]), "--out", str(out), flag], catch_exceptions=False)
    assert "Example images" not in out.read_text()
    assert "--no-images\n" in out.read_text()
    assert not (tmp_path / "page" / "images").exists()


def test_the_command_needs_something_to_write(whole: list[Path]) -> None:
    with pytest.raises(ValueError, match=r"give --out PAGE.md, --collect FOLDER, or both"):
        CliRunner().invoke(cli, ["report", str(whole[0])], catch_exceptions=False)


def test_the_committed_page_is_what_its_runs_and_its_note_give() -> None:
    page = Path("docs/results-details.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^segsort report .*$", page, re.MULTILINE)
    note = shlex.split(command)[shlex.split(command).index("--note") + 1]
    runs = sorted(folder for folder in Path("docs/results/runs").iterdir() if folder.is_dir())
    assert page_text(runs, Path("docs/results-details.md"), note=note) == page, f"run `{command[:40]}...`"
