"""Scores of an evaluation, compared with naive loops. Classes are matched by name."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from index_builder.datasets import IGNORE, Sample
from index_builder.evaluation.evaluation_report import Report
from index_builder.evaluation.foreign_photographs import SAMPLES, Photographs
from index_builder.evaluation.retrieval import evaluate
from index_builder.scores import area_under_roc, boundary_f, reliability
from model_store.card import ClassInfo
from model_store.predictor import Predictor
from model_store.release import Release
from model_store.snapshot_release import write_live
from tests.conftest import BLOCK_CLASSES, Blocks


@pytest.fixture(scope="module")
def predictor(tiny_release: Path) -> Predictor:
    return Predictor(Release.open(tiny_release))


class Mislabelled(Blocks):
    """Blocks whose left third is labelled brick, so that the release makes errors. The last rows are unlabelled."""

    def __getitem__(self, i: int) -> Sample:
        sample = super().__getitem__(i)
        sample.labels[:, :32] = 0
        sample.labels[-9:] = IGNORE
        return sample


class Renumbered(Mislabelled):
    """Mislabelled blocks whose classes are those of `order`, in that order. Pixels of other classes are unlabelled."""

    def __init__(self, order: tuple[int, ...], count: int) -> None:
        super().__init__("val", count)
        self.table = np.full(256, IGNORE, dtype=np.uint8)
        self.table[list(order)] = range(len(order))
        self.order = order

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        return tuple(BLOCK_CLASSES[old].model_copy(update={"class_id": new}) for new, old in enumerate(self.order))

    def __getitem__(self, i: int) -> Sample:
        sample = Mislabelled("val", self.count)[i]
        return sample._replace(labels=self.table[sample.labels])


def test_every_number_equals_a_loop_over_segments_and_pixels(predictor: Predictor) -> None:
    data = Mislabelled("val", count=3)
    report = evaluate(predictor, data)
    segments, known, sizes, edges, pixels = [], 0, 0, [], []
    right = dict.fromkeys(range(3), 0)
    there = dict.fromkeys(range(3), 0)
    for i in range(3):
        labels, found = data[i].labels, predictor.predict(data[i].image)
        for y, x in np.argwhere(labels != IGNORE):
            s = found.segments.labels[y, x]
            pixels.append((found.vote.shares[s].max(), found.confidence[s], found.class_map[y, x] == labels[y, x]))
            there[labels[y, x]] += 1
            right[labels[y, x]] += bool(found.class_map[y, x] == labels[y, x])
        for s in range(len(found.segments.areas)):
            inside = labels[(found.segments.labels == s) & (labels != IGNORE)]
            agrees = len(inside) and np.bincount(inside, minlength=3).argmax() == found.vote.class_ids[s]
            segments.append((found.confidence[s], agrees, len(inside)))
            known += (found.segments.labels == s).sum() if found.known[s] else 0
        sizes += labels.size
        edges.append(boundary_f(labels, found.class_map, (1, 2, 3, 4, 5)))
    bins = [[s for s in segments if min(int(s[0] * 15), 14) == b] for b in range(15)]
    gaps = [abs(sum(pixels * (confidence - agrees) for confidence, agrees, pixels in inside)) for inside in bins]
    assert report.pixel_accuracy == pytest.approx(sum(right.values()) / sum(there.values()))
    assert report.mean_accuracy == pytest.approx(np.mean([right[c] / there[c] for c in range(3)]))
    assert report.ece == pytest.approx(sum(gaps) / sum(there.values()))
    raw, calibrated, agree = (np.array(column, dtype=float) for column in zip(*pixels, strict=True))
    for name, confidence in (("raw", raw), ("calibrated", calibrated)):
        bin_of = np.minimum((confidence * 15).astype(int), 14)
        error = sum(abs((confidence - agree)[bin_of == b].sum()) for b in range(15)) / len(agree)
        assert report.pixel_ece[name] == pytest.approx(error), name
    assert report.known_share == pytest.approx(known / sizes)
    assert report.segments_per_image == pytest.approx(len(segments) / 3)
    assert list(report.boundary_f.values()) == pytest.approx(np.mean(edges, axis=0).tolist())
    assert report.pixel_accuracy < 0.9, "the labels err, so that the numbers differ from 1"
    for measured, inside in zip(report.reliability, bins, strict=True):
        pixels = sum(s[2] for s in inside)
        assert measured.weight == pytest.approx(pixels / sum(there.values()))
        assert measured.confidence == (pytest.approx(sum(s[0] * s[2] for s in inside) / pixels) if pixels else None)
        assert measured.correct == (pytest.approx(sum(bool(s[1]) * s[2] for s in inside) / pixels) if pixels else None)


def test_the_order_of_the_classes_changes_nothing(predictor: Predictor) -> None:
    measured = evaluate(predictor, Mislabelled("val", count=2))
    reordered = evaluate(predictor, Renumbered((2, 0, 1), count=2))
    assert list(reordered.per_class) == reordered.predicted_classes == ["water", "brick", "grass"]
    assert reordered.per_class == measured.per_class
    order = [2, 0, 1]
    assert reordered.confusion == np.array(measured.confusion)[order][:, order].tolist()
    for name in ("miou", "pixel_accuracy", "mean_accuracy", "boundary_f", "ece", "known_share"):
        assert getattr(reordered, name) == pytest.approx(getattr(measured, name)), name


def test_a_class_of_the_release_alone_counts_as_missed(predictor: Predictor) -> None:
    report, whole = evaluate(predictor, Renumbered((0, 1), count=2)), evaluate(predictor, Mislabelled("val", count=2))
    assert report.predicted_classes == ["brick", "grass", "water"]
    assert report.confusion == whole.confusion[:2]
    (a, b, c), (d, e, f) = report.confusion
    assert c > 0, "the left third holds water that is labelled brick"
    assert report.per_class == pytest.approx({"brick": a / (a + b + c + d), "grass": e / (b + d + e + f)})


def test_what_is_not_defined_is_null_and_still_json(predictor: Predictor) -> None:
    class Unlabelled(Blocks):
        def __getitem__(self, i: int) -> Sample:
            sample = super().__getitem__(i)
            return sample._replace(labels=np.full_like(sample.labels, IGNORE))

    report = evaluate(predictor, Unlabelled("val", count=2))
    measured = json.loads(report.to_json())
    assert measured["per_class"] == {"brick": None, "grass": None, "water": None}
    for name in ("miou", "pixel_accuracy", "mean_accuracy", "ece"):
        assert measured[name] is None, name
    assert measured["reliability"] == 15 * [{"confidence": None, "correct": None, "weight": None}]
    assert set(measured["boundary_f"].values()) == {None}
    assert measured["known_share"] is not None
    assert {"commit", "machine", "threads"} <= set(measured["environment"])
    assert Report.model_validate(measured) == report


def test_a_data_set_without_images_is_refused(predictor: Predictor) -> None:
    with pytest.raises(ValueError, match="data set 'blocks' has no images"):
        evaluate(predictor, Blocks(count=0))


def test_a_reliability_diagram_by_hand() -> None:
    confidence, correct = np.array([0.0, 0.3, 0.4, 1.0]), np.array([False, True, False, True])
    measured = reliability(confidence, correct, np.array([1, 1, 3, 5]), bins=3)
    np.testing.assert_allclose(measured.confidence, [0.15, 0.4, 1.0])
    np.testing.assert_allclose(measured.correct, [0.5, 0.0, 1.0])
    np.testing.assert_allclose(measured.weight, [0.2, 0.3, 0.5])


@pytest.mark.parametrize("seed", range(5))
def test_area_under_roc_equals_a_loop_over_pairs(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.integers(2, 9, 12) / 9, random.integers(0, 8, 15) / 9  # with ties
    weights_a, weights_b = random.integers(0, 5, 12), random.integers(1, 5, 15)
    chance = pairs = 0.0
    for x, w in zip(a, weights_a, strict=True):
        for y, v in zip(b, weights_b, strict=True):
            chance += w * v * (float(x > y) + float(x == y) / 2)
            pairs += w * v
    assert area_under_roc(a, b, weights_a, weights_b) == pytest.approx(chance / pairs)
    assert area_under_roc(a, b) == pytest.approx(area_under_roc(a, b, np.ones(12), np.ones(15)))
    assert area_under_roc(b, a) == pytest.approx(1 - area_under_roc(a, b))


def test_area_under_roc_of_one_side_alone_is_not_defined() -> None:
    assert np.isnan(area_under_roc(np.ones(2), np.zeros(0)))
    assert np.isnan(area_under_roc(np.ones(2), np.zeros(2), positive_weights=np.zeros(2)))
    assert area_under_roc(np.array([np.inf, 2.0]), np.array([1.0, np.inf])) == 0.625


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two JPEG images and a mask, which is no photograph. One image is in a subfolder and rotated by EXIF."""
    folder = tmp_path_factory.mktemp("domain") / "other"
    (folder / "deep").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned
    Image.fromarray(noise).save(folder / "deep" / "noise.JPG", exif=exif)
    Image.fromarray(Blocks("val")[0].image).save(folder / "blocks.jpeg", quality=95)
    Image.fromarray(Blocks("val")[0].labels).save(folder / "mask.png")
    return folder


def test_photographs_of_other_things_are_compared_pixel_by_pixel(predictor: Predictor, photographs: Path) -> None:
    data = Blocks("val", count=2)
    report = evaluate(predictor, data, foreign=[Photographs(str(photographs)), Photographs("samples")])
    assert list(report.foreign) == [f"{photographs.parent.name}/other", "samples"]
    measured = report.foreign[f"{photographs.parent.name}/other"]
    images = [image for _, image in Photographs(str(photographs))]
    assert [image.shape for image in images] == [(72, 96, 3), (60, 40, 3)], "upright, and the mask left out"

    def pixels(images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        familiar, known = [], []
        for image in images:
            found = predictor.predict(image)
            nearest = found.similarities[:, 0].astype(float)
            whole = (nearest[found.segments.labels]).mean()
            familiar.append((nearest[found.segments.labels].ravel() + whole) / 2)
            known.append(found.known[found.segments.labels].ravel())
        return np.concatenate(familiar), np.concatenate(known)

    ours, (others, known) = pixels([data[0].image, data[1].image])[0], pixels(images)
    ranks = (ours[:, None] > others[None, ::7]).mean() + (np.abs(ours[:, None] - others[None, ::7]) < 1e-12).mean() / 2
    assert measured.images == 2
    assert measured.known_share == pytest.approx(known.mean())
    assert measured.auroc == pytest.approx(ranks, abs=0.02), "every seventh pixel of theirs"
    assert 0 < measured.known_share < 1
    assert report.foreign["samples"].images == len(SAMPLES)
    assert 0.5 < report.foreign["samples"].auroc <= 1


def test_the_same_images_cannot_be_told_apart(predictor: Predictor, tmp_path: Path) -> None:
    data = Blocks("val", count=3)
    for i in range(3):
        Image.fromarray(data[i].image).save(tmp_path / f"{i}.webp", lossless=True)
    report = evaluate(predictor, data, foreign=[Photographs(f"same={tmp_path}")])
    assert report.foreign["same"].auroc == pytest.approx(0.5)
    assert report.foreign["same"].known_share == pytest.approx(report.known_share)


def test_photographs_that_are_not_there_are_refused_before_anything_is_measured(
    predictor: Predictor, photographs: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"nowhere has no file ending in \.jpg"):
        Photographs(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"'mine=.*has no file"):
        Photographs(f"mine={tmp_path}")
    twice = [Photographs(f"a={photographs}"), Photographs(f"a={photographs / 'deep'}")]
    with pytest.raises(ValueError, match="are named a, a; give them different names"):
        evaluate(predictor, Blocks("val", count=1), foreign=twice)


def test_a_folder_whose_name_has_a_sign_of_equality_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a=b"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "one.jpg")
    assert Photographs(str(folder)).name == f"{tmp_path.name}/a=b"


def test_of_many_photographs_a_hundred_are_taken_evenly(tmp_path: Path) -> None:
    for i in range(150):
        (tmp_path / f"{i:03d}.jpg").touch()
    chosen = Photographs(str(tmp_path))
    assert len(chosen) == 100
    assert chosen.files is not None
    assert [file.name for file in chosen.files[:4]] == ["000.jpg", "001.jpg", "003.jpg", "004.jpg"]


def test_text_and_markdown_tell_the_same_numbers(predictor: Predictor, photographs: Path) -> None:
    report = evaluate(
        predictor, Blocks("val", count=1), foreign=[Photographs(f"x={photographs}")], explanation_images=1
    )
    assert report.explanations is not None
    assert report.explanations.images == 1
    rows = dict(report.rows())
    assert rows["mIoU"] == report.miou
    assert rows["known against x, AUROC"] == report.foreign["x"].auroc
    assert rows["replay, labels"] == 1
    lines = [line.split("  ") for line in report.to_text().splitlines()]
    assert {parts[-2].strip(): parts[-1] for parts in lines} == {
        name: "-" if value is None else str(value) if isinstance(value, int) else f"{value:.4f}"
        for name, value in rows.items()
    }
    first, second = report.to_markdown().split("\n\n")
    table = [line.strip("| ").split(" | ") for line in first.splitlines()]
    assert table[:2] == [["tiny on blocks, knn", "value"], ["---", "---:"]]
    assert [" ".join(row) for row in table[2:]] == [" ".join(parts[-2:]).strip() for parts in lines]
    assert second.startswith("| confidence | correct | share of labelled pixels |")
    assert len(second.splitlines()) == 2 + sum(bool(one.weight) for one in report.reliability)


def test_nothing_but_what_was_asked_for_is_measured(predictor: Predictor) -> None:
    report = evaluate(predictor, Blocks("val", count=1))
    assert (report.protocol, report.foreign, report.explanations) == ("knn", {}, None)
    with pytest.raises(ValueError, match="explanation_images=0 must be at least 1"):
        evaluate(predictor, Blocks("val", count=1), explanation_images=0)


def test_a_release_without_exemplars_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    nothing = dict.fromkeys(predictor.release.exemplars.ids, False)
    emptied = write_live(predictor.as_built.edited(1, alive=nothing), tmp_path / "emptied", lambda _: b"")
    with pytest.raises(ValueError, match="'emptied' has no exemplars"):
        evaluate(emptied, Blocks("val", count=1))


def test_a_release_that_is_not_calibrated_has_scores_but_no_calibration_error(
    tiny_release: Path, predictor: Predictor, tmp_path: Path
) -> None:
    folder = tmp_path / "uncalibrated"
    shutil.copytree(tiny_release, folder)
    card = json.loads((folder / "card.json").read_text())
    card["calibration"]["calibrated"] = False
    (folder / "card.json").write_text(json.dumps(card))
    found = evaluate(Release.open(folder, verify=False), Blocks("val", count=2))
    calibrated = evaluate(predictor, Blocks("val", count=2))
    assert found.miou == calibrated.miou
    assert (found.ece, calibrated.ece is None) == (None, False)
    assert not any(one.weight for one in found.reliability)
    assert "calibration error" in found.to_text()
