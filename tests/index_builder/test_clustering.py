"""Clusters of segments as classes: built without labels, and matched with true classes only for scoring."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from index_builder.build import BuildOptions, build_release
from index_builder.calibration import HeldOut
from index_builder.clustering import Unlabelled, cluster_classes, in_clusters
from index_builder.datasets import Photograph
from index_builder.embedder_source import load_embedder_source
from index_builder.evaluation import evaluate, matched
from model_store.clustering import find_centres, nearest_centres
from model_store.predictor import Predictor
from segsort.sphere import unit_rows
from tests.conftest import Blocks


class OnlyImages:
    """Blocks that raise an error if labels are read."""

    name, split = "blocks", "train"

    def __len__(self) -> int:
        return 6

    def photograph(self, i: int) -> Photograph:
        return Photograph(Blocks()[i].image, Blocks()[i].source)


def test_clusters_of_unlabelled_images_make_a_release_that_labels_others(tiny_run: Path, tmp_path: Path) -> None:
    release = build_release(
        Unlabelled(OnlyImages(), 3), load_embedder_source(tiny_run), tmp_path / "clusters", options=BuildOptions(60)
    )
    assert [info.name for info in release.card.classes] == ["cluster 0", "cluster 1", "cluster 2"]
    assert set(release.exemplars.class_ids) == {0, 1, 2}
    predicted = Predictor(release).predict(Blocks("val")[0].image)
    assert predicted.known.mean() > 0.5
    report = evaluate(release, Blocks("val", count=3), match_clusters=True)
    assert report.protocol == "cluster"
    assert report.miou is not None
    assert report.miou > 0.6, "three colours make three clusters"
    assert report.predicted_classes == [info.name for info in Blocks.classes]
    with pytest.raises(ValueError, match="has no class"):
        evaluate(release, Blocks("val", count=1))


def test_more_clusters_than_classes_leave_some_unmatched(tiny_run: Path, tmp_path: Path) -> None:
    release = build_release(Unlabelled(OnlyImages(), 5), load_embedder_source(tiny_run), tmp_path / "clusters")
    report = evaluate(release, Blocks("val", count=2), match_clusters=True)
    assert len(report.predicted_classes) == 5
    assert report.predicted_classes[:3] == [info.name for info in Blocks.classes]
    assert all(name.startswith("cluster") for name in report.predicted_classes[3:])
    missed = np.array(report.confusion)[:, 3:].sum()
    assert missed > 0, "their pixels are missed ones"


def test_matching_is_the_best_of_all_one_to_one_matchings() -> None:
    random = np.random.default_rng(0)
    for C, K in ((3, 3), (3, 5), (4, 3)):
        confusion = random.integers(0, 50, (C, K))
        union = confusion.sum(1, keepdims=True) + confusion.sum(0, keepdims=True) - confusion
        relabel = matched(confusion)
        ours = sum(confusion[c, k] / union[c, k] for k, c in enumerate(relabel) if c < C)
        size, iou = max(C, K), np.zeros((max(C, K), max(C, K)))
        iou[:C, :K] = confusion / union
        best = max(sum(iou[c, k] for c, k in enumerate(order)) for order in permutations(range(size)))
        assert ours == pytest.approx(best)
        assert len(set(relabel)) == K


def test_centres_are_mean_directions_of_their_segments_by_area() -> None:
    random = np.random.default_rng(1)
    middles = unit_rows(random.normal(size=(4, 8)).astype(np.float32))
    prototypes = unit_rows(np.repeat(middles, 30, axis=0) + 0.1 * random.normal(size=(120, 8)))
    areas = random.integers(1, 100, 120)
    centres = find_centres(prototypes, areas, 4)
    found = nearest_centres(prototypes, centres)
    for cluster in range(4):
        members = found == cluster
        assert len(set(np.flatnonzero(members) // 30)) == 1
        mean = (prototypes[members] * areas[members, None]).sum(axis=0)
        np.testing.assert_allclose(centres[cluster], mean / np.linalg.norm(mean), atol=1e-4)


def test_what_is_set_aside_is_wholly_of_its_cluster() -> None:
    centres = np.eye(2, dtype=np.float32)
    held_out = HeldOut(np.array([[1, 0], [0.1, 0.9]], dtype=np.float32), np.array([5, 7]), np.zeros((2, 9)), 3)
    (image,) = in_clusters([held_out], centres)
    assert image.counts.tolist() == [[5, 0], [0, 7]]


def test_colours_of_clusters_differ() -> None:
    assert len({info.color for info in cluster_classes(60)}) == 60
    with pytest.raises(ValueError, match="clusters=0"):
        Unlabelled(OnlyImages(), 0)
    with pytest.raises(ValueError, match="cannot form 4 clusters"):
        find_centres(np.eye(3, dtype=np.float32), np.ones(3), 4)
