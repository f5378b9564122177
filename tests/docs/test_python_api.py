"""The examples of docs/python-api.md run, one after another, as a reader would run them."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from index_builder.datasets.streets import Streets

PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"


def examples() -> str:
    """All Python blocks of the page as one program, each at its line of the page."""
    text = PAGE.read_text(encoding="utf-8")
    program: list[str] = []
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        before = text[: block.start(1)].count("\n")
        program += [""] * (before - len(program)) + block[1].splitlines()
    return "\n".join(program)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The variables that the examples leave, run in a folder with a photo.jpg."""
    folder, before = tmp_path_factory.mktemp("examples"), Path.cwd()
    Image.fromarray(Streets("val", count=1)[0].image).save(folder / "photo.jpg")
    found: dict[str, Any] = {}
    os.chdir(folder)
    try:
        exec(compile(examples(), PAGE, "exec"), found)
    finally:
        os.chdir(before)
    return found


def test_the_predictor_labels_every_pixel(names: dict[str, Any]) -> None:
    assert names["class_map"].shape == names["image"].shape[:2]
    assert len(np.unique(names["class_map"])) > 1


def test_the_steps_label_every_segment_as_its_vote_says(names: dict[str, Any]) -> None:
    assert names["segments"].labels.shape == names["image"].shape[:2]
    assert len(names["labels"]) == len(names["segments"].areas)
    np.testing.assert_allclose(names["shares"].sum(axis=1), 1)


def test_the_steps_give_the_segments_and_labels_of_the_predictor(names: dict[str, Any]) -> None:
    prediction = names["prediction"]
    np.testing.assert_array_equal(names["segments"].labels, prediction.segments.labels)
    assert names["labels"] == [names["names"][class_id] for class_id in prediction.vote.class_ids]


def test_removing_the_flip_set_changes_the_label(names: dict[str, Any]) -> None:
    segment, class_ids = names["least"], names["class_ids"][names["least"]]
    kept = [row for row in range(len(class_ids)) if row not in names["flips"]][: names["k"]]
    votes = dict.fromkeys(range(len(names["names"])), 0.0)
    for row in kept:
        votes[int(class_ids[row])] += float(np.exp(names["kappa"] * names["similarities"][segment][row]))
    assert max(votes, key=votes.__getitem__) != names["result"].class_ids[segment]


def test_the_training_loop_gives_positive_losses_and_fills_the_bank(names: dict[str, Any]) -> None:
    assert float(names["loss"].detach()) > 0
    assert float(names["unsupervised"].detach()) > 0
    assert int(names["bank"].read().valid.sum()) > 0


def test_the_loss_without_labels_trains_the_network(names: dict[str, Any]) -> None:
    assert all(bool((weight.grad != 0).any()) for weight in names["network"].parameters())


def test_the_prototypes_without_labels_are_the_segments_of_pixel_sorting(names: dict[str, Any]) -> None:
    found, own, embedded = names["found"], names["own"], names["embedded"].detach()
    expected = {}
    for image, segment in {(b, int(label)) for b in range(2) for label in found[b].unique()}:
        inside = found[image] == segment
        if int(inside.sum()) >= 2:
            total = embedded[image][:, inside].sum(dim=1)
            expected[image, segment] = total / total.norm()
    assert int(own.valid.sum()) == len(expected)
    for (image, segment), direction in expected.items():
        (row,) = own.segment_of[image][found[image] == segment].unique().tolist()
        torch.testing.assert_close(own.directions[row].detach(), direction)
