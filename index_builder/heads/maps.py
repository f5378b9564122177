"""Feature maps of images: an extractor in ONNX Runtime, and a cache of its maps on disk."""

import hashlib
import os
import shutil
import weakref
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch
from torch import Tensor
from torch.nn import functional as F

from model_store.card import FeaturesInfo, Preprocessing
from model_store.cores import available_cores
from model_store.embedder import prepare
from model_store.spreading import CarriedFile
from segsort.features import STRIDE, FeatureGroup


@dataclass(frozen=True)
class FeatureSource:
    """A feature extractor as a file.

    Attributes:
        file: ONNX file with the input "image" [B, 3, H, W] and one output for each group of `info`.
        info: name and groups, for the card.
        preprocessing: of its input.
        licence: of its weights, for the card.
    """

    file: Path
    info: FeaturesInfo
    preprocessing: Preprocessing
    licence: dict[str, str]

    @property
    def groups(self) -> tuple[FeatureGroup, ...]:
        return tuple(FeatureGroup(one.name, one.channels, one.stride) for one in self.info.groups)


class ImageMaps(NamedTuple):
    """Feature maps of one image.

    maps: [C_i, H_i, W_i] float32 by the name of the group; cells: (h, w), embedding cells that lie on the image and not
    on its padding.
    """

    maps: dict[str, np.ndarray]
    cells: tuple[int, int]

    def rows(self, groups: Sequence[FeatureGroup], y: np.ndarray, x: np.ndarray) -> Tensor:
        """Features at embedding cells: y, x [N] int64 -> [N, F] float32, maps interpolated bilinearly."""
        return torch.cat([_interpolated(self.maps[group.name], group.stride // STRIDE, y, x) for group in groups], 1)

    def affine(self, groups: Sequence[FeatureGroup], weight: np.ndarray, bias: np.ndarray) -> Tensor:
        """An affine layer over all features of every cell: [M, F], [M] -> [M, h, w].

        It is applied to each map at the map's own stride; the results are upsampled and summed.
        """
        (h, w), start = self.cells, 0
        total = torch.from_numpy(bias)[:, None, None].expand(-1, h, w).clone()
        for group in groups:
            part = torch.from_numpy(np.ascontiguousarray(weight[:, start : start + group.channels]))
            start += group.channels
            values = torch.from_numpy(self.maps[group.name])
            mapped = (part @ values.flatten(1)).reshape(len(part), *values.shape[1:])
            factor = group.stride // STRIDE
            if factor > 1:
                mapped = F.interpolate(mapped[None], scale_factor=factor, mode="bilinear", align_corners=False)[0]
            total += mapped[:, :h, :w]
        return total


class FeatureExtractor:
    """Runs a `FeatureSource` on images, and keeps the maps of each image in a folder.

    Args:
        source: the extractor.
        folder: where maps are kept in float16, one file an image; None: they are not kept.
        threads: threads of ONNX Runtime; None: all cores.
    """

    def __init__(self, source: FeatureSource, folder: Path | None, threads: int | None = None) -> None:
        self.source, self.folder = source, folder
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or available_cores()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(source.file), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._names = [group.name for group in source.groups]

    def maps(self, image: np.ndarray) -> ImageMaps:
        """Maps of an image [H, W, 3] uint8 RGB, computed once if they are kept. They are rounded to float16."""
        file = None if self.folder is None else self.folder / name_of_maps(image)
        if file is not None and (stored := self._read(file)) is not None:
            return stored
        x, cells = prepare(image, self.source.preprocessing)
        found = dict(zip(self._names, self._session.run(self._names, {"image": x}), strict=True))
        kept = {name: values[0].astype(np.float16) for name, values in found.items()}
        if file is not None:
            part = file.with_suffix(f".{os.getpid()}.part")
            with part.open("wb") as opened:
                np.savez(opened, cells=np.array(cells), **kept)
            part.replace(file)  # other processes read it
        return ImageMaps({name: values.astype(np.float32) for name, values in kept.items()}, cells)

    def has_maps(self, image: np.ndarray) -> bool:
        """Whether the maps of an image are kept and can be read."""
        return self.folder is not None and self._read(self.folder / name_of_maps(image)) is not None

    def _read(self, file: Path) -> ImageMaps | None:
        """Maps that are kept; None if there are none, or the file is damaged."""
        try:
            with file.open("rb") as opened, np.load(opened) as stored:
                maps = {name: stored[name].astype(np.float32) for name in self._names}
                h, w = stored["cells"].tolist()
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return ImageMaps(maps, (h, w))


def name_of_maps(image: np.ndarray) -> str:
    """Name of the file that has the maps of an image."""
    return f"{hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()[:32]}.npz"


class MapsWork:
    """Computes the maps of images in any process.

    Args:
        file: of the extractor; source: describes it.
        folder: where maps are kept, a folder of this machine; None: there is none.
        threads: of ONNX Runtime.
    """

    def __init__(self, file: CarriedFile, source: FeatureSource, folder: Path | None, threads: int | None) -> None:
        self._is_kept = folder is not None
        self._folder = Path(mkdtemp(prefix="segsort-features-")) if folder is None else folder
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._extractor = FeatureExtractor(replace(source, file=file.path), self._folder, threads)

    def __call__(self, image: np.ndarray) -> tuple[str, bytes]:
        """Name and content of the file of the maps of an image [H, W, 3]; the content is empty where it is kept."""
        self._extractor.maps(image)
        file = self._folder / name_of_maps(image)
        if self._is_kept:
            return file.name, b""
        content = file.read_bytes()
        file.unlink()
        return file.name, content


def _interpolated(values: np.ndarray, factor: int, y: np.ndarray, x: np.ndarray) -> Tensor:
    """A map [C, h, w] at cells of stride 4: [N, C]. Equal to upsampling the map bilinearly by `factor`."""
    if factor == 1:
        return torch.from_numpy(values[:, y, x].T.copy())
    _, h, w = values.shape
    (top, bottom, down), (left, right, along) = _between(y, factor, h), _between(x, factor, w)
    upper = values[:, top, left] * (1 - along) + values[:, top, right] * along
    lower = values[:, bottom, left] * (1 - along) + values[:, bottom, right] * along
    return torch.from_numpy((upper * (1 - down) + lower * down).T.astype(np.float32))


def _between(cells: np.ndarray, factor: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The map's cells before and after each fine cell, and the share of the way between their centres."""
    at = np.clip((cells + 0.5) / factor - 0.5, 0, length - 1)
    before = at.astype(np.int64)
    return before, np.minimum(before + 1, length - 1), (at - before).astype(np.float32)
