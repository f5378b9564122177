"""Predictions: labelled segments of images of any size, at the resolution of the image."""

import copy
import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model_store.card import ClassInfo, Preprocessing
from model_store.embedder import Embedder, prepare, prepare_on, working_shape
from model_store.live import AddedExemplar
from model_store.predictor import Prediction, Predictor, Sized
from model_store.release import Release
from model_store.store import BUNDLED
from segsort.retrieval import NO_CLASS
from tests.conftest import Blocks

PREPROCESSING = Preprocessing(working_size=96, mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0))


@pytest.fixture(scope="module")
def predictor(tiny_release: Path) -> Predictor:
    return Predictor(Release.open(tiny_release))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (37, 53), (72, 96), (96, 72), (700, 500)])
def test_an_image_of_any_size_is_answered_in_its_own_pixels(predictor: Predictor, size: tuple[int, int]) -> None:
    image = np.asarray(Image.fromarray(Blocks("val")[0].image).resize((size[1], size[0])))
    prediction = predictor.predict(image)
    assert prediction.segments.labels.shape == prediction.class_map.shape == size
    assert prediction.segments.areas.sum() == size[0] * size[1]
    assert set(np.unique(prediction.segments.labels)) == set(range(len(prediction.segments.areas)))
    np.testing.assert_allclose(np.linalg.norm(prediction.segments.prototypes, axis=1), 1, atol=1e-5)
    embeddings = predictor.embedder.embed(image)
    height, width = working_shape(*size, 96)
    assert embeddings.shape[1:] == (-(-height // 4), -(-width // 4))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=0), 1, atol=1e-4)


def test_labels_are_right_where_the_exemplars_are(predictor: Predictor) -> None:
    for i in range(3):
        sample = Blocks("val")[i]
        known = sample.labels != 255
        assert (predictor.predict(sample.image).class_map == sample.labels)[known].mean() > 0.95


def naive_familiarity(predictor: Predictor, labels: np.ndarray, prototypes: np.ndarray) -> tuple[list[float], float]:
    """Familiarity of each segment and of the image, by comparing every segment with every exemplar."""
    exemplars = predictor.release.exemplars.prototypes.astype(np.float64)
    nearest = [max(float(np.dot(one, other)) for other in exemplars) for one in prototypes.astype(np.float64)]
    pixels = [nearest[segment] for segment in labels.ravel().tolist()]
    image = sum(pixels) / len(pixels)
    return [0.5 * own + 0.5 * image for own in nearest], image


def test_a_segment_is_known_by_its_own_cosine_and_its_images(predictor: Predictor) -> None:
    noisy = Blocks("val")[1].image.copy()
    noisy[:, 40:] = np.random.default_rng(0).integers(0, 256, (72, 56, 3))
    found = predictor.predict(noisy)
    expected, image = naive_familiarity(predictor, found.segments.labels, found.segments.prototypes)
    assert len(set(np.round(expected, 4))) > 2, "so that the threshold divides segments"
    assert found.image_similarity == pytest.approx(image, abs=1e-6)
    ordered = sorted(expected)
    for threshold in [(low + high) / 2 for low, high in itertools.pairwise(ordered) if high - low > 1e-5]:
        calibration = predictor.release.card.calibration.model_copy(update={"known_threshold": threshold})
        stricter = copy.copy(predictor)
        card = predictor.release.card.model_copy(update={"calibration": calibration})
        stricter.release = replace(predictor.release, card=card)
        known = stricter.retrieve(found.segments.prototypes, found.segments.areas, state=predictor.as_built).known
        assert known.tolist() == [one >= threshold for one in expected]


def test_a_segment_that_an_edit_has_taught_is_known_even_in_a_foreign_image(predictor: Predictor) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (72, 96, 3), dtype=np.uint8)
    found = predictor.predict(noisy)
    prototypes, areas = found.segments.prototypes, found.segments.areas
    taught = AddedExemplar("taught", prototypes[0], 0, 1.0, "", "", 96, 72, (0, 0, 1, 1), 1, "")
    state = predictor.as_built.edited(1, added=[taught])
    threshold = 0.9999
    calibration = predictor.release.card.calibration.model_copy(update={"known_threshold": threshold})
    stricter = copy.copy(predictor)
    stricter.release = replace(
        predictor.release, card=predictor.release.card.model_copy(update={"calibration": calibration})
    )
    before = stricter.retrieve(prototypes, areas, state=predictor.as_built)
    after = stricter.retrieve(prototypes, areas, state=state)
    assert not before.known.any()
    assert after.image_similarity < threshold, "the image as a whole stays foreign"
    assert after.known.tolist() == [
        float(one @ prototypes[0]) >= max(threshold, before.similarities[n, 0]) for n, one in enumerate(prototypes)
    ]
    assert after.known[0]


def test_confidence_is_the_calibrated_share_of_the_winner(predictor: Predictor) -> None:
    found, calibration = predictor.predict(Blocks("val")[1].image), predictor.release.card.calibration
    for shares, confidence in zip(found.vote.shares.tolist(), found.confidence.tolist(), strict=True):
        expected = np.interp(max(shares), calibration.confidence_x, calibration.confidence_y)
        assert confidence == pytest.approx(expected)


def test_neighbours_are_the_nearest_exemplars_and_three_times_those_that_vote(predictor: Predictor) -> None:
    found, k = predictor.predict(Blocks("val")[0].image), predictor.release.card.retrieval.k
    exemplars = predictor.release.exemplars.prototypes
    cosines = np.sort(found.segments.prototypes.astype(np.float64) @ exemplars.astype(np.float64).T)[:, ::-1]
    assert found.similarities.shape == found.rows.shape == (len(cosines), 3 * k)
    assert found.vote.weights.shape == (len(cosines), k)
    np.testing.assert_allclose(found.similarities, cosines[:, : 3 * k], atol=1e-6)


def test_k_and_the_number_of_segments_may_be_asked_for(predictor: Predictor) -> None:
    image = Blocks("val")[0].image
    assert len(predictor.predict(image, segments=1).segments.areas) == 1
    assert predictor.predict(image, k=3).vote.weights.shape[1] == 3
    assert predictor.predict(image, k=10**6).vote.weights.shape[1] == predictor.index.ntotal
    with pytest.raises(ValueError, match="k=0 must be at least 1"):
        predictor.predict(image, k=0)


def test_callers_at_once_get_what_each_alone_gets(predictor: Predictor) -> None:
    images = [Blocks("val")[i].image for i in range(4)] * 3
    alone = [predictor.predict(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(predictor.predict, images))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.segments.labels, other.segments.labels)
        np.testing.assert_array_equal(one.rows, other.rows)


def test_preparation_normalises_and_repeats_the_edge() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 96, 3), dtype=np.uint8)
    x, cells = prepare(image, PREPROCESSING.model_copy(update={"multiple_of": 32}))
    assert x.shape == (1, 3, 32, 96)
    assert cells == (8, 24)
    resized = np.asarray(Image.fromarray(image).resize((96, 32), Image.Resampling.BILINEAR, reducing_gap=2.0))
    expected = (resized.astype(np.float64) - PREPROCESSING.mean) / PREPROCESSING.std
    np.testing.assert_allclose(x[0].transpose(1, 2, 0), expected, atol=1e-4)
    wide, cells = prepare(image[:, :40], PREPROCESSING)
    assert wide.shape == (1, 3, 96, 96)  # 72x96, padded to a multiple of 32
    assert cells == (18, 24)
    np.testing.assert_array_equal(wide[0, :, 72:], np.repeat(wide[0, :, 71:72], 24, axis=1))


@pytest.mark.parametrize("size", [(30, 96), (72, 96), (1, 300), (500, 41)])
@pytest.mark.parametrize("multiple", [4, 32])
def test_preparation_on_a_device_gives_the_same_numbers(size: tuple[int, int], multiple: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    preprocessing = PREPROCESSING.model_copy(update={"multiple_of": multiple})
    expected, cells = prepare(image, preprocessing)
    found, found_cells = prepare_on(torch.device("cpu"), [image, image[::-1]], preprocessing)
    np.testing.assert_array_equal(found[:1].numpy(), expected)
    np.testing.assert_array_equal(found[1:].numpy(), prepare(image[::-1], preprocessing)[0])
    assert found.is_contiguous()
    assert found_cells == cells


def test_images_of_one_bucket_are_embedded_and_outlined_at_once_as_each_alone(predictor: Predictor) -> None:
    images = [Blocks("val")[n].image for n in range(3)]
    sizes = [(images[0].shape[0], images[0].shape[1]), (50, 60), (200, 300)]
    outlined, taken = predictor.outline([Sized(*one) for one in zip(images, sizes, strict=True)])
    assert set(taken) == {"embed", "sort"}
    for image, size, several in zip(images, sizes, outlined, strict=True):
        embeddings = predictor.embedder.embed(image)
        np.testing.assert_allclose(several.embeddings, embeddings, atol=1e-5, rtol=0)
        alone, found = predictor.sort(embeddings, size), predictor.finish(several)
        np.testing.assert_array_equal(found.labels, alone.labels)
        np.testing.assert_allclose(found.prototypes, alone.prototypes, atol=1e-5)
    with pytest.raises(ValueError, match="buckets"):
        predictor.embedder.embed_all([images[0], images[0][:, :10]])


def test_a_network_that_reads_and_writes_tensors_in_place_gives_the_same_embedding(predictor: Predictor) -> None:
    x = np.concatenate([predictor.embedder.prepare(Blocks("val")[n].image) for n in range(2)])
    np.testing.assert_array_equal(predictor.embedder.run_bound(torch.from_numpy(x)), predictor.embedder.run(x))


def test_a_predictor_says_which_device_each_step_runs_on(predictor: Predictor) -> None:
    use = predictor.device_use
    assert (use.asked, use.network, use.sorting, use.search) == ("cpu",) * 4
    assert use.name


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_what_is_no_rgb_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="convert it to RGB first"):
        prepare(image, PREPROCESSING)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_an_error_and_not_the_cpu(tiny_release: Path) -> None:
    for user in (Embedder, Predictor):
        with pytest.raises(ValueError, match=r"device='cuda', but .*onnxruntime.*or set SEGSORT_DEVICE=cpu"):
            user(Release.open(tiny_release), "cuda")
    with pytest.raises(ValueError, match="'tpu' is not known"):
        Embedder(Release.open(tiny_release), "tpu")  # type: ignore[arg-type]


def test_a_file_that_is_no_such_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"no\.onnx cannot be opened"):
        Embedder((tmp_path / "no.onnx", PREPROCESSING))


def test_the_bundled_release_is_small_whole_and_shows_painted_images_alone() -> None:
    folder = BUNDLED / "streets"
    release = Release.open(folder)
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 30e6
    assert all(source.source.startswith("streets/train/") for source in release.sources)
    assert [info.name for info in release.card.classes][:4] == ["sky", "building", "pole", "road"]


def test_an_exemplar_of_the_bundled_release_is_painted_again_alike() -> None:
    """All images of the release are painted: each equals the painting of its seed, except for the loss of WebP."""
    from index_builder.datasets import open_dataset

    release = Release.open(BUNDLED / "streets", verify=False)
    source = release.sources[7]
    painted = open_dataset("streets", None, "train", count=100_000)[int(source.source.rsplit("/", 1)[1])].image
    kept = np.asarray(Image.open(release.image_path(7)).convert("RGB"))
    assert np.abs(painted.astype(int) - kept).mean() < 6


def test_the_exemplars_that_are_asked_are_those_of_the_state(predictor: Predictor) -> None:
    """A class without alive exemplars is never the label. The predictor itself does not change."""
    image = Blocks("val")[0].image
    before = predictor.predict(image)
    lost = int(np.bincount(before.vote.class_ids).argmax())
    state = predictor.as_built
    gone = dict.fromkeys(state.ids(state.rows_of_class(lost)), False)
    after = predictor.predict(image, state=state.edited(1, alive=gone))
    assert lost not in after.vote.class_ids
    assert (after.vote.shares[:, lost] == 0).all()
    for again in (predictor.predict(image), predictor.predict(image, state=state)):
        np.testing.assert_array_equal(again.vote.shares, before.vote.shares)
        np.testing.assert_array_equal(again.rows, before.rows)


def test_one_strong_exemplar_outvotes_many(predictor: Predictor) -> None:
    found = predictor.predict(Blocks("val")[0].image)
    kerb = ClassInfo(class_id=3, name="kerb", color=(1, 2, 3))
    for strength, wins in ((1.0, False), (1000.0, True)):
        one = AddedExemplar(
            "one", found.segments.prototypes[0], 3, strength, "0" * 64, "here", 9, 9, (0, 0, 1, 1), 1, "04l`1"
        )
        state = predictor.as_built.edited(1, added=[one], classes=[*predictor.as_built.classes, kerb])
        again = predictor.retrieve(found.segments.prototypes, found.segments.areas, state=state)
        assert again.vote.shares.shape[1] == 4
        assert (again.vote.class_ids[0] == 3) == wins
        assert again.similarities[0, 0] == pytest.approx(1)


def assert_nothing_voted(found: Prediction, classes: int) -> None:
    S = len(found.segments.areas)
    assert found.similarities.shape == found.rows.shape == found.vote.weights.shape == (S, 0)
    assert found.vote.shares.shape == (S, classes)
    assert (found.vote.class_ids == NO_CLASS).all()
    assert (found.class_map == NO_CLASS).all()
    assert np.isnan(found.confidence).all()
    assert math.isnan(found.image_similarity)
    assert not found.known.any()


def test_where_no_exemplar_is_left_no_segment_has_a_class(predictor: Predictor) -> None:
    state = predictor.as_built.edited(3, alive=dict.fromkeys(predictor.release.exemplars.ids, False))
    assert_nothing_voted(predictor.predict(Blocks("val")[0].image, state=state), 3)


def test_an_empty_release_finds_segments_and_the_first_exemplar_labels_them(empty_release: Path) -> None:
    blank = Predictor(Release.open(empty_release), threads=1)
    found = blank.predict(Blocks("val")[0].image)
    assert len(found.segments.areas) > 3
    assert_nothing_voted(found, 0)
    one = AddedExemplar("one", found.segments.prototypes[1], 0, 1.0, "0" * 64, "here", 9, 9, (0, 0, 1, 1), 1, "04l`1")
    kerb = ClassInfo(class_id=0, name="kerb", color=(1, 2, 3))
    again = blank.predict(Blocks("val")[0].image, state=blank.as_built.edited(1, added=[one], classes=[kerb]))
    assert (again.vote.class_ids == 0).all()
    assert again.vote.shares.tolist() == [[1.0]] * len(again.vote.shares)
    assert again.known[1], "the exemplar itself"
    assert not again.known.all(), "blocks of other colours"
    threshold = blank.release.card.calibration.known_threshold
    assert again.known.tolist() == (again.similarities[:, 0] >= threshold).tolist(), "the segment alone decides"
    assert np.isnan(again.confidence).all(), "the release is not calibrated"
    assert again.image_similarity == pytest.approx(np.average(again.similarities[:, 0], weights=again.segments.areas))


def with_split(release: Release, cells: int) -> Predictor:
    sorting = release.card.sorting.model_copy(update={"min_part": cells})
    return Predictor(replace(release, card=release.card.model_copy(update={"sorting": sorting})))


def test_a_card_that_splits_gives_parts_with_labels_of_their_own(predictor: Predictor) -> None:
    """Two halves of one segment that look like two classes become two segments."""
    splits, image = with_split(predictor.release, 2), Blocks("val")[0].image
    whole, parts = predictor.predict(image, segments=1), splits.predict(image, segments=1)
    assert predictor.splitting is None
    assert len(whole.segments.areas) == 1
    assert len(np.unique(parts.vote.class_ids)) > 1
    labels = Blocks("val")[0].labels
    assert (parts.class_map == labels)[labels != 255].mean() > 0.9
    for s, prototype in enumerate(parts.segments.prototypes):
        again = splits.retrieve(prototype[None], parts.segments.areas[s : s + 1])
        assert again.vote.class_ids[0] == parts.vote.class_ids[s], "a part has the label of its own prototype"


def test_images_that_are_split_have_the_same_segments_alone_and_in_a_batch(predictor: Predictor) -> None:
    splits = with_split(predictor.release, 2)
    images = [Blocks("val")[i].image for i in range(2)]
    outlined, _ = splits.outline([Sized(image, (72, 96)) for image in images])
    for image, one in zip(images, outlined, strict=True):
        np.testing.assert_array_equal(splits.finish(one).labels, splits.predict(image).segments.labels)


def test_edits_leave_the_segments_of_an_image(predictor: Predictor) -> None:
    splits, image = with_split(predictor.release, 2), Blocks("val")[0].image
    state = splits.as_built.edited(1, alive={one: False for one in splits.as_built.ids(range(10))})
    np.testing.assert_array_equal(
        splits.predict(image, state=state).segments.labels, splits.predict(image).segments.labels
    )
