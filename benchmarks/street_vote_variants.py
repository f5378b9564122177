"""Variants of sorting and vote that `benchmarks.street_votes` compares: each changes one thing of what is served."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from index_builder.selection import are_distinct
from model_store.card import SortingInfo
from model_store.index import ExemplarIndex
from model_store.predictor import splitting_of
from segsort.cells import centres_of_cells
from segsort.pixel_sorting import SortingOptions
from segsort.retrieval import vote
from segsort.segments import Segments, segment_image
from segsort.sphere import unit_rows
from segsort.splitting import ClassDirections, Splitting

MIN_AREA = SortingInfo().min_area
SERVED = SortingInfo(segments=64, min_part=8)  # what the bundled release is served with
LEAST = SERVED.min_part


class Exemplars(NamedTuple):
    """prototypes: [N, D] float32 unit vectors; class_ids: [N] int64; strengths: [N] float32, or None: each is 1."""

    prototypes: np.ndarray
    class_ids: np.ndarray
    strengths: np.ndarray | None = None

    def kept(self, rows: np.ndarray) -> "Exemplars":
        """Some of them: rows [M] int64 or [N] bool."""
        return Exemplars(self.prototypes[rows], self.class_ids[rows])


class Voting(NamedTuple):
    """How exemplars vote.

    power: of the frequency of a class among exemplars, by which its share is divided; head: [D, D], which prototypes
    are multiplied with before they are compared; None: they are not.
    """

    exemplars: Exemplars
    searched: ExemplarIndex
    k: int = 20
    kappa: float = 10.0
    power: float = 0.0
    head: np.ndarray | None = None

    @classmethod
    def of(cls, exemplars: Exemplars, k: int = 20, kappa: float = 10.0, power: float = 0.0) -> "Voting":
        """Index exemplars."""
        return cls(exemplars, ExemplarIndex.build(exemplars.prototypes), k, kappa, power)

    def shares(self, queries: np.ndarray, classes: int) -> np.ndarray:
        """Shares of the classes: [Q, D] unit vectors -> [Q, C]."""
        seen = queries if self.head is None else unit_rows(queries @ self.head).astype(np.float32)
        cosines, rows = self.searched.search(np.ascontiguousarray(seen), self.k)
        strengths = None if self.exemplars.strengths is None else self.exemplars.strengths[rows]
        found = vote(cosines, self.exemplars.class_ids[rows], classes, self.kappa, strengths).shares
        frequency = np.bincount(self.exemplars.class_ids, minlength=classes) / len(self.exemplars.class_ids)
        return np.asarray(found / np.maximum(frequency, 1e-9) ** self.power)


Sort = Callable[[np.ndarray, tuple[int, int]], Segments]  # embeddings [D, h, w] and (H, W)


class ClassScores(NamedTuple):
    """A linear classifier of embeddings, see `segsort.splitting.ClassDirections`: weights [C, D], offsets [C]."""

    weights: np.ndarray
    offsets: np.ndarray

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """[N, D] -> [N, C]."""
        return np.asarray(rows @ self.weights.T + self.offsets)

    def log_posteriors(self, rows: np.ndarray) -> np.ndarray:
        """Logarithms of the probabilities of the classes: [N, D] -> [N, C]."""
        found = self.scores(rows)
        found = found - found.max(axis=1, keepdims=True)
        return np.asarray(found - np.log(np.exp(found).sum(axis=1, keepdims=True)))


class Variant(NamedTuple):
    """How segments are made and labelled.

    sort: makes the segments; voting: labels them; pixels: how much the pixels' own votes count, 0: not at all; looks: a
    classifier of pixels whose log posteriors, times `weight`, are added to the logarithm of the segment's shares.
    """

    sort: Sort
    voting: Voting
    pixels: float = 0.0
    looks: ClassScores | None = None
    weight: float = 0.0

    @property
    def by_pixel(self) -> bool:
        """Whether pixels of one segment may have different labels."""
        return self.pixels > 0 or self.looks is not None


def sorting(options: SortingOptions, splitting: Splitting | None = None) -> Sort:
    """Pixel sorting with some options."""
    return lambda embeddings, size: segment_image(embeddings, size, options, MIN_AREA, splitting)


def at_stride_2(options: SortingOptions, splitting: Splitting | None) -> Sort:
    """Sort the pixels of embeddings that were upsampled to twice the height and width."""

    def sort(embeddings: np.ndarray, size: tuple[int, int]) -> Segments:
        from torch import from_numpy
        from torch.nn.functional import interpolate, normalize

        finer = interpolate(from_numpy(embeddings)[None], scale_factor=2, mode="bilinear", align_corners=False)
        return segment_image(normalize(finer, dim=1)[0].numpy(), size, options, MIN_AREA, splitting)

    return sort


def with_interior_prototypes(sort: Sort) -> Sort:
    """Take prototypes of cells whose four neighbours are in their segment, where a segment has four of these."""

    def inner(embeddings: np.ndarray, size: tuple[int, int]) -> Segments:
        found, (D, h, w) = sort(embeddings, size), embeddings.shape
        cells = found.labels[centres_of_cells(h, size[0])[:, None], centres_of_cells(w, size[1])]
        inside = np.ones((h, w), dtype=bool)
        for axis in (0, 1):
            one, other = (np.moveaxis(cells, axis, 0)[s] for s in (slice(1, None), slice(None, -1)))
            rows = np.moveaxis(inside, axis, 0)
            rows[1:] &= one == other
            rows[:-1] &= one == other
        kept = np.flatnonzero(inside)
        sums = np.zeros((len(found.areas), D))
        np.add.at(sums, cells.ravel()[kept], embeddings.reshape(D, -1).T[kept])
        enough = np.bincount(cells.ravel()[kept], minlength=len(sums)) >= 4
        return found._replace(prototypes=np.where(enough[:, None], unit_rows(sums), found.prototypes))

    return inner


def with_neighbours_of_its_class(exemplars: Exemplars, share: float) -> Exemplars:
    """Exemplars whose 20 nearest others give their class a share of the vote (edited nearest neighbours, Wilson)."""
    index = ExemplarIndex.build(exemplars.prototypes)
    cosines, rows = (found[:, 1:] for found in index.search(exemplars.prototypes, 21))
    classes = int(exemplars.class_ids.max()) + 1
    shares = vote(cosines, exemplars.class_ids[rows], classes, 10.0).shares
    return exemplars.kept(shares[np.arange(len(shares)), exemplars.class_ids] >= share)


def distinct(exemplars: Exemplars, cosine: float, counted: bool = False) -> Exemplars:
    """One of several near duplicates, as `index_builder.selection` keeps it; counted: its strength is their number."""
    kept = np.zeros(len(exemplars.class_ids), dtype=bool)
    strengths = np.zeros(len(exemplars.class_ids), dtype=np.float32)
    for c in np.unique(exemplars.class_ids):
        rows = np.flatnonzero(exemplars.class_ids == c)
        mine = rows[are_distinct(exemplars.prototypes[rows], cosine)]
        kept[mine] = True
        nearest = (exemplars.prototypes[rows] @ exemplars.prototypes[mine].T).argmax(axis=1)
        strengths[mine] = np.maximum(np.bincount(nearest, minlength=len(mine)), 1)
    return exemplars.kept(kept)._replace(strengths=strengths[kept] if counted else None)


def drawn(exemplars: Exemplars, count: int) -> Exemplars:
    """Draw `count` of the exemplars at random, in their order: a release of the same size to compare with."""
    order = np.random.default_rng(0).permutation(len(exemplars.class_ids))
    return exemplars.kept(np.sort(order[:count]))


def whitened(exemplars: Exemplars, power: float) -> Voting:
    """Vote behind a linear head: directions in which exemplars of one class differ count less.

    Prototypes are multiplied with the covariance within classes, each class with the same weight, to the power
    -power / 2; with power 1, it is then the same in all directions (linear discriminant analysis).
    """
    rows, class_ids = exemplars.prototypes.astype(np.float64), exemplars.class_ids
    counts = np.maximum(np.bincount(class_ids), 1)
    means = np.zeros((len(counts), rows.shape[1]))
    np.add.at(means, class_ids, rows)
    apart = rows - (means / counts[:, None])[class_ids]
    shares = 1 / counts[class_ids]
    covariance = (apart * shares[:, None]).T @ apart / shares.sum()
    covariance += 1e-3 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    variances, directions = np.linalg.eigh(covariance)
    head = (directions * variances ** (-power / 2)) @ directions.T
    seen = exemplars._replace(prototypes=unit_rows(rows @ head).astype(np.float32))
    return Voting.of(seen)._replace(head=head)


def splitting(exemplars: Exemplars, least: int) -> Splitting | None:
    """How a release of these exemplars splits segments into parts of at least `least` pixels; None: it does not."""
    return splitting_of(SortingInfo(min_part=least), exemplars.prototypes, exemplars.class_ids)


def with_class_frequencies(splitting: Splitting, exemplars: Exemplars) -> Splitting:
    """Split with the frequency of a class among exemplars as its prior probability, instead of equal ones."""
    weights, offsets = splitting.directions
    frequency = np.bincount(exemplars.class_ids, minlength=len(offsets)) / len(exemplars.class_ids)
    priors = np.log(np.maximum(frequency, 1e-9)).astype(np.float32)
    return splitting._replace(directions=ClassDirections(weights, offsets + priors))


def variants(exemplars: Exemplars, probe: ClassScores) -> Mapping[str, Variant]:
    """Each change alone; the first is what is served.

    Args:
        exemplars: those of a release.
        probe: a logistic classifier of pixels, fitted to convergence.
    """
    votes, options, split = Voting.of(exemplars), SERVED.options(), splitting(exemplars, LEAST)
    if split is None:
        raise ValueError("all exemplars have one class, so segments cannot be split; give exemplars of several classes")
    served, whole = sorting(options, split), sorting(options)
    looks = ClassScores(*split.directions)
    kept = distinct(exemplars, 0.9925)

    def resorted(**changes: object) -> Sort:
        return sorting(SERVED.model_copy(update=changes).options(), split)

    return {
        "as served: K = 64, split, parts of 8": Variant(served, votes),
        "K = 64, not split": Variant(whole, votes),
        "K = 100, not split": Variant(sorting(SERVED.options(100)), votes),
        "K = 144, not split": Variant(sorting(SERVED.options(144)), votes),
        "K = 36, split": Variant(sorting(SERVED.options(36), split), votes),
        "K = 100, split": Variant(sorting(SERVED.options(100), split), votes),
        "parts of 4": Variant(sorting(options, splitting(exemplars, 4)), votes),
        "parts of 16": Variant(sorting(options, splitting(exemplars, 16)), votes),
        "split by frequency of classes": Variant(sorting(options, with_class_frequencies(split, exemplars)), votes),
        "split by the pixel probe": Variant(sorting(options, Splitting(ClassDirections(*probe), LEAST)), votes),
        "location weight 0.25": Variant(resorted(location_weight=0.25), votes),
        "location weight 1": Variant(resorted(location_weight=1.0), votes),
        "soft EM, kappa 30": Variant(resorted(assignment="soft", kappa=30.0), votes),
        "stride 2": Variant(at_stride_2(options, split), votes),
        "prototypes of inner pixels": Variant(with_interior_prototypes(served), votes),
        "k = 5": Variant(served, votes._replace(k=5)),
        "k = 40": Variant(served, votes._replace(k=40)),
        "vote kappa 30": Variant(served, votes._replace(kappa=30.0)),
        "class weights, power 0.25": Variant(served, votes._replace(power=0.25)),
        "exemplars with neighbours of their class": Variant(
            served, Voting.of(with_neighbours_of_its_class(exemplars, 0.8))
        ),
        "distinct exemplars, 0.995": Variant(served, Voting.of(distinct(exemplars, 0.995))),
        "distinct exemplars, 0.9925": Variant(served, Voting.of(kept)),
        "distinct exemplars, 0.99": Variant(served, Voting.of(distinct(exemplars, 0.99))),
        "distinct exemplars, 0.9925, strength counts": Variant(
            served, Voting.of(distinct(exemplars, 0.9925, counted=True))
        ),
        "as many as 0.9925 keeps, at random": Variant(served, Voting.of(drawn(exemplars, len(kept.class_ids)))),
        "vote behind a linear head, half whitened": Variant(served, whitened(exemplars, 0.5)),
        "vote behind a linear head, whitened": Variant(served, whitened(exemplars, 1.0)),
        "split, and discriminant of pixels, 0.1": Variant(served, votes, looks=looks, weight=0.1),
        "not split, but discriminant of pixels, 0.1": Variant(whole, votes, looks=looks, weight=0.1),
        "vote of pixels and segment": Variant(served, votes, pixels=1.0),
    }
