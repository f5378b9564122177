"""The live state of a release: its exemplars after the edits up to one revision."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from model_store.added import AddedExemplar, AddedRows, Scope
from model_store.card import ClassInfo
from model_store.index import ExemplarIndex
from model_store.release import Release
from segsort import loops
from segsort.retrieval import Vote, vote

__all__ = ["MAX_CLASSES", "NO_CLASS_VALUE", "AddedExemplar", "LiveExemplars", "Scope"]

NO_CLASS_VALUE = 255  # of pixels without a class in a label map, which has eight bits for each pixel
MAX_CLASSES = NO_CLASS_VALUE
_AT_ONCE = (
    1 << 15
)  # values of queries that are searched at once; for more, BLAS starts threads that wait for each other
_MAX_STORED = 256  # classes in edits that earlier versions wrote


@dataclass(frozen=True, eq=False)
class LiveExemplars:
    """An immutable snapshot of a release's exemplars after edits. An edit makes a new snapshot.

    Rows 0..N-1 are the exemplars of the release. Rows from N on are the added ones, in the order of their edits. A
    removed exemplar keeps its row, so that recorded answers can be explained. There may be no exemplar at all. Calls
    from several threads are safe, `edited` included.

    Exemplars with the scope "image" vote only in the view for their own image, which `for_image` returns.

    Attributes:
        release: the release as it was built.
        index: over the release's exemplars.
        revision: number of the last edit that is included; 0: none.
        classes: all classes by class_id, retired ones too, so that recorded votes keep their names.
        retired: ids of classes that are no longer offered. Their ids are not used again.
        image_id: the image whose own exemplars vote too; None: exemplars with the scope "image" do not vote.
    """

    release: Release
    index: ExemplarIndex
    revision: int
    classes: tuple[ClassInfo, ...]
    retired: frozenset[int]
    _added: AddedRows
    _gone: np.ndarray | None  # [N + added] bool, removed rows; None: no row is removed
    _counts: np.ndarray | None  # [C] int64, alive exemplars of each class; None: those of the release
    image_id: str | None = None
    _silent: np.ndarray | None = None  # [N + added] bool, rows that do not vote in this view; None: all vote

    @classmethod
    def of_release(
        cls, release: Release, device: Literal["cpu", "cuda"] = "cpu", index: ExemplarIndex | None = None
    ) -> "LiveExemplars":
        """The state of a release before any edit.

        Args:
            release: an opened release.
            device: where the release's index is searched. Added exemplars are searched on the CPU.
            index: an index over the release's exemplars that is already open; `device` is then ignored.

        Raises:
            ValueError: if the index cannot be read, or cannot be searched on this device.
        """
        if index is None:
            index = release.index if device == "cpu" else release.index.to(device)
        classes, retired = tuple(release.card.classes), frozenset(release.card.retired)
        return cls(release, index, 0, classes, retired, AddedRows.none(index.prototypes.shape[1]), None, None)

    def edited(
        self,
        revision: int,
        *,
        added: Sequence[AddedExemplar] = (),
        alive: Mapping[str, bool] | None = None,
        classes: Sequence[ClassInfo] | None = None,
        retired: Collection[int] | None = None,
    ) -> "LiveExemplars":
        """Make the state after one or several edits. This object stays unchanged.

        Args:
            revision: of the last of these edits.
            added: new exemplars, alive unless `alive` says otherwise. An exemplar that exists already becomes alive.
            alive: whether exemplars vote from now on, by id. It may name exemplars in `added`.
            classes: all classes by class_id, retired ones too; None: unchanged.
            retired: ids of the classes that are no longer offered; None: unchanged.

        Raises:
            ValueError: if the revision is lower than before, an id is unknown or names a different exemplar, a class
                is missing, renumbered or one too many, or an exemplar does not fit this release.
        """
        if revision < self.revision:
            raise ValueError(f"revision={revision} is before {self.revision}; edits are applied in their order")
        new_classes = self.classes if classes is None else _checked_classes(classes, len(self.classes))
        new_retired = self.retired if retired is None else frozenset(retired)
        if not new_retired <= set(range(len(new_classes))):
            raise ValueError(f"retired={sorted(new_retired)}; the classes are 0..{len(new_classes) - 1}")
        new = self._new_among(added, len(new_classes))
        rows = self._added.extended(new) if new else self._added
        state = replace(self, revision=revision, classes=new_classes, retired=new_retired, _added=rows)
        changed = {exemplar.exemplar_id: True for exemplar in added} | dict(alive or {})
        if changed or len(new_classes) > len(self.classes):
            state = state._with_alive(self, changed)._with_voters()
        return state

    def for_image(self, image_id: str | None) -> "LiveExemplars":
        """The view for one image: the exemplars that vote for its segments, those of this image alone among them.

        Args:
            image_id: SHA-256 of the image's content; None: an unknown image.
        """
        if image_id is not None and not any(
            self._added[row].scope == "image" for row in self._added.of_image(image_id)
        ):
            image_id = None
        return self if image_id == self.image_id else replace(self, image_id=image_id)._with_voters()

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest exemplars of each query among those that vote in this view.

        The search is exact if the release's index is exact. An approximate index (HNSW, an inverted file) may miss
        exemplars of the release. Added exemplars are never missed.

        Args:
            queries: [Q, D] float32 unit vectors.
            k: number of exemplars for each query. If fewer vote, all of them are found; perhaps none.

        Returns:
            Cosines [Q, k'] float32, best first, and rows [Q, k'] int64; equal cosines are in the order of their rows.

        Raises:
            ValueError: if queries are not [Q, D] or k is below 1.
        """
        most = max(1, _AT_ONCE // queries.shape[1]) if queries.ndim == 2 and queries.shape[1] else len(queries)
        if self.index.device == "cpu" and len(queries) > most:
            parts = [self._search(queries[start : start + most], k) for start in range(0, len(queries), most)]
            return np.concatenate([cosines for cosines, _ in parts]), np.concatenate([rows for _, rows in parts])
        return self._search(queries, k)

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        N, silent = self.index.ntotal, self._silent
        found = self.index.search(queries, k, None if self._gone is None else self._gone[:N])
        if not len(self._added):
            return found
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        return loops.insert_nearest(
            found, self._added.prototypes, N, queries, k, None if silent is None else silent[N:]
        )

    def vote(self, similarities: np.ndarray, rows: np.ndarray, kappa: float | None = None) -> Vote:
        """Label segments by the vote of exemplars, alive or not, with their classes and strengths.

        Args:
            similarities: [Q, k] cosines of the exemplars that vote.
            rows: [Q, k] int64, rows of those exemplars.
            kappa: concentration of the vote, above 0; None: the one of the release's card.

        Returns:
            Weights [Q, k], shares [Q, C] over all classes of this state, and winners [Q]. With k = 0, all shares are 0
            and the winners are `segsort.retrieval.NO_CLASS`.

        Raises:
            ValueError: if similarities and rows differ in shape.
        """
        kappa = self.release.card.retrieval.kappa if kappa is None else kappa
        return vote(similarities, self.class_ids(rows), len(self.classes), kappa, self.strengths(rows))

    @property
    def released(self) -> int:
        """Number of the release's own exemplars, alive or not: they have the first rows."""
        return self.index.ntotal

    @property
    def count(self) -> int:
        """Number of exemplars alive, those of one image included."""
        return self.index.ntotal if self._counts is None else int(self._counts.sum())

    @property
    def counts_per_class(self) -> np.ndarray:
        """[C] int64, number of alive exemplars of each class, by class_id, those of one image included. Read-only."""
        counts = self._class_counts()
        counts.flags.writeable = False
        return counts

    @property
    def has_exemplars_of_one_image(self) -> bool:
        """Whether an edit added an exemplar with the scope "image", alive or not."""
        return bool(self._added.of_one_image)

    @property
    def counts_of_one_image(self) -> np.ndarray:
        """[C] int64, number of alive exemplars of each class with the scope "image", by class_id."""
        rows = [row for row in self._added.of_one_image if self.is_alive(self.index.ntotal + row)]
        return np.bincount(self._added.class_ids[rows], minlength=len(self.classes))

    def class_ids(self, rows: np.ndarray) -> np.ndarray:
        """Classes of exemplars, alive or not: int64, in the shape of rows."""
        return self._column(self.release.exemplars.class_ids, self._added.class_ids, rows)

    def strengths(self, rows: np.ndarray) -> np.ndarray:
        """Strengths of exemplars, alive or not: float32, in the shape of rows. Strength s counts as s exemplars."""
        strengths = self.release.exemplars.strengths
        if strengths is None and not len(self._added):
            return np.ones(np.shape(rows), dtype=np.float32)
        base = np.broadcast_to(np.float32(1), self.index.ntotal) if strengths is None else strengths
        return self._column(base, self._added.strengths, rows)

    def prototypes(self, rows: np.ndarray) -> np.ndarray:
        """Prototypes of exemplars [n]: [n, D] float32."""
        return self._column(self.index.prototypes, self._added.prototypes, rows)

    def ids(self, rows: Iterable[int]) -> list[str]:
        """Ids of exemplars, by rows [n]."""
        N, names, wanted = self.index.ntotal, self.release.exemplars.ids, np.asarray(rows).tolist()
        if not len(self._added):
            return list(map(names.__getitem__, wanted))
        return [names[row] if row < N else self._added[row - N].exemplar_id for row in wanted]

    def row(self, exemplar_id: str) -> int | None:
        """Row of an exemplar, alive or not; None if neither the release nor an included edit has it."""
        row = self.release.rows.get(exemplar_id)
        if row is not None:
            return row
        row = self._added.row(exemplar_id)
        return None if row is None else self.index.ntotal + row

    def is_alive(self, row: int) -> bool:
        """Whether an exemplar takes part in votes.

        Raises:
            ValueError: if there is no such row.
        """
        N = self.index.ntotal
        if not 0 <= row < N + len(self._added):
            raise ValueError(f"row={row}; there are 0..{N + len(self._added) - 1}")
        return self._gone is None or not self._gone[row]

    def added(self, row: int) -> AddedExemplar | None:
        """The exemplar that an edit added in this row; None if the row belongs to the release."""
        return None if row < self.index.ntotal else self._added[row - self.index.ntotal]

    def taught(self, rows: np.ndarray) -> np.ndarray:
        """Whether exemplars were added by edits, alive or not: bool, in the shape of rows."""
        return np.asarray(rows) >= self.index.ntotal

    def added_to_image(self, image_id: str) -> list[AddedExemplar]:
        """The alive exemplars of an image that edits added, the oldest first."""
        N = self.index.ntotal
        return [self._added[row] for row in self._added.of_image(image_id) if self.is_alive(N + row)]

    def scope(self, row: int) -> Scope:
        """Which images' segments an exemplar votes for, see `AddedExemplar`."""
        added = self.added(row)
        return "all" if added is None else added.scope

    def votes(self, row: int) -> bool:
        """Whether an exemplar votes in this view.

        Raises:
            ValueError: if there is no such row.
        """
        return self.is_alive(row) and not (self._silent is not None and self._silent[row])

    def rows_of_class(self, class_id: int) -> np.ndarray:
        """[n] int64, rows of the alive exemplars of a class."""
        base, added = self.release.exemplars.class_ids, self._added.class_ids
        found = np.concatenate([np.flatnonzero(base == class_id), np.flatnonzero(added == class_id) + len(base)])
        return found if self._gone is None else found[~self._gone[found]]

    def rows_of_other_images(self, image_id: str | None) -> np.ndarray:
        """[n] int64, rows of the exemplars, alive or not, that vote only for segments of an image other than this."""
        N = self.index.ntotal
        rows = [N + n for n in self._added.of_one_image if self._added[n].image_id != image_id]
        return np.array(rows, dtype=np.int64)

    def alive_rows(self) -> np.ndarray:
        """[n] int64, rows of all alive exemplars, those of one image included."""
        return np.arange(self.index.ntotal + len(self._added)) if self._gone is None else np.flatnonzero(~self._gone)

    def voting_rows(self) -> np.ndarray:
        """[n] int64, rows of the exemplars that vote in this view."""
        count = self.index.ntotal + len(self._added)
        return np.arange(count) if self._silent is None else np.flatnonzero(~self._silent)

    def _column(self, base: np.ndarray, added: np.ndarray, rows: np.ndarray) -> np.ndarray:
        rows, N = np.asarray(rows), len(base)
        if not len(added):
            return np.asarray(base[rows])
        of_added = rows >= N
        values = np.empty(rows.shape + base.shape[1:], dtype=base.dtype)
        values[~of_added], values[of_added] = base[rows[~of_added]], added[rows[of_added] - N]
        return values

    def _class_counts(self) -> np.ndarray:
        """[C] int64, number of alive exemplars of each class, as a new array."""
        if self._counts is not None:
            return self._counts.copy()
        return np.bincount(self.release.exemplars.class_ids, minlength=len(self.classes))

    def _new_among(self, added: Sequence[AddedExemplar], num_classes: int) -> list[AddedExemplar]:
        """The exemplars that do not exist yet, in their order, without repetitions."""
        new: dict[str, AddedExemplar] = {}
        for exemplar in added:
            _check_exemplar(exemplar, self.index.prototypes.shape[1], num_classes)
            row = self.row(exemplar.exemplar_id)
            existing = new.setdefault(exemplar.exemplar_id, exemplar) if row is None else self._as_added(row)
            if not exemplar.same_as(existing):
                raise ValueError(
                    f"exemplar {exemplar.exemplar_id!r} exists already with another prototype, class or strength; "
                    "give the new one another id"
                )
        return list(new.values())

    def _as_added(self, row: int) -> AddedExemplar:
        """An exemplar as AddedExemplar. If the release has it, only id, prototype, class and strength are valid."""
        found = self.added(row)
        if found is not None:
            return found
        one = np.array([row])
        class_id, strength = int(self.class_ids(one)[0]), float(self.strengths(one)[0])
        name = self.release.exemplars.ids[row]
        return AddedExemplar(name, self.prototypes(one)[0], class_id, strength, "", "", 1, 1, (0, 0, 1, 1), 1, "")

    def _with_alive(self, before: "LiveExemplars", alive: Mapping[str, bool]) -> "LiveExemplars":
        """This state with some exemplars made alive or removed, and with its counts.

        Args:
            before: the state that this one was made from. Rows added since are alive and not counted yet.
            alive: whether exemplars are alive, by id.
        """
        N, already = self.index.ntotal, len(before._added)
        counts = np.zeros(len(self.classes), dtype=np.int64)
        counts[: len(before.classes)] = before._class_counts()
        counts += np.bincount(self._added.class_ids[already:], minlength=len(counts))
        gone = np.zeros(N + len(self._added), dtype=bool)
        if before._gone is not None:
            gone[: N + already] = before._gone
        rows, lives = self._rows_of(alive), np.array(list(alive.values()), dtype=bool)
        np.add.at(counts, self.class_ids(rows), gone[rows].astype(np.int64) - ~lives)
        gone[rows] = ~lives
        return replace(self, _gone=gone if gone.any() else None, _counts=counts)

    def _with_voters(self) -> "LiveExemplars":
        """This state with the rows that do not vote in it: removed ones, and those of other images alone."""
        N = self.index.ntotal
        others = self.rows_of_other_images(self.image_id)
        if not len(others):
            return replace(self, _silent=self._gone)
        silent = np.zeros(N + len(self._added), dtype=bool) if self._gone is None else self._gone.copy()
        silent[others] = True
        return replace(self, _silent=silent)

    def _rows_of(self, ids: Iterable[str]) -> np.ndarray:
        """[n] int64, rows of exemplars by id.

        Raises:
            ValueError: if an id is unknown.
        """
        found = {exemplar_id: self.row(exemplar_id) for exemplar_id in ids}
        unknown = [exemplar_id for exemplar_id, row in found.items() if row is None]
        if unknown:
            raise ValueError(
                f"exemplars {unknown[:3]} are neither in release {self.release.card.name!r} nor added to it up to "
                f"revision {self.revision}; name exemplars that exist"
            )
        return np.array(list(found.values()), dtype=np.int64)


def _checked_classes(classes: Sequence[ClassInfo], before: int) -> tuple[ClassInfo, ...]:
    ids = [info.class_id for info in classes]
    if ids != list(range(len(ids))) or len(ids) < before or len(ids) > max(_MAX_STORED, before):
        raise ValueError(
            f"classes have the ids {ids}; they must be 0, 1, 2, ..., all {before} from before among them and at most "
            f"{_MAX_STORED}: retire a class that is no longer wanted, and keep it in the list"
        )
    return tuple(classes)


def _check_exemplar(exemplar: AddedExemplar, dimension: int, num_classes: int) -> None:
    prototype, strength = exemplar.prototype, exemplar.strength
    if prototype.shape != (dimension,) or not abs(float(np.linalg.norm(prototype)) - 1) < 1e-3:
        raise ValueError(
            f"exemplar {exemplar.exemplar_id!r} has a prototype of shape {prototype.shape} and length "
            f"{np.linalg.norm(prototype):.4f}; it must be a unit vector [{dimension}] of this release's network"
        )
    if not 0 <= exemplar.class_id < num_classes or not (np.isfinite(strength) and strength > 0):
        raise ValueError(
            f"exemplar {exemplar.exemplar_id!r} has class_id={exemplar.class_id}, strength={strength}; allowed are the "
            f"classes 0..{num_classes - 1} and finite strengths above 0"
        )
