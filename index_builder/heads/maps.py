"""Feature maps of images: an extractor in ONNX Runtime, and a cache of its maps on disk."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch
from torch import Tensor
from torch.nn import functional as F

from model_store.card import FeaturesInfo, Preprocessing
from model_store.cores import available_cores
from model_store.embedder import prepare
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
        folder: where maps are kept in float16, one file an image.
        threads: threads of ONNX Runtime; None: all cores.
    """

    def __init__(self, source: FeatureSource, folder: Path, threads: int | None = None) -> None:
        self.source, self.folder = source, folder
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or available_cores()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(source.file), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._names = [group.name for group in source.groups]

    def maps(self, image: np.ndarray) -> ImageMaps:
        """Maps of an image [H, W, 3] uint8 RGB, computed once."""
        file = self.folder / f"{hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()[:32]}.npz"
        if not file.exists():
            x, cells = prepare(image, self.source.preprocessing)
            found = dict(zip(self._names, self._session.run(self._names, {"image": x}), strict=True))
            kept = {name: values[0].astype(np.float16) for name, values in found.items()}
            with file.open("wb") as opened:
                np.savez(opened, cells=np.array(cells), **kept)
            return ImageMaps({name: values.astype(np.float32) for name, values in kept.items()}, cells)
        with np.load(file) as stored:
            maps = {name: stored[name].astype(np.float32) for name in self._names}
            h, w = stored["cells"].tolist()
        return ImageMaps(maps, (h, w))


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
