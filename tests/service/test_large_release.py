"""A release with a mapped index of compressed vectors is served: answers, explanations, edits, restarts, `verify`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from model_store.release import Release, write_release
from service.settings import Settings
from service.verifying.unpacking import releases_in
from service.verifying.verify import verify_database
from tests.service.test_edits import explained, without_marks


@pytest.fixture
def mapped_release(tiny_release: Path, tmp_path: Path) -> Release:
    old = Release.open(tiny_release)
    settings = {"index_factory": "IVF4,SQ8", "shards": 2, "on_disk": True, "nprobe": None, "rerank": None}
    card = old.card.model_copy(update={"name": "mapped", "retrieval": old.card.retrieval.model_copy(update=settings)})
    images = [(source.file, (old.path / source.file).read_bytes()) for source in old.sources]
    return write_release(tmp_path / "mapped", card, old.network_path, old.exemplars, old.sources, images)


def test_answers_are_recomputable_and_survive_edits_and_a_restart(
    mapped_release: Release, start: Callable[..., TestClient], settings: Settings, photo: bytes
) -> None:
    with start(release=str(mapped_release.path)) as client:
        answer = client.post("/segment", content=photo).raise_for_status().json()
        whys = explained(client, answer)
        for why in whys:
            assert why["search"]["index_factory"] == "IVF4,SQ8"
            cosines = np.array([one["similarity"] for one in why["exemplars"]])
            strengths = np.array([one["strength"] for one in why["exemplars"]])
            weights = strengths * np.exp(mapped_release.card.retrieval.kappa * cosines)
            stated = [one["weight"] for one in why["exemplars"]]
            np.testing.assert_allclose(stated, weights / weights.sum(), atol=1e-4)
        gone = whys[0]["exemplars"][0]["exemplar_id"]
        client.delete(f"/exemplars/{gone}").raise_for_status()
        segment = answer["segments"][1]["segment_id"]
        label = next(one.name for one in mapped_release.card.classes if one.name != whys[1]["class_name"])
        new = client.post(f"/segments/{segment}/label", json={"class_name": label}).raise_for_status().json()
        again = client.post("/segment", content=photo).raise_for_status().json()
        used = {one["exemplar_id"] for why in explained(client, again) for one in why["exemplars"]}
        assert gone not in used
        assert new["exemplar"]["exemplar_id"] in used
    with start(release=str(mapped_release.path)) as client:
        assert [without_marks(why) for why in explained(client, answer)] == [without_marks(why) for why in whys]
        after = client.post("/segment", content=photo).raise_for_status().json()
        assert [one["class_name"] for one in after["segments"]] == [one["class_name"] for one in again["segments"]]
    report = verify_database(settings.database, None, lambda step: None, releases_in(settings.data_dir), None)
    assert report.findings == []
