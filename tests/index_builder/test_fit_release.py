import json
from pathlib import Path

import numpy as np
import pytest

from index_builder.build import BuildOptions, Notes
from index_builder.datasets import IGNORE
from index_builder.evaluation import evaluate
from index_builder.fit_release import FitResult, fit_release
from index_builder.heads import Fit, FitSettings, OpenedFeatures, Progress, load_head
from model_store.embedder import Embedder
from model_store.release import FEATURES, HEAD, Release
from segsort.arrays import on_host
from segsort.masks import decode_rle
from tests.conftest import Blocks
from tests.index_builder.conftest import SMALL_SORTING, Textures

OPTIONS = BuildOptions(sorting=SMALL_SORTING)


def fitted(data: Textures, features: OpenedFeatures, out: Path, fit: Fit = "linear", seed: int = 0) -> FitResult:
    settings = FitSettings(fit=fit, seed=seed, budget=1000, threads=1)
    return fit_release(data, features, out, settings=settings, options=OPTIONS)


def test_textures_that_colour_cannot_tell_apart_are_told_apart_on_other_images(texture_release: Path) -> None:
    """Labels and flip sets are also recomputed from the explanations."""
    report = evaluate(Release.open(texture_release), Textures("val", 2), threads=1, explanation_images=1)
    assert report.miou > 0.8
    assert report.explanations is not None
    assert report.explanations.replay.label == 1
    assert report.explanations.replay.flip_set == 1


def test_the_head_is_fitted_to_strokes_and_no_stroke_is_lost(filter_features: OpenedFeatures, tmp_path: Path) -> None:
    """Each labelled pixel is in exactly one exemplar, which has its class; no other pixel is."""
    data = Textures(count=3, strokes=True)
    release = fitted(data, filter_features, tmp_path / "strokes", "auto").release
    assert len(release.sources) == 3
    for n, source in enumerate(release.sources):
        i = [data[k].source for k in range(3)].index(source.source)
        labels = data[i].labels
        assert 0 < (labels != IGNORE).mean() < 0.03
        covered = np.full(labels.shape, IGNORE)
        for row in np.flatnonzero(release.exemplars.image_ids == n).tolist():
            mask = decode_rle(release.exemplars.masks[row], labels.shape)
            assert (covered[mask] == IGNORE).all()
            covered[mask] = release.exemplars.class_ids[row]
        np.testing.assert_array_equal(covered, labels)
    assert evaluate(release, Textures("val", 2), threads=1).miou > 0.6


def test_the_card_says_how_the_head_came_about(texture_release: Path, filter_features: OpenedFeatures) -> None:
    card = Release.open(texture_release).card
    assert card.features == filter_features.source.info
    assert card.head is not None
    assert (card.head.kind, card.head.groups, card.head.chosen) == ("linear", ["filters"], "linear of filters")
    assert card.head.cross_validated.keys() == {"linear of filters"}
    assert 0.7 < card.head.cross_validated["linear of filters"] <= 1
    assert card.network.name == "filters-linear"
    assert card.network.backbone == "filters"
    assert card.sorting == SMALL_SORTING
    assert card.preprocessing.working_size == 128
    assert card.data["exemplars"]["dataset"] == "textures/train"


def test_the_card_speaks_of_the_images_and_features_of_the_release_alone(texture_release: Path) -> None:
    card = Release.open(texture_release).card
    assert card.network_licence() == {"features": "computed"}
    assert "provided by the user" in card.licence["exemplars"]
    assert card.training == {}
    text = json.dumps(card.model_dump(mode="json")).lower()
    for other in ("camvid", "painted", "street", "bsds"):
        assert other not in text


def test_texts_of_the_builder_are_on_the_card(filter_features: OpenedFeatures, tmp_path: Path) -> None:
    notes = Notes(description="cloth", licence={"exemplars": "my own"})
    options = BuildOptions(sorting=SMALL_SORTING, max_exemplars=9)
    settings = FitSettings(fit="none", threads=1)
    release = fit_release(
        Textures(count=2), filter_features, tmp_path / "a", name="mine", settings=settings, options=options, notes=notes
    ).release
    assert (release.card.name, release.card.description) == ("mine", "cloth")
    assert release.card.licence["exemplars"] == "my own"
    assert release.card.network_licence() == {"features": "computed"}
    assert len(release.exemplars) == 9


def test_confidence_is_calibrated_on_images_that_the_head_has_not_seen(texture_release: Path) -> None:
    calibration = Release.open(texture_release).card.calibration
    assert calibration.calibrated
    assert calibration.how.startswith("4 images in 3 folds, each labelled by a head and exemplars of the other folds")
    assert calibration.how.endswith("of 4 images")
    assert 0 < calibration.known_threshold < 1
    assert max(calibration.confidence_y) > 0.8


@pytest.mark.parametrize("strokes", [False, True])
def test_one_image_cannot_be_calibrated_and_is_said_so(
    strokes: bool, filter_features: OpenedFeatures, tmp_path: Path
) -> None:
    release = fitted(Textures(count=1, strokes=strokes), filter_features, tmp_path / "one", "auto").release
    calibration = release.card.calibration
    assert not calibration.calibrated
    assert "it takes two labelled images or more that share a class" in calibration.how
    assert release.card.head is not None
    if strokes:
        assert release.card.head.cross_validated, "heads are compared over strokes"


def test_an_image_with_one_of_the_classes_does_not_stop_the_fit(
    filter_features: OpenedFeatures, tmp_path: Path
) -> None:
    """Without the second image there is one class, to which no head can be fitted."""
    data = Textures(count=2, only=[[0], [0, 1]])
    release = fitted(data, filter_features, tmp_path / "few").release
    assert set(release.exemplars.class_ids.tolist()) == {0, 1}
    assert release.card.head is not None
    assert release.card.head.kind == "linear"


def test_images_of_one_class_get_the_identity_head_or_an_error(filter_features: OpenedFeatures, tmp_path: Path) -> None:
    data = Textures(count=2, only=[[1], [1]])
    release = fitted(data, filter_features, tmp_path / "one", "auto").release
    assert release.card.head is not None
    assert (release.card.head.kind, release.card.head.cross_validated) == ("identity", {})
    assert set(release.exemplars.class_ids.tolist()) == {1}
    with pytest.raises(ValueError, match="have one class; a head is fitted to two or more: label another class"):
        fitted(data, filter_features, tmp_path / "other", "linear")
    assert not (tmp_path / "other").exists()


def test_without_a_label_there_is_an_error_and_no_release(filter_features: OpenedFeatures, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pixel of the 2 images is labelled; label some, in two classes or more"):
        fitted(Textures(count=2, only=[[], []]), filter_features, tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_a_release_is_never_overwritten(filter_features: OpenedFeatures, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exists, and a release is never overwritten; give another folder with --out"):
        fitted(Textures(), filter_features, tmp_path)


def test_the_seed_decides_the_release(filter_features: OpenedFeatures, tmp_path: Path) -> None:
    data = Textures(count=2, strokes=True)
    first, second, other = (
        fitted(data, filter_features, tmp_path / name, "linear", seed).release
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first.exemplars.ids == second.exemplars.ids
    np.testing.assert_array_equal(first.exemplars.prototypes, second.exemplars.prototypes)
    assert first.card.calibration == second.card.calibration
    assert not np.array_equal(first.exemplars.prototypes, other.exemplars.prototypes)


def test_a_release_keeps_what_its_head_can_be_fitted_again_with(
    texture_release: Path, filter_features: OpenedFeatures
) -> None:
    release = Release.open(texture_release)
    assert release.attachments.keys() == {FEATURES, HEAD}
    assert release.attachments[FEATURES].read_bytes() == filter_features.source.file.read_bytes()
    head, statistics, fitted_on = load_head(release.attachments[HEAD])
    assert (head.kind, head.dimension) == ("linear", release.card.network.dimension)
    assert fitted_on == {source.source for source in release.sources}
    np.testing.assert_allclose(statistics.mean, filter_features.statistics.mean)


def test_the_network_embeds_new_images_where_the_exemplars_of_their_classes_lie(texture_release: Path) -> None:
    release, sample = Release.open(texture_release), Textures("val", 1)[0]
    vectors = on_host(Embedder(release, threads=1).embed(sample.image)).reshape(release.card.network.dimension, -1)
    nearest = (release.exemplars.prototypes @ vectors).argmax(axis=0)
    labels = sample.labels[2::4, 2::4].ravel()
    assert (release.exemplars.class_ids[nearest] == labels).mean() > 0.75


def test_the_stages_of_a_fit_are_reported_to_their_ends(filter_features: OpenedFeatures, tmp_path: Path) -> None:
    reported: list[Progress] = []
    settings = FitSettings(fit="none", threads=1)
    fit_release(
        Textures(count=2), filter_features, tmp_path / "a", settings=settings, options=OPTIONS, report=reported.append
    )
    assert list(dict.fromkeys(one.stage for one in reported)) == ["features", "head", "calibration"]
    for stage in ("features", "head", "calibration"):
        steps = [one for one in reported if one.stage == stage]
        assert [one.done for one in steps] == sorted(one.done for one in steps)
        assert steps[-1].done == steps[-1].total


def test_features_of_another_data_set_can_be_shared(filter_features: OpenedFeatures, tmp_path: Path) -> None:
    """A fit leaves no state in the extractor."""
    settings = FitSettings(fit="none", threads=1)
    release = fit_release(Blocks(count=2), filter_features, tmp_path / "b", settings=settings, options=OPTIONS).release
    assert [info.name for info in release.card.classes] == ["brick", "grass", "water"]
