"""Live exemplars: search equals a comparison with all alive exemplars after any edits, and a state never changes."""

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store.card import ClassInfo
from model_store.exemplar_table import Exemplars
from model_store.index import Effort, ExemplarIndex
from model_store.live import AddedExemplar, LiveExemplars
from model_store.release import Release

D, N, CLASSES = 8, 90, 3
FACTORIES = ("Flat", "IVF4,Flat", "HNSW16")
EMPTY = "empty"  # a release without exemplars


def unit(count: int, seed: int) -> np.ndarray:
    """Unit vectors on a coarse grid, so that some are equal."""
    rows = np.random.default_rng(seed).integers(-1, 2, (count, D)).astype(np.float32)
    rows[:, 0] += 0.5
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def added(number: int, prototype: np.ndarray, class_id: int = 0, strength: float = 1.0) -> AddedExemplar:
    box, mask = (1, 2, 3, 4), "0"
    return AddedExemplar(f"added-{number}", prototype, class_id, strength, "0" * 64, "here", 9, 9, box, 12, mask)


@pytest.fixture(scope="module")
def released(tiny_release: Path) -> dict[str, LiveExemplars]:
    """A release for each kind of index, set up for exact search, and a release without exemplars."""
    opened, prototypes = Release.open(tiny_release), unit(N, 0)
    classes = np.arange(N) % CLASSES
    numbers = np.arange(N, dtype=np.int64)
    exemplars = Exemplars(
        [f"{n:016x}" for n in range(N)], prototypes, classes, numbers.astype(np.int32), np.ones((N, 4)), numbers,
        ["0"] * N, np.where(numbers == 7, 5, 1).astype(np.float32),
    )  # fmt: skip
    release = replace(opened, exemplars=exemplars)
    states = {}
    for factory in FACTORIES:
        index = ExemplarIndex.build(prototypes, factory)
        if factory == "IVF4,Flat":
            faiss.extract_index_ivf(index._index.shards[0]).nprobe = 4
        if factory == "HNSW16":
            faiss.downcast_index(index._index.shards[0]).hnsw.efSearch = 4 * N
        states[factory] = LiveExemplars.of_release(release, index=index)
    none = Exemplars.none(D)
    empty = replace(opened, exemplars=none, sources=[])
    states[EMPTY] = LiveExemplars.of_release(empty, index=ExemplarIndex.build(none.prototypes))
    return states


@dataclass
class Naive:
    """All exemplars by row, and whether each is alive, kept in lists."""

    prototypes: list[np.ndarray]
    class_ids: list[int]
    alive: list[bool]
    ids: list[str]

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero(self.alive)
        cosines = np.clip(np.einsum("qd,nd->qn", queries, np.reshape(self.prototypes, (-1, D))[rows]), -1, 1)
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(cosines, order, axis=1), rows[order]


@dataclass(frozen=True)
class Change:
    """add: seeds of prototypes; toggle: rows, modulo their number, that are removed or restored."""

    add: list[int] = field(default_factory=list)
    toggle: list[int] = field(default_factory=list)


CHANGES = st.lists(
    st.builds(
        Change,
        add=st.lists(st.integers(0, 40), max_size=70),
        toggle=st.lists(st.integers(0, 10**6), max_size=100, unique=True),
    ),
    max_size=5,
)


def states_of(start: LiveExemplars, changes: list[Change]) -> Iterator[tuple[LiveExemplars, Naive]]:
    """Apply changes one by one; yields each state and a naive copy of it."""
    exemplars = start.release.exemplars
    alive = [True] * len(exemplars)
    naive = Naive(list(exemplars.prototypes), exemplars.class_ids.tolist(), alive, list(exemplars.ids))
    state = start
    yield state, naive
    for revision, change in enumerate(changes, 1):
        new = [
            added(len(naive.ids) + i, unit(41, 1)[seed], (seed + i) % CLASSES, 1.0 + seed % 3)
            for i, seed in enumerate(change.add)
        ]
        naive = Naive(
            [*naive.prototypes, *(one.prototype for one in new)],
            [*naive.class_ids, *(one.class_id for one in new)],
            naive.alive + [True] * len(new),
            [*naive.ids, *(one.exemplar_id for one in new)],
        )
        alive = {}
        for row in {position % len(naive.ids) for position in change.toggle if naive.ids}:
            naive.alive[row] = not naive.alive[row]
            alive[naive.ids[row]] = naive.alive[row]
        state = state.edited(revision, added=new, alive=alive)
        yield state, naive


def assert_same(state: LiveExemplars, naive: Naive, queries: np.ndarray, k: int) -> None:
    """Cosines up to rounding; of equal vectors, the first rows, all with the same cosine to the last bit."""
    cosines, rows = state.search(queries, k)
    expected, expected_rows = naive.search(queries, k)
    np.testing.assert_allclose(cosines, expected, atol=1e-6)
    assert (np.diff(cosines, axis=1) <= 0).all()
    assert (np.diff(rows, axis=1)[np.diff(cosines, axis=1) == 0] > 0).all()
    every, left = np.reshape(naive.prototypes, (-1, D)), np.flatnonzero(naive.alive)
    kinds = np.unique(every, axis=0, return_inverse=True)[1]
    for q, found in enumerate(rows.tolist()):
        assert len(found) == len(set(found) & set(left.tolist())) == expected_rows.shape[1]
        np.testing.assert_allclose(every[found] @ queries[q], cosines[q], atol=1e-6)
        for kind in set(kinds[found].tolist()):
            mine = kinds[found] == kind
            assert rows[q][mine].tolist() == left[kinds[left] == kind][: mine.sum()].tolist()
            assert len(set(cosines[q][mine].tolist())) == 1


@pytest.mark.parametrize("factory", [*FACTORIES, EMPTY])
@given(changes=CHANGES, k=st.sampled_from([1, 2, 7, 40, 1000]), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_search_finds_what_a_comparison_with_all_alive_finds(
    factory: str, changes: list[Change], k: int, seed: int, released: dict[str, LiveExemplars]
) -> None:
    queries = np.concatenate([unit(3, seed + 2), unit(N, 0)[:2]])
    for state, naive in states_of(released[factory], changes):
        assert_same(state, naive, queries, k)
        assert state.count == sum(naive.alive)


@pytest.mark.parametrize("factory", ["Flat", EMPTY])
@given(changes=CHANGES)
@settings(max_examples=40, deadline=None)
def test_counts_rows_and_names_follow_the_edits(
    factory: str, changes: list[Change], released: dict[str, LiveExemplars]
) -> None:
    for state, naive in states_of(released[factory], changes):
        alive = np.array(naive.alive, dtype=bool)
        for c in range(CLASSES):
            rows = np.flatnonzero(alive & (np.array(naive.class_ids) == c))
            assert state.rows_of_class(c).tolist() == rows.tolist()
            assert state.counts_per_class[c] == len(rows)
        everything = np.arange(len(naive.ids))
        assert state.ids(everything) == naive.ids
        assert state.class_ids(everything).tolist() == naive.class_ids
        np.testing.assert_array_equal(state.prototypes(everything), np.reshape(naive.prototypes, (-1, D)))
        assert [state.row(name) for name in naive.ids] == everything.tolist()
        assert [state.is_alive(row) for row in everything.tolist()] == naive.alive
        assert state.alive_rows().tolist() == np.flatnonzero(alive).tolist()


@given(changes=CHANGES, seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_edits_one_by_one_and_all_at_once_give_the_same_state(
    changes: list[Change], seed: int, released: dict[str, LiveExemplars]
) -> None:
    """A service that restarts applies its whole log at once."""
    *_, (state, naive) = states_of(released["Flat"], changes)
    new = [one for row in range(N, len(naive.ids)) if (one := state.added(row)) is not None]
    alive = dict(zip(naive.ids, naive.alive, strict=True))
    again = released["Flat"].edited(9, added=new, alive=alive)
    for one, other in zip(state.search(unit(4, seed), 30), again.search(unit(4, seed), 30), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.counts_per_class.tolist() == state.counts_per_class.tolist()


@given(changes=CHANGES)
@settings(max_examples=30, deadline=None)
def test_an_earlier_snapshot_stays_what_it_was(changes: list[Change], released: dict[str, LiveExemplars]) -> None:
    queries, seen = unit(4, 5), []
    for state, naive in states_of(released["Flat"], changes):
        seen.append((state, state.search(queries, 25), len(naive.ids), state.count))
    last = seen[-1][0]
    for state, found, rows, count in seen:
        np.testing.assert_array_equal(state.search(queries, 25)[1], found[1])
        np.testing.assert_array_equal(state.search(queries, 25)[0], found[0])
        assert state.count == count
        newer = [name for name in last.ids(np.arange(N + len(last._added))) if (last.row(name) or 0) >= rows]
        assert all(state.row(name) is None for name in newer)


def test_two_edits_of_one_snapshot_do_not_see_each_other(released: dict[str, LiveExemplars]) -> None:
    start, (a, b, c) = released["Flat"], unit(3, 9)
    first = start.edited(1, added=[added(1, a)])
    left, right = first.edited(2, added=[added(2, b)]), first.edited(2, added=[added(3, c)])
    assert left.ids(left.alive_rows()[N:]) == ["added-1", "added-2"]
    assert right.ids(right.alive_rows()[N:]) == ["added-1", "added-3"]
    assert (left.row("added-3"), right.row("added-2"), first.row("added-2")) == (None, None, None)
    np.testing.assert_array_equal(left.prototypes(np.array([N + 1]))[0], b)
    np.testing.assert_array_equal(right.prototypes(np.array([N + 1]))[0], c)


def test_readers_beside_a_writer_always_see_one_whole_state(released: dict[str, LiveExemplars]) -> None:
    """At revision r there are r added exemplars, and only the last is alive. An inconsistent state would differ."""
    holder, wrong, stop = [released["Flat"]], [], threading.Event()
    prototypes = unit(400, 11)

    def read() -> None:
        while not stop.is_set():
            state = holder[0]
            _, rows = state.search(prototypes[:2], N + 2)
            among = [row for row in rows[0].tolist() if row >= N]
            expected = [N + state.revision - 1] if state.revision else []
            if among != expected or state.count != N + len(expected) or rows.shape[1] != state.count:
                wrong.append((state.revision, among))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for revision in range(1, 301):
        gone = {f"added-{revision - 1}": False} if revision > 1 else {}
        holder[0] = holder[0].edited(revision, added=[added(revision, prototypes[revision])], alive=gone)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong


def test_a_search_of_a_release_without_edits_is_that_of_its_index(released: dict[str, LiveExemplars]) -> None:
    for state in released.values():
        for one, other in zip(state.search(unit(5, 3), 9), state.index.search(unit(5, 3), 9), strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_index_that_misses_some_neighbours_misses_none_that_was_added(released: dict[str, LiveExemplars]) -> None:
    random = np.random.default_rng(0)
    prototypes = random.standard_normal((3000, D)).astype(np.float32)
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    base = released["Flat"].release
    ids, ones = [f"{n:016x}" for n in range(2500)], np.ones(2500, dtype=np.int64)
    exemplars = Exemplars(ids, prototypes[:2500], 0 * ones, ones, np.ones((2500, 4)), ones, ["0"] * 2500)
    for factory in ("HNSW8", "IVF32,Flat"):
        index = ExemplarIndex.build(prototypes[:2500], factory).with_effort(Effort(nprobe=16))
        state = LiveExemplars.of_release(replace(base, exemplars=exemplars), index=index)
        new = [added(n, one) for n, one in enumerate(prototypes[2500:])]
        dead = random.permutation(2500)[:1500]
        edited = state.edited(1, added=new, alive={ids[row]: False for row in dead})
        queries = prototypes[::50]
        cosines, rows = edited.search(queries, 20)
        assert not np.isin(rows, dead).any()
        every = queries @ prototypes.T
        every[:, dead] = -2
        best = np.sort(every, axis=1)[:, ::-1][:, :20]
        assert np.isclose(cosines, best, atol=1e-6).mean() > 0.6, "FAISS finds most of them"
        for q in range(len(queries)):
            reached = set((np.flatnonzero(every[q, 2500:] > cosines[q, -1] + 1e-6) + 2500).tolist())
            assert reached <= set(rows[q].tolist())


def test_a_whole_neighbourhood_may_be_removed(released: dict[str, LiveExemplars]) -> None:
    """More exemplars are removed near the query than one FAISS search returns."""
    angles = np.linspace(0, 1, 3000)
    prototypes = np.zeros((3000, D), dtype=np.float32)
    prototypes[:, 0], prototypes[:, 1] = np.cos(angles), np.sin(angles)
    ids, ones = [f"{n:016x}" for n in range(3000)], np.ones(3000, dtype=np.int64)
    exemplars = Exemplars(ids, prototypes, ones, ones, np.ones((3000, 4)), ones, ["0"] * 3000)
    for factory in ("Flat", "IVF2,Flat", "HNSW16"):
        release = replace(released["Flat"].release, exemplars=exemplars)
        state = LiveExemplars.of_release(release, index=ExemplarIndex.build(prototypes, factory))
        edited = state.edited(1, alive={name: False for name in ids[:2900]})
        assert edited.search(prototypes[:2], 20)[1].tolist() == [list(range(2900, 2920))] * 2
        assert edited.search(prototypes[:1], 500)[1].tolist() == [list(range(2900, 3000))]


def test_a_vote_uses_the_classes_and_strengths_of_its_rows(released: dict[str, LiveExemplars]) -> None:
    state, queries = released["Flat"], unit(3, 4)
    state = state.edited(1, added=[added(1, queries[0], 2, 7.0)], alive={state.release.exemplars.ids[5]: False})
    cosines, rows = state.search(queries, 6)
    assert N in rows[0], "the added exemplar votes"
    for kappa in (None, 3.0):
        found = state.vote(cosines, rows, kappa)
        for q in range(3):
            weights = [
                state.release.card.retrieval.kappa * cosine if kappa is None else kappa * cosine
                for cosine in cosines[q].tolist()
            ]
            counted = [
                math.exp(w) * (7 if row == N else 5 if row == 7 else 1) for w, row in zip(weights, rows[q], strict=True)
            ]
            classes = [2 if row == N else row % CLASSES for row in rows[q].tolist()]
            shares = [
                sum(w for w, c in zip(counted, classes, strict=True) if c == n) / sum(counted) for n in range(CLASSES)
            ]
            assert found.weights[q] == pytest.approx([w / sum(counted) for w in counted])
            assert found.shares[q] == pytest.approx(shares)
            assert found.class_ids[q] == int(np.argmax(shares))


def kerb(class_id: int = 3) -> ClassInfo:
    return ClassInfo(class_id=class_id, name="kerb", color=(1, 2, 3))


def test_strengths_are_the_releases_and_the_edits(released: dict[str, LiveExemplars]) -> None:
    state = released["Flat"].edited(1, added=[added(1, unit(1, 3)[0], 1, 12.0)])
    assert state.strengths(np.array([[6, 7], [N, 0]])).tolist() == [[1, 5], [12, 1]]
    plain = replace(state.release, exemplars=replace(state.release.exemplars, strengths=None))
    assert LiveExemplars.of_release(plain, index=state.index).strengths(np.array([6, 7])).tolist() == [1, 1]


def test_everything_may_be_removed_and_come_back(released: dict[str, LiveExemplars]) -> None:
    for start in released.values():
        empty = start.edited(1, alive={name: False for name in start.release.exemplars.ids})
        cosines, rows = empty.search(unit(3, 3), 5)
        assert cosines.shape == rows.shape == (3, 0)
        assert (empty.count, empty.counts_per_class.tolist()) == (0, [0, 0, 0])
        full = empty.edited(2, alive={name: True for name in start.release.exemplars.ids})
        np.testing.assert_array_equal(full.search(unit(3, 3), 5)[1], start.search(unit(3, 3), 5)[1])


def test_classes_are_added_renamed_and_retired(released: dict[str, LiveExemplars]) -> None:
    start = released["Flat"]
    grown = start.edited(1, classes=[*start.classes, kerb()], added=[added(1, unit(1, 3)[0], 3)])
    assert grown.counts_per_class.tolist() == [30, 30, 30, 1]
    assert start.counts_per_class.tolist() == [30, 30, 30]
    retired = grown.edited(2, alive={"added-1": False}, retired={3})
    assert (retired.retired, retired.classes[3].name, grown.retired) == (frozenset({3}), "kerb", frozenset())
    assert retired.edited(3).retired == frozenset({3})


def test_an_edit_of_another_release_changes_the_number_alone(released: dict[str, LiveExemplars]) -> None:
    state = released["Flat"].edited(5)
    assert (state.revision, state.count) == (5, N)
    np.testing.assert_array_equal(state.search(unit(2, 1), 9)[1], released["Flat"].search(unit(2, 1), 9)[1])


def test_the_same_again_adds_nothing_and_comes_back_to_life(released: dict[str, LiveExemplars]) -> None:
    start, one = released["Flat"], added(1, unit(1, 3)[0])
    state = start.edited(1, added=[one, one])
    assert state.count == N + 1
    gone = state.edited(2, alive={"added-1": False})
    back = gone.edited(3, added=[one])
    assert (gone.count, back.count, back.row("added-1")) == (N, N + 1, N)
    released_one = replace(one, exemplar_id=start.release.exemplars.ids[0], prototype=start.index.prototypes[0])
    assert back.edited(4, added=[released_one]).count == N + 1


def test_what_cannot_be_applied_is_refused_and_changes_nothing(released: dict[str, LiveExemplars]) -> None:
    start, one = released["Flat"], added(1, unit(1, 3)[0])
    state = start.edited(1, added=[one])
    for edit, message in (
        ({"revision": 0}, "revision=0 is before 1"),
        ({"alive": {"nobody": False}}, "'nobody'.*neither in release 'tiny' nor added"),
        ({"added": [replace(one, strength=2.0)]}, "'added-1' exists already with another prototype, class or"),
        ({"added": [replace(one, exemplar_id=start.release.exemplars.ids[0])]}, "give the new one another id"),
        ({"added": [added(2, unit(1, 3)[0], 3)]}, r"class_id=3, strength=1\.0; allowed are the classes 0\.\.2"),
        ({"added": [added(2, unit(1, 3)[0], 0, 0.0)]}, r"strength=0\.0"),
        ({"added": [added(2, np.ones(D, dtype=np.float32))]}, r"length 2\.8284; it must be a unit vector \[8\]"),
        ({"added": [added(2, unit(1, 3)[0, :4])]}, r"shape \(4,\)"),
        ({"classes": state.classes[:2]}, r"ids \[0, 1\].*all 3 from before"),
        ({"classes": [*state.classes, kerb(7)]}, r"ids \[0, 1, 2, 7\]"),
        ({"classes": [kerb(n) for n in range(257)]}, "at most 256"),
        ({"retired": {3}}, r"retired=\[3\]; the classes are 0\.\.2"),
    ):
        with pytest.raises(ValueError, match=message):
            state.edited(**({"revision": 2} | edit))  # type: ignore[arg-type]
    assert state.edited(2, added=[added(2, unit(1, 4)[0])]).ids(np.arange(N, N + 2)) == ["added-1", "added-2"]
    with pytest.raises(ValueError, match=r"row=91; there are 0\.\.90"):
        state.is_alive(91)
    with pytest.raises(ValueError, match="k=0"):
        state.search(unit(1, 1), 0)
