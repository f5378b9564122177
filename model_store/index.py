"""Nearest neighbours among exemplars' prototypes: by our own exact search in a flat index, by FAISS in any other."""

import math
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np

from model_store.candidates import Candidates
from model_store.flavour import Device, check_device
from segsort import loops

_Search = Callable[[np.ndarray, int, np.ndarray | None], tuple[np.ndarray, np.ndarray]]

_DEEPEST = 1024  # neighbours asked of FAISS, past which rows that are left are compared one by one
_MOST_ON_GPU = 2048  # neighbours that FAISS finds on a GPU
_MORE = 4  # times as many lists are visited where too few rows were found
_WIDER = 8  # times as many lists are visited for a query that resembles no exemplar that was found


class Effort(NamedTuple):
    """How thoroughly an approximate index is searched. An exact one is not affected.

    nprobe: inverted lists that are visited for each query; None: as stored with the index. rerank: candidates whose
    exact cosines are computed, for each neighbour that is wanted. doubtful: a query whose nearest exemplar has a lower
    cosine is searched again in `_WIDER` times as many lists, so that a segment is not unknown only because its nearest
    exemplar was in another list.
    """

    nprobe: int | None = None
    rerank: int = 1
    doubtful: float = -math.inf


AS_STORED = Effort()


class ExemplarIndex:
    """A FAISS index (inner product) over unit vectors, beside the vectors themselves.

    FAISS finds candidates, except in a flat index. There our own exact search takes half the time on a CPU
    (benchmarks/retrieval.py), and on a GPU it leaves out removed rows on the device. Cosines are computed from the
    vectors, so that they do not depend on the kind of index, batch size or device. Searches from several threads are
    safe.

    Args:
        index: the FAISS index, on the CPU; or `Candidates`, of one index or of shards.
        prototypes: [N, D] float32 unit vectors, the rows of the index. They may be mapped from a file.
        device: "cpu" or "cuda"; where it is searched.
        effort: of a search, if the index is approximate.

    Raises:
        ValueError: if index and prototypes do not belong together, or it cannot be searched on the device.
    """

    def __init__(
        self,
        index: faiss.Index | Candidates,
        prototypes: np.ndarray,
        device: Device = "cpu",
        effort: Effort = AS_STORED,
    ) -> None:
        check_device(device)
        self._index = index if isinstance(index, Candidates) else Candidates([index])
        if prototypes.ndim != 2 or self._index.shape != prototypes.shape:
            raise ValueError(
                f"the index holds {self._index.shape[0]} vectors of {self._index.shape[1]} dimensions, the prototypes "
                f"are {prototypes.shape}; build the index from these prototypes"
            )
        if effort.nprobe is not None:
            self._index.visit(effort.nprobe)
        self.prototypes = np.ascontiguousarray(prototypes, dtype=np.float32)
        self.device, self.effort = device, effort
        self._exact = self._exact_search() if self._index.is_flat else None
        self._candidates = self._index.on_gpu() if device == "cuda" and self._exact is None else self._index
        self._busy = threading.Lock() if device == "cuda" else None  # faiss' GPU indexes serve one caller at a time

    @classmethod
    def build(
        cls, prototypes: np.ndarray, factory: str = "Flat", device: Device = "cpu", shards: int = 1
    ) -> "ExemplarIndex":
        """Index prototypes, training the index on them where its kind needs it.

        Args:
            prototypes: [N, D] float32 unit vectors. With N = 0 the index is flat, because no kind can be trained.
            factory: as `faiss.index_factory` takes it: "Flat", "IVF64,Flat", "IVF4096,PQ16", "HNSW32", ...
            device: where it is searched.
            shards: number of shards, which are searched in parallel and find what one index finds.

        Raises:
            ValueError: if D is 0, FAISS does not know the kind or cannot train it on so few, or shards do not suit it.
        """
        if prototypes.ndim != 2 or not prototypes.shape[1]:
            raise ValueError(f"prototypes have shape {prototypes.shape}; they must be [N, D] with D >= 1")
        rows = np.ascontiguousarray(prototypes, dtype=np.float32)
        return cls(Candidates.build(rows, factory, shards), rows, device)

    @classmethod
    def load(
        cls,
        file: Path | Sequence[Path],
        prototypes: np.ndarray,
        device: Device = "cpu",
        *,
        on_disk: bool = False,
        effort: Effort = AS_STORED,
    ) -> "ExemplarIndex":
        """Read what `save` wrote.

        Args:
            file: the file; or the files of all shards, in their order.
            prototypes: [N, D] as it was built from.
            device: where it is searched.
            on_disk: whether to map the files into memory instead of reading them, see `Candidates.load`.
            effort: of a search, if the index is approximate.

        Raises:
            ValueError: if a file is no FAISS index, truncated, or of other prototypes.
        """
        files = [file] if isinstance(file, Path) else list(file)
        return cls(Candidates.load(files, on_disk), prototypes, device, effort)

    def save(self, file: Path) -> None:
        """Write the FAISS index, with several shards into several files. The prototypes are kept by the caller."""
        self._index.save(file)

    def to(self, device: Device) -> "ExemplarIndex":
        """This index, searched on another device."""
        return ExemplarIndex(self._index, self.prototypes, device, self.effort)

    def with_effort(self, effort: Effort) -> "ExemplarIndex":
        """This index, searched with another effort. Do not use this object any more: both share the inverted lists."""
        return ExemplarIndex(self._index, self.prototypes, self.device, effort)

    @property
    def lists(self) -> int:
        """Number of inverted lists; 0: it has none."""
        return self._index.lists

    @property
    def is_lossless(self) -> bool:
        """Whether the index holds the vectors themselves, so that the best candidates are the nearest exemplars."""
        return self._index.is_lossless

    @property
    def is_exact(self) -> bool:
        """Whether a search compares a query with every exemplar."""
        return self._exact is not None

    @property
    def ntotal(self) -> int:
        """Number of exemplars."""
        return len(self.prototypes)

    def search(self, queries: np.ndarray, k: int, gone: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The nearest exemplars of each query.

        Args:
            queries: [Q, D] float32 unit vectors.
            k: how many; all, if there are fewer.
            gone: [N] bool, rows that are never found; None: any may be.

        Returns:
            Cosines [Q, k'] float32, best first, and rows [Q, k'] int64; equal cosines are in the order of their rows.

        Raises:
            ValueError: if queries are not [Q, D] or not finite, or k is below 1.
        """
        N, D = self.prototypes.shape
        if queries.ndim != 2 or queries.shape[1] != D or k < 1:
            raise ValueError(f"queries have shape {queries.shape}, k={k}; they must be [Q, {D}] and k at least 1")
        if gone is not None and gone.shape != (N,):
            raise ValueError(f"gone has shape {gone.shape}; it must have one entry for each of the {N} rows")
        queries = np.require(queries, np.float32, ["C", "W"])  # the only form that the loops are compiled for
        loops.check_finite(queries)
        if self._exact is not None:
            return self._exact(queries, k, gone)
        return self._approximate(queries, k, gone)

    def _exact_search(self) -> _Search:
        if self.device == "cpu":
            return partial(loops.nearest_rows, self.prototypes)
        from model_store.device_search import DeviceSearch  # it imports PyTorch

        return DeviceSearch(self.prototypes, self.device).search

    def _approximate(self, queries: np.ndarray, k: int, gone: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Search by FAISS, and again in more lists for queries that resemble nothing that was found."""
        cosines, rows = self._nearest(queries, k, gone, None)
        if not self._candidates.can_leave_out or not cosines.size:
            return cosines, rows
        doubtful = np.flatnonzero(cosines[:, 0] < self.effort.doubtful)
        nprobe = min(_WIDER * self._candidates.nprobe, self._candidates.lists)
        if len(doubtful) and nprobe > self._candidates.nprobe:
            cosines[doubtful], rows[doubtful] = self._nearest(queries[doubtful], k, gone, nprobe)
        return cosines, rows

    def _nearest(
        self, queries: np.ndarray, k: int, gone: np.ndarray | None, nprobe: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest k rows among the candidates; nprobe: lists to visit, None: those of the effort."""
        if gone is not None and not self._candidates.can_leave_out:
            return self._search_without(queries, k, gone)
        left = self.ntotal - (0 if gone is None else int(np.count_nonzero(gone)))
        k = min(k, left)
        if not k:
            return np.empty((len(queries), 0), dtype=np.float32), np.empty((len(queries), 0), dtype=np.int64)
        wanted = min(self._wanted(k), left)  # at least one more, to see whether a tie reaches past the k-th
        while True:
            cosines, rows = self._neighbours(queries, wanted, k, gone, nprobe)
            if wanted == left or not (cosines[:, k - 1] == cosines[:, wanted - 1]).any():
                return cosines[:, :k].copy(), rows[:, :k].copy()
            wanted = min(2 * wanted, left)

    def _wanted(self, k: int) -> int:
        """Number of candidates for k neighbours."""
        wanted = k * self.effort.rerank
        return max(k + 1, min(wanted, _MOST_ON_GPU) if self.device == "cuda" else wanted)

    def _neighbours(
        self, queries: np.ndarray, count: int, k: int, gone: np.ndarray | None = None, nprobe: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Candidates [Q, count] with exact cosines, by falling cosine and then rising row.

        The first k are rows. Behind them there may be fewer than `count`; what is missing has the cosine -2.
        """
        found = self._find(queries, count, gone, nprobe)
        short = np.flatnonzero(found[:, k - 1] < 0)  # an inverted file finds only what is in the lists it visits
        if len(short) and self._candidates.can_leave_out:
            found[short] = self._find_in_more_lists(queries[short], count, k, gone, nprobe)
        elif len(short):
            found[short] = np.argsort(-(queries[short] @ self.prototypes.T), axis=1, kind="stable")[:, :count]
        cosines = loops.cosines_of(self.prototypes, queries, np.maximum(found, 0))
        cosines[found < 0] = -2
        order = np.lexsort((found, -cosines), axis=1)
        return np.take_along_axis(cosines, order, axis=1), np.take_along_axis(found, order, axis=1)

    def _find_in_more_lists(
        self, queries: np.ndarray, count: int, k: int, gone: np.ndarray | None, nprobe: int | None
    ) -> np.ndarray:
        """Rows [Q, count], of which the first k are found: in the worst case, all lists are visited."""
        nprobe, pending = nprobe or self._candidates.nprobe, np.arange(len(queries))
        found = np.full((len(queries), count), -1, dtype=np.int64)
        while len(pending) and nprobe < self.lists:
            nprobe = min(_MORE * nprobe, self.lists)
            found[pending] = self._find(queries[pending], count, gone, nprobe)
            pending = pending[found[pending, k - 1] < 0]
        return found

    def _search_without(self, queries: np.ndarray, k: int, gone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Search without the rows that are gone: ask FAISS for more than k, then for twice as many if needed."""
        N, removed = len(gone), int(np.count_nonzero(gone))
        k = min(k, N - removed)
        cosines, rows = np.empty((len(queries), k), dtype=np.float32), np.empty((len(queries), k), dtype=np.int64)
        pending = np.arange(len(queries) if k else 0)
        wanted = min(self._wanted(k) + min(removed, k), N)
        while len(pending) and wanted <= _DEEPEST:
            near, found = self._neighbours(queries[pending], wanted, wanted)
            first = np.argsort(gone[found], axis=1, kind="stable")[:, :k]  # those left, in their order
            cosines[pending] = np.take_along_axis(near, first, axis=1)
            rows[pending] = np.take_along_axis(found, first, axis=1)
            short = gone[rows[pending]].any(axis=1) | (cosines[pending, k - 1] == near[:, -1])  # or a tie may go on
            pending = pending[short & (wanted < N)]
            wanted = min(2 * wanted, N)
        if len(pending):
            cosines[pending], rows[pending] = loops.nearest_rows(self.prototypes, queries[pending], k, gone)
        return cosines, rows

    def _find(
        self, queries: np.ndarray, count: int, gone: np.ndarray | None = None, nprobe: int | None = None
    ) -> np.ndarray:
        if self._busy is None:
            return self._candidates.find(queries, count, gone, nprobe)
        with self._busy:
            return self._candidates.find(queries, count)
