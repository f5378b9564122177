"""Photographs of other subjects, and the familiarity of their segments compared with those of the evaluated data."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from index_builder.progress import counted
from index_builder.scores import area_under_roc
from index_builder.subsets import evenly_spread
from model_store.images import read_image
from model_store.predictor import Prediction, Predictor
from segsort.retrieval import familiarity

SAMPLES = (
    "astronaut", "brick", "camera", "cell", "chelsea", "clock", "coffee", "coins", "colorwheel", "grass", "gravel",
    "horse", "hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket", "text",
)  # fmt: skip # images in the wheel of scikit-image; none is of a street
PHOTOGRAPHS = (".jpg", ".jpeg", ".webp")
MOST = 100  # maximum number of photographs read from a folder


class Photographs:
    """A set of photographs of other subjects than those of a data set, read one by one.

    Args:
        source: "samples" for the images of scikit-image, or a folder as PATH or NAME=PATH. At most 100 JPEG and WebP
            files of the folder and its subfolders are used, evenly spread. PNG files are skipped: they may be masks.

    Attributes:
        name: "samples", NAME, or the last two parts of the path of the folder.

    Raises:
        ValueError: if the folder does not exist or has no photographs.
    """

    def __init__(self, source: str) -> None:
        name, sign, path = source.partition("=")
        if not sign or Path(source).is_dir():
            name, path = "", source
        self.files: list[Path] | None = None
        self.folder = Path(path)
        if source != "samples":
            files = sorted(file for file in self.folder.rglob("*") if file.suffix.lower() in PHOTOGRAPHS)
            if not files:
                raise ValueError(
                    f"foreign photographs {source!r}: {self.folder} has no file ending in {', '.join(PHOTOGRAPHS)}; "
                    "give a folder of photographs, NAME=PATH, or 'samples'"
                )
            self.files = [files[i] for i in evenly_spread(len(files), MOST)]
            source = name or "/".join(self.folder.absolute().parts[-2:])
        self.name = source

    def __len__(self) -> int:
        return len(SAMPLES if self.files is None else self.files)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and upright image [H, W, 3] uint8 RGB of each photograph."""
        if self.files is None:
            yield from ((name, _sample(name)) for name in SAMPLES)
            return
        for file in self.files:
            yield str(file.relative_to(self.folder)), read_image(file).pixels


class Familiar(NamedTuple):
    """familiarity: [S] float64 of S segments; known: [S] bool; areas: [S] int64, pixels."""

    familiarity: np.ndarray
    known: np.ndarray
    areas: np.ndarray

    @property
    def known_share(self) -> float:
        """Share of the pixels that are in known segments, 0..1."""
        return float(self.areas[self.known].sum() / self.areas.sum())


def familiar(prediction: Prediction) -> Familiar:
    """Familiarity of the segments of one prediction."""
    areas = prediction.segments.areas
    return Familiar(familiarity(prediction.similarities[:, 0], areas)[0], prediction.known, areas)


def familiar_in(predictor: Predictor, photographs: Photographs) -> dict[str, Familiar]:
    """Familiarity of the segments of each photograph, by the name of the photograph."""
    images = iter(photographs)
    return {
        name: familiar(predictor.predict(image))
        for _, (name, image) in zip(
            counted(len(photographs), f"photographs of {photographs.name}"), images, strict=True
        )
    }


def joined(parts: Sequence[Familiar]) -> Familiar:
    """Concatenate the segments of several images, at least one."""
    return Familiar(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def separation(ours: Familiar, others: Familiar) -> float:
    """Area under the ROC of familiarity as a detector of our pixels, 0..1, weighted by area; NaN without pixels."""
    return area_under_roc(ours.familiarity, others.familiarity, ours.areas, others.areas)


def _sample(name: str) -> np.ndarray:
    import skimage.data

    image = getattr(skimage.data, name)()
    if image.dtype == bool:
        image = image.astype(np.uint8) * 255
    return np.ascontiguousarray(image[:, :, :3] if image.ndim == 3 else np.repeat(image[:, :, None], 3, 2))
