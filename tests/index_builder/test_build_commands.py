"""`segsort train`, `build` and `evaluate` as a user runs them: results on standard output, faults in one clear line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from command_line.main import cli
from model_store.release import Release
from tests.conftest import Blocks

COMMAND = Path(sys.executable).with_name("segsort")
SMALL = {
    "working_size": 96, "crop": [64, 96], "segments": 12, "validate_every": 2, "batch_per_domain": 2,
    "pixels_per_domain": 128, "workers": 0, "ema_decay": 0.5,
}  # fmt: skip


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.mark.filterwarnings("default")  # Lightning warns of itself
def test_a_folder_of_images_becomes_a_network_a_release_and_a_measure(blocks_folder: Path, tmp_path: Path) -> None:
    data = ("--dataset", "folder", "--root", blocks_folder)
    settings = [part for name, value in SMALL.items() for part in ("--set", f"{name}={json.dumps(value)}")]
    trained = run("train", *data, "--out", tmp_path / "run", "--steps", 2, "--set", "accelerator=cpu", *settings)
    assert trained.exit_code == 0, trained.output
    assert trained.stdout.splitlines()[-1] == str(tmp_path / "run")
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert (recipe["steps"], recipe["crop"], recipe["roots"]) == (2, [64, 96], {"folder": str(blocks_folder)})
    built = run("build", *data, "--embedder", tmp_path / "run", "--out", tmp_path / "release", "--count", 2)
    assert built.exit_code == 0, built.output
    assert built.stdout == f"{tmp_path / 'release'}\n"
    card = Release.open(tmp_path / "release").card
    assert card.data["exemplars"]["images"] == 2
    assert card.training["steps"] == 2
    measured = run("evaluate", tmp_path / "release", *data, "--split", "train", "--json")
    assert json.loads(measured.stdout)["images"] == 4


def test_confidence_is_calibrated_on_the_data_set_that_is_named(
    tiny_run: Path, blocks_folder: Path, tmp_path: Path
) -> None:
    data = ("--dataset", "folder", "--root", blocks_folder)
    held = ("--calibrate-dataset", "folder", "--calibrate-root", blocks_folder)
    assert run("build", *data, "--embedder", tiny_run, "--out", tmp_path / "own").exit_code == 0
    assert run("build", *data, "--embedder", tiny_run, "--out", tmp_path / "held", *held).exit_code == 0
    own, other = (Release.open(tmp_path / name).card.calibration for name in ("own", "held"))
    assert own.how.startswith("images of folder that gave exemplars")
    assert other.how.startswith("held-out images of folder/val")
    assert own.known_threshold != other.known_threshold


def test_effort_shards_and_mapping_of_the_index_are_as_the_command_says_and_not_those_of_the_embedder(
    tiny_run: Path, blocks_folder: Path, tmp_path: Path
) -> None:
    flags = ("--index", "IVF2,SQ8", "--nprobe", 2, "--rerank", 3, "--index-shards", 2, "--index-on-disk")
    done = run("build", blocks_folder, "--embedder", tiny_run, "--out", tmp_path / "first", *flags)
    assert done.exit_code == 0, done.output
    own = Release.open(tmp_path / "first").card.retrieval
    assert (own.index_factory, own.nprobe, own.rerank, own.shards, own.on_disk) == ("IVF2,SQ8", 2, 3, 2, True)
    done = run("build", blocks_folder, "--embedder", tmp_path / "first", "--out", tmp_path / "flat", "--index", "Flat")
    assert done.exit_code == 0, done.output
    own = Release.open(tmp_path / "flat").card.retrieval
    assert (own.index_factory, own.nprobe, own.rerank, own.shards, own.on_disk) == ("Flat", None, None, 1, False)


@pytest.mark.parametrize(
    ("flags", "licence", "images"),
    [
        ((), "provided by the user; their licence was not stated", "images of the folder"),
        (("--licence", "CC0 1.0", "--source", "our harbour"), "CC0 1.0", "our harbour"),
    ],
)
def test_the_card_says_whose_images_are_in_the_release(
    tiny_run: Path, blocks_folder: Path, tmp_path: Path, flags: tuple[str, ...], licence: str, images: str
) -> None:
    assert run("build", blocks_folder, "--embedder", tiny_run, "--out", tmp_path / "release", *flags).exit_code == 0
    card = Release.open(tmp_path / "release").card
    assert licence in card.licence["exemplars"]
    assert images in card.provenance["images"]
    assert str(blocks_folder.parent) not in card.model_dump_json()  # no paths of this machine


def test_how_pixels_are_sorted_is_as_the_command_says_and_else_as_the_networks_source_says(
    tiny_run: Path, blocks_folder: Path, tmp_path: Path
) -> None:
    data = ("--dataset", "folder", "--root", blocks_folder, "--embedder", tiny_run, "--out", tmp_path / "release")
    flags = ("--segments", 9, "--iterations", 10, "--coarse-iterations", 0, "--location-weight", 0.25)
    more = ("--working-size", 64, "--min-part", 4, "--distinct", 0.999)
    assert run("build", *data, *flags, *more).exit_code == 0
    release = Release.open(tmp_path / "release")
    card = release.card
    assert card.preprocessing.working_size == 64
    sorting = card.sorting
    assert (sorting.segments, sorting.iterations, sorting.coarse_iterations) == (9, 10, 0)
    assert (sorting.location_weight, sorting.min_part) == (0.25, 4)
    assert sorting.min_area == 0.001
    assert card.data["exemplars"]["distinct"] == 0.999
    prototypes, class_ids = release.exemplars.prototypes, release.exemplars.class_ids
    alike = (prototypes @ prototypes.T >= 0.999) & (class_ids[:, None] == class_ids)
    assert not (alike & ~np.eye(len(alike), dtype=bool)).any()


def test_json_is_the_only_thing_on_standard_output(tiny_release: Path, blocks_folder: Path, tmp_path: Path) -> None:
    """A separate process runs the command, because native libraries may print too."""
    arguments = ("evaluate", str(tiny_release), "--dataset", "folder", "--root", str(blocks_folder), "--json")
    done = subprocess.run(
        [str(COMMAND), *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SEGSORT_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    document, end = json.JSONDecoder().raw_decode(done.stdout)
    assert done.stdout[end:] == "\n"
    assert 0.9 < document["miou"] <= 1
    assert set(document["per_class"]) == {"brick", "grass", "water"}
    assert 0.9 < document["pixel_accuracy"] <= 1
    assert "evaluating" in done.stderr, "progress goes to standard error"


def test_everything_that_can_be_measured_is_one_document_on_standard_output_and_in_the_file(
    tiny_release: Path, blocks_folder: Path, tmp_path: Path
) -> None:
    Image.fromarray(Blocks("val")[0].image).save(tmp_path / "photograph.jpg")
    data = ("evaluate", tiny_release, "--dataset", "folder", "--root", blocks_folder)
    more = ("--explanations", "--explanation-images", 2, "--foreign", f"mine={tmp_path}")
    out = tmp_path / "new" / "report.json"
    measured = run(*data, *more, "--json", "--out", out)
    assert measured.exit_code == 0, measured.output
    assert measured.stdout == out.read_text()
    document = json.loads(measured.stdout)
    assert document["explanations"]["images"] == 2
    assert document["explanations"]["replay"]["label"] == 1
    assert document["foreign"]["mine"]["images"] == 1
    table = run(*data, "--markdown").stdout
    assert table.startswith("| tiny on folder")
    assert f"| mIoU | {document['miou']:.4f} |" in table.splitlines()
    assert f"mIoU  {document['miou']:.4f}" in run(*data).stdout
    half = json.loads(run(*data, "--json", "--precision", "float16").stdout)
    assert half["miou"] == pytest.approx(document["miou"], abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json", "--markdown"], "give one of them, or write the JSON with --out"),
        (["--foreign", "nowhere"], "nowhere has no file ending in"),
        (["--explanations", "--explanation-images", "0"], "explanation_images=0 must be at least 1"),
    ],
)
def test_a_measure_that_cannot_be_taken_is_refused(
    arguments: list[str], said: str, tiny_release: Path, blocks_folder: Path
) -> None:
    refused = run("evaluate", tiny_release, "--dataset", "folder", "--root", blocks_folder, *arguments)
    assert isinstance(refused.exception, ValueError)
    assert said in str(refused.exception)
    assert not refused.stdout


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--dataset": "tarot"}, "'tarot' is not known; choose streets, auto or one of"),
        ({"--root": "nowhere"}, "nowhere/classes.json cannot be used"),
        ({"--split": "trian"}, "split 'trian' is not a folder"),
        ({"--embedder": "nowhere"}, "release 'nowhere' is neither a folder nor a name in"),
        ({"--index-factory": "Nonsense"}, "index_factory='Nonsense'"),
        ({"--balance": "2"}, "balance=2.0 must be in 0..1"),
        ({"--max-exemplars": "0"}, "max_exemplars=0"),
        ({"--count": "0"}, "count=0 must be at least 1"),
        ({"--k": "0"}, "greater than or equal to 1"),
        ({"--calibrate-dataset": "streets"}, "folder has no class sky"),
        ({"--calibrate-dataset": "camvid"}, "'camvid' needs the folder of its files"),
    ],
)
def test_a_release_that_cannot_be_built_is_refused_and_leaves_nothing(
    changed: dict[str, str], said: str, tiny_run: Path, blocks_folder: Path, tmp_path: Path
) -> None:
    arguments = {"--dataset": "folder", "--root": blocks_folder, "--embedder": tiny_run, "--out": tmp_path / "release"}
    refused = run("build", *[part for option in {**arguments, **changed}.items() for part in option])
    assert isinstance(refused.exception, ValueError), "which the command turns into one line and exit status 2"
    assert said in str(refused.exception)
    assert not refused.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--root", "a=x", "--root", "b"], "--root 'b' has no name; write --root NAME=VALUE"),
        (["--root", "folder=nowhere"], "nowhere/classes.json cannot be used"),
        (["--split", "train"], "--split 'train' has no name"),
        (["--set", "scale=[2, 1]"], "scale=(2.0, 1.0)"),
        (["--set", "kapa=3"], "kapa"),
    ],
)
def test_a_run_that_cannot_be_told_is_refused(arguments: list[str], said: str, tmp_path: Path) -> None:
    refused = run("train", "--dataset", "folder", "--out", tmp_path / "run", *arguments)
    assert isinstance(refused.exception, ValueError)
    assert said in str(refused.exception)
    assert not (tmp_path / "run" / "recipe.json").exists()


# Heads


@pytest.fixture
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("SEGSORT_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def test_a_folder_with_strokes_becomes_a_release_with_a_head_in_one_command(
    blank_release: Path, texture_folder: Path, tmp_path: Path
) -> None:
    """A separate process runs the command. Its standard output has the path only."""
    arguments = ["build", texture_folder, "--embedder", blank_release, "--segments", 24, "--out", tmp_path / "mine"]
    done = subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SEGSORT_DATA_DIR": str(tmp_path),
             "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'mine'}\n"
    release = Release.open(tmp_path / "mine")
    assert release.card.head is not None
    assert f"head: {release.card.head.chosen}" in done.stderr
    for candidate in release.card.head.cross_validated:
        assert candidate in done.stderr
    for stage in ("features", "head", "calibration"):
        assert stage in done.stderr
    assert set(release.exemplars.class_ids.tolist()) == {0, 1, 2}
    measured = run("evaluate", tmp_path / "mine", texture_folder, "--json")
    assert json.loads(measured.stdout)["miou"] > 0.6


@pytest.mark.parametrize(("fit", "kind"), [("linear", "linear"), ("none", "identity")])
def test_the_kind_of_the_head_is_the_one_asked_for(
    fit: str, kind: str, blank_release: Path, texture_folder: Path, own_data: Path
) -> None:
    built = run(
        "build", texture_folder, "--embedder", blank_release, "--fit", fit, "--count", 2, "--out", own_data / "a"
    )
    assert built.exit_code == 0, built.output
    assert built.stdout == f"{own_data / 'a'}\n"
    card = Release.open(own_data / "a").card
    assert card.head is not None
    assert card.head.kind == kind


@pytest.mark.parametrize("fit", [[], ["--fit", "none"]])
def test_a_network_without_features_is_used_as_it_is(
    fit: list[str], tiny_release: Path, blocks_folder: Path, own_data: Path
) -> None:
    built = run("build", blocks_folder, "--embedder", tiny_release, *fit, "--out", own_data / "a")
    assert built.exit_code == 0, built.output
    card = Release.open(own_data / "a").card
    assert (card.head, card.features) == (None, None)
    assert card.network.name == "mean-color"


def test_clusters_need_no_head(blank_release: Path, texture_folder: Path, own_data: Path) -> None:
    data = ("build", texture_folder, "--embedder", blank_release, "--classes-by-clustering", 4)
    built = run(*data, "--out", own_data / "a", "--count", 2)
    assert built.exit_code == 0, built.output
    assert len(Release.open(own_data / "a").card.classes) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fit", "linear", "--embedder", "TINY"], "has no features.onnx"),
        (["--fit", "linear", "--embedder", "RUN"], "--fit linear needs labels and an embedder with features"),
        (["--classes-by-clustering", "3", "--fit", "forest"], "--fit forest needs labels"),
        (["--calibrate-dataset", "streets"], "is calibrated by cross-validation; leave --calibrate-dataset out"),
        (["--fit", "none", "--calibrate-dataset", "streets"], "leave --calibrate-dataset out"),
        (["--root", "x"], "give either a folder of labelled images, or --dataset with --root"),
        (["--embedder", "nowhere"], "nowhere"),
        (["--out", "EXISTS"], "exists, and a release is never overwritten"),
    ],
)
def test_a_head_that_cannot_be_fitted_is_refused(
    arguments: list[str], said: str, tiny_run: Path, tiny_release: Path, blank_release: Path, texture_folder: Path,
    own_data: Path,
) -> None:  # fmt: skip
    named = {"TINY": str(tiny_release), "RUN": str(tiny_run), "EXISTS": str(blank_release)}
    given = {"--embedder": str(blank_release), "--out": str(own_data / "a")}
    given |= dict(zip(arguments[::2], (named.get(one, one) for one in arguments[1::2]), strict=True))
    refused = run("build", texture_folder, *[part for option in given.items() for part in option])
    assert isinstance(refused.exception, ValueError)
    assert said in str(refused.exception)
    assert not refused.stdout
    assert not (own_data / "a").exists()
