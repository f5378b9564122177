"""A build that was killed goes on with the results that it kept, and never uses those of another build."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index_builder.build import BuildOptions, build_release
from index_builder.chosen_build import ChosenImages
from index_builder.embedder_source import load_embedder_source
from index_builder.fit_release import fit_release
from index_builder.heads import FeatureExtractor, FitSettings, HeadFitting, OpenedFeatures
from index_builder.kept_results import SHARD, Working, files_digest
from model_store.release import Release
from model_store.spreading import Here
from tests.conftest import Blocks

COUNT = 3 * SHARD - 5
OPTIONS = BuildOptions(max_exemplars=60, webp_quality=60)


class Killed(Exception):
    """The end of a process, as far as this test can stand it."""


class Counted(Here):
    """Counts the work, and ends in the middle of it."""

    def __init__(self, most: int = 10**9) -> None:
        self.done, self.most = 0, most

    def each(self, make: Callable[[], Any], items: Sequence[Any], *others: Any, **more: Any) -> Iterator[Any]:
        for found in super().each(make, items, *others, **more):
            self.done += 1
            if self.done > self.most:
                raise Killed
            yield found


def content(release: Release) -> dict[str, bytes]:
    """The files of a release, without the time of its making."""
    files = {str(file.relative_to(release.path)): file for file in release.path.rglob("*") if file.is_file()}
    found = {name: file.read_bytes() for name, file in files.items() if name not in ("card.json", "checksums.json")}
    return found | {"card": repr({**release.card.model_dump(), "created": None, "name": None}).encode()}


@pytest.fixture
def build(tiny_run: Path, tmp_path: Path) -> Callable[..., Release]:
    source = load_embedder_source(tiny_run)

    def run(name: str, working: Working | None = None, **changes: Any) -> Release:
        options = replace(OPTIONS, **changes)
        return build_release(Blocks(count=COUNT), source, tmp_path / name, options=options, working=working)

    return run


def test_a_build_that_was_ended_goes_on_and_gives_the_same_release(
    build: Callable[..., Release], tmp_path: Path
) -> None:
    plain, work = build("plain"), tmp_path / "work"
    for most in (SHARD + 4, SHARD + 4):
        with pytest.raises(Killed):
            build("kept", Working(Counted(most), work, "blocks"))
    counted = Counted()
    kept = build("kept", Working(counted, work, "blocks"))
    assert content(kept) == content(plain)
    assert counted.done < 2 * COUNT  # of images that are gathered, calibrated on and stored
    again = Counted()
    assert content(build("again", Working(again, work, "blocks"))) == content(plain)
    assert again.done == 0


@pytest.mark.parametrize(
    ("data", "changes"), [("other images", {}), ("blocks", {"min_share": 0.9}), ("blocks", {"min_area": 0.01})]
)
def test_results_of_another_build_are_made_again(
    build: Callable[..., Release], tmp_path: Path, data: str, changes: dict[str, float]
) -> None:
    work, counted = tmp_path / "work", Counted()
    build("first", Working(Here(), work, "blocks"))
    second = build("second", Working(counted, work, data), **changes)
    assert counted.done >= COUNT
    assert content(second) == content(build("plain", **changes))


def test_a_damaged_file_is_made_again(build: Callable[..., Release], tmp_path: Path) -> None:
    work, counted = tmp_path / "work", Counted()
    first = build("first", Working(Here(), work, "blocks"))
    damaged = sorted(work.glob("gathered-*.npz"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert content(build("second", Working(counted, work, "blocks"))) == content(first)
    assert counted.done == SHARD


def test_a_folder_that_cannot_be_used_is_refused(build: Callable[..., Release], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"--work .*file cannot be used as a folder"):
        build("out", Working(Here(), tmp_path / "file", "blocks"))


def test_files_of_a_data_set_that_changed_have_another_digest(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    first = files_digest(tmp_path)
    assert files_digest(tmp_path) == files_digest(tmp_path / "a.png") == first
    assert files_digest(tmp_path, ["class"]) != first
    os.utime(tmp_path / "a.png", ns=(1, 1))
    assert files_digest(tmp_path) != first


def test_kept_results_beside_the_images_do_not_count_as_data_and_linked_folders_do(tmp_path: Path) -> None:
    data, other, work = tmp_path / "data", tmp_path / "other", tmp_path / "data" / "work"
    for folder in (work, other):
        folder.mkdir(parents=True)
    first = files_digest(data, without=work)
    (work / "gathered-0000000.npz").write_bytes(b"kept")
    assert files_digest(data, without=work) == first
    (data / "images").symlink_to(other)
    (other / "a.png").write_bytes(b"a")
    (other / "again").symlink_to(data)
    second = files_digest(data, without=work)
    (other / "a.png").write_bytes(b"ab")
    assert len({first, second, files_digest(data, without=work)}) == 3


def test_images_chosen_in_another_way_have_another_digest(tmp_path: Path) -> None:
    mapping = tmp_path / "classes.json"
    mapping.write_text('{"car": "vehicle"}')
    chosen = [
        ChosenImages("coco", None, "train"),
        ChosenImages("coco", None, "val"),
        ChosenImages("coco", None, "train", count=8),
        ChosenImages("coco", None, "train", clusters=8),
        ChosenImages("coco", None, "train", mapping=mapping),
    ]
    assert len({one.digest(Blocks(count=1)) for one in chosen}) == len(chosen)


def test_damaged_maps_are_computed_again(filter_features: OpenedFeatures, tmp_path: Path) -> None:
    image = Blocks(count=1)[0].image
    first = FeatureExtractor(filter_features.source, tmp_path, 1).maps(image)
    (file,) = tmp_path.glob("*.npz")
    for content in (b"", file.read_bytes()[:-100]):
        file.write_bytes(content)
        again = FeatureExtractor(filter_features.source, tmp_path, 1).maps(image)
        assert again.cells == first.cells
        assert all(np.array_equal(again.maps[name], first.maps[name]) for name in first.maps)


class Elsewhere(Counted):
    """Machines that do not share the disk of the command."""

    is_local = False
    shares_disk = False


def test_maps_that_are_kept_are_not_computed_on_other_machines(filter_features: OpenedFeatures, tmp_path: Path) -> None:
    def computed() -> int:
        spread = Elsewhere()
        source, statistics, _ = filter_features
        HeadFitting(Blocks(), source, statistics, tmp_path, FitSettings(threads=1), spread=spread)
        return spread.done

    count = len(Blocks())
    assert [computed(), computed()] == [count, 0]
    first, second, *_ = sorted(tmp_path.glob("*.npz"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-100])
    assert [computed(), computed()] == [2, 0]


def test_a_fitted_build_keeps_its_features(filter_features: OpenedFeatures, tmp_path: Path) -> None:
    settings, work = FitSettings(fit="linear", threads=1), tmp_path / "work"
    plain = fit_release(Blocks(), filter_features, tmp_path / "plain", settings=settings).release
    for name in ("first", "second"):
        working = Working(Here(), work, "blocks")
        kept = fit_release(Blocks(), filter_features, tmp_path / name, settings=settings, working=working).release
        assert kept.exemplars.ids == plain.exemplars.ids
    assert len(list(next(work.glob("features-*")).glob("*.npz"))) == len(Blocks())
