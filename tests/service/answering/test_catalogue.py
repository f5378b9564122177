"""Open releases: each is opened once, follows the edits, and is found by the ids of its answers."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from model_store.release import Release
from service.answering.catalogue import ReleaseCatalogue
from service.answering.engine import Engine
from service.problems import Problem
from service.settings import Settings


@pytest.fixture
def engine(client: TestClient) -> Engine:
    engine: Engine = client.app.state.engine  # type: ignore[attr-defined]
    return engine


@pytest.fixture
def catalogue(engine: Engine) -> ReleaseCatalogue:
    return engine.catalogue


def test_the_served_release_is_open_from_the_start(engine: Engine) -> None:
    live = engine.served.live
    assert engine.catalogue.find("tiny") is engine.catalogue.opened("tiny") is live
    assert engine.catalogue.adopt(live.release) is live
    assert engine.catalogue.opened("streets") is None


def test_a_release_is_opened_once_for_all_threads(catalogue: ReleaseCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, real = [], Release.open
    monkeypatch.setattr(Release, "open", lambda path: opened.append(path) or real(path))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: catalogue.find("streets"), range(8)))
    assert len(opened) == 1
    assert all(one is found[0] for one in found)


def test_a_release_outside_the_store_is_found_by_its_path(
    catalogue: ReleaseCatalogue, tiny_release: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(tiny_release, moved)
    card = moved / "card.json"
    assert card.is_file()
    assert catalogue.find("tiny", str(moved)).release.path == Path(tiny_release), "the open one is used"
    with pytest.raises(Problem, match="The release 'nothing' that gave this answer is gone") as gone:
        catalogue.find("nothing", str(tmp_path / "nowhere"))
    assert (gone.value.status, gone.value.received) == (410, "nothing")
    assert "streets" in str(gone.value.allowed)


def test_exemplars_are_found_in_open_releases_and_in_those_of_the_store(engine: Engine) -> None:
    own = engine.served.release.exemplars.ids[2]
    assert engine.catalogue.find_exemplar(own) == (engine.served.live, 2)
    stored = Release.open(engine.catalogue.store.resolve("streets")).exemplars.ids[5]
    live, row = engine.catalogue.find_exemplar(stored)
    assert (live.name, row) == ("streets", 5)
    with pytest.raises(Problem, match="There is no such exemplar") as missing:
        engine.catalogue.find_exemplar("none")
    assert missing.value.status == 404


def test_an_answer_of_another_process_brings_its_release_up_to_date(
    client: TestClient, engine: Engine, settings: Settings, photo: bytes
) -> None:
    other = Engine(settings)  # follows nothing by itself: its thread is not started
    client.post("/classes", json={"name": "kerb"}).raise_for_status()
    answered = engine.records.answer(client.post("/segment", content=photo).json()["segmentation_id"])
    assert answered is not None
    assert other.live.revision == 0
    assert other.catalogue.release_of(answered).state.revision == 1
    other.close()
