"""Sweeps: settings of a trained network, and short training runs, are scored like validation."""

import json
from pathlib import Path

import numpy as np
import pytest

from index_builder.embedder_source import load_embedder_source
from index_builder.sweep import AXES, ServingSweep, sweep_training, write
from index_builder.training.validation import RetrievalScore
from model_store.embedder import Embedder
from tests.conftest import Blocks


@pytest.fixture(scope="module")
def sweep(tiny_run: Path) -> ServingSweep:
    return ServingSweep(tiny_run, Blocks(), Blocks("val", count=3))


def test_a_row_is_what_validation_would_say_of_that_value(sweep: ServingSweep, tiny_run: Path) -> None:
    source = load_embedder_source(tiny_run)
    sorting = source.sorting.model_copy(update={"segments": 5}).options()
    score = RetrievalScore(1, 3, sorting, source.retrieval.k, source.retrieval.kappa)
    embedder = Embedder((source.network_file, source.preprocessing))
    for i in range(6):
        score.add_exemplars(0, Blocks()[i], embedder.embed(Blocks()[i].image))
    for i in range(3):
        score.add_query(Blocks("val")[i], embedder.embed(Blocks("val")[i].image))
    (row,) = sweep.rows("K", [5])
    assert row["miou"] == pytest.approx(np.nanmean(score.iou(0)), abs=0.01), "embeddings are kept in half precision"
    assert row["best_possible"] >= row["miou"]


def test_every_axis_has_a_row_for_each_value_and_ends_at_its_defaults(sweep: ServingSweep) -> None:
    for axis in AXES:
        rows = list(sweep.rows(axis, [1, 20000]) if axis == "exemplars" else sweep.rows(axis, AXES[axis][:2]))
        assert len(rows) == 2, axis
    few, all_of_them = sweep.rows("exemplars", [1, 20000])
    assert few["exemplars"] == 1
    assert few["miou"] < all_of_them["miou"], "one exemplar knows one class"
    with pytest.raises(ValueError, match="axis 'colour' is not known"):
        next(sweep.rows("colour", [1]))


@pytest.mark.filterwarnings("ignore")  # Lightning and torch's exporter warn of themselves
def test_short_runs_are_trained_and_scored(blocks_folder: Path, tmp_path: Path) -> None:
    recipe_values = {
        "datasets": ["folder"], "roots": {"folder": str(blocks_folder)}, "working_size": 96, "crop": [64, 96],
        "segments": 12, "steps": 2, "validate_every": 0, "batch_per_domain": 2, "pixels_per_domain": 64, "workers": 0,
        "accelerator": "cpu", "ema_decay": 0,
    }  # fmt: skip
    (tmp_path / "recipe.json").write_text(json.dumps(recipe_values))
    rows = sweep_training(tmp_path / "recipe.json", "dimension", [4, 8], tmp_path / "runs")
    assert [row["value"] for row in rows] == [4, 8]
    assert all(0 <= row["miou"] <= row["best_possible"] <= 1 for row in rows)
    file = write(tmp_path, "dimension", "folder/val", "training short runs", rows)
    assert file.name == "sweep-training-dimension.json"
    assert json.loads(file.read_text())["rows"] == rows
