"""The table of exemplars, which are labelled segments, and the images that they come from."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from model_store.mapped_columns import Names, RowsByName, Texts, map_columns, save_aligned


@dataclass(frozen=True)
class SourceImage:
    """An image with exemplars.

    Attributes:
        file: path in the release, for example "images/00012.webp".
        source: name of the image in its data set, for example "streets/train/000012".
        width: pixels.
        height: pixels.
    """

    file: str
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Exemplars:
    """Labelled segments, one a row.

    Attributes:
        ids: N ids of 16 hexadecimal digits each; see `exemplar_id`.
        prototypes: [N, D] float32 unit vectors.
        class_ids: [N] int64.
        image_ids: [N] int32, position of the image in the sources of the release.
        bboxes: [N, 4] int32 (x, y, width, height), pixels of that image.
        areas: [N] int64, pixels of that image.
        masks: N COCO compressed run lengths, pixels of that image.
        strengths: [N] float32 above 0, factor of each exemplar's weight in the vote; None: 1 for all.
        order: [N] int64, rows by rising id, if the table is mapped from its file; None: it is in memory.

    Raises:
        ValueError: if lengths or shapes differ, or a strength is not finite and above 0.
    """

    ids: Sequence[str]
    prototypes: np.ndarray
    class_ids: np.ndarray
    image_ids: np.ndarray
    bboxes: np.ndarray
    areas: np.ndarray
    masks: Sequence[str]
    strengths: np.ndarray | None = None
    order: np.ndarray | None = None

    def __post_init__(self) -> None:
        N = len(self.ids)
        lengths = {
            "prototypes": len(self.prototypes),
            "class_ids": len(self.class_ids),
            "image_ids": len(self.image_ids),
            "bboxes": len(self.bboxes),
            "areas": len(self.areas),
            "masks": len(self.masks),
            "strengths": N if self.strengths is None else len(self.strengths),
        }
        wrong = {name: length for name, length in lengths.items() if length != N}
        if wrong or self.prototypes.ndim != 2 or self.bboxes.shape != (N, 4):
            raise ValueError(
                f"exemplars have {N} ids, but {wrong or (self.prototypes.shape, self.bboxes.shape)}; every field "
                "must have one row for each exemplar, prototypes [N, D], bboxes [N, 4]"
            )
        if self.strengths is not None and not ((self.strengths > 0) & np.isfinite(self.strengths)).all():
            raise ValueError(
                f"exemplars have strengths from {self.strengths.min()} to {self.strengths.max()}; strengths must be "
                "finite and above 0, and 1 is the usual value"
            )

    @classmethod
    def none(cls, dimension: int) -> "Exemplars":
        """No exemplars, with prototypes [0, dimension]."""
        return cls(
            ids=[],
            prototypes=np.zeros((0, dimension), dtype=np.float32),
            class_ids=np.zeros(0, dtype=np.int64),
            image_ids=np.zeros(0, dtype=np.int32),
            bboxes=np.zeros((0, 4), dtype=np.int32),
            areas=np.zeros(0, dtype=np.int64),
            masks=[],
        )

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self) -> Mapping[str, int]:
        """Row of each exemplar by its id."""
        if self.order is not None and isinstance(self.ids, Names):
            return RowsByName(self.ids.column, self.order)
        return {exemplar_id: row for row, exemplar_id in enumerate(self.ids)}

    def save(self, file: Path, to_map: bool = False) -> None:
        """Write an .npz file without pickled objects.

        Args:
            file: the file.
            to_map: whether it can be mapped into memory; if not, it is compressed.
        """
        masks = [mask.encode("ascii") for mask in self.masks]
        ids = np.array(self.ids, dtype="S16")
        columns = {
            "ids": ids,
            "prototypes": self.prototypes.astype(np.float32, copy=False),
            "class_ids": self.class_ids.astype(np.int64, copy=False),
            "image_ids": self.image_ids.astype(np.int32, copy=False),
            "bboxes": self.bboxes.astype(np.int32, copy=False),
            "areas": self.areas.astype(np.int64, copy=False),
            "masks": np.frombuffer(b"".join(masks), dtype=np.uint8),
            "mask_ends": np.cumsum([len(mask) for mask in masks], dtype=np.int64),
        }
        if self.strengths is not None:
            columns["strengths"] = self.strengths.astype(np.float32)
        if to_map:
            columns["order"] = np.argsort(ids, kind="stable")
            return save_aligned(file, columns)
        np.savez_compressed(file, allow_pickle=False, **columns)

    @classmethod
    def load(cls, file: Path, to_map: bool = False) -> "Exemplars":
        """Read a file that `save` wrote.

        Args:
            file: the file.
            to_map: whether to map it into memory if it was written for that. Rows are then read when they are used.

        Raises:
            ValueError, KeyError, OSError, zipfile.BadZipFile: if the file is damaged or lacks a field.
        """
        mapped = map_columns(file) if to_map else None
        if mapped is not None:
            return cls._of_mapped(mapped)
        with np.load(file, allow_pickle=False) as arrays:
            text = arrays["masks"].tobytes().decode("ascii")
            ends = [int(end) for end in arrays["mask_ends"]]
            return cls(
                ids=[name.decode("ascii") for name in arrays["ids"].tolist()],
                prototypes=np.ascontiguousarray(arrays["prototypes"], dtype=np.float32),
                class_ids=arrays["class_ids"].astype(np.int64),
                image_ids=arrays["image_ids"].astype(np.int32),
                bboxes=arrays["bboxes"].astype(np.int32),
                areas=arrays["areas"].astype(np.int64),
                masks=[text[start:end] for start, end in pairwise([0, *ends])],
                strengths=arrays["strengths"].astype(np.float32) if "strengths" in arrays else None,
            )

    @classmethod
    def _of_mapped(cls, columns: Mapping[str, np.ndarray]) -> "Exemplars":
        return cls(
            ids=Names(columns["ids"]),
            prototypes=columns["prototypes"],
            class_ids=columns["class_ids"],
            image_ids=columns["image_ids"],
            bboxes=columns["bboxes"],
            areas=columns["areas"],
            masks=Texts(columns["masks"], columns["mask_ends"]),
            strengths=columns.get("strengths"),
            order=columns["order"],
        )


def exemplar_id(prototype: np.ndarray, class_name: str, source: str, mask: str) -> str:
    """Id of an exemplar, equal in all releases that contain it: the first 16 hexadecimal digits of a SHA-256.

    Args:
        prototype: [D] float32 unit vector.
        class_name: name of its class.
        source: name of its image.
        mask: COCO compressed run lengths.
    """
    digest = hashlib.sha256(np.ascontiguousarray(prototype, dtype="<f4").tobytes())
    for text in (class_name, source, mask):
        digest.update(b"\0" + text.encode("utf-8"))
    return digest.hexdigest()[:16]


def exemplar_ids(
    prototypes: np.ndarray, class_names: Sequence[str], sources: Sequence[str], masks: Sequence[str]
) -> list[str]:
    """`exemplar_id` of each of N exemplars: prototypes [N, D], and N class names, sources and masks."""
    rows = zip(prototypes, class_names, sources, masks, strict=True)
    return [exemplar_id(prototype, name, source, mask) for prototype, name, source, mask in rows]
