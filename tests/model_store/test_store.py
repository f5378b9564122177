"""The active release: activation, rollback, and refusal of damaged releases."""

import json
import shutil
from pathlib import Path

import pytest

from model_store.card import Card
from model_store.release import Release, ReleaseError, write_release
from model_store.store import ReleaseStore


def renamed(release: Path, out: Path, created: str) -> Path:
    """Write a copy of a release under the name of another folder."""
    opened = Release.open(release)
    card = Card.model_validate({**opened.card.model_dump(), "name": out.name, "created": created})
    images = [(source.file, (release / source.file).read_bytes()) for source in opened.sources]
    return write_release(out, card, opened.network_path, opened.exemplars, opened.sources, images).path


@pytest.fixture
def store(tiny_release: Path, tmp_path: Path) -> ReleaseStore:
    """A store of two folders: one with a bundled release, and one with two releases of the user."""
    renamed(tiny_release, tmp_path / "bundled" / "first", "2026-01-01T00:00:00+00:00")
    renamed(tiny_release, tmp_path / "own" / "second", "2026-01-02T00:00:00+00:00")
    renamed(tiny_release, tmp_path / "own" / "third", "2026-01-03T00:00:00+00:00")
    return ReleaseStore([tmp_path / "bundled", tmp_path / "own"], tmp_path / "state" / "active.json")


def active(store: ReleaseStore) -> list[str]:
    return [release.name for release in store.list() if release.active]


def test_until_one_is_activated_the_bundled_one_is_active(store: ReleaseStore) -> None:
    assert [release.name for release in store.list()] == ["first", "second", "third"]
    assert active(store) == ["first"]
    assert store.resolve().name == "first"


def test_a_release_is_given_by_name_or_by_path(store: ReleaseStore, tiny_release: Path) -> None:
    assert store.resolve("second").name == "second"
    assert store.resolve(tiny_release) == tiny_release
    with pytest.raises(ValueError, match=r"release 'forth' is neither a folder nor a name .*first, second, third"):
        store.resolve("forth")


def test_a_name_of_the_store_goes_before_a_folder_of_that_name(
    store: ReleaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("second", "another"):
        (tmp_path / "here" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert store.resolve("second") == tmp_path / "own" / "second"
    assert store.resolve("./second") == Path("second")
    assert store.resolve("another") == Path("another")


def test_of_two_releases_of_one_name_the_first_folders_counts(store: ReleaseStore, tiny_release: Path) -> None:
    bundled, own = store.folders
    renamed(tiny_release, own / "first", "2026-01-04T00:00:00+00:00")
    assert [release.name for release in store.list()] == ["first", "second", "third"]
    assert store.resolve("first") == bundled / "first"


def test_the_newest_is_active_where_none_is_bundled(store: ReleaseStore, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "bundled")
    (tmp_path / "own" / ".half").mkdir()  # one that is being written
    (tmp_path / "own" / ".half" / "card.json").write_text("{")
    assert active(store) == ["third"]
    assert [release.name for release in store.list()] == ["second", "third"]


def test_a_release_is_found_by_the_name_on_its_card(store: ReleaseStore) -> None:
    second = store.resolve("second")
    second.rename(second.with_name("moved"))
    assert store.activate("second").name == "moved"
    assert active(store) == ["second"]
    with pytest.raises(ValueError, match="release 'moved' is not in the store; choose one of first, second, third"):
        store.activate("moved")


def test_activation_is_remembered_and_taken_back_step_by_step(store: ReleaseStore) -> None:
    store.activate("second")
    store.activate("third")
    store.activate("third")  # again: no step of its own
    anew = ReleaseStore(store.folders, store.state_file)
    assert active(anew) == ["third"]
    assert anew.rollback().name == "second"
    assert anew.rollback().name == "first"
    with pytest.raises(ValueError, match="no release was active before"):
        anew.rollback()
    assert active(anew) == ["first"]


def test_a_damaged_release_is_not_activated_and_the_active_one_stays(store: ReleaseStore) -> None:
    store.activate("second")
    network = store.resolve("third") / "network.onnx"
    network.write_bytes(network.read_bytes()[:-1])
    with pytest.raises(ReleaseError, match=r"network\.onnx was altered or truncated"):
        store.activate("third")
    assert active(store) == ["second"]


def test_nor_is_it_rolled_back_to(store: ReleaseStore) -> None:
    store.activate("second")
    store.activate("third")
    (store.resolve("second") / "exemplars.npz").unlink()
    with pytest.raises(ReleaseError, match=r"exemplars\.npz is missing"):
        store.rollback()
    assert active(store) == ["third"]


def test_a_release_that_is_gone_is_named(store: ReleaseStore) -> None:
    store.activate("third")
    shutil.rmtree(store.resolve("third"))
    with pytest.raises(ValueError, match="names 'third' as the active release, but it does not exist"):
        store.active()
    with pytest.raises(ValueError, match="'third' is not in the store"):
        store.activate("third")


def test_a_card_that_cannot_be_read_is_listed_with_its_problem(store: ReleaseStore) -> None:
    (store.resolve("second") / "card.json").write_text("{")
    listed = {release.name: release for release in store.list()}
    assert "card.json is not readable JSON" in str(listed["second"].problem)
    assert listed["first"].problem is None


def test_a_state_file_that_cannot_be_read_is_named(store: ReleaseStore) -> None:
    assert store.state_file is not None
    store.activate("second")
    store.state_file.write_text(json.dumps({"activ": "second"}))
    with pytest.raises(ValueError, match=r"active\.json is not a valid state file"):
        store.list()


def test_without_a_release_or_a_state_file_the_fix_is_said(store: ReleaseStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no readable release in .*build one there"):
        ReleaseStore([tmp_path / "empty"]).active()
    with pytest.raises(ValueError, match="no state file"):
        ReleaseStore(store.folders).activate("first")
