"""Open releases: each is opened once, follows the edits, and is found by the ids of its answers."""

import gc
import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

from model_store.release import Release
from service.answering.catalogue import ReleaseCatalogue
from service.answering.engine import Engine
from service.answering.open_releases import MOST
from service.problems import Problem
from service.records.follower import Author, Plan
from service.settings import Settings
from tests.service.serving import wait_until


@pytest.fixture
def engine(client: TestClient) -> Engine:
    engine: Engine = client.app.state.engine  # type: ignore[attr-defined]
    return engine


def changed(folder: Path, **retrieval: object) -> str:
    """Change the card of a release by hand, with its checksum, and return the new digest."""
    card, listed = (json.loads((folder / name).read_text()) for name in ("card.json", "checksums.json"))
    (folder / "card.json").write_text(json.dumps(card | {"retrieval": card["retrieval"] | retrieval}))
    listed["card.json"] = hashlib.sha256((folder / "card.json").read_bytes()).hexdigest()
    (folder / "checksums.json").write_text(json.dumps(listed))
    return Release.open(folder).digest


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


def test_a_release_outside_the_store_is_found_by_its_path_if_its_content_is_the_same(
    catalogue: ReleaseCatalogue, tiny_release: Path, tmp_path: Path
) -> None:
    digest = Release.open(tiny_release).digest
    moved = Path(shutil.copytree(tiny_release, tmp_path / "moved"))
    open_one = catalogue.of_digest(digest, "tiny", str(moved))
    assert open_one is not None
    assert open_one.release.path == Path(tiny_release), "the open one is used"
    other = changed(moved, kappa=11.0)
    found = catalogue.of_digest(other, "tiny", str(moved))
    assert found is not None
    assert (found.digest, found.release.path) == (other, moved)
    assert catalogue.find("tiny") is open_one, "the name still means the served one"
    assert catalogue.of_digest("0" * 64, "tiny", str(moved)) is None
    with pytest.raises(Problem, match="The release 'nothing' is gone") as gone:
        catalogue.find("nothing")
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


def copies(engine: Engine, tiny_release: Path, count: int) -> list[str]:
    """Write releases of names of their own into the store; returns their names."""
    names = [f"copy-{number}" for number in range(count)]
    for name in names:
        folder = Path(shutil.copytree(tiny_release, engine.settings.data_dir / "releases" / name))
        card, listed = (json.loads((folder / file).read_text()) for file in ("card.json", "checksums.json"))
        (folder / "card.json").write_text(json.dumps(card | {"name": name}))
        listed["card.json"] = hashlib.sha256((folder / "card.json").read_bytes()).hexdigest()
        (folder / "checksums.json").write_text(json.dumps(listed))
    return names


def test_an_unknown_exemplar_opens_no_release(
    client: TestClient, engine: Engine, tiny_release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies(engine, tiny_release, 3)
    wait_until(lambda: engine.catalogue.kept.has(engine.served.live.digest))  # housekeeping reads that copy too
    engine.catalogue.kept.keep(Release.open(engine.catalogue.store.resolve("streets")))
    opened: list[object] = []
    monkeypatch.setattr(Release, "open", lambda *args: opened.append(args))
    monkeypatch.setattr(Release, "open_without_network", lambda *args: opened.append(args))
    for unknown in ("0" * 16, "f" * 64, "none", "\u00e9" * 4, "a%00b", "x" * 300):
        for path in (f"/exemplars/{unknown}", f"/exemplars/{unknown}/image", f"/exemplars/{unknown}/crop"):
            assert client.get(path).status_code == 404, unknown
    assert opened == []
    assert engine.catalogue.all_opened() == [engine.served.live]


def test_a_few_releases_stay_open_and_those_that_are_used(engine: Engine, tiny_release: Path) -> None:
    names = copies(engine, tiny_release, MOST + 3)
    held = engine.catalogue.find(names[0])
    for name in names[1:]:
        assert engine.catalogue.find(name).name == name
    gc.collect()
    still = {one.name for one in engine.catalogue.all_opened()}
    assert still == {"tiny", names[0], *names[3:]}, "the served one, the one in use, and the last ones"
    assert engine.catalogue.opened(names[1]) is None
    removal = Plan("remove", {"exemplar_ids": held.release.exemplars.ids[:1], "summary": "removed"})
    engine.follower.edit(held, Author("anna", None), lambda connection, revision: removal)
    assert held.state.count == len(held.release.exemplars) - 1
    assert engine.catalogue.find(names[1]).state.revision == 1, "opened again, and up to date"
    assert engine.catalogue.find(names[0]) is held


def test_a_copy_that_cannot_be_used_is_not_read_again_at_each_request(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, catalogue = engine.catalogue.kept, engine.catalogue
    digest = str(kept.keep(Release.open(catalogue.store.resolve("streets"))).digest)  # type: ignore[union-attr]
    (kept.folder / digest / "sources.json").write_text("[]")
    tries, real = [], Release.open_without_network
    monkeypatch.setattr(Release, "open_without_network", lambda *args: tries.append(args) or real(*args))
    assert [catalogue.of_digest(digest, "another") for _ in range(3)] == [None] * 3
    assert [folder.name for folder, *_ in tries].count(digest) == 1  # a thread keeps the served release meanwhile
    after_the_pause = SimpleNamespace(monotonic=lambda: 1e9)  # other threads keep their clock
    monkeypatch.setattr("service.answering.open_releases.time", after_the_pause)
    shutil.rmtree(kept.folder / digest)
    kept.keep(Release.open(catalogue.store.resolve("streets")))
    assert catalogue.of_digest(digest, "another") is not None


def test_an_added_exemplar_of_a_release_that_is_not_open_is_found(
    client: TestClient, engine: Engine, settings: Settings, photo: bytes
) -> None:
    segment = client.post("/segment", content=photo).json()["segments"][0]["segment_id"]
    label = client.post(f"/segments/{segment}/label", json={"class_name": "kerb"}).raise_for_status().json()
    added = label["edit"]["exemplar_ids"][0]
    wait_until(lambda: engine.catalogue.kept.has(engine.served.live.digest))
    other = Engine(settings.model_copy(update={"release": "streets"}))
    try:
        assert [one.name for one in other.catalogue.all_opened()] == ["streets"]
        live, row = other.catalogue.find_exemplar(added)
        assert (live.digest, live.state.row(added)) == (engine.served.live.digest, row)
    finally:
        other.close()


def test_an_answer_of_another_process_brings_its_release_up_to_date(
    client: TestClient, engine: Engine, settings: Settings, photo: bytes
) -> None:
    other = Engine(settings)  # follows nothing by itself: its thread is not started
    client.post("/classes", json={"name": "kerb"}).raise_for_status()
    answered = engine.records.answer(client.post("/segment", content=photo).json()["segmentation_id"])
    assert answered is not None
    assert other.live.revision == 0
    assert other.catalogue.given(answered).state.revision == 1
    other.close()
