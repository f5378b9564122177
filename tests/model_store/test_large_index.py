"""Approximate, sharded and mapped indexes over real exemplars: what they find, edits, restarts, and damaged files."""

import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from model_store.added import AddedExemplar
from model_store.candidates import Candidates, Found, is_shard_of, merged, shard_files
from model_store.card import RetrievalInfo
from model_store.exemplar_table import Exemplars
from model_store.index import AS_STORED, Effort, ExemplarIndex
from model_store.live import LiveExemplars
from model_store.recall import tuned, tuned_index
from model_store.release import EXEMPLARS, INDEX, Release, ReleaseError, write_release
from model_store.store import BUNDLED
from model_store.unfinished import is_being_written
from segsort.retrieval import vote

FACTORIES = ["IVF64,Flat", "IVF64,SQ8", "IVF64,PQ16x4"]
K = 20


@pytest.fixture(scope="module")
def streets() -> Release:
    return Release.open(BUNDLED / "streets", verify=False)


@pytest.fixture(scope="module")
def known(streets: Release) -> np.ndarray:
    """[n] rows that are indexed; the others are queries, from other images."""
    return np.flatnonzero(streets.exemplars.image_ids % 8 != 0)


@pytest.fixture(scope="module")
def prototypes(streets: Release, known: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(streets.exemplars.prototypes[known])


@pytest.fixture(scope="module")
def queries(streets: Release) -> np.ndarray:
    return np.ascontiguousarray(streets.exemplars.prototypes[streets.exemplars.image_ids % 8 == 0][::4])


@pytest.fixture(scope="module")
def indexes(prototypes: np.ndarray) -> dict[str, ExemplarIndex]:
    return {factory: tuned_index(prototypes, RetrievalInfo(k=K, index_factory=factory)) for factory in FACTORIES}


def exact(prototypes: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Rows [Q, k] of a comparison with every prototype."""
    return np.argsort(-(queries @ prototypes.T), axis=1, kind="stable")[:, :k]


def share(rows: np.ndarray, true: np.ndarray) -> float:
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(rows, true, strict=True)]))


@pytest.mark.parametrize("factory", FACTORIES)
def test_the_chosen_effort_finds_the_neighbours_of_segments_of_other_images(
    factory: str,
    indexes: dict[str, ExemplarIndex],
    streets: Release,
    known: np.ndarray,
    prototypes: np.ndarray,
    queries: np.ndarray,
) -> None:
    index, true = indexes[factory], exact(prototypes, queries, K)
    cosines, rows = index.search(queries, K)
    assert share(rows, true) > 0.97
    assert 1 <= (index.effort.nprobe or 0) < 64, "not all lists are visited"
    np.testing.assert_allclose(cosines, np.einsum("qd,qkd->qk", queries, prototypes[rows]), atol=1e-6)
    classes, C = streets.exemplars.class_ids[known], len(streets.card.classes)
    found = vote(cosines, classes[rows], C, 10.0)
    right = vote(np.take_along_axis(queries @ prototypes.T, true, axis=1), classes[true], C, 10.0)
    assert (found.class_ids == right.class_ids).mean() > 0.985


def test_the_effort_is_the_least_that_suffices_and_what_is_given_stays(prototypes: np.ndarray) -> None:
    index = ExemplarIndex.build(prototypes, "IVF64,PQ16x4")
    chosen, search = tuned(index, RetrievalInfo(k=K, index_factory="IVF64,PQ16x4"))
    assert search is not None
    assert search.recall >= 0.97
    assert search.nearest is not None
    assert search.nearest >= 0.97
    assert chosen.nprobe is not None
    assert chosen.rerank is not None
    assert chosen.rerank > 1, "16 bits of four are too coarse to go without exact cosines"
    fixed, few = tuned(index, RetrievalInfo(k=K, index_factory="IVF64,PQ16x4", nprobe=1, rerank=2))
    assert (fixed.nprobe, fixed.rerank) == (1, 2)
    assert few is not None
    assert few.recall < search.recall
    flat = RetrievalInfo(k=K)
    assert tuned(ExemplarIndex.build(prototypes), flat) == (flat, None)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("removed", [0, 1000])
def test_shards_find_exactly_what_one_index_finds(
    factory: str, removed: int, indexes: dict[str, ExemplarIndex], prototypes: np.ndarray, queries: np.ndarray
) -> None:
    one = indexes[factory]
    gone = np.zeros(len(prototypes), dtype=bool)
    gone[np.random.default_rng(0).choice(len(gone), removed, replace=False)] = True
    several = ExemplarIndex.build(prototypes, factory, shards=3).with_effort(one.effort)
    for k in (1, K, 60):
        for own, other in zip(one.search(queries, k, gone), several.search(queries, k, gone), strict=True):
            np.testing.assert_array_equal(own, other)


def test_few_candidates_suffice_because_codes_are_compared_by_distance(
    prototypes: np.ndarray, queries: np.ndarray
) -> None:
    """The error of a code in an inner product does not shrink with the distance."""
    nearby = prototypes[:1000, None] + np.random.default_rng(0).normal(0, 0.005, (1000, 20, 32)).astype(np.float32)
    rows = np.ascontiguousarray(nearby.reshape(-1, 32) / np.linalg.norm(nearby.reshape(-1, 32), axis=1, keepdims=True))
    asked = np.ascontiguousarray(rows[::200])
    index = ExemplarIndex.build(rows, "IVF16,SQ8").with_effort(Effort(nprobe=16, rerank=4))
    assert share(index.search(asked, 10)[1], exact(rows, asked, 10)) > 0.98


def test_merging_keeps_the_best_and_the_order_of_the_shards() -> None:
    first = Found(np.array([[3, 1, -1]]), np.array([[0.9, 0.5, 7.0]], dtype=np.float32))
    second = Found(np.array([[8, 9, 7]]), np.array([[0.95, 0.5, 0.1]], dtype=np.float32))
    assert merged([first, second], 4).rows.tolist() == [[8, 3, 1, 9]]
    assert merged([first, second], 6).rows.tolist() == [[8, 3, 1, 9, 7, -1]]


def test_exact_shards_that_are_searched_apart_merge_to_the_exact_result(
    prototypes: np.ndarray, queries: np.ndarray
) -> None:
    """This is how shards on several machines work together."""
    parts, first = [], 0
    for some in np.array_split(prototypes, 4):
        cosines, rows = ExemplarIndex.build(some).search(queries, K)
        parts.append(Found(rows + first, cosines))
        first += len(some)
    together, alone = merged(parts, K), ExemplarIndex.build(prototypes).search(queries, K)
    np.testing.assert_array_equal(together.rows, alone[1])
    np.testing.assert_array_equal(together.scores, alone[0])


@pytest.mark.parametrize("factory", FACTORIES)
def test_rows_that_are_gone_make_room_for_the_next_nearest(
    factory: str, indexes: dict[str, ExemplarIndex], prototypes: np.ndarray, queries: np.ndarray
) -> None:
    """The 400 nearest of a query are gone, which are more than the candidates of a search, and whole lists."""
    index, gone = indexes[factory], np.zeros(len(prototypes), dtype=bool)
    query = queries[:1]
    gone[exact(prototypes, query, 400)[0]] = True
    cosines, rows = index.search(query, K, gone)
    assert not gone[rows].any()
    left = np.flatnonzero(~gone)
    assert share(rows, left[exact(prototypes[left], query, K)]) > 0.6
    gone[:] = True
    gone[[5, 900, 4000]] = False
    cosines, rows = index.search(queries, K, gone)
    assert rows.shape == (len(queries), 3), "all that are left are found, whatever lists they are in"
    assert (np.sort(rows, axis=1) == [5, 900, 4000]).all()
    assert (np.diff(cosines, axis=1) <= 0).all()


def test_a_query_that_resembles_nothing_found_is_searched_in_more_lists(
    prototypes: np.ndarray, queries: np.ndarray
) -> None:
    index, nearest = ExemplarIndex.build(prototypes, "IVF64,Flat"), exact(prototypes, queries, 1)
    hasty = index.with_effort(Effort(nprobe=1)).search(queries, 1)
    careful = index.with_effort(Effort(nprobe=1, doubtful=0.99)).search(queries, 1)
    below = hasty[0][:, 0] < 0.99
    assert below.any()
    assert not below.all()
    for own, other in zip(hasty, careful, strict=True):
        np.testing.assert_array_equal(own[~below], other[~below])
    assert (careful[0] >= hasty[0]).all()
    assert (hasty[1] == nearest)[below].mean() < 0.9
    assert (careful[1] == nearest)[below].mean() > 0.97


def test_no_more_candidates_are_asked_of_a_gpu_than_it_finds(prototypes: np.ndarray) -> None:
    index = ExemplarIndex.build(prototypes, "IVF16,SQ8").with_effort(Effort(rerank=64))
    asked = [index._wanted(200)]
    index.device = "cuda"  # it is not searched
    asked += [index._wanted(k) for k in (200, 20, 3000)]
    assert asked == [12800, 2048, 1280, 3001]


@pytest.mark.parametrize("factory", ["Flat", "HNSW16", *FACTORIES])
def test_a_mapped_index_finds_what_one_in_memory_finds(
    factory: str, prototypes: np.ndarray, queries: np.ndarray, tmp_path: Path
) -> None:
    index, file = ExemplarIndex.build(prototypes, factory), tmp_path / "index.faiss"
    index.save(file)
    effort = Effort(nprobe=4, rerank=4)
    expected = index.with_effort(effort).search(queries, K)
    for _ in range(2):  # and again, as after a restart
        mapped = ExemplarIndex.load(file, prototypes, on_disk=True, effort=effort)
        for own, other in zip(mapped.search(queries, K), expected, strict=True):
            np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("factory", ["Flat", "HNSW16", *FACTORIES])
@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("left", [0.999, 0.5, 0.0])
def test_a_truncated_index_is_refused(
    factory: str, on_disk: bool, left: float, indexes: dict[str, ExemplarIndex], prototypes: np.ndarray, tmp_path: Path
) -> None:
    file = tmp_path / "index.faiss"
    (indexes[factory] if factory in indexes else ExemplarIndex.build(prototypes[:2000], factory)).save(file)
    os.truncate(file, int(file.stat().st_size * left))
    with pytest.raises(ValueError, match=r"index\.faiss is no FAISS index .* or it is truncated; build it again"):
        Candidates.load([file], on_disk)


def test_kinds_and_shards_that_cannot_be_built_are_refused_with_what_is_allowed(prototypes: np.ndarray) -> None:
    some = prototypes[:50]
    for factory in ("Nonsense", "IVF64,Flat", "IVF4,PQ7", "IVF4,PQ16"):
        with pytest.raises(ValueError, match=rf"index_factory='{factory}'.*Allowed are 'Flat'; 'IVF4096,Flat'"):
            ExemplarIndex.build(some, factory)
    for shards in (0, 51):
        with pytest.raises(ValueError, match=rf"shards={shards}; allowed are 1\.\.50"):
            ExemplarIndex.build(some, "IVF4,Flat", shards=shards)
    with pytest.raises(ValueError, match="'Flat' compares with every vector itself; leave shards out"):
        ExemplarIndex.build(some, "Flat", shards=2)


def test_files_of_shards_have_names_of_their_own() -> None:
    files = [file.name for file in shard_files(Path("release") / INDEX, 3)]
    assert files == ["index.faiss", "index-1.faiss", "index-2.faiss"]
    assert all(is_shard_of(file, INDEX) for file in files)
    assert not any(
        is_shard_of(file, INDEX) for file in ("index-0.faiss", "index-1.npz", "xindex.faiss", "index-a.faiss")
    )


def written(streets: Release, out: Path, rows: slice = slice(None), **retrieval: object) -> Release:
    """A copy of the bundled release, without the content of its images, with other settings of retrieval."""
    old = streets.exemplars
    columns = (old.prototypes, old.class_ids, old.image_ids, old.bboxes, old.areas)
    exemplars = Exemplars(list(old.ids[rows]), *(column[rows] for column in columns), list(old.masks[rows]))
    card = streets.card.model_copy(
        update={"name": out.name, "retrieval": streets.card.retrieval.model_copy(update=retrieval)}
    )
    images = [(source.file, b"") for source in streets.sources]
    return write_release(out, card, streets.network_path, exemplars, streets.sources, images)


@pytest.fixture(scope="module")
def mapped(streets: Release, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A release of two shards of compressed vectors, which is mapped."""
    out = tmp_path_factory.mktemp("mapped") / "large"
    return written(streets, out, index_factory="IVF64,PQ16x4", shards=2, on_disk=True)


def test_a_mapped_release_has_the_exemplars_of_one_in_memory(mapped: Release, streets: Release) -> None:
    opened, old = Release.open(mapped.path).exemplars, streets.exemplars
    for name in ("prototypes", "class_ids", "image_ids", "bboxes", "areas"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(old, name))
        assert getattr(opened, name).dtype == getattr(old, name).dtype
        assert isinstance(getattr(opened, name).base, np.memmap), name
    assert list(opened.ids) == list(old.ids)
    assert list(opened.masks) == list(old.masks)
    assert (opened.ids[-1], opened.ids[3:5], opened.masks[0]) == (old.ids[-1], list(old.ids[3:5]), old.masks[0])
    with pytest.raises(IndexError):
        opened.masks[len(old)]
    rows = mapped.rows
    assert [rows[name] for name in list(old.ids)[::500]] == list(range(0, len(old), 500))
    assert len(rows) == len(old)
    for unknown in ("", "0" * 16, "\u00e9", "f" * 20):
        assert unknown not in rows
    tracemalloc.start()
    assert "0" * 2000 not in rows
    assert tracemalloc.get_traced_memory()[1] < 1e6, "names are not copied to compare them with a longer one"
    tracemalloc.stop()
    with np.load(mapped.path / EXEMPLARS) as columns:
        np.testing.assert_array_equal(columns["prototypes"], old.prototypes)


def test_the_card_states_the_effort_and_what_it_finds(mapped: Release) -> None:
    card = Release.open(mapped.path).card
    assert card.search is not None
    assert card.search.recall > 0.97
    assert mapped.index.effort == Effort(
        card.retrieval.nprobe, card.retrieval.rerank or 0, card.calibration.known_threshold
    )
    assert mapped.index.effort != AS_STORED


def test_changing_what_was_mapped_does_not_change_the_file(mapped: Release) -> None:
    opened = Release.open(mapped.path)
    opened.exemplars.prototypes[0] = 0
    Release.open(mapped.path)


def test_edits_are_exact_beside_a_trained_index_and_explanations_are_recomputable(
    mapped: Release, queries: np.ndarray
) -> None:
    release, random = Release.open(mapped.path), np.random.default_rng(0)
    start = LiveExemplars.of_release(release)
    queries = queries[:30] + random.normal(0, 0.02, (30, queries.shape[1])).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    box, C = (0, 0, 1, 1), len(release.card.classes)
    new = [AddedExemplar(f"new-{n}", queries[n], n % C, 2.0, "a" * 64, "x", 9, 9, box, 1, "0") for n in range(30)]
    state = start.edited(1, added=new)
    cosines, rows = state.search(queries[:30], K)
    assert (rows[:, 0] == release.index.ntotal + np.arange(30)).all(), "what was added is always found"
    dead = [release.exemplars.ids[row] for row in rows[:, 1:6].ravel() if row < release.index.ntotal]
    state = state.edited(2, alive=dict.fromkeys([*dead, "new-0"], False))
    cosines, rows = state.search(queries[:30], K)
    assert not {*dead, "new-0"} & set(state.ids(rows.ravel()))
    recomputed = np.einsum("qd,qkd->qk", queries[:30], state.prototypes(rows))
    np.testing.assert_allclose(cosines, recomputed, atol=1e-6)
    result = state.vote(cosines, rows)
    weights = state.strengths(rows) * np.exp(release.card.retrieval.kappa * recomputed)
    shares = np.zeros((30, C))
    np.add.at(shares, (np.arange(30)[:, None], state.class_ids(rows)), weights / weights.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(result.shares, shares, atol=1e-5)
    alive = state.alive_rows()
    true = alive[exact(state.prototypes(alive), queries[:30], K)]
    assert share(rows, true) > 0.95
    back, other = state.edited(3, alive=dict.fromkeys(dead, True)), start.edited(1, added=new[1:])
    found = [one.ids(one.search(queries, K)[1].ravel()) for one in (back, other)]
    assert found[0] == found[1], "what was put back is found again"


@pytest.mark.parametrize("name", [EXEMPLARS, INDEX, "index-1.faiss"])
@pytest.mark.parametrize("change", ["truncated", "missing"])
def test_a_damaged_file_of_a_mapped_release_is_named(name: str, change: str, streets: Release, tmp_path: Path) -> None:
    release = written(streets, tmp_path / "damaged", slice(2000), index_factory="IVF8,SQ8", shards=2, on_disk=True)
    file = release.path / name
    if change == "missing":
        file.unlink()
    else:
        os.truncate(file, file.stat().st_size - 100)
    with pytest.raises(ReleaseError, match=name):
        Release.open(release.path)
    with pytest.raises(ReleaseError, match=name):  # without checksums, nothing is mapped beyond the end of a file
        _ = Release.open(release.path, verify=False).index


def test_a_table_that_was_compressed_is_read_where_mapping_was_asked_for(streets: Release, tmp_path: Path) -> None:
    streets.exemplars.save(tmp_path / "table.npz")
    read = Exemplars.load(tmp_path / "table.npz", to_map=True)
    assert read.order is None
    np.testing.assert_array_equal(read.prototypes, streets.exemplars.prototypes)


_KILLED = """
import sys, time
from pathlib import Path
from model_store.candidates import Candidates
from model_store.release import Release
from tests.model_store.test_large_index import written
from model_store.store import BUNDLED
save = Candidates.save
def half(self, file):
    save(self, file)
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)
    print("written", flush=True)
    time.sleep(600)
Candidates.save = half
streets = Release.open(BUNDLED / "streets", verify=False)
written(streets, Path(sys.argv[1]), slice(1000), index_factory="IVF8,SQ8", shards=2, on_disk=True)
"""


def test_a_process_that_is_killed_while_it_writes_leaves_no_release(streets: Release, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    with subprocess.Popen([sys.executable, "-c", _KILLED, str(out)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    assert not out.exists()
    end = time.monotonic() + 60
    while is_being_written(out):  # until the system has released the lock of the killed process
        assert time.monotonic() < end
        time.sleep(0.1)
    release = written(streets, out, slice(1000), index_factory="IVF8,SQ8", shards=2, on_disk=True)
    assert Release.open(release.path).index.ntotal == 1000
