"""Kept copies of releases: which there are."""

from pathlib import Path

from model_store.kept import KeptReleases
from model_store.release import Release


def test_copies_are_found_by_their_digest_and_name(tiny_release: Path, tmp_path: Path) -> None:
    kept, release = KeptReleases(tmp_path / "kept"), Release.open(tiny_release)
    assert kept.digests() == {}
    assert kept.keep(release) is not None
    assert kept.keep(release) is None, "it is there already"
    assert kept.digests() == kept.digests(release.card.name) == {release.digest: release.card.name}
    assert kept.digests("another") == {}
    (tmp_path / "kept" / release.digest / "card.json").unlink()  # another process is removing it
    assert kept.digests() == {}
