"""Builds a release: embed images, sort pixels, split segments by label, select exemplars, calibrate, write."""

import io
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from index_builder.build_report import label_facts
from index_builder.calibration import HeldOut, calibrate_on
from index_builder.clustering import Unlabelled, find_centres, in_clusters, nearest_centres
from index_builder.datasets import IGNORE, Dataset, Sample, licence_of, origin_of
from index_builder.embedder_source import EmbedderSource
from index_builder.progress import counted
from index_builder.scores import class_lookup, label_counts
from index_builder.selection import BALANCE, Candidates, select
from index_builder.subsets import evenly_spread
from model_store.card import Calibration, Card, FeaturesInfo, HeadInfo, RetrievalInfo, SortingInfo
from model_store.cores import available_cores
from model_store.embedder import Device, Embedder
from model_store.exemplar_table import Exemplars, SourceImage, exemplar_ids
from model_store.index import ExemplarIndex
from model_store.release import IMAGES, Release, write_release
from segsort.masks import encode_rle
from segsort.segments import Segments, segment_image, split_by_label

WEBP_SIDE = 16383  # pixels; maximum side of a WebP image
MIN_SHARE = 0.5  # of the labelled pixels of a segment, that an exemplar has: see `split_by_label`


@dataclass(frozen=True)
class BuildOptions:
    """Options of a build; `index_builder.selection.select` explains how exemplars are selected.

    Attributes:
        max_exemplars: maximum number of exemplars.
        max_images: maximum number of images that exemplars come from; None: no limit.
        balance: 0 keeps the frequencies of the classes, 1 gives all classes equal shares.
        min_area: minimum area of an exemplar as a share of the labelled pixels of its image, 0..1.
        min_share: minimum share of the labelled pixels of its segment that an exemplar has, 0..1; the largest part of
            each class in an image is kept in any case.
        webp_quality: quality of the stored images, 1..100.
        calibration_images: maximum number of images used for calibration.
        sorting: settings of pixel sorting, for the build and for serving; None: those of the network's source.
        retrieval: settings of the vote; None: those of the network's source.
    """

    max_exemplars: int = 20_000
    max_images: int | None = None
    balance: float = BALANCE
    min_area: float = 0.0001
    min_share: float = MIN_SHARE
    webp_quality: int = 80
    calibration_images: int = 100
    sorting: SortingInfo | None = None
    retrieval: RetrievalInfo | None = None

    def __post_init__(self) -> None:
        shares = {"min_area": self.min_area, "min_share": self.min_share}
        if not 1 <= self.webp_quality <= 100 or self.calibration_images < 0:
            raise ValueError(
                f"webp_quality={self.webp_quality} must be in 1..100, and calibration_images={self.calibration_images} "
                "must not be negative"
            )
        if not all(0 <= share < 1 for share in shares.values()):
            raise ValueError(f"{shares}: each must be at least 0 and below 1")


@dataclass(frozen=True)
class Notes:
    """Texts and facts for the card of a release.

    Attributes:
        description: of the release.
        licence: statements by their subject. "exemplars" is about the images that the release is built from; without
            it, the data set states it, see `licence_of`. "network" [a mapping] is added to the network's licence.
        images: where the images come from; empty: the name of the data set.
        data, provenance, metrics: facts.
    """

    description: str = ""
    licence: Mapping[str, Any] = field(default_factory=dict)
    images: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


class FittedParts(NamedTuple):
    """What a head that was fitted to the data set adds to a build.

    embed: embeddings [D, h, w] of an image of the data set, by its position; calibration: of the fitted head; features,
    head: for the card; attachments: files that are kept beside the network.
    """

    embed: Callable[[int], Tensor]
    calibration: Calibration
    features: FeaturesInfo
    head: HeadInfo
    attachments: Mapping[str, Path]


class _Gathered(NamedTuple):
    """Result of the pass over the images.

    candidates: segments that may become exemplars; held_out: segments of the images set aside for calibration; sources:
    name, width and height of each image; pixels: [256] of all images by label, IGNORE among them.
    """

    candidates: Candidates
    held_out: list[HeldOut]
    sources: list[tuple[str, int, int]]
    pixels: np.ndarray


def build_release(
    dataset: Dataset,
    source: EmbedderSource,
    out: Path,
    *,
    name: str | None = None,
    options: BuildOptions | None = None,
    calibrate_with: Dataset | None = None,
    notes: Notes | None = None,
    device: Device = "cpu",
    threads: int | None = None,
    fitted: FittedParts | None = None,
) -> Release:
    """Build a release from a network and the labelled images of a data set.

    Args:
        dataset: images that give exemplars, and the classes of the release. `Unlabelled` images are clustered.
        source: the network; see `load_embedder_source`.
        out: folder of the release; it must not exist.
        name: name of the release; None: the name of the folder.
        options: limits of the number of exemplars, and settings of pixel sorting and the vote.
        calibrate_with: labelled images to calibrate confidence on, ideally none that the network was trained on.
            None: images of `dataset`, each without its own exemplars.
        notes: texts and facts for the card.
        device: "cpu" or "cuda", for the network.
        threads: threads of the network on a CPU; None: all cores.
        fitted: what a head adds that was fitted to the data set; None: the network is used as it is.

    Raises:
        ValueError: if `out` exists, the data set has no labelled segment or an image too large for WebP, or a class of
            `calibrate_with` is unknown to the release.
    """
    options, notes, out = options or BuildOptions(), notes or Notes(), Path(out)
    if out.exists():
        raise ValueError(f"{out} exists, and a release is never overwritten; give another folder with --out")
    embedder = Embedder((source.network_file, source.preprocessing), device, threads)
    builder = _Builder(dataset, source, options, embedder, None if fitted is None else fitted.embed)
    own = calibrate_with is None and fitted is None
    gathered = builder.gather(evenly_spread(len(dataset), options.calibration_images) if own else [])
    if isinstance(dataset, Unlabelled):
        gathered = _clustered(gathered, dataset.clusters)
    chosen = select(
        gathered.candidates, len(dataset.classes), options.max_exemplars, options.max_images, options.balance
    )
    if fitted is not None and calibrate_with is None:
        calibration = fitted.calibration
    else:
        calibration = builder.calibrate(gathered, chosen, calibrate_with)
    exemplars, sources, images = builder.exemplars(gathered, chosen)
    card = Card(
        name=name or out.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        description=notes.description,
        classes=list(dataset.classes),
        network=source.network,
        preprocessing=source.preprocessing,
        sorting=builder.sorting,
        retrieval=builder.retrieval,
        calibration=calibration,
        features=None if fitted is None else fitted.features,
        head=None if fitted is None else fitted.head,
        provenance={
            "segsort": version("segsort"),
            "network": source.network.name,
            **({"network of": source.origin} if source.origin else {}),
            "images": notes.images or origin_of(dataset),
            **notes.provenance,
        },
        licence=_licence(dataset, source, notes),
        data={
            "exemplars": builder.summary(gathered, exemplars, len(sources)),
            "labels": label_facts(dataset, gathered.pixels),
            **notes.data,
        },
        training=source.training,
        metrics=dict(notes.metrics),
    )
    files, attachments = builder.encode(sources, images), None if fitted is None else fitted.attachments
    return write_release(out, card, source.network_file, exemplars, sources, files, attachments)


def with_card(release: Release, out: Path, **changes: Any) -> Release:
    """Copy a release with changes to its card, for example `metrics` measured by `evaluate`.

    Args:
        release: the original, which stays unchanged.
        out: folder of the copy; it must not exist.
        changes: fields of the card and their new values.

    Raises:
        ReleaseError: if `out` exists.
        ValueError: if a field is unknown or its value not allowed.
    """
    card = Card.model_validate({**release.card.model_dump(), **changes})
    images = ((source.file, (release.path / source.file).read_bytes()) for source in release.sources)
    return write_release(
        out, card, release.network_path, release.exemplars, release.sources, images, release.attachments
    )


class _Builder:
    """The steps of `build_release` for one data set and one network."""

    def __init__(
        self,
        dataset: Dataset,
        source: EmbedderSource,
        options: BuildOptions,
        embedder: Embedder,
        embed: Callable[[int], Tensor] | None,
    ) -> None:
        self.dataset, self.options, self.embedder, self._embed = dataset, options, embedder, embed
        self.sorting = options.sorting or source.sorting
        self.retrieval = options.retrieval or source.retrieval
        self.num_classes = len(dataset.classes)

    def gather(self, held_out: list[int]) -> _Gathered:
        """Segment every image and split the segments by label; keep whole segments of the images in `held_out`."""
        parts: list[Candidates] = []
        whole: list[HeldOut] = []
        sources: list[tuple[str, int, int]] = []
        pixels = np.zeros(256, dtype=np.int64)
        for i in counted(len(self.dataset), f"embedding {self.dataset.name}"):
            sample = self.dataset[i]
            _check_side(sample)
            pixels += np.bincount(sample.labels.ravel(), minlength=256)
            embeddings, segments = self._segments(sample.image, i)
            pieces = split_by_label(
                segments, embeddings.cpu(), sample.labels, IGNORE, self.options.min_area, self.options.min_share
            )
            count = len(pieces.areas)
            masks = encode_rle(pieces.labels, count) if count else []
            image_ids = np.full(count, i, dtype=np.int64)
            parts.append(Candidates(pieces.prototypes, pieces.class_ids, image_ids, pieces.bboxes, pieces.areas, masks))
            sources.append((sample.source, sample.image.shape[1], sample.image.shape[0]))
            if i in held_out:
                whole.append(self._held_out(segments, sample.labels, i))
        return _Gathered(_joined(parts, self.dataset, pixels), whole, sources, pixels)

    def calibrate(self, gathered: _Gathered, chosen: np.ndarray, calibrate_with: Dataset | None) -> Calibration:
        """Calibrate on another data set or, if there is none, on the held-out images without their own exemplars."""
        held_out = gathered.held_out if calibrate_with is None else self._hold_out(calibrate_with)
        if calibrate_with is None:
            how = f"images of {self.dataset.name} that gave exemplars, each without its own exemplars"
        else:
            how = f"held-out images of {calibrate_with.name}{_split_of(calibrate_with)}"
        candidates = gathered.candidates
        index = ExemplarIndex.build(candidates.prototypes[chosen], self.retrieval.index_factory)
        class_ids, image_ids = candidates.class_ids[chosen], candidates.image_ids[chosen]
        return calibrate_on(held_out, index, class_ids, image_ids, self.retrieval, how)

    def exemplars(self, gathered: _Gathered, chosen: np.ndarray) -> tuple[Exemplars, list[SourceImage], list[int]]:
        """The chosen candidates as exemplars, their source images, and the positions of those in the data set."""
        candidates = gathered.candidates
        images, image_ids = np.unique(candidates.image_ids[chosen], return_inverse=True)
        positions = [int(i) for i in images]
        sources = [SourceImage(f"{IMAGES}/{n:05d}.webp", *gathered.sources[i]) for n, i in enumerate(positions)]
        masks = [candidates.masks[row] for row in chosen]
        class_ids = candidates.class_ids[chosen]
        names = [self.dataset.classes[c].name for c in class_ids]
        prototypes = candidates.prototypes[chosen]
        exemplars = Exemplars(
            ids=exemplar_ids(prototypes, names, [sources[i].source for i in image_ids], masks),
            prototypes=prototypes,
            class_ids=class_ids,
            image_ids=image_ids.astype(np.int32),
            bboxes=candidates.bboxes[chosen],
            areas=candidates.areas[chosen],
            masks=masks,
        )
        return exemplars, sources, positions

    def encode(self, sources: list[SourceImage], positions: list[int]) -> Iterator[tuple[str, bytes]]:
        """File name and WebP bytes of each stored image.

        Images are read again, so that they are not all in memory at once, and encoded in parallel on all cores.
        """

        def webp(image: np.ndarray) -> bytes:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "WEBP", quality=self.options.webp_quality, method=6)
            return buffer.getvalue()

        cores = available_cores()
        with ThreadPoolExecutor(cores) as pool:
            pending: deque[tuple[str, Future[bytes]]] = deque()
            for n in counted(len(sources), "storing images"):
                pending.append((sources[n].file, pool.submit(webp, self.dataset.photograph(positions[n]).image)))
                if len(pending) > cores:
                    file, encoded = pending.popleft()
                    yield file, encoded.result()
            for file, encoded in pending:
                yield file, encoded.result()

    def summary(self, gathered: _Gathered, exemplars: Exemplars, images: int) -> dict[str, Any]:
        """Origin and number of the exemplars, for the card."""
        per_class = np.bincount(exemplars.class_ids, minlength=self.num_classes)
        return {
            "dataset": f"{self.dataset.name}{_split_of(self.dataset)}",
            "images": len(gathered.sources),
            "images_kept": images,
            "segments": len(gathered.candidates.class_ids),
            "exemplars": len(exemplars),
            "exemplars_per_class": {c.name: int(per_class[c.class_id]) for c in self.dataset.classes},
            "max_exemplars": self.options.max_exemplars,
            "max_images": self.options.max_images,
            "balance": self.options.balance,
            "min_area": self.options.min_area,
            "min_share": self.options.min_share,
        }

    def _segments(self, image: np.ndarray, position: int | None = None) -> tuple[Any, Segments]:
        """Embeddings [D, h, w], unit vectors, and segments of one image.

        position: of the image in the data set that is built; None: it is of another one.
        """
        own = self._embed if position is not None else None
        embeddings = self.embedder.embed(image) if own is None or position is None else own(position)
        size = (image.shape[0], image.shape[1])
        return embeddings, segment_image(embeddings, size, self.sorting.options(), self.sorting.min_area)

    def _hold_out(self, dataset: Dataset) -> list[HeldOut]:
        lookup = class_lookup(dataset.classes, self.dataset.classes, f"data set {self.dataset.name}")
        rows = evenly_spread(len(dataset), self.options.calibration_images)
        held_out = []
        for n in counted(len(rows), "calibrating"):
            sample = dataset[rows[n]]
            held_out.append(self._held_out(self._segments(sample.image)[1], lookup[sample.labels], -1))
        return held_out

    def _held_out(self, segments: Segments, labels: np.ndarray, image_id: int) -> HeldOut:
        counts = label_counts(segments.labels, labels, len(segments.areas), self.num_classes)
        return HeldOut(segments.prototypes, segments.areas, counts, image_id)


def _clustered(gathered: _Gathered, clusters: int) -> _Gathered:
    """Cluster all segments and give each the class of its cluster."""
    candidates = gathered.candidates
    centres = find_centres(candidates.prototypes, candidates.areas, clusters)
    found = replace(candidates, class_ids=nearest_centres(candidates.prototypes, centres))
    return gathered._replace(candidates=found, held_out=in_clusters(gathered.held_out, centres))


def _joined(parts: list[Candidates], dataset: Dataset, pixels: np.ndarray) -> Candidates:
    total = sum(len(part.class_ids) for part in parts)
    if total == 0:
        counts = ", ".join(f"{info.name} {pixels[info.class_id]}" for info in dataset.classes[:20])
        raise ValueError(
            f"data set {dataset.name!r} has no labelled segment in {len(parts)} images; its pixels are {counts}, "
            f"unlabelled {pixels[IGNORE]}; check that its masks have classes besides the ignored one, or lower min_area"
        )
    return Candidates(
        prototypes=np.concatenate([part.prototypes for part in parts]),
        class_ids=np.concatenate([part.class_ids for part in parts]),
        image_ids=np.concatenate([part.image_ids for part in parts]),
        bboxes=np.concatenate([part.bboxes for part in parts]),
        areas=np.concatenate([part.areas for part in parts]),
        masks=[mask for part in parts for mask in part.masks],
    )


def _check_side(sample: Sample) -> None:
    if max(sample.image.shape[:2]) > WEBP_SIDE:
        raise ValueError(
            f"{sample.source} has {sample.image.shape[1]}x{sample.image.shape[0]} pixels; a release stores images as "
            f"WebP, whose sides have at most {WEBP_SIDE} pixels; split the image into parts"
        )


def _licence(dataset: Dataset, source: EmbedderSource, notes: Notes) -> dict[str, Any]:
    """Licence of the network under its own key, and statements on the images of the data set."""
    network = {**source.licence, **notes.licence.get("network", {})}
    return {"exemplars": licence_of(dataset), **notes.licence, "network": network}


def _split_of(dataset: Dataset) -> str:
    split = getattr(dataset, "split", None)
    return f"/{split}" if split else ""
