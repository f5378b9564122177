import pytest
import torch

from benchmarks.kmeans_peers import Peers, mean_cosine
from benchmarks.pixel_sorting import DIMENSION, OPTIONS, best_peers, measure, painted
from segsort.pixel_sorting import SortingOptions, grid_labels, sorting_features

SIZE = (45, 60)


@pytest.fixture(scope="module")
def peers() -> Peers:
    return Peers(painted(0, 0.5, SIZE), OPTIONS)


def test_painted_embeddings_are_unit_vectors_of_the_stated_size() -> None:
    embeddings = painted(0, 0.5, SIZE)
    assert embeddings.shape == (1, DIMENSION, *SIZE)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(1, *SIZE))


def test_all_sort_equally_well_from_the_same_start(peers: Peers) -> None:
    rows = measure("patches", peers, rounds=1)
    assert {"segsort", "torch", "faiss", "scikit-learn"} <= {row["sorted by"] for row in rows}
    assert [row["mean cosine"] for row in rows] == pytest.approx([rows[0]["mean cosine"]] * len(rows), abs=0.005)


def test_ours_and_the_loop_in_torch_end_with_the_same_means(peers: Peers) -> None:
    torch.testing.assert_close(peers.ours_in_floats(), peers.torch(), atol=1e-4, rtol=0)


def test_every_peer_answers_with_unit_means(peers: Peers) -> None:
    for name, sort in peers.sorters.items():
        torch.testing.assert_close(sort().norm(dim=1), torch.ones(OPTIONS.segments), atol=1e-5, rtol=0, msg=name)


def test_no_peer_changes_the_means_that_the_next_one_starts_from(peers: Peers) -> None:
    before = peers.start.clone()
    for sort in peers.sorters.values():
        sort()
    assert torch.equal(peers.start, before)


def test_mean_cosine_is_that_of_a_naive_loop() -> None:
    options = SortingOptions(segments=4)
    features = sorting_features(painted(1, 0.5, (5, 6)), options.location_weight)[0]
    means = torch.stack([features[grid_labels(5, 6, 4).flatten() == k].mean(dim=0) for k in range(4)])
    naive = sum(max(float(x @ mean) for mean in means) for x in features) / len(features)
    assert mean_cosine(features, means) == pytest.approx(naive, abs=1e-6)


def test_the_best_peer_is_the_fastest_of_the_others() -> None:
    ratios = {"segsort": 1.0, "segsort, float32": 1.2, "a": 3.0, "b": 1.7}
    rows = [{"pixels": "2x2", "image": "x", "sorted by": name, "of segsort": ratio} for name, ratio in ratios.items()]
    assert best_peers(rows) == [{"pixels": "2x2", "image": "x", "best peer": "b", "of segsort": 1.7}]
