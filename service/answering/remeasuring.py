"""Remeasuring: the prototypes that areas of stored images have in the space of one release's network."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from model_store.added import AddedExemplar
from model_store.embedder import Embedder
from model_store.release import Release
from segsort.arrays import on_host
from segsort.masks import decode_rle
from segsort.segments import prototypes_of_labels
from service.images.decode import decode_reduced
from service.problems import Problem
from service.settings import Settings


class Measuring(Protocol):
    """What gives the prototypes that areas of stored images have."""

    def prototypes(self, image_id: str, content: bytes, exemplars: Sequence[AddedExemplar]) -> list[np.ndarray]:
        """The prototypes of the masks of exemplars of one image, each [D] float32.

        Raises:
            Problem: if the image cannot be decoded.
        """
        ...


class Remeasuring:
    """Runs the network of a release on stored images, on the CPU. The network is opened when it is first needed.

    Args:
        release: its network.
        settings: threads, and the largest images.
    """

    def __init__(self, release: Release, settings: Settings) -> None:
        self._release, self._settings = release, settings
        self._embedder: Embedder | None = None
        self._last: tuple[str, np.ndarray] | None = None  # image_id and embeddings of the newest image

    def prototypes(self, image_id: str, content: bytes, exemplars: Sequence[AddedExemplar]) -> list[np.ndarray]:
        """The prototypes that the masks of exemplars of one image have with this network, each [D] float32.

        Raises:
            Problem: if the image cannot be decoded.
            ValueError: if the network cannot be opened.
        """
        embeddings = self._embeddings(image_id, content)
        return prototypes_of(embeddings, (decode_rle(one.mask, (one.height, one.width)) for one in exemplars))

    def _embeddings(self, image_id: str, content: bytes) -> np.ndarray:
        if self._last is None or self._last[0] != image_id:
            settings, release = self._settings, self._release
            if self._embedder is None:
                self._embedder = Embedder(release, "cpu", settings.cores)
            working_size = release.card.preprocessing.working_size
            decoded = decode_reduced(content, settings.max_pixels, working_size, settings.max_full_pixels)
            self._last = image_id, on_host(self._embedder.embed(decoded.pixels))
        return self._last[1]


class Recorder:
    """Passes prototypes on, and writes them to a file for another process, see `Recorded`.

    Args:
        network: gives the prototypes.
    """

    def __init__(self, network: Measuring) -> None:
        self._network = network
        self._found = dict[str, np.ndarray]()  # by exemplar_id
        self._problems = dict[str, str]()  # by image_id

    def prototypes(self, image_id: str, content: bytes, exemplars: Sequence[AddedExemplar]) -> list[np.ndarray]:
        """See `Measuring.prototypes`."""
        try:
            found = self._network.prototypes(image_id, content, exemplars)
        except Problem as problem:
            self._problems[image_id] = problem.detail
            raise
        self._found |= {one.exemplar_id: value for one, value in zip(exemplars, found, strict=True)}
        return found

    def save(self, file: Path) -> None:
        """Write what was measured, and which images could not be."""
        np.savez(
            file,
            allow_pickle=False,
            ids=np.array(list(self._found), dtype=np.str_),
            prototypes=np.array(list(self._found.values()), dtype=np.float32),
            images=np.array(list(self._problems), dtype=np.str_),
            problems=np.array(list(self._problems.values()), dtype=np.str_),
        )


class Recorded:
    """Prototypes that another process measured.

    Args:
        file: what `Recorder.save` wrote.
        network: measures what the other process did not know.

    Raises:
        OSError, ValueError, KeyError: if the file cannot be read.
    """

    def __init__(self, file: Path, network: Measuring) -> None:
        self._network = network
        with np.load(file, allow_pickle=False) as arrays:
            self._found = dict(zip(arrays["ids"].tolist(), arrays["prototypes"], strict=True))
            self._problems = dict(zip(arrays["images"].tolist(), arrays["problems"].tolist(), strict=True))

    def prototypes(self, image_id: str, content: bytes, exemplars: Sequence[AddedExemplar]) -> list[np.ndarray]:
        """See `Measuring.prototypes`."""
        if image_id in self._problems:
            raise Problem(422, self._problems[image_id])
        if all(one.exemplar_id in self._found for one in exemplars):
            return [self._found[one.exemplar_id] for one in exemplars]
        return self._network.prototypes(image_id, content, exemplars)


def prototypes_of(embeddings: np.ndarray, areas: Iterable[np.ndarray]) -> list[np.ndarray]:
    """The prototypes of areas of one image, which may overlap.

    Args:
        embeddings: [D, h, w] unit vectors of the image.
        areas: each [H, W] bool.

    Returns:
        A unit vector [D] float32 for each area.
    """
    labels = (np.where(inside, 0, -1).astype(np.int32) for inside in areas)
    return [np.asarray(prototypes_of_labels(embeddings, one, 1)[0]) for one in labels]
