"""An invalid recipe is refused before training starts, and leaves no files that block a corrected one."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from index_builder.training.recipe import FORMER_NAMES, Recipe, with_current_names
from index_builder.training.run import _check_recipe, make_network, train
from segsort.efficientnet_lite import EfficientNetLite2


def recipe(blocks: Path, **changed: Any) -> Recipe:
    return Recipe.model_validate({"datasets": ["folder"], "roots": {"folder": str(blocks)}, **changed})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"datasets": []}, "datasets\n.*at least 1 item"),
        ({"reference": "streets"}, r"'streets' is not a data set of this recipe; name one of folder"),
        ({"counts": {"steets": 3}}, "'steets' is not a data set"),
        ({"train_splits": {"camvid": "fit"}}, "'camvid' is not a data set"),
        ({"roots": {"foldr": "x"}}, "'foldr' is not a data set"),
        ({"crop": (60, 96)}, r"crop=\(60, 96\): height and width must be multiples of 32"),
        ({"crop": (0, 96)}, r"crop=\(0, 96\)"),
        ({"scale": (1.5, 0.5)}, r"scale=\(1\.5, 0\.5\)"),
        ({"scale": (0, 1)}, r"scale=\(0\.0, 1\.0\): the minimum must be above 0"),
        ({"steps": 0}, "steps\n.*greater than or equal to 1"),
        ({"working_size": 16}, "working_size\n.*greater than or equal to 32"),
        ({"objective": "hinge"}, "objective\n.*'vmf-nca'"),
        ({"views": 3}, "batch_per_domain=4 must be a multiple of views=3"),
        ({"objective": "vmf", "rare_crops": 0.5}, "objective 'vmf' knows no classes"),
        ({"class_mix": 0.5}, "pastes from crops on rare classes; give rare_crops too"),
        ({"photometry": "wild"}, "photometry\n.*'plain' or 'strong'"),
        ({"views": 2}, "views=2 belongs to objective 'vmf'"),
        ({"frozen": True, "start": "x"}, "frozen with objective='vmf-nca'"),
    ],
)
def test_values_that_cannot_be_are_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=said):
        recipe(tmp_path, **change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"roots": {}}, "'folder' needs the folder of its files"),
        ({"train_splits": {"folder": "trian"}}, "split 'trian' is not a folder"),
        ({"validation_split": "test"}, "split 'test' is not a folder"),
        ({"start": "nowhere"}, r"start='nowhere' of the recipe has neither the card\.json"),
        ({"weights": "nowhere.safetensors"}, r"weights='nowhere\.safetensors' of the recipe does not exist"),
        ({"backbone": "nonsense"}, "backbone='nonsense' could not be built"),
        ({"datasets": ["folder", "streets"]}, r"streets has the classes sky, .*, folder has brick, grass, water"),
    ],
)
def test_what_does_not_exist_is_named_and_the_folder_stays_free(
    change: dict[str, Any], said: str, blocks_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        train(recipe(blocks_folder, **change), tmp_path / "run")
    assert not list((tmp_path / "run").iterdir()), "the recipe once fixed is not another recipe"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.pth", b"no pickle", r"a\.pth' of the recipe cannot be read"),
        ("a.pth", b"", r"a\.pth' of the recipe cannot be read"),
        ("a.safetensors", b"no header", r"a\.safetensors' of the recipe cannot be read"),
    ],
)
def test_weights_that_cannot_be_read_are_named(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        make_network(recipe(tmp_path, weights=str(tmp_path / name), backbone="efficientnet_lite2"))


def test_a_file_without_tensors_is_no_state_dict(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="is no state dict"):
        make_network(recipe(tmp_path, weights=str(tmp_path / "a.pth"), backbone="efficientnet_lite2"))


def test_weights_of_efficientnet_lite2_are_where_training_starts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = EfficientNetLite2().state_dict()
    torch.save({**state, "_fc.bias": torch.zeros(1000)}, tmp_path / "lite2.pth")
    network = make_network(recipe(tmp_path, weights=str(tmp_path / "lite2.pth"), backbone="efficientnet_lite2"))
    torch.testing.assert_close(dict(network.backbone.state_dict()), dict(state))


def test_a_recipe_is_read_as_it_was_written(blocks_folder: Path) -> None:
    complete = recipe(blocks_folder, counts={"folder": 2}, reference="folder", crop=(64, 96), scale=(0.5, 0.5), seed=3)
    assert Recipe.model_validate(json.loads(complete.model_dump_json())) == complete


STORED = sorted(Path("docs/results/runs").glob("*/recipe.json"))


@pytest.mark.parametrize("file", STORED, ids=lambda file: str(file.parent.name))
def test_a_stored_recipe_with_former_names_is_read(file: Path) -> None:
    stored = json.loads(file.read_text())
    read = Recipe.model_validate(stored)
    for former, name in FORMER_NAMES.items():
        assert former in stored
        assert getattr(read, name) == stored[former]
        assert former not in read.model_dump()


def test_former_and_current_name_of_a_field_together_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"batch_per_world\n.*Extra inputs"):
        recipe(Path(), batch_per_world=2, batch_per_domain=4)


def test_current_names_and_unknown_names_are_kept() -> None:
    document = {"batch_per_domain": 2, "pixels_per_world": 9, "unknown": 1}
    assert with_current_names(document) == {"batch_per_domain": 2, "pixels_per_domain": 9, "unknown": 1}


def test_a_run_begun_under_former_names_can_continue(tmp_path: Path) -> None:
    one, file = recipe(tmp_path, batch_per_domain=8), tmp_path / "recipe.json"
    former = {name: old for old, name in FORMER_NAMES.items()}
    file.write_text(json.dumps({former.get(name, name): value for name, value in one.model_dump(mode="json").items()}))
    _check_recipe(one, file)
    with pytest.raises(ValueError, match=r"other values of batch_per_domain \(batch_per_domain=8\)"):
        _check_recipe(recipe(tmp_path, batch_per_domain=2), file)
