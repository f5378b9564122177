"""What an evaluation reports, recomputed with loops; classes are matched by name, whatever their order."""

import json
from pathlib import Path

import numpy as np
import pytest

from index_builder.datasets import IGNORE, Sample
from index_builder.evaluate import Report, evaluate
from index_builder.scores import boundary_f
from model_store.card import ClassInfo
from model_store.predictor import Predictor
from model_store.release import Release
from tests.conftest import BLOCK_CLASSES, Blocks


@pytest.fixture(scope="module")
def predictor(tiny_release: Path) -> Predictor:
    return Predictor(Release.open(tiny_release))


class Mislabelled(Blocks):
    """Blocks whose left third is labelled brick throughout, so that the release errs; the last rows are unlabelled."""

    def __getitem__(self, i: int) -> Sample:
        sample = super().__getitem__(i)
        sample.labels[:, :32] = 0
        sample.labels[-9:] = IGNORE
        return sample


class Renumbered(Mislabelled):
    """The same images; the classes are those of `order`, in that order, and what is of any other is unlabelled."""

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
    segments, known, sizes, edges = [], 0, 0, []
    right = dict.fromkeys(range(3), 0)
    there = dict.fromkeys(range(3), 0)
    for i in range(3):
        labels, found = data[i].labels, predictor.predict(data[i].image)
        for y, x in np.argwhere(labels != IGNORE):
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
    assert report.known_share == pytest.approx(known / sizes)
    assert report.segments_per_image == pytest.approx(len(segments) / 3)
    assert list(report.boundary_f.values()) == pytest.approx(np.mean(edges, axis=0).tolist())
    assert report.pixel_accuracy < 0.9, "the labels err, so that the numbers differ from 1"


def test_the_order_of_the_classes_changes_nothing(predictor: Predictor) -> None:
    told = evaluate(predictor, Mislabelled("val", count=2))
    reordered = evaluate(predictor, Renumbered((2, 0, 1), count=2))
    assert list(reordered.per_class) == reordered.predicted_classes == ["water", "brick", "grass"]
    assert reordered.per_class == told.per_class
    order = [2, 0, 1]
    assert reordered.confusion == np.array(told.confusion)[order][:, order].tolist()
    for name in ("miou", "pixel_accuracy", "mean_accuracy", "boundary_f", "ece", "known_share"):
        assert getattr(reordered, name) == pytest.approx(getattr(told, name)), name


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
    told = json.loads(report.to_json())
    assert told["per_class"] == {"brick": None, "grass": None, "water": None}
    for name in ("miou", "pixel_accuracy", "mean_accuracy", "ece"):
        assert told[name] is None, name
    assert set(told["boundary_f"].values()) == {None}
    assert told["known_share"] is not None
    assert Report.model_validate(told) == report


def test_a_data_set_without_images_is_refused(predictor: Predictor) -> None:
    with pytest.raises(ValueError, match="data set 'blocks' holds no image"):
        evaluate(predictor, Blocks(count=0))
