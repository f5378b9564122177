"""The recall of an approximate index, against a naive comparison, and where it is stated."""

from pathlib import Path

import faiss
import numpy as np
import pytest

from model_store.index import ExemplarIndex
from model_store.recall import measured_recall
from model_store.release import Release, write_release
from tests.model_store.test_index import naive, unit


def test_an_exact_index_has_no_recall_to_state() -> None:
    assert measured_recall(ExemplarIndex.build(unit(300), "Flat"), "Flat", 5) is None
    assert measured_recall(ExemplarIndex.build(unit(1), "HNSW8"), "HNSW8", 5) is None


def test_an_index_that_finds_all_has_recall_one_and_one_that_looks_at_few_lists_has_less() -> None:
    index = ExemplarIndex.build(unit(600), "IVF20,Flat")
    lists = faiss.extract_index_ivf(index._index.shards[0])
    lists.nprobe = 20
    every = measured_recall(index, "IVF20,Flat", 10)
    lists.nprobe = 1
    few = measured_recall(index, "IVF20,Flat", 10)
    assert every is not None
    assert few is not None
    assert (every.recall, every.recall_p05, every.k, every.queries) == (1.0, 1.0, 10, 600)
    assert 0.1 < few.recall < 0.8
    assert few.recall_p05 <= few.recall


def test_the_recall_is_that_of_queries_near_the_exemplars(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queries are recorded, and their neighbours compared one by one."""
    index, asked = ExemplarIndex.build(unit(200), "IVF8,Flat"), []
    search = index.search

    def recorded(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        asked.append(queries)
        return search(queries, k)

    monkeypatch.setattr(index, "search", recorded)
    stated = measured_recall(index, "IVF8,Flat", 5)
    assert stated is not None
    (queries,) = asked
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)
    own = (queries * index.prototypes).sum(axis=1)
    nearest = naive(index.prototypes, index.prototypes, 2)[0][:, 1]
    np.testing.assert_allclose(own, nearest, atol=1e-4)
    found, true = search(queries, 5)[1], naive(index.prototypes, queries, 5)[1]
    assert stated.recall == pytest.approx(np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found, true, strict=True)]))


def test_the_card_of_a_written_release_states_it(tmp_path: Path, tiny_release: Path) -> None:
    old = Release.open(tiny_release)
    assert old.card.search is None
    images = [(source.file, b"") for source in old.sources]
    card = old.card.model_copy(update={"retrieval": old.card.retrieval.model_copy(update={"index_factory": "HNSW4"})})
    new = write_release(tmp_path / "graph", card, old.network_path, old.exemplars, old.sources, images)
    assert new.card.search is not None
    assert new.card.search.index_factory == "HNSW4"
    assert 0.5 < new.card.search.recall <= 1
    again = write_release(
        tmp_path / "flat",
        new.card.model_copy(update={"retrieval": old.card.retrieval}),
        old.network_path,
        old.exemplars,
        old.sources,
        images,
    )
    assert again.card.search is None
