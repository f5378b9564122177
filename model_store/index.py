"""Nearest neighbours among exemplars' prototypes, by FAISS."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import faiss
import numpy as np
import torch

from model_store.cores import available_cores
from model_store.device_search import DeviceSearch
from model_store.flavour import Device, check_device
from segsort import loops

_Search = Callable[[np.ndarray, int, np.ndarray | None], tuple[np.ndarray, np.ndarray]]

_DEEPEST = 1024  # neighbours asked of FAISS, past which rows that are left are compared one by one; GPUs give 2048
_SMALL = 1 << 28  # multiplications of a search below which FAISS' threads cost more than they save


class ExemplarIndex:
    """A FAISS index (inner product) over unit vectors, beside the vectors themselves.

    FAISS finds the neighbours, except in a flat index. There our own exact search takes half the time on a CPU
    (benchmarks/retrieval.py), and on a GPU it leaves out removed rows on the device. Cosines are computed from the
    vectors, so that they do not depend on the kind of index, batch size or device. Searches from several threads are
    safe.

    Args:
        index: the FAISS index, on the CPU.
        prototypes: [N, D] float32 unit vectors, the rows of the index.
        device: "cpu" or "cuda"; where it is searched.

    Raises:
        ValueError: if index and prototypes do not belong together, or it cannot be searched on the device.
    """

    def __init__(self, index: faiss.Index, prototypes: np.ndarray, device: Device = "cpu") -> None:
        check_device(device)
        if prototypes.ndim != 2 or (index.ntotal, index.d) != prototypes.shape:
            raise ValueError(
                f"the index holds {index.ntotal} vectors of {index.d} dimensions, the prototypes are "
                f"{prototypes.shape}; build the index from these prototypes"
            )
        if index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise ValueError(f"the index has FAISS' metric {index.metric_type}; build it for inner products")
        self.prototypes = np.ascontiguousarray(prototypes, dtype=np.float32)
        self.device, self._index = device, index
        self._exact = self._exact_search() if isinstance(faiss.downcast_index(index), faiss.IndexFlat) else None
        self._search_index = _to_gpu(index) if device == "cuda" and self._exact is None else index
        self._busy = threading.Lock() if device == "cuda" else None  # faiss' GPU indexes serve one caller at a time

    @classmethod
    def build(cls, prototypes: np.ndarray, factory: str = "Flat", device: Device = "cpu") -> "ExemplarIndex":
        """Index prototypes, training the index on them where its kind needs it.

        Args:
            prototypes: [N, D] float32 unit vectors. With N = 0 the index is flat, because no kind can be trained.
            factory: as `faiss.index_factory` takes it: "Flat", "IVF64,Flat", "HNSW32", ...
            device: where it is searched.

        Raises:
            ValueError: if D is 0, FAISS does not know the kind or cannot train it on so few.
        """
        if prototypes.ndim != 2 or not prototypes.shape[1]:
            raise ValueError(f"prototypes have shape {prototypes.shape}; they must be [N, D] with D >= 1")
        rows = np.ascontiguousarray(prototypes, dtype=np.float32)
        try:
            index = faiss.index_factory(rows.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
            if len(rows):
                index.train(rows)
                index.add(rows)
            else:
                index = faiss.IndexFlatIP(rows.shape[1])
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(
                f"FAISS cannot build index_factory={factory!r} over {rows.shape[0]} prototypes of {rows.shape[1]} "
                f"dimensions ({reason}); use 'Flat', or a kind that needs fewer prototypes"
            ) from error
        return cls(index, rows, device)

    @classmethod
    def load(cls, file: Path, prototypes: np.ndarray, device: Device = "cpu") -> "ExemplarIndex":
        """Read what `save` wrote; prototypes: [N, D] as it was built from.

        Raises:
            ValueError: if the file is no FAISS index, or of other prototypes.
        """
        try:
            index = faiss.read_index(str(file))
        except RuntimeError as error:
            raise ValueError(f"{file} is no FAISS index that this version of FAISS reads; build it again") from error
        return cls(index, prototypes, device)

    def save(self, file: Path) -> None:
        """Write the FAISS index; the prototypes are kept by the caller."""
        faiss.write_index(self._index, str(file))

    def to(self, device: Device) -> "ExemplarIndex":
        """This index, searched on another device."""
        return ExemplarIndex(self._index, self.prototypes, device)

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
            ValueError: if queries are not [Q, D] or k is below 1.
        """
        N, D = self.prototypes.shape
        if queries.ndim != 2 or queries.shape[1] != D or k < 1:
            raise ValueError(f"queries have shape {queries.shape}, k={k}; they must be [Q, {D}] and k at least 1")
        if gone is not None and gone.shape != (N,):
            raise ValueError(f"gone has shape {gone.shape}; it must have one entry for each of the {N} rows")
        queries = np.require(queries, np.float32, ["C", "W"])  # the only form that the loops are compiled for
        if self._exact is not None:
            return self._exact(queries, k, gone)
        if gone is not None:
            return self._search_without(queries, k, gone)
        k = min(k, N)
        if not k:
            return np.empty((len(queries), 0), dtype=np.float32), np.empty((len(queries), 0), dtype=np.int64)
        wanted = min(k + 1, N)  # one more, to see whether a tie reaches past the k-th
        while True:
            cosines, rows = self._neighbours(queries, wanted)
            if wanted == N or not (cosines[:, k - 1] == cosines[:, wanted - 1]).any():
                return cosines[:, :k], rows[:, :k]
            wanted = min(2 * wanted, N)

    def _exact_search(self) -> _Search:
        if self.device == "cpu":
            return partial(loops.nearest_rows, self.prototypes)
        return DeviceSearch(self.prototypes, torch.device(self.device)).search

    def _neighbours(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Neighbours that FAISS finds, with exact cosines, by falling cosine and then rising row."""
        found = self._faiss_search(queries, k)
        if (found < 0).any():  # an inverted file may find fewer than k
            found = self._complete(found, queries, k)
        cosines = loops.cosines_of(self.prototypes, queries, found)
        order = np.lexsort((found, -cosines), axis=1)
        return np.take_along_axis(cosines, order, axis=1), np.take_along_axis(found, order, axis=1)

    def _search_without(self, queries: np.ndarray, k: int, gone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Search without the rows that are gone: ask FAISS for more than k, then for twice as many if needed."""
        N, removed = len(gone), int(np.count_nonzero(gone))
        k = min(k, N - removed)
        cosines, rows = np.empty((len(queries), k), dtype=np.float32), np.empty((len(queries), k), dtype=np.int64)
        pending, wanted = np.arange(len(queries) if k else 0), min(k + 1 + min(removed, k), N)
        while len(pending) and wanted <= _DEEPEST:
            near, found = self._neighbours(queries[pending], wanted)
            first = np.argsort(gone[found], axis=1, kind="stable")[:, :k]  # those left, in their order
            cosines[pending] = np.take_along_axis(near, first, axis=1)
            rows[pending] = np.take_along_axis(found, first, axis=1)
            short = gone[rows[pending]].any(axis=1) | (cosines[pending, k - 1] == near[:, -1])  # or a tie may go on
            pending = pending[short & (wanted < N)]
            wanted = min(2 * wanted, N)
        if len(pending):
            cosines[pending], rows[pending] = loops.nearest_rows(self.prototypes, queries[pending], k, gone)
        return cosines, rows

    def _faiss_search(self, queries: np.ndarray, k: int) -> np.ndarray:
        if self._busy is not None:
            with self._busy:
                return np.asarray(self._search_index.search(queries, k)[1])
        small = queries.shape[0] * self.prototypes.size < _SMALL
        faiss.omp_set_num_threads(1 if small else available_cores())  # for the calling thread only
        return np.asarray(self._search_index.search(queries, k)[1])

    def _complete(self, found: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
        """Rows [Q, k]: queries for which FAISS found too few are compared with every prototype."""
        found = found.copy()
        short = np.flatnonzero((found < 0).any(axis=1))
        cosines = queries[short] @ self.prototypes.T
        found[short] = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        return found


def _to_gpu(index: faiss.Index) -> faiss.Index:
    try:
        return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
    except RuntimeError as error:
        raise ValueError(
            f"FAISS cannot search {type(faiss.downcast_index(index)).__name__} on a GPU "
            f"({str(error).strip().splitlines()[-1]}); build the release with a flat index or an inverted file, or "
            "search on the CPU"
        ) from error
