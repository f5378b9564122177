"""The releases that come with the software."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from model_store.predictor import Predictor
from model_store.release import FEATURES, HEAD, Release
from model_store.store import BUNDLED, open_store
from segsort.retrieval import NO_CLASS


@pytest.fixture(scope="module")
def general() -> Release:
    return Release.open(BUNDLED / "general")


def test_bundled_releases_have_less_than_45_megabytes_together() -> None:
    size = sum(file.stat().st_size for file in BUNDLED.rglob("*") if file.is_file())
    assert 0 < size < 45_000_000


def test_streets_is_served_unless_another_one_is_asked_for(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert {one.name for one in store.list() if one.bundled} == {"general", "streets"}
    assert store.active() == store.resolve() == BUNDLED / "streets"
    assert store.resolve("general") == BUNDLED / "general"


def test_general_is_empty_and_can_be_adapted(general: Release) -> None:
    assert general.card.classes == []
    assert len(general.exemplars) == 0
    assert general.sources == []
    assert general.attachments.keys() == {FEATURES, HEAD}
    assert not general.card.calibration.calibrated
    assert general.card.head is not None
    assert general.card.head.kind == "identity"
    assert "Apache-2.0" in str(general.card.licence)


def test_the_features_of_general_are_those_on_its_card(general: Release) -> None:
    assert general.card.features is not None
    session = onnxruntime.InferenceSession(str(general.attachments[FEATURES]), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == [one.name for one in general.card.features.groups]
    image = np.zeros((1, 3, 32, 64), dtype=np.float32)
    for group, found in zip(general.card.features.groups, session.run(None, {"image": image}), strict=True):
        assert found.shape == (1, group.channels, 32 // group.stride, 64 // group.stride)


def test_general_segments_an_image_and_knows_nothing(general: Release) -> None:
    y, x = np.indices((96, 128))
    image = np.where(((y // 24 + x // 32) % 2 == 0)[:, :, None], (200, 60, 40), (40, 80, 200)).astype(np.uint8)
    found = Predictor(general, threads=1).predict(image)
    assert len(found.segments.areas) > 1
    assert set(found.vote.class_ids.tolist()) == {NO_CLASS}
    assert not found.known.any()
