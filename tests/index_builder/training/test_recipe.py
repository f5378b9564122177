"""A recipe that cannot be trained is refused before anything is begun, and leaves nothing that stands in the way."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from index_builder.training.recipe import Recipe
from index_builder.training.run import train


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
        ({"views": 3}, "batch_per_world=4 must be a multiple of views=3"),
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


def test_a_recipe_is_read_as_it_was_written(blocks_folder: Path) -> None:
    complete = recipe(blocks_folder, counts={"folder": 2}, reference="folder", crop=(64, 96), scale=(0.5, 0.5), seed=3)
    assert Recipe.model_validate(json.loads(complete.model_dump_json())) == complete
