"""The measurement of new classes: its images, and a running service that learns a class from three of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.new_class import Way, connected, ious, main, measure, subjects
from benchmarks.new_things import LEAST, NEW, THINGS, paint
from benchmarks.photograph_collections import COLLECTIONS, LABELLED
from benchmarks.running_service import running_service
from index_builder.datasets.streets import paint_street


@pytest.mark.parametrize("thing", THINGS)
def test_a_painted_thing_is_seen_and_the_same_each_time(thing: str) -> None:
    image, labels = paint(thing, 1)
    assert image.shape == (360, 480, 3)
    assert (labels == NEW).sum() >= LEAST
    assert set(np.unique(labels)) <= {*range(11), NEW, 255}
    again, _ = paint(thing, 1)
    assert (image == again).all()
    assert (paint(thing, 0)[1] != labels).any()


def test_a_street_without_further_things_is_the_street_it_was() -> None:
    plain, labels = paint_street(7)
    other, further_labels = paint_street(7, lambda canvas, camera, street: [])
    assert (plain == other).all()
    assert (labels == further_labels).all()


@pytest.mark.parametrize("name", COLLECTIONS)
def test_what_is_labelled_of_a_photograph_is_not_measured(name: str) -> None:
    found = COLLECTIONS[name]()
    assert len(found.labelled) == LABELLED
    assert len(found.measured) >= 3
    labelled = {crop.image.tobytes() for crop in found.labelled}
    for crop in found.measured:
        assert crop.image.tobytes() not in labelled
        assert crop.labels.shape == crop.image.shape[:2]
        assert set(np.unique(crop.labels)) <= set(range(len(found.classes)))
    assert {int(label) for crop in found.labelled for label in np.unique(crop.labels)} == set(range(len(found.classes)))


def test_a_running_service_learns_a_class_from_three_images_and_forgets_it_when_told(tmp_path: Path) -> None:
    cone, coins = subjects(2, ["traffic cone", "coins"])
    with running_service(tmp_path) as address, connected(address, None) as client:
        before = ious(client, cone, 5)
        assert before[NEW] == 0
        assert measure(client, cone, Way(segments=256, k=5))[NEW] > 0.3
        assert ious(client, cone, 5) == before
        found = measure(client, coins, Way())
        assert min(found.values()) > 0.5
        assert "coin" not in {one.name for one in client.classes()}


def test_the_measurement_starts_a_service_of_its_own_and_writes_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["new_class", "--only", "coins", "--out", str(tmp_path)])
    main()
    rows = json.loads((tmp_path / "new_class.json").read_text())["rows"]
    assert [row["class"] for row in rows] == ["coin", "cloth"]
    assert all(row["before"] == 0 and row["3"] > 0.5 for row in rows)
