"""What a build is given besides images and a network: limits and settings, texts for the card, and a fitted head."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from index_builder.image_work import Embedding
from index_builder.selection import BALANCE
from model_store.card import Calibration, FeaturesInfo, HeadInfo, RetrievalInfo, SortingInfo

MIN_SHARE = 0.5  # of the labelled pixels of a segment, that an exemplar has: see `split_by_label`


@dataclass(frozen=True)
class BuildOptions:
    """Options of a build; `index_builder.selection.select` explains how exemplars are selected.

    Attributes:
        max_exemplars: maximum number of exemplars.
        max_images: maximum number of images that exemplars come from; None: no limit.
        balance: 0 keeps the frequencies of the classes, 1 gives all classes equal shares.
        distinct: cosine from which two exemplars of a class are near duplicates, of which one is kept; None: all are.
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
    distinct: float | None = None
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

    embedding: makes what embeds the images of the data set, in any process, with a number of threads or None; facts:
    what decides these embeddings, besides the network; calibration: of the fitted head; features, head: for the card;
    attachments: files that are kept beside the network.
    """

    embedding: Callable[[int | None], Embedding]
    facts: str
    calibration: Calibration
    features: FeaturesInfo
    head: HeadInfo
    attachments: Mapping[str, Path]
