"""A small feature extractor with maps of four strides, and heads of every kind over them."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from index_builder.heads import FeatureSource, export_extractor, features_info
from model_store.card import Preprocessing
from segsort.features import INPUT_MEAN, INPUT_STD, Extractor, FeatureGroup
from segsort.head import (
    FeatureStatistics,
    FitOptions,
    Head,
    columns_of,
    fit_by_sorting,
    identity_head,
    principal_basis,
)
from segsort.posterior_heads import fit_posteriors

GROUPS = (
    FeatureGroup("fine", 6, 4),
    FeatureGroup("middle", 24, 8),
    FeatureGroup("coarse", 8, 16),
    FeatureGroup("coarsest", 10, 32),
)
CLASSES = 3
KINDS = ("identity", "linear", "mlp", "forest", "softmax", "ensemble")


class Small(Extractor):
    """A chain of convolutions with drawn weights, whose results at each stride are the maps."""

    groups = GROUPS

    def __init__(self) -> None:
        super().__init__()
        channels = [3, *(group.channels for group in GROUPS)]
        convolutions = [
            nn.Conv2d(a, b, 4 if a == 3 else 3, 4 if a == 3 else 2, int(a > 3)) for a, b in pairwise(channels)
        ]
        random = torch.Generator().manual_seed(0)
        for one in convolutions:
            one.weight.data.normal_(0, 2 * one.weight[0].numel() ** -0.5, generator=random)
            one.bias.data.normal_(0, 0.2, generator=random)
        self.convolutions = nn.ModuleList(convolutions).requires_grad_(False)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps, x = [], image
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
            maps.append(x)
        return tuple(maps)


def write_source(folder: Path, working_size: int = 96) -> FeatureSource:
    """The small extractor as a file."""
    file = folder / "features.onnx"
    export_extractor(Small(), file)
    preprocessing = Preprocessing(working_size=working_size, mean=(INPUT_MEAN,) * 3, std=(INPUT_STD,) * 3)
    return FeatureSource(file, features_info("small", GROUPS), preprocessing, {"features": "drawn"})


def run(file: Path, outputs: list[str], image: np.ndarray) -> list[np.ndarray]:
    """Outputs of a network in ONNX Runtime. image: [B, 3, H, W] float32."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(outputs, {"image": image})
    return found


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """A prepared image, each pixel at random in -1..1."""
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def full_rows(maps: list[Tensor]) -> Tensor:
    """Features [B*h*w, F] of every cell, from maps [B, C, H, W] that are upsampled to the size of the first."""
    size = maps[0].shape[2:]
    fine = [F.interpolate(one, size, mode="bilinear", align_corners=False) for one in maps]
    return torch.cat(fine, dim=1).permute(0, 2, 3, 1).flatten(0, 2)


def small_rows(count: int) -> Tensor:
    """Features of cells of a few images of noise."""
    with torch.no_grad():
        rows = full_rows(list(Small()(torch.from_numpy(noise(3, 3, 96, 128, seed=7)))))
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:count]]


def small_statistics() -> FeatureStatistics:
    return FeatureStatistics.of(small_rows(2000))


def small_head(kind: str, groups: tuple[FeatureGroup, ...] = GROUPS) -> Head:
    """A head of a kind over some of the maps, fitted to classes that the first feature decides."""
    rows = small_rows(300)[:, columns_of(GROUPS, groups)]
    basis = principal_basis(small_statistics().columns(columns_of(GROUPS, groups)), groups, 12)
    identity = identity_head(groups, basis)
    first = rows[:, 0].contiguous()
    class_ids = torch.bucketize(first, first.quantile(torch.tensor([1 / 3, 2 / 3])))
    if kind == "identity":
        return identity
    if kind in ("forest", "softmax", "ensemble"):
        trees, softmax = (() if kind == "softmax" else groups), (() if kind == "forest" else groups)
        grown = fit_posteriors(
            kind, groups, identity, rows, class_ids, trees_read=trees, softmax_reads=softmax  # type: ignore[arg-type]
        )  # fmt: skip
        return grown.blended(0.3)[0]
    assert kind in ("linear", "mlp")
    options = FitOptions(steps=20, hidden=16, anchors=64, references=200)
    return fit_by_sorting(kind, groups, basis, rows, class_ids, torch.arange(300), options=options)  # type: ignore[arg-type]
