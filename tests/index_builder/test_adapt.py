import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index_builder.adapt import Adapted, LabelledByExemplars, Progress, adapt_release
from index_builder.build import BuildOptions
from index_builder.datasets import IGNORE
from index_builder.evaluation import evaluate
from index_builder.fit_release import fit_release
from index_builder.heads import FitSettings, OpenedFeatures, load_head
from model_store.embedder import Embedder
from model_store.release import FEATURES, HEAD, Release, write_release
from model_store.store import ReleaseStore
from segsort.masks import decode_rle
from tests.index_builder.conftest import SMALL_SORTING, Textures


@pytest.fixture(scope="module")
def taught(filter_features: OpenedFeatures, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A release whose head fits nothing yet, with strokes of different strengths on three images; read only."""
    folder = tmp_path_factory.mktemp("taught")
    settings, options = FitSettings(fit="none", threads=1), BuildOptions(sorting=SMALL_SORTING)
    data = Textures(count=3, strokes=True)
    plain = fit_release(data, filter_features, folder / "plain", settings=settings, options=options).release
    strengths = 1 + np.arange(len(plain.exemplars), dtype=np.float32) % 3
    exemplars = replace(plain.exemplars, strengths=strengths)
    images = [(one.file, (plain.path / one.file).read_bytes()) for one in plain.sources]
    return write_release(
        folder / "taught", plain.card, plain.network_path, exemplars, plain.sources, images, plain.attachments
    )


@pytest.fixture(scope="module")
def adapted(taught: Release, tmp_path_factory: pytest.TempPathFactory) -> tuple[Adapted, list[Progress]]:
    """The release adapted with a linear head, and what was reported; read only."""
    reported: list[Progress] = []
    out = tmp_path_factory.mktemp("adapted") / "better"
    return adapt_release(taught, out, fit="linear", progress=reported.append, threads=1), reported


def test_every_exemplar_keeps_its_mask_class_strength_and_image(
    taught: Release, adapted: tuple[Adapted, list[Progress]]
) -> None:
    before, after = taught.exemplars, adapted[0].release.exemplars
    assert len(before) > 15
    assert after.masks == before.masks
    for name in ("class_ids", "image_ids", "bboxes", "areas", "strengths"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert adapted[0].release.sources == taught.sources
    for one in taught.sources:
        assert (adapted[0].release.path / one.file).read_bytes() == (taught.path / one.file).read_bytes()
    assert adapted[0].release.card.classes == taught.card.classes


def test_prototypes_are_those_of_the_new_network_over_the_masks(adapted: tuple[Adapted, list[Progress]]) -> None:
    """The oracle: a naive mean over cells whose centre the mask covers, or over cells of its pixels if none."""
    release = adapted[0].release
    embedder, data = Embedder(release, threads=1), LabelledByExemplars(release)
    for i in range(len(release.sources)):
        vectors = embedder.embed(data.photograph(i).image)
        for row, mask in data.masks(i):
            cells = mask[2::4, 2::4]
            inside = (
                vectors[:, cells].T if cells.any() else vectors[:, np.nonzero(mask)[0] // 4, np.nonzero(mask)[1] // 4].T
            )
            mean = inside.sum(axis=0)
            assert float(release.exemplars.prototypes[row] @ mean) / np.linalg.norm(mean) > 0.999


def test_the_head_is_a_new_one_over_the_same_features(taught: Release, adapted: tuple[Adapted, list[Progress]]) -> None:
    release = adapted[0].release
    assert taught.card.head is not None
    assert release.card.head is not None
    assert (taught.card.head.kind, release.card.head.kind) == ("identity", "linear")
    assert adapted[0].head == release.card.head.chosen == "linear of filters"
    assert release.card.features == taught.card.features
    assert release.card.network.name == "filters-linear"
    assert release.attachments[FEATURES].read_bytes() == taught.attachments[FEATURES].read_bytes()
    assert load_head(release.attachments[HEAD])[0].kind == "linear"
    assert set(release.exemplars.ids).isdisjoint(taught.exemplars.ids), "an id names a prototype"


def test_the_scores_before_and_after_are_reported_and_on_the_card(adapted: tuple[Adapted, list[Progress]]) -> None:
    result, reported = adapted
    assert result.before is not None
    assert result.after is not None
    assert 0 < result.before < 1
    assert 0 < result.after < 1
    assert result.better == (result.after > result.before)
    data = result.release.card.data["adapted"]
    assert (data["before"], data["after"], data["images"]) == (result.before, result.after, result.images)
    assert result.images == 3
    assert result.release.card.calibration.calibrated
    assert result.release.card.network_licence() == {"features": "computed"}
    assert result.seconds > 0
    stages = list(dict.fromkeys(one.stage for one in reported))
    assert stages == ["features", "head", "calibration", "exemplars"]
    assert reported[-1] == Progress("exemplars", 3, 3)


def test_an_adapted_release_labels_other_images_better(
    taught: Release, adapted: tuple[Adapted, list[Progress]]
) -> None:
    held = Textures("val", 2)
    before, after = (evaluate(one, held, threads=1).miou for one in (taught, adapted[0].release))
    assert after > before


def test_the_release_it_came_from_is_unchanged(taught: Release, adapted: tuple[Adapted, list[Progress]]) -> None:
    assert Release.open(taught.path).card == taught.card


def test_an_adapted_release_can_be_adapted_again_by_its_seed(
    adapted: tuple[Adapted, list[Progress]], tmp_path: Path
) -> None:
    once, twice = (
        adapt_release(adapted[0].release, tmp_path / name, name="mine", fit="none", seed=3, threads=1)
        for name in ("a", "b")
    )
    np.testing.assert_array_equal(once.release.exemplars.prototypes, twice.release.exemplars.prototypes)
    assert (once.release.card.name, once.before, once.after) == ("mine", twice.before, twice.after)


def test_a_head_is_not_scored_on_images_that_it_was_fitted_to(
    adapted: tuple[Adapted, list[Progress]], tmp_path: Path
) -> None:
    again = adapt_release(adapted[0].release, tmp_path / "again", fit="linear", threads=1)
    assert again.before is not None
    assert adapted[0].after is not None
    assert again.before == pytest.approx(adapted[0].after, abs=0.02), "as when it was chosen, not as on its own images"


def test_an_image_that_is_in_a_release_twice_is_one_image_of_cross_validation(taught: Release, tmp_path: Path) -> None:
    """As after an adaptation, when an image is marked again: its new exemplars name another copy of it."""
    old, (first, *others) = taught.exemplars, taught.sources
    rows = np.flatnonzero(old.image_ids == 0)
    image_ids = old.image_ids.copy()
    image_ids[rows[::2]] = len(taught.sources)
    sources = [first, *others, replace(first, file="images/again.webp", source="marked again")]
    images = [(one.file, (taught.path / one.file).read_bytes()) for one in taught.sources]
    images.append(("images/again.webp", images[0][1]))
    exemplars = replace(old, image_ids=image_ids)
    release = write_release(
        tmp_path / "twice", taught.card, taught.network_path, exemplars, sources, images, taught.attachments
    )
    data, once = LabelledByExemplars(release), LabelledByExemplars(taught)
    assert (len(data), len(release.sources)) == (3, 4)
    np.testing.assert_array_equal(data[0].labels, once[0].labels)
    adapted = adapt_release(release, tmp_path / "out", fit="linear", threads=1)
    alone = adapt_release(taught, tmp_path / "alone", fit="linear", threads=1)
    assert adapted.images == 3
    assert (adapted.before, adapted.after) == (alone.before, alone.after)
    np.testing.assert_allclose(adapted.release.exemplars.prototypes, alone.release.exemplars.prototypes, atol=1e-6)


def test_a_second_adaptation_to_the_same_marks_is_neither_better_nor_worse(
    adapted: tuple[Adapted, list[Progress]], tmp_path: Path
) -> None:
    again = adapt_release(adapted[0].release, tmp_path / "again", fit="linear", threads=1)
    assert again.before == again.after
    assert not again.better


def test_a_head_of_an_unknown_kind_is_not_scored_on_its_own_images(
    adapted: tuple[Adapted, list[Progress]], tmp_path: Path
) -> None:
    release = adapted[0].release
    assert release.card.head is not None
    head = release.card.head.model_copy(update={"chosen": "linear of something else"})
    images = [(one.file, (release.path / one.file).read_bytes()) for one in release.sources]
    renamed = write_release(
        tmp_path / "renamed", release.card.model_copy(update={"head": head}), release.network_path, release.exemplars,
        release.sources, images, release.attachments,
    )  # fmt: skip
    again = adapt_release(renamed, tmp_path / "again", fit="linear", threads=1)
    assert (again.before, again.better) == (None, False)


def test_exemplars_are_labels_of_their_images_and_later_ones_lie_above(taught: Release) -> None:
    data, original = LabelledByExemplars(taught), Textures(count=3, strokes=True)
    order = [original[k].source for k in range(3)]
    for i in range(len(data)):
        sample = data[i]
        np.testing.assert_array_equal(sample.labels, original[order.index(sample.source)].labels)
    exemplars = taught.exemplars
    last = replace(taught, exemplars=replace(
        exemplars, masks=[*exemplars.masks[:-1], exemplars.masks[0]],
        image_ids=np.append(exemplars.image_ids[:-1], exemplars.image_ids[0]),
        class_ids=np.append(exemplars.class_ids[:-1], (exemplars.class_ids[0] + 1) % 3),
    ))  # fmt: skip
    image = int(exemplars.image_ids[0])
    mask = decode_rle(exemplars.masks[0], data[image].labels.shape)
    assert set(LabelledByExemplars(last)[image].labels[mask].tolist()) == {(exemplars.class_ids[0] + 1) % 3}
    assert (data[image].labels == IGNORE).any()


def test_exemplars_that_overlap_keep_prototypes_of_their_own(taught: Release, tmp_path: Path) -> None:
    """Two exemplars with one mask have equal prototypes, although each pixel has only one label."""
    old = taught.exemplars
    doubled = replace(
        old, ids=[*old.ids, "0" * 16], prototypes=np.vstack([old.prototypes, old.prototypes[:1]]),
        class_ids=np.append(old.class_ids, (old.class_ids[0] + 1) % 3),
        image_ids=np.append(old.image_ids, old.image_ids[:1]),
        bboxes=np.vstack([old.bboxes, old.bboxes[:1]]), areas=np.append(old.areas, old.areas[:1]),
        masks=[*old.masks, old.masks[0]], strengths=None,
    )  # fmt: skip
    images = [(one.file, (taught.path / one.file).read_bytes()) for one in taught.sources]
    release = write_release(
        tmp_path / "doubled", taught.card, taught.network_path, doubled, taught.sources, images, taught.attachments
    )
    found = adapt_release(release, tmp_path / "out", fit="none", threads=1).release.exemplars
    np.testing.assert_allclose(found.prototypes[0], found.prototypes[-1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.prototypes, axis=1), 1, atol=1e-5)
    assert found.class_ids[-1] != found.class_ids[0]
    assert len(set(found.ids)) == len(found.ids)


def test_what_cannot_be_adapted_is_refused(
    taught: Release, tiny_release: Path, blank_release: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"release 'tiny' has no features.onnx, so its head cannot be fitted again"):
        adapt_release(Release.open(tiny_release), tmp_path / "out")
    with pytest.raises(ValueError, match="the 0 exemplars of release 'blank' have fewer than two classes; mark some"):
        adapt_release(Release.open(blank_release), tmp_path / "out")
    one = replace(
        taught, exemplars=replace(taught.exemplars, class_ids=np.zeros(len(taught.exemplars), dtype=np.int64))
    )
    with pytest.raises(ValueError, match="have fewer than two classes; mark some pixels of another class"):
        adapt_release(one, tmp_path / "out")
    with pytest.raises(ValueError, match="exists, and a release is never overwritten; give another folder"):
        adapt_release(taught, tmp_path)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from index_builder.adapt import adapt_release
from model_store.release import Release

os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # the step that makes a release visible
adapt_release(Release.open(sys.argv[1]), __import__("pathlib").Path(sys.argv[2]), fit="none", threads=1)
"""


def test_a_kill_before_the_last_step_leaves_no_release_that_is_seen(taught: Release, tmp_path: Path) -> None:
    store = ReleaseStore([tmp_path / "releases"], tmp_path / "active.json")
    out = tmp_path / "releases" / "better"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(taught.path), str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [one.name[:8] for one in (tmp_path / "releases").iterdir()] == [".better."], (
        "it was written but for its name"
    )
    assert not out.exists()
    assert list(store.list()) == []
    again = adapt_release(taught, out, fit="none", threads=1)
    assert [one.name for one in store.list()] == ["better"]
    assert Release.open(out).card == again.release.card
