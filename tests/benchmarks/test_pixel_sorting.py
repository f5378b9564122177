import numpy as np
import pytest
import torch

from benchmarks.pixel_sorting import DIMENSION, HEIGHT, WIDTH, Peers, measure, painted


def test_painted_embeddings_are_unit_vectors_of_the_stated_size() -> None:
    embeddings = painted(0, noise=0.5)
    assert embeddings.shape == (1, DIMENSION, HEIGHT, WIDTH)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(1, HEIGHT, WIDTH))


def test_all_three_sort_equally_well_from_the_same_start() -> None:
    rows = measure("noisy", painted(0, noise=0.5), rounds=1)
    assert [row["sorted by"] for row in rows] == ["segsort", "faiss", "scikit-learn"]
    assert [row["mean cosine"] for row in rows] == pytest.approx([rows[0]["mean cosine"]] * 3, abs=0.005)


def test_every_peer_answers_with_unit_means() -> None:
    peers = Peers(painted(1, noise=0.5))
    for means in (peers.ours(), peers.faiss(), peers.sklearn()):
        np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1, atol=1e-5)
