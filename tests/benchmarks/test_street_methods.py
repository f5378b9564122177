"""The ways to label pixels that are compared: each against plain loops, and each calibrated on held-out images."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks.street_methods import PixelRetrieval, Probe, Served, labels_of_cells
from model_store.embedder import Embedder
from model_store.release import Release
from segsort.retrieval import vote
from tests.conftest import Blocks


@pytest.fixture(scope="module")
def release(tiny_release: Path) -> Release:
    return Release.open(tiny_release)


@pytest.fixture(scope="module")
def embedder(release: Release) -> Embedder:
    return Embedder(release, threads=1)


def test_a_cell_has_the_class_of_the_pixel_at_its_centre() -> None:
    labels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert labels_of_cells(labels, (2, 2)).tolist() == [[labels[2, 2], labels[2, 6]], [labels[6, 2], labels[6, 6]]]


def test_a_served_pixel_has_the_vote_of_its_segment(release: Release) -> None:
    image = Blocks("val", count=1)[0].image
    served = Served("as served", release)
    found, prediction = served.label(image), served.predictor.predict(image)
    for y, x in ((0, 0), (10, 20), (image.shape[0] - 1, image.shape[1] - 1)):
        segment = prediction.segments.labels[y, x]
        assert found.classes[y, x] == prediction.vote.class_ids[segment]
        assert found.raw[y, x] == prediction.vote.shares[segment].max()
        assert found.calibrated[y, x] == prediction.confidence[segment]


def test_pixels_one_by_one_ask_the_nearest_exemplars(release: Release, embedder: Embedder) -> None:
    image = Blocks("val", count=1)[0].image
    embedding = np.asarray(embedder.embed(image))
    found = PixelRetrieval("pixels", release, embedder).label(image)
    retrieval, exemplars = release.card.retrieval, release.exemplars
    for row, column in ((3, 4), (9, 15)):
        cosines = exemplars.prototypes @ embedding[:, row, column]
        best = np.argsort(-cosines)[: retrieval.k]
        shares = vote(cosines[None, best], exemplars.class_ids[None, best], 3, retrieval.kappa).shares[0]
        y, x = (round((n + 0.5) * size / cells - 0.5) for n, size, cells in
                zip((row, column), image.shape, embedding.shape[1:], strict=False))  # fmt: skip
        assert found.classes[y, x] == shares.argmax()


def test_a_probe_converges_to_what_scikit_learn_finds_with_other_steps(embedder: Embedder) -> None:
    data = Blocks("train", count=6)
    held = [Blocks("val", count=3)[i] for i in range(3)]
    probe = Probe("probe", embedder, data, held)
    assert 0 < probe.iterations < 2000
    vectors, labels = probe._cells(data[0])
    other = LogisticRegression(C=1.0, solver="newton-cg", tol=1e-8, max_iter=500)
    other.fit(probe.scaler.transform(vectors), labels)
    same = probe._fitted(vectors, labels, 1.0, 0.0)
    np.testing.assert_allclose(same.coef_, other.coef_, atol=0.02)


def test_calibration_undoes_logits_that_are_too_large(embedder: Embedder) -> None:
    held = [Blocks("val", count=4)[i] for i in range(4)]
    probe = Probe("probe", embedder, Blocks("train", count=6), held[:2])
    probe.calibrate(held[:2])
    first, before = probe.temperature, probe.label(held[3].image)
    probe.model.coef_ *= 3
    probe.model.intercept_ *= 3
    probe.calibrate(held[:2])
    after = probe.label(held[3].image)
    assert probe.temperature == pytest.approx(3 * first, rel=0.01)
    np.testing.assert_allclose(after.calibrated, before.calibrated, atol=0.01)
    assert after.raw.mean() > before.raw.mean()
