"""The steps of a build on all images: gather candidates, calibrate, and make exemplars of the chosen ones."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from index_builder.build_options import BuildOptions, FittedParts
from index_builder.calibration import HeldOut, calibrate_on
from index_builder.clustering import Unlabelled, in_clusters
from index_builder.datasets import IGNORE, Dataset
from index_builder.embedder_source import EmbedderSource
from index_builder.image_work import (
    Embedding,
    GatheredImage,
    Gathering,
    HoldingOut,
    ImageItem,
    ImageRecipe,
    NameOfImage,
    NetworkEmbedding,
    ReadImage,
    Reading,
)
from index_builder.kept_results import GATHERED, KeptResults, Working, file_digest
from index_builder.progress import shown
from index_builder.scores import class_lookup
from index_builder.selection import Candidates
from index_builder.subsets import evenly_spread
from model_store.card import Calibration
from model_store.clustering import find_centres, nearest_centres
from model_store.embedder import Device
from model_store.exemplar_table import Exemplars, SourceImage, exemplar_ids
from model_store.predictor import splitting_of
from model_store.recall import tuned_index
from model_store.release import IMAGES
from model_store.spreading import CarriedFile
from segsort.splitting import Splitting


class Gathered(NamedTuple):
    """Result of the pass over the images.

    candidates: segments that may become exemplars; held_out: segments of the images set aside for calibration; sources:
    name, width and height of each image; pixels: [256] of all images by label, IGNORE among them.
    """

    candidates: Candidates
    held_out: list[HeldOut]
    sources: list[tuple[str, int, int]]
    pixels: np.ndarray


class BuildSteps:
    """The steps of a build for one data set and one network. See `build_release` for the arguments."""

    def __init__(
        self,
        dataset: Dataset,
        source: EmbedderSource,
        options: BuildOptions,
        device: Device,
        threads: int | None,
        fitted: FittedParts | None,
        working: Working,
    ) -> None:
        self.dataset, self.options, self.working = dataset, options, working
        self.sorting = options.sorting or source.sorting
        if isinstance(dataset, Unlabelled):  # a cluster is not a class that pixels look like
            self.sorting = self.sorting.model_copy(update={"min_part": 0})
        self.retrieval = options.retrieval or source.retrieval
        self.num_classes = len(dataset.classes)
        self.splitting: Splitting | None = None  # known when exemplars are chosen
        self._fitted = fitted
        threads = threads if working.spread.is_local else 1
        network = partial(NetworkEmbedding, CarriedFile(source.network_file), source.preprocessing, device, threads)
        own: Callable[[], Embedding] = network if fitted is None else partial(fitted.embedding, threads)
        if working.spread.is_local:  # opened once for all steps
            network = cache(network)  # type: ignore[assignment]
            own = network if fitted is None else cache(own)
        self._network, self._own = network, own
        self._facts: dict[str, Any] = {
            "network": file_digest(source.network_file),
            "preprocessing": source.preprocessing.model_dump(mode="json"),
            "device": device,
            "fitted": None if fitted is None else fitted.facts,
        }

    def gather(self, hold_out: bool) -> Gathered:
        """Segment every image and split the segments by label, or cluster them if there are no labels.

        Args:
            hold_out: whether to keep the whole segments of some images, for calibration.
        """
        count, recipe = len(self.dataset), self._recipe()
        whole = set(evenly_spread(count, self.options.calibration_images) if hold_out else [])
        items = [ImageItem(i, i, i in whole) for i in range(count)]
        facts: dict[str, Any] = {
            **self._facts,
            "sorting": recipe.sorting.model_dump(mode="json"),
            "classes": recipe.classes,
        }
        facts |= {"min_area": recipe.min_area, "min_share": recipe.min_share, "segsort": version("segsort")}
        kept = KeptResults(self.working, "gathered", facts, GATHERED)
        make = partial(Gathering, recipe, self._own)
        found: list[GatheredImage | None] = [None] * count
        results = kept.each(make, items, Reading(self.dataset), NameOfImage(self.dataset))
        for place, image in shown(results, count, f"embedding {self.dataset.name}"):
            found[place] = image
        gathered = self._together([image for image in found if image is not None])
        return _clustered(gathered, self.dataset.clusters) if isinstance(self.dataset, Unlabelled) else gathered

    def _together(self, images: list[GatheredImage]) -> Gathered:
        """What was taken from all images, in their order."""
        pixels = sum((image.pixels for image in images), np.zeros(256, dtype=np.int64))
        parts = [
            Candidates(
                image.prototypes, image.class_ids, np.full(len(image.areas), i, dtype=np.int64), image.bboxes,
                image.areas, image.masks,
            )
            for i, image in enumerate(images)
        ]  # fmt: skip
        survey = getattr(self.dataset, "survey", None)
        if survey is not None:
            for image in images:
                survey.converted.update(image.converted)
                survey.empty.update(image.empty)
        sources = [(image.source, image.width, image.height) for image in images]
        whole = [image.whole for image in images if image.whole is not None]
        return Gathered(_joined(parts, self.dataset, pixels), whole, sources, pixels)

    def _recipe(self) -> ImageRecipe:
        return ImageRecipe(
            self.sorting, self.options.min_area, self.options.min_share, self.num_classes, self.splitting
        )

    def calibrate(self, gathered: Gathered, chosen: np.ndarray, calibrate_with: Dataset | None) -> Calibration:
        """Calibrate on another data set or, if there is none, on the held-out images without their own exemplars.

        The calibration of a fitted head is used as it is, unless there is another data set.
        """
        if self._fitted is not None and calibrate_with is None:
            return self._fitted.calibration
        candidates = gathered.candidates
        self.splitting = splitting_of(self.sorting, candidates.prototypes[chosen], candidates.class_ids[chosen])
        if calibrate_with is not None:
            held_out = self._hold_out(calibrate_with, gathered.sources)
        elif self.splitting is not None:  # how segments are split is not known before exemplars are chosen
            held_out = self._segments_again([image.image_id for image in gathered.held_out])
        else:
            held_out = gathered.held_out
        if calibrate_with is None:
            how = f"images of {self.dataset.name} that gave exemplars, each without its own exemplars"
        else:
            how = f"held-out images of {calibrate_with.name}{_split_of(calibrate_with)}"
        index = tuned_index(candidates.prototypes[chosen], self.retrieval)
        class_ids, image_ids = candidates.class_ids[chosen], candidates.image_ids[chosen]
        return calibrate_on(held_out, index, class_ids, image_ids, self.retrieval, how)

    def exemplars(self, gathered: Gathered, chosen: np.ndarray) -> tuple[Exemplars, list[SourceImage], list[int]]:
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

    def summary(self, gathered: Gathered, exemplars: Exemplars, images: int) -> dict[str, Any]:
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
            "distinct": self.options.distinct,
            "min_area": self.options.min_area,
            "min_share": self.options.min_share,
        }

    def _segments_again(self, positions: list[int]) -> list[HeldOut]:
        """Segment images of the data set as they will be served, now that exemplars are chosen."""
        make = partial(HoldingOut, self._recipe(), self._own)
        return self._held_out(make, self.dataset, [ImageItem(i, i) for i in positions])

    def _hold_out(self, dataset: Dataset, sources: list[tuple[str, int, int]]) -> list[HeldOut]:
        """Segments of another data set. An image that also gave exemplars, by its name, votes without its own."""
        ids = {name: i for i, (name, _, _) in enumerate(sources)}
        lookup = class_lookup(dataset.classes, self.dataset.classes, f"data set {self.dataset.name}")
        rows = evenly_spread(len(dataset), self.options.calibration_images)
        make = partial(HoldingOut, self._recipe(), self._network, lookup, ids)
        return self._held_out(make, dataset, [ImageItem(row, -1) for row in rows])

    def _held_out(
        self, make: Callable[[], Callable[[ReadImage], HeldOut]], dataset: Dataset, items: list[ImageItem]
    ) -> list[HeldOut]:
        found = self.working.spread.each(make, items, Reading(dataset), NameOfImage(dataset))
        done = dict(shown(found, len(items), "calibrating"))
        return [done[place] for place in range(len(items))]


def _clustered(gathered: Gathered, clusters: int) -> Gathered:
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


def _split_of(dataset: Dataset) -> str:
    split = getattr(dataset, "split", None)
    return f"/{split}" if split else ""
