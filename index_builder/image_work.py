"""The steps of a build that look at one image at a time. Any process can do them, with the same results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image

from index_builder.calibration import HeldOut
from index_builder.datasets import IGNORE, Dataset, Images, Sample
from index_builder.scores import label_counts
from model_store.card import Preprocessing, SortingInfo
from model_store.embedder import Device, Embedder
from model_store.spreading import CarriedFile
from segsort.arrays import AnyArray, on_host
from segsort.labelled_segments import split_by_label
from segsort.masks import encode_rle
from segsort.segments import Segments, segment_image
from segsort.splitting import Splitting

WEBP_SIDE = 16383  # pixels; maximum side of a WebP image
Embedding = Callable[[int, np.ndarray], AnyArray]  # position in the data set, -1: of another; image -> [D, h, w]


@dataclass(frozen=True)
class ImageRecipe:
    """What decides the segments of an image, besides its embeddings.

    Attributes:
        sorting: settings of pixel sorting.
        min_area, min_share: see `index_builder.build.BuildOptions`.
        classes: number of classes.
        splitting: how segments are split; None: not at all.
    """

    sorting: SortingInfo
    min_area: float
    min_share: float
    classes: int
    splitting: Splitting | None = None

    def segments(self, embeddings: AnyArray, sample: Sample) -> Segments:
        """Sort the pixels of an image with the embeddings [D, h, w]."""
        size = (sample.image.shape[0], sample.image.shape[1])
        return segment_image(embeddings, size, self.sorting.options(), self.sorting.min_area, self.splitting)

    def held_out(self, segments: Segments, labels: np.ndarray, image_id: int) -> HeldOut:
        """The segments of an image that confidence is calibrated on. image_id: see `HeldOut`."""
        counts = label_counts(segments.labels, labels, len(segments.areas), self.classes)
        return HeldOut(segments.prototypes, segments.areas, counts, image_id)


class NetworkEmbedding:
    """Embeds images with a network as it is.

    Args:
        network: ONNX file.
        preprocessing: of its input.
        device, threads: see `Embedder`.
    """

    def __init__(self, network: CarriedFile, preprocessing: Preprocessing, device: Device, threads: int | None) -> None:
        self._embedder = Embedder((network.path, preprocessing), device, threads)

    def __call__(self, position: int, image: np.ndarray) -> AnyArray:
        """Embeddings [D, h, w] of an image."""
        return self._embedder.embed(image)


class ImageItem(NamedTuple):
    """One image of a build.

    position: in the data set; image_id: see `HeldOut`; whole: whether its whole segments are kept for calibration.
    """

    position: int
    image_id: int
    whole: bool = False


class ReadImage(NamedTuple):
    """A labelled image of a build, and what reading it told the survey of the data set.

    item: which image; sample: the image; converted, empty: see `Survey`.
    """

    item: ImageItem
    sample: Sample
    converted: Mapping[str, str]
    empty: Mapping[str, int]


class GatheredImage(NamedTuple):
    """What a build takes from one image.

    prototypes, class_ids, bboxes, areas, masks: of the segments that may become exemplars, see
    `index_builder.selection.Candidates`; source, width, height: of the image; pixels: [256] by label, IGNORE among
    them; whole: its segments before they were split by label; None: not asked for; converted, empty: see `ReadImage`.
    """

    prototypes: np.ndarray
    class_ids: np.ndarray
    bboxes: np.ndarray
    areas: np.ndarray
    masks: list[str]
    source: str
    width: int
    height: int
    pixels: np.ndarray
    whole: HeldOut | None
    converted: Mapping[str, str]
    empty: Mapping[str, int]


class Gathering:
    """Segments images and splits their segments by label.

    Args:
        recipe: decides the segments.
        embedding: makes what embeds them.
    """

    def __init__(self, recipe: ImageRecipe, embedding: Callable[[], Embedding]) -> None:
        self._recipe, self._embed = recipe, embedding()

    def __call__(self, read: ReadImage) -> GatheredImage:
        item, sample, recipe = read.item, read.sample, self._recipe
        check_side(sample)
        embeddings = self._embed(item.position, sample.image)
        segments = recipe.segments(embeddings, sample)
        pieces = split_by_label(segments, on_host(embeddings), sample.labels, IGNORE, recipe.min_area, recipe.min_share)
        count = len(pieces.areas)
        return GatheredImage(
            pieces.prototypes,
            pieces.class_ids,
            pieces.bboxes,
            pieces.areas,
            encode_rle(pieces.labels, count) if count else [],
            sample.source,
            sample.image.shape[1],
            sample.image.shape[0],
            np.bincount(sample.labels.ravel(), minlength=256),
            recipe.held_out(segments, sample.labels, item.image_id) if item.whole else None,
            read.converted,
            read.empty,
        )


class HoldingOut:
    """Segments labelled images that confidence is calibrated on.

    Args:
        recipe: decides the segments.
        embedding: makes what embeds them.
        lookup: [256] uint8, class in the release of each class of the data set; None: they are the same.
        ids: image ids by name of image, of a data set that is not the one which is built; others have -1. None: the
            items have their image ids.
    """

    def __init__(
        self,
        recipe: ImageRecipe,
        embedding: Callable[[], Embedding],
        lookup: np.ndarray | None = None,
        ids: Mapping[str, int] | None = None,
    ) -> None:
        self._recipe, self._embed, self._lookup = recipe, embedding(), lookup
        self._ids = ids

    def __call__(self, read: ReadImage) -> HeldOut:
        item, sample = read.item, read.sample
        segments = self._recipe.segments(self._embed(item.position, sample.image), sample)
        labels = sample.labels if self._lookup is None else self._lookup[sample.labels]
        image_id = item.image_id if self._ids is None else self._ids.get(sample.source, -1)
        return self._recipe.held_out(segments, labels, image_id)


class Storing:
    """Encodes images [H, W, 3] uint8 RGB as WebP for a release. quality: 1..100."""

    def __init__(self, quality: int) -> None:
        self._quality = quality

    def __call__(self, image: np.ndarray) -> bytes:
        buffer = BytesIO()
        Image.fromarray(image).save(buffer, "WEBP", quality=self._quality, method=6)
        return buffer.getvalue()


class Reading:
    """Reads images with their labels."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def __call__(self, item: ImageItem) -> ReadImage:
        survey = getattr(self._dataset, "survey", None)
        if survey is None:
            return ReadImage(item, self._dataset[item.position], {}, {})
        before = survey.converted, survey.empty
        survey.converted, survey.empty = {}, {}
        try:
            return ReadImage(item, self._dataset[item.position], survey.converted, survey.empty)
        finally:
            before[0].update(survey.converted)
            before[1].update(survey.empty)
            survey.converted, survey.empty = before


class ReadingPixels:
    """Reads images without their labels."""

    def __init__(self, dataset: Images) -> None:
        self._dataset = dataset

    def __call__(self, item: ImageItem) -> np.ndarray:
        return self._dataset.photograph(item.position).image


class NameOfImage:
    """Names an image in a message, by its file where it has one."""

    def __init__(self, dataset: Images) -> None:
        self._dataset = dataset

    def __call__(self, item: ImageItem) -> str:
        file = getattr(self._dataset, "image_file", None)
        return f"image {item.position} of {self._dataset.name}" if file is None else str(file(item.position))


def check_side(sample: Sample) -> None:
    """Check that an image can be stored.

    Raises:
        ValueError: if a side is too long.
    """
    if max(sample.image.shape[:2]) > WEBP_SIDE:
        raise ValueError(
            f"{sample.source} has {sample.image.shape[1]}x{sample.image.shape[0]} pixels; a release stores images as "
            f"WebP, whose sides have at most {WEBP_SIDE} pixels; split the image into parts"
        )
