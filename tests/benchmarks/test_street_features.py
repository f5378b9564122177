"""The frozen baseline of unsupervised runs: what is written embeds as what was chosen."""

import json
from pathlib import Path

import numpy as np

from benchmarks.street_claims import finished
from benchmarks.street_features import Fold, FrozenMaps, exported, write_run
from index_builder.embedder_source import load_embedder_source
from model_store.embedder import Embedder
from tests.conftest import Blocks


def test_the_written_run_embeds_as_the_scored_head_and_scores_above_chance(tmp_path: Path) -> None:
    source = exported(FrozenMaps(None), tmp_path)
    fit, held = Blocks(count=4), Blocks("val", count=2)
    fold = Fold(fit, held, source, tmp_path)
    head = fold.head(16, 0.25)
    assert fold.score(head, tmp_path) > 0.5, "blocks of three colours are told apart by random features"
    run = tmp_path / "run"
    write_run(run, source, head, {"dimension": 16}, 1.0)
    assert finished(run)
    assert json.loads((run / "recipe.json").read_text()) == {"steps": 0, "learning_rate": 0.0, "dimension": 16}
    loaded = load_embedder_source(run)
    found = np.asarray(Embedder((loaded.network_file, loaded.preprocessing), threads=1).embed(held[0].image))
    expected = fold.held.embedded(head).embedding(0)
    assert (found * expected).sum(axis=0).min() > 0.999
