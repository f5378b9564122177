"""The network of a finished run or of a release, with the settings that it is used with."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from index_builder.embedder_source import load_embedder_source
from model_store.release import Release, ReleaseError


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def change(run: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    description = json.loads((run / "network.json").read_text())
    edit(description)
    (run / "network.json").write_text(json.dumps(description))


def test_a_release_gives_what_its_card_says(tiny_release: Path) -> None:
    source, card = load_embedder_source(tiny_release), Release.open(tiny_release).card
    assert source.network_file == tiny_release / "network.onnx"
    for name in ("network", "preprocessing", "sorting", "retrieval", "training"):
        assert getattr(source, name) == getattr(card, name)
    assert source.licence == card.licence["network"]
    assert source.origin == f"the release tiny of {card.created}"


def test_what_a_run_does_not_say_is_as_in_training(run: Path) -> None:
    change(run, lambda description: (description.pop("sorting"), description.pop("retrieval")))
    change(run, lambda description: description.update(training={"location_weight": 0.125, "kappa": 3.5, "steps": 7}))
    source = load_embedder_source(run)
    assert source.sorting.location_weight == 0.125
    assert source.retrieval.kappa == 3.5
    change(run, lambda description: description.update(sorting={"location_weight": 1.0}, retrieval={"kappa": 9.0}))
    source = load_embedder_source(run)
    assert (source.sorting.location_weight, source.retrieval.kappa) == (1, 9)
    assert source.training["steps"] == 7


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda description: description.pop("network"), "lacks 'network'; it needs 'network' and 'preprocessing'"),
        (lambda description: description["network"].pop("parameters"), "field parameters"),
        (lambda description: description["preprocessing"].update(working_size=1), "field working_size"),
        (lambda description: description.update(sorting={"segments": 0}), "field segments"),
        (lambda description: description.update(network=3), 'field "NetworkInfo"'),
    ],
)
def test_a_description_that_cannot_be_used_is_named(
    run: Path, edit: Callable[[dict[str, Any]], object], said: str
) -> None:
    change(run, edit)
    with pytest.raises(ValueError, match=rf"network\.json,? {said}"):
        load_embedder_source(run)


@pytest.mark.parametrize("missing", ["network.onnx", "network.json"])
def test_an_unfinished_run_is_refused(run: Path, missing: str) -> None:
    (run / missing).unlink()
    with pytest.raises(ValueError, match=r"run has neither card\.json nor network\.onnx with network\.json"):
        load_embedder_source(run)


def test_a_damaged_release_is_refused(tiny_release: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_release, tmp_path / "copy"))
    (copy / "network.onnx").write_bytes(b"")
    with pytest.raises(ReleaseError, match=r"network\.onnx was altered"):
        load_embedder_source(copy)
