"""The predictor: embeds an image, sorts its pixels into segments, and labels these by retrieval."""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model_store.card import Calibration, SortingInfo
from model_store.embedder import Embedder
from model_store.flavour import Device, DeviceUse
from model_store.live import LiveExemplars
from model_store.precision_names import AskedPrecision
from model_store.release import Release
from segsort.arrays import AnyArray, device_of
from segsort.retrieval import Vote, calibrate, familiarity
from segsort.segments import Outlined, Segments, merge_outlined, outline_images, segment_image
from segsort.splitting import Splitting, class_directions

RESERVE = 3  # times k neighbours are searched: those after the k-th are needed for flip sets


class Sized(NamedTuple):
    """An image [h, w, 3] uint8, perhaps reduced, and the size (H, W) of its segments.

    conversion: what was done to its values when it was decoded, in words; None: nothing.
    """

    image: np.ndarray
    size: tuple[int, int]
    conversion: str | None = None


class SegmentLabels(NamedTuple):
    """The labels of S segments, by the vote of their nearest exemplars.

    similarities: [S, R] float32 cosines, best first; rows: [S, R] int64, rows of those exemplars; vote: of the first k;
    confidence: [S] float64, 0..1, or NaN if the release is not calibrated; known: [S] bool, whether a segment is
    familiar enough; image_similarity: mean over the segments of the cosine to the nearest exemplar, weighted by area.

    If no exemplar is alive, R is 0, every class id is `segsort.retrieval.NO_CLASS`, no segment is known, and confidence
    and image_similarity are NaN.
    """

    similarities: np.ndarray
    rows: np.ndarray
    vote: Vote
    confidence: np.ndarray
    known: np.ndarray
    image_similarity: float


def splitting_of(sorting: SortingInfo, prototypes: np.ndarray, class_ids: np.ndarray) -> Splitting | None:
    """How a release with these exemplars splits segments; None: not at all.

    Args:
        sorting: settings of its card.
        prototypes: [N, D] float32 unit vectors of its exemplars as it was built. Edits leave the segments of an image
            as they are, so that answers before and after an edit can be compared segment by segment.
        class_ids: [N] int64.
    """
    if not sorting.min_part or len(np.unique(class_ids)) < 2:
        return None
    return Splitting(class_directions(prototypes, class_ids, int(class_ids.max()) + 1), sorting.min_part)


def known_segments(
    calibration: Calibration, nearest: np.ndarray, areas: np.ndarray, taught: np.ndarray
) -> tuple[np.ndarray, float]:
    """Decide which segments of one image are familiar enough for their labels to be trusted.

    The familiarity of a segment counts its image too (`segsort.retrieval.familiarity`). It is the cosine of the segment
    alone in a release that is not calibrated, and where the nearest exemplar was taught by an edit: a few exemplars
    resemble few parts of an image, and a person who labels a segment of a foreign image knows that image.

    Args:
        calibration: of the release; its threshold decides.
        nearest: [S] cosine of each segment to its nearest exemplar, S >= 1.
        areas: [S] pixels.
        taught: [S] bool, whether the nearest exemplar was added by an edit.

    Returns:
        [S] bool; and the cosine of the image, the mean of `nearest`, weighted by area.
    """
    familiar, image_similarity = familiarity(nearest, areas)
    if not calibration.calibrated:
        familiar = nearest
    familiar = np.where(taught, nearest, familiar)
    return familiar >= calibration.known_threshold, image_similarity


class Prediction(NamedTuple):
    """The labelled segments of an image.

    segments: every pixel belongs to one; similarities to image_similarity: see `SegmentLabels`, R = min(3 * k, N);
    timings_ms: of "embed", "sort" and "retrieve", milliseconds.
    """

    segments: Segments
    similarities: np.ndarray
    rows: np.ndarray
    vote: Vote
    confidence: np.ndarray
    known: np.ndarray
    image_similarity: float
    timings_ms: dict[str, float]

    @property
    def class_map(self) -> np.ndarray:
        """[H, W] int64, the class of each pixel; `segsort.retrieval.NO_CLASS` if no exemplar is alive."""
        return np.asarray(self.vote.class_ids[self.segments.labels])


class Predictor:
    """Labels images with a release. Calls from several threads are safe.

    Args:
        release: network, exemplars and card.
        device: "cpu" or "cuda", for the network, pixel sorting and retrieval.
        threads: threads of the network on a CPU; None: one for each core of this process.
        precision: in which the network runs, see `model_store.precision.choose_precision`.

    Raises:
        ValueError: if the release cannot be used, or cannot be used on this device.
    """

    def __init__(
        self,
        release: Release,
        device: Device = "cpu",
        threads: int | None = None,
        precision: AskedPrecision = "auto",
    ) -> None:
        self.release = release
        self.embedder = Embedder(release, device, threads, precision)
        self.index = release.index if device == "cpu" else release.index.to(device)
        exemplars = release.exemplars
        self.splitting = splitting_of(release.card.sorting, exemplars.prototypes, exemplars.class_ids)
        self.device_use = DeviceUse.checked(
            device,
            network=self.embedder.network_device,
            sorting=device_of(self.embedder.try_out()),
            search=self.index.device,
        )

    @property
    def as_built(self) -> LiveExemplars:
        """The release's exemplars before any edit, searched on this predictor's device."""
        return LiveExemplars.of_release(self.release, index=self.index)

    def predict(
        self,
        image: np.ndarray,
        segments: int | None = None,
        k: int | None = None,
        state: LiveExemplars | None = None,
    ) -> Prediction:
        """Embed an image, sort its pixels into segments, and label each by its nearest exemplars.

        Args:
            image: [H, W, 3] uint8 RGB, upright, of any size.
            segments: K at the start of pixel sorting; None: the card's.
            k: exemplars that vote; all of them if there are fewer; None: the card's.
            state: the exemplars of this release that vote; None: those it was built with.

        Raises:
            ValueError: if the image has another form, or segments or k is below 1.
        """
        started = time.perf_counter()
        embeddings = self.embedder.embed(image)
        embedded = time.perf_counter()
        found = self.sort(embeddings, (image.shape[0], image.shape[1]), segments)
        sorted_ = time.perf_counter()
        retrieved = self.retrieve(found.prototypes, found.areas, k, state)
        ended = time.perf_counter()
        timings = {"embed": embedded - started, "sort": sorted_ - embedded, "retrieve": ended - sorted_}
        return Prediction(found, *retrieved, {name: seconds * 1000 for name, seconds in timings.items()})

    def sort(self, embeddings: AnyArray, size: tuple[int, int], segments: int | None = None) -> Segments:
        """Sort the pixels of one image into segments.

        Args:
            embeddings: [D, h, w] unit vectors.
            size: (H, W) of the segments' labels.
            segments: K at the start of pixel sorting; None: the card's.
        """
        sorting = self.release.card.sorting
        return segment_image(embeddings, size, sorting.options(segments), sorting.min_area, self.splitting)

    def outline(self, images: Sequence[Sized], segments: int | None = None) -> tuple[list[Outlined], dict[str, float]]:
        """Embed several images of one bucket together and sort their pixels. Call `finish` for each of them.

        Args:
            images: of one bucket, see `Embedder.bucket`.
            segments: K at the start of pixel sorting; None: the card's.

        Returns:
            One result for each image, and the times of "embed" and "sort" for all images together, milliseconds.
        """
        started = time.perf_counter()
        embeddings = self.embedder.embed_all([one.image for one in images])
        embedded = time.perf_counter()
        options = self.release.card.sorting.options(segments)
        outlined = outline_images(embeddings, [one.size for one in images], options, self.splitting)
        sorted_ = time.perf_counter()
        return outlined, {"embed": (embedded - started) * 1000, "sort": (sorted_ - embedded) * 1000}

    def finish(self, outlined: Outlined) -> Segments:
        """Make the segments of one image from the result of `outline`. They equal those of `sort`."""
        return merge_outlined(outlined, self.release.card.sorting.min_area)

    def retrieve(
        self,
        prototypes: np.ndarray,
        areas: np.ndarray,
        k: int | None = None,
        state: LiveExemplars | None = None,
    ) -> SegmentLabels:
        """Label the segments of one image by the vote of the exemplars nearest to each.

        Without exemplars, no segment has a class (`SegmentLabels`).

        Args:
            prototypes: [S, D] float32 unit vectors.
            areas: [S] pixels.
            k: exemplars that vote; all of them if there are fewer; None: the card's.
            state: the exemplars of this release that vote; None: those it was built with.

        Raises:
            ValueError: if k is below 1.
        """
        card, state = self.release.card, self.as_built if state is None else state
        k = card.retrieval.k if k is None else k
        if k < 1:
            raise ValueError(f"k={k} must be at least 1; ask for one exemplar or more")
        similarities, rows = state.search(prototypes, RESERVE * k)
        result = state.vote(similarities[:, :k], rows[:, :k])
        unmeasured = np.full(len(prototypes), math.nan)
        if not similarities.shape[1]:
            return SegmentLabels(similarities, rows, result, unmeasured, np.zeros(len(prototypes), bool), math.nan)
        confidence, calibration = unmeasured, card.calibration
        if calibration.calibrated:
            confidence = calibrate(result.shares.max(axis=1), calibration.confidence_x, calibration.confidence_y)
        known, image_similarity = known_segments(calibration, similarities[:, 0], areas, state.taught(rows[:, 0]))
        return SegmentLabels(similarities, rows, result, confidence, known, image_similarity)
