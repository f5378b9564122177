"""The strengths of several exemplars that one edit adds, each of which must win the vote on its own pixels."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from model_store.live import LiveExemplars, Scope
from segsort.retrieval import winning_strength
from service.editing.strength import SHARE, STRONGEST

_MARGIN = 1.002  # by which the class of a piece must exceed the next one, in spite of rounding
_ROUNDS = 400  # of making pieces stronger that lose to other pieces of their edit
_ATTEMPTS = 4  # each leaves out the pieces that lost at the end of the one before
_RAISES = 10  # of a piece in an attempt, on average; a small edit may take as many as its rounds allow
_BLOCK = 2**20  # cosines that are held at once


class OfImages(NamedTuple):
    """The images of n pieces.

    image_ids: the image of each; its own exemplars vote on it. None: an unknown image; scope: which segments the
    pieces will vote for: "all", or "image" where each votes for those of its own image.
    """

    image_ids: Sequence[str | None]
    scope: Scope


def joint_strengths(
    state: LiveExemplars,
    prototypes: np.ndarray,
    class_ids: np.ndarray,
    ks: Collection[int],
    gone: Collection[int | None] = (),
    of_images: OfImages | None = None,
) -> np.ndarray:
    """Compute the strengths with which the pieces of one edit, made exemplars together, win their own votes.

    At first, each piece gets the strength with which its class has `SHARE` of the vote against the present exemplars.
    Then pieces that lose to other pieces of the edit are made stronger, as in a kernel perceptron, until each class has
    the largest share on its pieces. Pieces of different classes with equal prototypes cannot all win. Then some of them
    keep their first strength, and lose. Memory and time are bounded: they grow as n * k and n * n.

    Args:
        state: the exemplars, without the new ones.
        prototypes: [n, D] float32 unit vectors, of the pieces.
        class_ids: [n] int, their classes.
        ks: numbers of exemplars that may vote, at least one number.
        gone: rows of exemplars that the same edit removes; None is ignored.
        of_images: the images of the pieces; None: exemplars of one image do not vote, and all pieces vote on all.

    Returns:
        [n] float64, whole numbers from 1 to `STRONGEST`.
    """
    removed = np.array([row for row in gone if row is not None], dtype=np.int64)
    of_images = OfImages([None] * len(prototypes), "all") if of_images is None else of_images
    votes = [_Votes(state, prototypes, class_ids, k, removed, of_images) for k in sorted(ks)]
    first = np.array([max(one.alone(n) for one in votes) for n in range(len(prototypes))])
    lost: set[int] = set()
    for _ in range(_ATTEMPTS):
        strengths, losing = _raised(votes, first, lost)
        if not losing:
            return strengths
        lost |= losing
    return first


def _raised(votes: list["_Votes"], first: np.ndarray, lost: set[int]) -> tuple[np.ndarray, set[int]]:
    """Raise the strengths of losing pieces, except those in `lost`: the strengths, and the pieces that still lose."""
    strengths, losing, left = first.copy(), set[int](), max(_RAISES * len(first), 16 * _ROUNDS) * len(votes)
    for _ in range(_ROUNDS):
        losing = set()
        for one in votes:
            for n in np.flatnonzero(one.needed(strengths) > strengths).tolist():
                needed, left = float(one.needed(strengths, n)), left - 1
                if n not in lost and needed > strengths[n]:
                    strengths[n] = min(needed, STRONGEST)
                    losing.add(n)
        if not losing or (strengths[list(losing)] == STRONGEST).all() or left <= 0:
            break
    return strengths, losing


class _Votes:
    """The vote on each piece of one edit, of the k nearest of the present exemplars and the pieces.

    Of equal cosines, present exemplars come first, as after the edit.

    Args:
        state: the present exemplars.
        prototypes: [n, D] float32.
        class_ids: [n] int.
        k: number of exemplars that vote.
        removed: [m] int64, rows of exemplars that do not vote.
        of_images: the images of the pieces.
    """

    def __init__(
        self,
        state: LiveExemplars,
        prototypes: np.ndarray,
        class_ids: np.ndarray,
        k: int,
        removed: np.ndarray,
        of_images: OfImages,
    ) -> None:
        n, own = len(prototypes), np.arange(len(prototypes))
        self._kappa, self._own_class = state.release.card.retrieval.kappa, class_ids
        present, rows = _present(state, prototypes, k, removed, of_images.image_ids)
        alone = of_images.scope == "image"
        images = np.unique([image_id or "" for image_id in of_images.image_ids], return_inverse=True)[1]
        wide, size = prototypes.astype(np.float64), max(1, _BLOCK // (n + present.shape[1]))
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for block in (own[start : start + size] for start in range(0, n, size)):
            among = wide[block] @ wide.T
            if alone:
                among[images[block, None] != images] = -np.inf
            among[np.arange(len(block)), block] = 1.0
            found.append(_largest(np.concatenate([present[block], among], axis=1), k))
        self._cosines = np.concatenate([cosines for cosines, _ in found])  # [n, k], -inf: removed
        order, width = np.concatenate([columns for _, columns in found]), present.shape[1]
        is_present, piece = order < width, np.maximum(order - width, 0)
        row = np.take_along_axis(rows, np.minimum(order, width - 1), axis=1) if rows.size else np.zeros_like(order)
        of_rows = (state.class_ids(row), state.strengths(row)) if rows.size else (row, row)
        self._classes = np.where(is_present, of_rows[0], class_ids[piece])  # [n, k]
        self._strengths = np.where(is_present, of_rows[1], 1.0)  # [n, k], of present exemplars
        self._pieces = np.where(is_present, -1, piece)  # [n, k], number of the piece; -1: a present exemplar
        self._votes = (self._pieces == own[:, None]).any(axis=1)  # [n], whether each piece is among its own voters

    def alone(self, n: int) -> float:
        """The strength with which piece n has `SHARE` of its vote against present exemplars; 1 if it does not vote."""
        others = np.isfinite(self._cosines[n]) & (self._pieces[n] < 0)
        if not self._votes[n]:
            return 1.0
        same = self._classes[n][others] == self._own_class[n]
        cosines, strengths = self._cosines[n][others], self._strengths[n][others]
        return min(winning_strength(cosines, same, 1.0, SHARE, self._kappa, strengths), STRONGEST)

    def needed(self, strengths: np.ndarray, only: int | None = None) -> np.ndarray:
        """The whole strengths with which the class of each piece has clearly the largest share of its vote.

        Args:
            strengths: [n], present ones of all pieces.
            only: compute the one of this piece; None: of all pieces.

        Returns:
            [n], or a single number; below 1 where no strength is needed, or where the piece does not vote.
        """
        n = slice(None) if only is None else slice(only, only + 1)
        pieces, places = self._pieces[n], self._places[n]
        weights = self._weights[n] * np.where(pieces < 0, self._strengths[n], strengths[pieces])
        weights[pieces == np.arange(len(strengths))[n, None]] = 0
        count = self._class_count
        keys = np.arange(len(pieces))[:, None] * count + places
        sums = np.bincount(keys.ravel(), weights.ravel(), len(pieces) * count).reshape(-1, count)
        rows, own = np.arange(len(pieces)), self._own_places[n]
        of_own = sums[rows, own]
        sums[rows, own] = 0
        found = np.where(self._votes[n], np.ceil(_MARGIN * sums.max(axis=1) - of_own), 0.0)
        return np.asarray(found if only is None else found[0])

    @cached_property
    def _weights(self) -> np.ndarray:
        """[n, k], of an exemplar of strength 1."""
        with np.errstate(under="ignore"):
            return np.asarray(np.exp(self._kappa * (self._cosines - 1)))

    @cached_property
    def _numbered(self) -> tuple[np.ndarray, np.ndarray]:
        return np.unique(np.concatenate([self._classes.ravel(), self._own_class]), return_inverse=True)

    @property
    def _class_count(self) -> int:
        """Number of classes that take part."""
        return len(self._numbered[0])

    @property
    def _places(self) -> np.ndarray:
        """[n, k] position of each voter's class among those that take part."""
        return self._numbered[1][: self._classes.size].reshape(self._classes.shape)

    @property
    def _own_places(self) -> np.ndarray:
        """[n] position of each piece's class."""
        return self._numbered[1][self._classes.size :]


def _present(
    state: LiveExemplars, prototypes: np.ndarray, k: int, removed: np.ndarray, image_ids: Sequence[str | None]
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest present exemplars of each piece: cosines [n, k'] float64 and rows [n, k'] int64, with k' up to k.

    The cosines of removed ones, and of places that no exemplar takes, are -inf.
    """
    members: dict[str | None, list[int]] = defaultdict(list)
    for n, image_id in enumerate(image_ids):
        members[image_id].append(n)
    reach = k + len(removed)
    size = max(1, _BLOCK // reach)
    all_cosines, all_rows = np.full((len(prototypes), k), -np.inf), np.zeros((len(prototypes), k), np.int64)
    width = 0
    for image_id, of in members.items():
        searched = state.for_image(image_id)
        for block in (of[start : start + size] for start in range(0, len(of), size)):
            cosines, rows = searched.search(prototypes[block], reach)
            kept = ~np.isin(rows, removed)
            first = np.argsort(~kept, axis=1, kind="stable")[:, :k]  # those that are not removed, in their order
            cosines = np.where(kept, cosines, -np.inf)
            all_cosines[block, : first.shape[1]] = np.take_along_axis(cosines, first, axis=1)
            all_rows[block, : first.shape[1]] = np.take_along_axis(rows, first, axis=1)
            width = max(width, first.shape[1])
    return all_cosines[:, :width], all_rows[:, :width]


def _largest(cosines: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of each row, the largest first, of equal ones the first: [b, m] -> values and columns [b, k]."""
    if k < cosines.shape[1]:
        least = np.partition(cosines, -k, axis=1)[:, -k, None]
        rows, places = np.nonzero(cosines >= least)
    else:
        rows, places = (part.ravel() for part in np.indices(cosines.shape))
    order = np.lexsort((places, -cosines[rows, places], rows))
    rows = rows[order]
    is_first = np.arange(len(rows)) - np.searchsorted(rows, rows) < k
    columns: np.ndarray = places[order][is_first].reshape(len(cosines), -1)
    return np.take_along_axis(cosines, columns, axis=1), columns
