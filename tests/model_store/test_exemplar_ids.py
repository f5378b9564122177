"""Ids of exemplars are looked up in folders of releases, which are not opened for that."""

import shutil
from pathlib import Path

import pytest

from model_store.exemplar_ids import ExemplarIds
from model_store.release import Release


@pytest.fixture
def parents(tiny_release: Path, tmp_path: Path) -> list[Path]:
    """Two folders of releases: one has two releases, the other one is not there yet."""
    shutil.copytree(tiny_release, tmp_path / "store" / "tiny")
    shutil.copytree(tiny_release, tmp_path / "store" / ".tiny.unfinished")
    return [tmp_path / "store", tmp_path / "kept"]


def test_every_exemplar_is_found_in_each_release_that_has_it(parents: list[Path]) -> None:
    release, ids = Release.open(parents[0] / "tiny"), ExemplarIds(parents)
    for one in release.exemplars.ids:
        assert list(ids.folders_with(one)) == [parents[0] / "tiny"]
    for unknown in ("0" * 16, "f" * 16, "", "\u00e9", "a\0", "x" * 17, release.exemplars.ids[0][:15]):
        assert list(ids.folders_with(unknown)) == [], unknown
    shutil.copytree(parents[0] / "tiny", parents[1] / release.digest)
    assert len(list(ids.folders_with(release.exemplars.ids[3]))) == 2
    assert ids.has_all(parents[0] / "tiny", release.exemplars.ids)
    assert ids.has_all(parents[0] / "tiny", [])
    assert not ids.has_all(parents[0] / "tiny", [*release.exemplars.ids[:5], "0" * 16])


def test_a_table_that_is_replaced_or_damaged_is_read_again(parents: list[Path]) -> None:
    table, ids = parents[0] / "tiny" / "exemplars.npz", ExemplarIds(parents)
    one = Release.open(parents[0] / "tiny").exemplars.ids[0]
    whole = table.read_bytes()
    assert list(ids.folders_with(one)) == [table.parent]
    table.write_bytes(whole[: len(whole) // 2])
    assert list(ids.folders_with(one)) == []
    table.write_bytes(whole)
    assert list(ids.folders_with(one)) == [table.parent]
    table.unlink()
    assert not ids.has_all(table.parent, [one])
    assert list(ids.folders_with(one)) == []
