"""Candidates for the nearest exemplars, which FAISS finds in one index or in several shards of it."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np

from model_store.cores import available_cores
from model_store.flavour import Device

ALLOWED = (
    "'Flat'; 'IVF4096,Flat', 'IVF4096,SQ8' or 'IVF4096,PQ16', with 4096 or another number of lists; 'HNSW32', with 32 "
    "or another number of links"
)
_TRAINING = 64  # training vectors for each centre; FAISS' default of 256 takes four times as long, and finds no more
_SMALL = 1 << 28  # multiplications of a search below which FAISS' threads cost more than they save
_READ = faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY


class Found(NamedTuple):
    """What FAISS found: rows [Q, n] int64, -1 where there were too few; scores [Q, n] float32, best first."""

    rows: np.ndarray
    scores: np.ndarray


class Candidates:
    """One FAISS index, or several shards that hold successive rows and are searched in parallel.

    Shards that were trained together find what one index of all rows finds: each vector has the same code, and the best
    scores of all shards are kept.

    Args:
        shards: FAISS indexes for inner products, all of the same dimension; inverted files may measure distances.
        device: "cpu" or "cuda"; where they are.

    Raises:
        ValueError: if there is no shard, they differ in their dimension, or measure something else.
    """

    def __init__(self, shards: Sequence[faiss.Index], device: Device = "cpu") -> None:
        if len({shard.d for shard in shards}) != 1:
            raise ValueError(
                f"shards have {[shard.d for shard in shards]} dimensions; give one or more of the same dimension"
            )
        for shard in shards:
            if shard.metric_type != _metric(shard):
                raise ValueError(f"the index has FAISS' metric {shard.metric_type}; build it for inner products")
        self.shards, self.device = list(shards), device
        self._firsts = np.cumsum([0, *(shard.ntotal for shard in shards)]).tolist()
        self._pool = ThreadPoolExecutor(min(len(shards), available_cores())) if len(shards) > 1 else None
        self._lists = [_lists_of(shard) for shard in shards]

    @classmethod
    def build(cls, rows: np.ndarray, factory: str, shards: int = 1) -> "Candidates":
        """Train an index on rows and add them. Shards are trained together.

        Args:
            rows: [N, D] float32. With N = 0 the index is flat, because no other kind can be trained.
            factory: as `faiss.index_factory` takes it.
            shards: number of shards, which get successive rows of about equal number.

        Raises:
            ValueError: if FAISS does not know the kind or cannot train it on so few, or there are more shards than
                rows.
        """
        if shards < 1 or shards > max(1, len(rows)):
            raise ValueError(f"shards={shards}; allowed are 1..{max(1, len(rows))}, at most one for each prototype")
        if shards > 1 and factory == "Flat":
            raise ValueError("'Flat' compares with every vector itself; leave shards out, or choose another kind")
        try:
            index = _empty(rows.shape[1], factory)
            if not len(rows):
                return cls([faiss.IndexFlatIP(rows.shape[1])])
            _train_on_fewer(index)
            index.train(rows)
            parts = [index, *(faiss.clone_index(index) for _ in range(shards - 1))]
            for part, some in zip(parts, np.array_split(rows, shards), strict=True):
                part.add(some)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(
                f"FAISS cannot build index_factory={factory!r} over {rows.shape[0]} prototypes of {rows.shape[1]} "
                f"dimensions ({reason}); use 'Flat', or a kind that needs fewer prototypes. Allowed are {ALLOWED}"
            ) from error
        return cls(parts)

    @classmethod
    def load(cls, files: Sequence[Path], on_disk: bool = False) -> "Candidates":
        """Read what `save` wrote.

        Args:
            files: one for each shard.
            on_disk: whether to map the files into memory, instead of reading them. Only the parts that searches need
                are then in memory, and the system may drop them at any time.

        Raises:
            ValueError: if a file is missing, truncated, or no FAISS index.
        """
        return cls([_read(file, on_disk) for file in files])

    def save(self, file: Path) -> None:
        """Write one file for each shard, see `shard_files`."""
        for shard, place in zip(self.shards, shard_files(file, len(self.shards)), strict=True):
            faiss.write_index(shard, str(place))

    def on_gpu(self) -> "Candidates":
        """A copy on the GPU.

        Raises:
            ValueError: if there are several shards, or FAISS cannot search this kind on a GPU.
        """
        if len(self.shards) > 1:
            raise ValueError(f"{len(self.shards)} shards cannot be searched on a GPU; build the release with one shard")
        return Candidates([_to_gpu(self.shards[0])], "cuda")

    def visit(self, nprobe: int) -> None:
        """Set the number of lists that a search visits, from 1 to `lists`. Without lists, nothing changes."""
        for lists in self._lists:
            if lists is not None:
                lists.nprobe = min(max(nprobe, 1), lists.nlist)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D), number of rows and dimensions."""
        return self._firsts[-1], self.shards[0].d

    @property
    def is_flat(self) -> bool:
        """Whether this is one index that compares with every vector itself."""
        return len(self.shards) == 1 and isinstance(faiss.downcast_index(self.shards[0]), faiss.IndexFlat)

    @property
    def lists(self) -> int:
        """Number of inverted lists; 0: it has none."""
        return 0 if self._lists[0] is None else int(self._lists[0].nlist)

    @property
    def nprobe(self) -> int:
        """Number of lists that a search visits unless it asks for another; 0: there are no lists."""
        return 0 if self._lists[0] is None else int(self._lists[0].nprobe)

    @property
    def can_leave_out(self) -> bool:
        """Whether `find` takes `gone` and `nprobe`: an inverted file on the CPU."""
        return self.device == "cpu" and all(
            isinstance(faiss.downcast_index(one), faiss.IndexIVF) for one in self.shards
        )

    @property
    def is_lossless(self) -> bool:
        """Whether scores are the inner products of the vectors themselves."""
        kinds = (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexHNSWFlat)
        return all(isinstance(faiss.downcast_index(one), kinds) for one in self.shards)

    def find(
        self, queries: np.ndarray, count: int, gone: np.ndarray | None = None, nprobe: int | None = None
    ) -> np.ndarray:
        """Rows [Q, count] int64 with the best scores, best first; -1 where fewer were found.

        Args:
            queries: [Q, D] float32.
            count: how many for each query.
            gone: [N] bool, rows that are never found; only where `can_leave_out`.
            nprobe: number of lists to visit; None: `nprobe`. Only where `can_leave_out`.
        """
        small = self.device == "cuda" or len(queries) * self.shape[0] * self.shape[1] < _SMALL
        threads = 1 if small or self._pool is not None else available_cores()

        def search(number: int) -> Found:
            first, last = self._firsts[number : number + 2]
            faiss.omp_set_num_threads(threads)  # for the calling thread only
            options = self._options(None if gone is None else gone[first:last], nprobe)
            scores, rows = self.shards[number].search(queries, count, **options)
            is_distance = self.shards[number].metric_type == faiss.METRIC_L2
            return Found(np.where(rows < 0, -1, rows + first), -scores if is_distance else scores)

        if self._pool is None:
            return search(0).rows
        return merged(list(self._pool.map(search, range(len(self.shards)))), count).rows

    def _options(self, gone: np.ndarray | None, nprobe: int | None) -> dict[str, Any]:
        if not self.can_leave_out or (gone is None and nprobe is None):
            return {}
        parameters: Any = faiss.SearchParametersIVF  # its stubs lack the arguments
        options = {"nprobe": self.nprobe if nprobe is None else nprobe}
        if gone is None:
            return {"params": parameters(**options)}
        selector: Any = faiss.IDSelectorBitmap
        return {"params": parameters(**options, sel=selector(np.packbits(~gone, bitorder="little")))}


def merged(parts: Sequence[Found], count: int) -> Found:
    """The best `count` of what several shards found; equal scores are in the order of the shards."""
    rows = np.concatenate([part.rows for part in parts], axis=1)
    scores = np.concatenate([np.where(part.rows < 0, -np.inf, part.scores) for part in parts], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return Found(np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1))


def shard_files(file: Path, shards: int) -> list[Path]:
    """Files of an index: `file` alone or, for several shards, also index-1.faiss, index-2.faiss, ... beside it."""
    return [file, *(file.with_name(f"{file.stem}-{n}{file.suffix}") for n in range(1, shards))]


def is_shard_of(name: str, file: str) -> bool:
    """Whether a file name is that of an index, or of one of its shards."""
    stem, suffix = file.rsplit(".", 1)
    return re.fullmatch(rf"{re.escape(stem)}(-[1-9]\d*)?\.{re.escape(suffix)}", name) is not None


def _empty(dimension: int, factory: str) -> faiss.Index:
    """An index to train. Inverted files of compressed vectors measure distances, see `_metric`."""
    index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    lists = _lists_of(index)
    if lists is None or isinstance(lists, faiss.IndexIVFFlat):
        return index
    return faiss.index_factory(dimension, factory, faiss.METRIC_L2)


def _metric(index: faiss.Index) -> int:
    """The metric that an index may have: inner products or, in inverted files, also distances.

    For unit vectors both give the same order. The error that a code makes in an inner product is as large for near
    vectors as for far ones, so it hides which of them is nearest. In a distance it shrinks with the distance: with 8
    bits a value and a million vectors, .999 of 20 neighbours were among 80 candidates, instead of .78.
    """
    is_list = _lists_of(index) is not None
    return int(index.metric_type if is_list and index.metric_type == faiss.METRIC_L2 else faiss.METRIC_INNER_PRODUCT)


def _read(file: Path, on_disk: bool) -> faiss.Index:
    try:
        return faiss.read_index(str(file), _READ if on_disk else 0)
    except RuntimeError as error:
        raise ValueError(
            f"{file} is no FAISS index that this version of FAISS reads, or it is truncated; build it again"
        ) from error


def _train_on_fewer(index: faiss.Index) -> None:
    """Limit the vectors that the centres of inverted lists and of codes are trained on."""
    lists = _lists_of(index)
    if lists is None:
        return
    lists.cp.max_points_per_centroid = _TRAINING
    if isinstance(lists, faiss.IndexIVFPQ):
        lists.pq.cp.max_points_per_centroid = _TRAINING


def _lists_of(index: faiss.Index) -> Any:
    found = faiss.try_extract_index_ivf(index)
    return None if found is None else faiss.downcast_index(found)


def _to_gpu(index: faiss.Index) -> faiss.Index:
    try:
        return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
    except RuntimeError as error:
        raise ValueError(
            f"FAISS cannot search {type(faiss.downcast_index(index)).__name__} on a GPU "
            f"({str(error).strip().splitlines()[-1]}); build the release with a flat index or an inverted file, or "
            "search on the CPU"
        ) from error
