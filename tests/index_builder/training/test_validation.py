"""Validation during training gives the score that `segsort evaluate` gives for the release built from the run."""

from pathlib import Path

import numpy as np
import pytest
import torch

from index_builder.build import BuildOptions, build_release
from index_builder.datasets import IGNORE, Sample
from index_builder.embedder_source import load_embedder_source
from index_builder.evaluation import evaluate
from index_builder.training.validation import MIN_AREA, RetrievalScore
from model_store.card import SortingInfo
from model_store.embedder import Embedder
from tests.conftest import Blocks

SORTING = SortingInfo(segments=12, min_area=MIN_AREA)


class Disputed(Blocks):
    """Blocks whose left third is labelled brick throughout, so that retrieval errs."""

    def __getitem__(self, i: int) -> Sample:
        sample = super().__getitem__(i)
        sample.labels[:, :32] = 0
        return sample


def test_the_score_is_that_of_the_release_with_these_exemplars(tiny_run: Path, tmp_path: Path) -> None:
    source = load_embedder_source(tiny_run)
    options = BuildOptions(sorting=SORTING, min_area=MIN_AREA)
    built = build_release(Blocks("train", 4), source, tmp_path / "release", options=options)
    report = evaluate(built, Disputed("val", 3))
    embedder, retrieval = Embedder(built), built.card.retrieval
    score = RetrievalScore(1, 3, SORTING.options(), retrieval.k, retrieval.kappa)
    for i in range(4):
        score.add_exemplars(0, Blocks("train", 4)[i], embedder.embed(Blocks("train", 4)[i].image))
    for i in range(3):
        score.add_query(Disputed("val", 3)[i], embedder.embed(Disputed("val", 3)[i].image))
    np.testing.assert_allclose(score.iou(0), list(report.per_class.values()))
    assert report.miou is not None
    assert report.miou < 0.9


def test_each_domain_answers_with_its_own_exemplars() -> None:
    """Two classes are two directions. In the second domain, their labels are swapped."""
    labels = np.repeat([[0, 1]], 32, axis=0).repeat(32, axis=1).astype(np.uint8)  # [32, 64]
    labels[:, :4] = IGNORE
    embeddings = torch.zeros(2, 8, 16)
    embeddings[0, :, :8] = embeddings[1, :, 8:] = 1
    sample = Sample(np.zeros((32, 64, 3), np.uint8), labels, "by hand")
    swapped = sample._replace(labels=np.where(labels == IGNORE, IGNORE, 1 - labels.astype(int)).astype(np.uint8))
    score = RetrievalScore(2, 3, SortingInfo(segments=2, location_weight=0).options(), k=1, kappa=10)
    score.add_exemplars(0, sample, embeddings)
    score.add_exemplars(1, swapped, embeddings)
    score.add_query(sample, embeddings)
    assert score.iou(0).tolist() == pytest.approx([1, 1, np.nan], nan_ok=True)
    assert score.iou(1).tolist() == pytest.approx([0, 0, np.nan], nan_ok=True)
