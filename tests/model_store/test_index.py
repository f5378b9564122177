"""The index finds the neighbours of a naive comparison with every kind of FAISS index."""

from pathlib import Path

import faiss
import numpy as np
import pytest
import torch

from model_store.index import ExemplarIndex
from segsort.loops import at_most, nearest_rows


def unit(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def naive(prototypes: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """All cosines in decreasing order; ties are in the order of their rows."""
    cosines = np.einsum("qd,nd->qn", queries, prototypes)
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(cosines, rows, axis=1), rows


@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat", "HNSW32"])
@pytest.mark.parametrize("k", [1, 20, 300])
def test_neighbours_are_those_of_a_full_comparison(factory: str, k: int) -> None:
    prototypes, queries = unit(300), unit(40, seed=1)
    index = ExemplarIndex.build(prototypes, factory)
    if factory == "IVF4,Flat":
        faiss.extract_index_ivf(index._index.shards[0]).nprobe = 4
    cosines, rows = index.search(queries, k)
    expected, expected_rows = naive(prototypes, queries, k)
    found = np.mean([len(set(a) & set(b)) / k for a, b in zip(rows, expected_rows, strict=True)])
    assert found == 1.0 if factory != "HNSW32" else found > 0.98
    np.testing.assert_allclose(cosines, np.einsum("qd,qkd->qk", queries, prototypes[rows]), atol=1e-6)
    assert (np.diff(cosines, axis=1) <= 0).all()
    if factory != "HNSW32":
        np.testing.assert_allclose(cosines, expected, atol=1e-6)


@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99, 1.0])
def test_rows_that_are_gone_are_never_found(factory: str, share: float) -> None:
    prototypes, queries = np.repeat(unit(150), 2, axis=0), unit(40, seed=1)
    index = ExemplarIndex.build(prototypes, factory)
    if factory == "IVF4,Flat":
        faiss.extract_index_ivf(index._index.shards[0]).nprobe = 4
    gone = np.zeros(300, dtype=bool)
    gone[np.random.default_rng(0).permutation(300)[: int(300 * share)]] = True
    left = np.flatnonzero(~gone)
    for k in (1, 20, 300):
        cosines, rows = index.search(queries, k, gone)
        expected, expected_rows = naive(prototypes[left], queries, k) if len(left) else (np.zeros((40, 0)),) * 2
        np.testing.assert_array_equal(rows, left[expected_rows.astype(int)] if len(left) else expected_rows)
        np.testing.assert_allclose(cosines, expected, atol=1e-6)


@pytest.mark.parametrize("left", [6000, 3000, 3, 0])
@pytest.mark.parametrize("k", [1, 60, 7000])
def test_threads_find_what_one_finds(left: int, k: int) -> None:
    random = np.random.default_rng(0)
    prototypes, queries = unit(6000, 32), unit(90, 32, seed=1)
    gone = np.arange(6000) >= left
    random.shuffle(gone)
    with at_most(1):
        alone = nearest_rows(prototypes, queries, k, gone)
    with at_most(3):
        shared = nearest_rows(prototypes, queries, k, gone)
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one, other)
    assert alone[0].shape == (90, min(k, left))


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gone has shape \(4,\); it must have one entry for each of the 5 rows"):
        ExemplarIndex.build(unit(5)).search(unit(1), 1, np.zeros(4, dtype=bool))


def test_equal_prototypes_come_in_the_order_of_their_rows() -> None:
    prototypes = np.repeat(unit(3), 30, axis=0)  # rows 0..29 alike, 30..59, 60..89
    index = ExemplarIndex.build(prototypes)
    for k in (1, 7, 29, 30, 31, 90):
        _, rows = index.search(prototypes[30:31], k)
        assert rows[0, :30].tolist() == list(range(30, 60))[:k]


def test_a_query_has_the_same_neighbours_alone_and_among_others() -> None:
    index, queries = ExemplarIndex.build(unit(500)), unit(70, seed=2)
    cosines, rows = index.search(queries, 10)
    for one in (0, 33, 69):
        alone_cosines, alone_rows = index.search(queries[one : one + 1], 10)
        np.testing.assert_array_equal(alone_rows[0], rows[one])
        np.testing.assert_array_equal(alone_cosines[0], cosines[one])


def test_an_index_is_read_as_it_was_saved(tmp_path: Path) -> None:
    prototypes = unit(100)
    ExemplarIndex.build(prototypes, "HNSW16").save(tmp_path / "index.faiss")
    loaded = ExemplarIndex.load(tmp_path / "index.faiss", prototypes)
    assert loaded.ntotal == 100
    _, rows = loaded.search(prototypes[:10], 1)
    assert rows[:, 0].tolist() == list(range(10))


@pytest.mark.parametrize("factory", ["SQ8", "PCA8,Flat", "PQ4x4", "HNSW16,SQ8"])
def test_what_a_lossy_index_finds_has_its_exact_cosine(factory: str) -> None:
    """A lossy index may miss a neighbour, but the cosines of the others come from the exact vectors."""
    prototypes, queries = unit(400), unit(20, seed=1)
    cosines, rows = ExemplarIndex.build(prototypes, factory).search(queries, 50)
    np.testing.assert_allclose(cosines, np.einsum("qd,qkd->qk", queries, prototypes[rows]), atol=1e-6)
    assert (np.diff(cosines, axis=1) <= 0).all()
    assert all(len(set(found)) == 50 for found in rows)
    found = np.mean([len(set(a) & set(b)) / 50 for a, b in zip(rows, naive(prototypes, queries, 50)[1], strict=True)])
    assert found > 0.5


def test_what_cannot_be_built_is_refused_with_the_fix() -> None:
    with pytest.raises(ValueError, match=r"index_factory='Nonsense'.*use 'Flat'"):
        ExemplarIndex.build(unit(10), "Nonsense")
    with pytest.raises(ValueError, match="index_factory='IVF64,Flat' over 10 prototypes"):
        ExemplarIndex.build(unit(10), "IVF64,Flat")
    with pytest.raises(ValueError, match="index_factory='LSH'"):  # knows no inner product
        ExemplarIndex.build(unit(10), "LSH")
    with pytest.raises(ValueError, match=r"shape \(3, 0\)"):
        ExemplarIndex.build(np.zeros((3, 0), dtype=np.float32))
    with pytest.raises(ValueError, match="index_factory='Nonsense'"):
        ExemplarIndex.build(np.zeros((0, 16), dtype=np.float32), "Nonsense")


@pytest.mark.parametrize("factory", ["Flat", "IVF64,Flat", "HNSW16", "PQ4x4"])
def test_an_index_without_exemplars_is_written_read_and_finds_none(factory: str, tmp_path: Path) -> None:
    nothing = np.zeros((0, 16), dtype=np.float32)
    built = ExemplarIndex.build(nothing, factory)
    built.save(tmp_path / "index.faiss")
    for index in (built, ExemplarIndex.load(tmp_path / "index.faiss", nothing), built.to("cpu")):
        assert index.ntotal == 0
        for gone in (None, np.zeros(0, dtype=bool)):
            cosines, rows = index.search(unit(3), 5, gone)
            assert cosines.shape == rows.shape == (3, 0)
            assert (cosines.dtype, rows.dtype) == (np.float32, np.int64)


def test_an_approximate_index_without_vectors_finds_none() -> None:
    empty = faiss.index_factory(16, "HNSW16", faiss.METRIC_INNER_PRODUCT)
    cosines, rows = ExemplarIndex(empty, np.zeros((0, 16), dtype=np.float32)).search(unit(3), 5)
    assert cosines.shape == rows.shape == (3, 0)


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds 5 vectors of 16 dimensions, the prototypes are \(4, 16\)"):
        ExemplarIndex(ExemplarIndex.build(unit(5))._index, unit(4))
    euclidean = faiss.IndexFlatL2(16)
    euclidean.add(unit(5))
    with pytest.raises(ValueError, match="inner products"):
        ExemplarIndex(euclidean, unit(5))
    (tmp_path / "no.faiss").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"no\.faiss is no FAISS index"):
        ExemplarIndex.load(tmp_path / "no.faiss", unit(5))


@pytest.mark.parametrize(("queries", "k"), [(unit(3, 8), 1), (unit(3)[0], 1), (unit(3), 0)])
def test_queries_of_another_form_are_refused(queries: np.ndarray, k: int) -> None:
    with pytest.raises(ValueError, match="queries have shape"):
        ExemplarIndex.build(unit(5)).search(queries, k)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error_and_not_the_cpu() -> None:
    with pytest.raises(ValueError, match=r"device='cuda', but .*or set SEGSORT_DEVICE=cpu"):
        ExemplarIndex.build(unit(5), device="cuda")


def test_a_device_that_is_not_known_is_an_error_and_not_the_cpu() -> None:
    with pytest.raises(ValueError, match=r"device='cuda:0' is not known; choose 'cpu' or 'cuda'"):
        ExemplarIndex.build(unit(5), device="cuda:0")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="device='gpu'"):
        ExemplarIndex.build(unit(5)).to("gpu")  # type: ignore[arg-type]


@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat", "HNSW32"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_query_that_is_not_finite_is_refused(factory: str, value: float) -> None:
    index, queries = ExemplarIndex.build(unit(300), factory), unit(4)
    queries[2, 3] = value
    with pytest.raises(ValueError, match="query 2 of 4 has values that are not finite"):
        index.search(queries, 5)
    with pytest.raises(ValueError, match="query 2 of 4"):
        index.search(queries, 5, np.arange(300) < 10)
    with pytest.raises(ValueError, match="query 2 of 4"):
        nearest_rows(index.prototypes, queries, 5)
