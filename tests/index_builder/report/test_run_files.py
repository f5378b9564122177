import json
from pathlib import Path

import pytest

from index_builder.report.page_writer import page_text
from index_builder.report.run_copy import collect
from index_builder.report.run_files import changed_values, read_log, read_run, read_runs, without_paths
from index_builder.training.recipe import Recipe
from tests.index_builder.report.conftest import Write, evaluation


def test_a_folder_that_holds_no_run_is_an_error_that_names_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ValueError, match=r"has no run; expected is a folder with any of recipe.json, log.csv"):
        read_run(tmp_path)


@pytest.mark.parametrize(("text", "told"), [("{", "is not JSON"), ("[1]", "has a list; expected is a JSON object")])
def test_a_damaged_document_is_named(write_run: Write, text: str, told: str) -> None:
    folder = write_run("a", {})
    (folder / "evaluation.json").write_text(text)
    with pytest.raises(ValueError, match=rf"evaluation\.json {told}"):
        read_run(folder)


@pytest.mark.parametrize(
    ("text", "told"), [("epoch,loss\n0,1\n", "expected is `step`"), ("step,loss\n1,2\n2,x\n", "line 3: could not")]
)
def test_a_damaged_log_is_named(write_run: Write, text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_run(write_run("a", {}, text))


def test_runs_without_a_label_are_called_by_objective_and_backbone(write_run: Write) -> None:
    folders = [write_run("a", {"seed": 1}), write_run("b", {"label": "mine"}), write_run("c", {"label": ""})]
    assert [(run.name, run.label, run.seed) for run in read_runs(folders)] == [
        ("b", "mine", 0),
        ("c", "vmf-nca, mobilenet_v2", 0),
        ("a", "vmf-nca, mobilenet_v2", 1),
    ]


def test_of_a_recipe_as_training_writes_it_only_what_was_changed_is_told() -> None:
    recipe = Recipe(datasets=["camvid"], roots={"camvid": "x"}, steps=600, crop=(224, 288), seed=3, label="x")
    told = {"datasets": ["camvid"], "steps": 600, "crop": [224, 288]}
    assert changed_values(recipe.model_dump(mode="json")) == told
    assert changed_values({"steps": 2000, "unheard_of": 1}) == {"unheard_of": 1}


def test_runs_that_nobody_named_are_told_apart_by_what_differs_but_the_seed(write_run: Write) -> None:
    folders = [write_run("a", {"steps": 600}), write_run("b", {"seed": 1, "workers": 0})]
    folders.append(write_run("c", {"unheard_of": [1], "seed": 2}))
    assert [run.label for run in read_runs(folders)] == [
        "vmf-nca, mobilenet_v2, steps 2000, unheard_of [1]",
        "vmf-nca, mobilenet_v2, steps 2000, unheard_of null",
        "vmf-nca, mobilenet_v2, steps 600, unheard_of null",
    ]


def test_one_seed_twice_under_one_label_is_an_error(write_run: Write) -> None:
    with pytest.raises(ValueError, match="a and b both have the label 'x' and the seed 3; give one of them another"):
        read_runs([write_run("a", {"label": "x", "seed": 3}), write_run("b", {"label": "x", "seed": 3})])


def test_a_log_cut_by_restarts_is_joined_and_what_was_done_twice_is_dropped(write_run: Write) -> None:
    folder = write_run("a", {}, "step,loss,val/miou\n100,0.4,\n109,0.3,\n109,,0.5\n")
    (folder / "logs" / "metrics-until-100.csv").write_text("epoch,loss,step\n,0.6,99\n,9,109\n,9,119\n")
    (folder / "logs" / "metrics-until-20.csv").write_text("epoch,loss,step\n,0.9,9\n,0.8,19\n,9,29\n")
    assert [(row["step"], row["loss"]) for row in read_log(folder)] == [
        (9, 0.9), (19, 0.8), (99, 0.6), (100, 0.4), (109, 0.3)
    ]  # fmt: skip
    assert read_log(folder)[-1]["val/miou"] == 0.5


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/me/data/camvid", "camvid"),
        ("read from /home/me/a.onnx, twice", "read from a.onnx, twice"),
        ("C:\\data\\camvid", "camvid"),
        ("~/data/camvid", "camvid"),
        ("camvid/val", "camvid/val"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("images/s, 1/2", "images/s, 1/2"),
    ],
)
def test_paths_of_a_machine_keep_their_last_part(text: str, left: str) -> None:
    assert without_paths({"a": [text, 1]}) == {"a": [left, 1]}


def test_collected_runs_are_small_name_no_folder_and_give_the_same_page(whole: list[Path], tmp_path: Path) -> None:
    copies = collect(whole, tmp_path / "kept")
    files = [file for file in (tmp_path / "kept").rglob("*") if file.is_file()]
    assert {file.name for file in files if file.parent.name == "nca-0"} == {
        "recipe.json", "log.csv", "evaluation.json", "environment.json", "sweep-K.json", "sweep-k.json"
    }  # fmt: skip
    assert not any("/home/me" in file.read_text() or "roots" in file.read_text() for file in files)
    pages = [page_text(folders, tmp_path / "PAGE.md") for folders in (whole, copies)]
    assert pages[0].replace("runs/*", "kept/*") == pages[1]


def test_a_collected_recipe_calls_what_the_run_began_with_by_its_name_alone(write_run: Write, tmp_path: Path) -> None:
    folder = write_run("a", {"weights": "../far/away/mobilenet.safetensors", "start": "runs/before", "contours": None})
    (copy,) = collect([folder], tmp_path / "kept")
    told = json.loads((copy / "recipe.json").read_text())
    assert (told["weights"], told["start"], told["contours"]) == ("mobilenet.safetensors", "before", None)


def test_a_collected_log_keeps_a_row_for_20_steps_and_every_validation(write_run: Write, tmp_path: Path) -> None:
    log = "step,epoch,loss,val/miou\n" + "".join(f"{n},0,{n / 7},{0.5 if n == 42 else ''}\n" for n in range(0, 100, 2))
    (copy,) = collect([write_run("a", {}, log)], tmp_path / "kept")
    assert (copy / "log.csv").read_text().splitlines() == [
        "step,loss,val/miou", "18,2.57143,", "38,5.42857,", "42,6,0.5", "58,8.28571,", "78,11.1429,", "98,14,"
    ]  # fmt: skip
    assert collect([copy], tmp_path / "again")[0].joinpath("log.csv").read_text() == (copy / "log.csv").read_text()


def test_collecting_again_takes_away_what_the_run_no_longer_has(write_run: Write, tmp_path: Path) -> None:
    folder = write_run("a", {}, evaluation=evaluation(0.5), evaluation_cluster=evaluation(0.3))
    collect([folder], tmp_path / "kept")
    (folder / "evaluation-cluster.json").unlink()
    (copy,) = collect([folder], tmp_path / "kept")
    assert sorted(file.name for file in copy.iterdir()) == ["evaluation.json", "recipe.json"]
    assert json.loads((copy / "evaluation.json").read_text()) == evaluation(0.5)
