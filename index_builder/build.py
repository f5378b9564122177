"""Building a release: embed, sort, split by label, keep exemplars, calibrate, write."""

import io
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from index_builder.calibration import HeldOut, calibrate_on
from index_builder.clustering import Unlabelled, find_centres, in_clusters, nearest_centres
from index_builder.datasets import IGNORE, Dataset, Sample
from index_builder.embedder_source import EmbedderSource
from index_builder.progress import counted
from index_builder.scores import class_lookup, label_counts
from index_builder.selection import BALANCE, Candidates, select
from index_builder.subsets import evenly_spread
from model_store.card import Calibration, Card, RetrievalInfo, SortingInfo
from model_store.cores import available_cores
from model_store.embedder import Device, Embedder
from model_store.exemplar_table import Exemplars, SourceImage, exemplar_ids
from model_store.index import ExemplarIndex
from model_store.release import IMAGES, Release, write_release
from segsort.masks import encode_rle
from segsort.segments import Segments, segment_image, split_by_label

WEBP_SIDE = 16383  # pixels; WebP holds no longer ones


@dataclass(frozen=True)
class BuildOptions:
    """What a release holds; see `index_builder.selection.select` for the rule.

    Attributes:
        max_exemplars: at most so many exemplars.
        max_images: at most from so many images; None: any number.
        balance: 0 keeps classes as frequent as they are, 1 makes them alike.
        min_area: smallest piece that becomes an exemplar, as a share of its image.
        webp_quality: of the stored images, 1..100.
        calibration_images: at most so many images are calibrated on.
        sorting: how pixels are sorted, now and when serving; None: as the network's source says.
        retrieval: how segments are labelled; None: as the network's source says.
    """

    max_exemplars: int = 20_000
    max_images: int | None = None
    balance: float = BALANCE
    min_area: float = 0.0001
    webp_quality: int = 80
    calibration_images: int = 100
    sorting: SortingInfo | None = None
    retrieval: RetrievalInfo | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.webp_quality <= 100 or not 0 <= self.min_area < 1 or self.calibration_images < 0:
            raise ValueError(
                f"webp_quality={self.webp_quality} must be in 1..100, min_area={self.min_area} in 0..1 and "
                f"calibration_images={self.calibration_images} not negative"
            )


@dataclass(frozen=True)
class Notes:
    """What a person has to say about a release, for its card; `licence` adds to the network's."""

    description: str = ""
    licence: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


class _Gathered(NamedTuple):
    """What the pass over the images gives: candidates, some images' segments, each image's name, width and height."""

    candidates: Candidates
    held_out: list[HeldOut]
    sources: list[tuple[str, int, int]]


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
) -> Release:
    """Make a release of a network and the labelled images of a data set.

    Args:
        dataset: its images become exemplars, its classes those of the release; `Unlabelled` images are clustered.
        source: the network; see `load_embedder_source`.
        out: folder of the release; it must not exist.
        name: of the release; None: the folder's name.
        options: bounds of the number of exemplars, and how segments are found and labelled.
        calibrate_with: labelled images that confidence is calibrated on; best none that the network was trained on.
            None: images of `dataset` are used, each without its own exemplars.
        notes: for the card.
        device: "cpu" or "cuda", for the network.
        threads: of the network on a CPU.

    Raises:
        ValueError: if the data set is empty, holds no labelled segment or an image too large for WebP, or lacks a class
            of the release in calibration.
        ReleaseError: if `out` exists.
    """
    options, notes, out = options or BuildOptions(), notes or Notes(), Path(out)
    if out.exists():
        raise ValueError(f"{out} exists; a release is never overwritten: give another folder with --out, or remove it")
    builder = _Builder(dataset, source, options, Embedder((source.network_file, source.preprocessing), device, threads))
    own = calibrate_with is None
    gathered = builder.gather(evenly_spread(len(dataset), options.calibration_images) if own else [])
    if isinstance(dataset, Unlabelled):
        gathered = _clustered(gathered, dataset.clusters)
    chosen = select(
        gathered.candidates, len(dataset.classes), options.max_exemplars, options.max_images, options.balance
    )
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
        provenance={"segsort": version("segsort"), "network": source.network.name, **notes.provenance},
        licence={**source.licence, **notes.licence},
        data={"exemplars": builder.summary(gathered, exemplars, len(sources)), **notes.data},
        training=source.training,
        metrics=dict(notes.metrics),
    )
    return write_release(out, card, source.network_file, exemplars, sources, builder.encode(sources, images))


def with_card(release: Release, out: Path, **changes: Any) -> Release:
    """A copy of a release whose card says something else, such as `metrics` found by `evaluate`.

    Args:
        release: the original; it stays as it is.
        out: folder of the copy; it must not exist.
        changes: fields of the card.

    Raises:
        ReleaseError: if `out` exists.
        ValueError: if a field is not known or its value not allowed.
    """
    card = Card.model_validate({**release.card.model_dump(), **changes})
    images = ((source.file, (release.path / source.file).read_bytes()) for source in release.sources)
    return write_release(out, card, release.network_path, release.exemplars, release.sources, images)


class _Builder:
    """The steps of `build_release` over one data set and one network."""

    def __init__(self, dataset: Dataset, source: EmbedderSource, options: BuildOptions, embedder: Embedder) -> None:
        self.dataset, self.options, self.embedder = dataset, options, embedder
        self.sorting = options.sorting or source.sorting
        self.retrieval = options.retrieval or source.retrieval
        self.num_classes = len(dataset.classes)

    def gather(self, held_out: list[int]) -> _Gathered:
        """Segments of every image split by label, and the whole segments of the images in `held_out`."""
        parts: list[Candidates] = []
        whole: list[HeldOut] = []
        sources: list[tuple[str, int, int]] = []
        for i in counted(len(self.dataset), f"embedding {self.dataset.name}"):
            sample = self.dataset[i]
            _check_side(sample)
            embeddings, segments = self._segments(sample.image)
            pieces = split_by_label(segments, embeddings.cpu(), sample.labels, IGNORE, self.options.min_area)
            count = len(pieces.areas)
            masks = encode_rle(pieces.labels, count) if count else []
            image_ids = np.full(count, i, dtype=np.int64)
            parts.append(Candidates(pieces.prototypes, pieces.class_ids, image_ids, pieces.bboxes, pieces.areas, masks))
            sources.append((sample.source, sample.image.shape[1], sample.image.shape[0]))
            if i in held_out:
                whole.append(self._held_out(segments, sample.labels, i))
        return _Gathered(_joined(parts, self.dataset.name), whole, sources)

    def calibrate(self, gathered: _Gathered, chosen: np.ndarray, calibrate_with: Dataset | None) -> Calibration:
        """Calibrate on another data set, or on the images set aside, each without its own exemplars."""
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
        """The chosen candidates, the images they lie in, and the positions of those images in the data set."""
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
        """(file, WebP) of each kept image, read once more, so that not all are held in memory; a core each encodes."""

        def webp(image: np.ndarray) -> bytes:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "WEBP", quality=self.options.webp_quality, method=6)
            return buffer.getvalue()

        cores = available_cores()
        with ThreadPoolExecutor(cores) as pool:
            begun: deque[tuple[str, Future[bytes]]] = deque()
            for n in counted(len(sources), "storing images"):
                begun.append((sources[n].file, pool.submit(webp, self.dataset.photograph(positions[n]).image)))
                if len(begun) > cores:
                    file, encoded = begun.popleft()
                    yield file, encoded.result()
            for file, encoded in begun:
                yield file, encoded.result()

    def summary(self, gathered: _Gathered, exemplars: Exemplars, images: int) -> dict[str, Any]:
        """What the exemplars come from, for the card."""
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
        }

    def _segments(self, image: np.ndarray) -> tuple[Any, Segments]:
        """Embeddings [D, h, w] and segments of one image."""
        embeddings = self.embedder.embed(image)
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
    """The same, each segment of the class of its cluster."""
    candidates = gathered.candidates
    centres = find_centres(candidates.prototypes, candidates.areas, clusters)
    found = replace(candidates, class_ids=nearest_centres(candidates.prototypes, centres))
    return gathered._replace(candidates=found, held_out=in_clusters(gathered.held_out, centres))


def _joined(parts: list[Candidates], dataset: str) -> Candidates:
    total = sum(len(part.class_ids) for part in parts)
    if total == 0:
        raise ValueError(
            f"data set {dataset!r} gave no labelled segment from {len(parts)} images; check that its masks hold "
            "classes other than ignore, or lower min_area"
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
            f"{sample.source} has {sample.image.shape[1]}x{sample.image.shape[0]} pixels; images of a release are "
            f"stored as WebP, of at most {WEBP_SIDE} pixels a side: cut the image into parts"
        )


def _split_of(dataset: Dataset) -> str:
    split = getattr(dataset, "split", None)
    return f"/{split}" if split else ""
