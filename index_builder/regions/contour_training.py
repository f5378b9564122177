"""Training of the contour network on photographs whose regions several people drew (BSDS500's layout)."""

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from index_builder.datasets import open_image
from index_builder.progress import counted
from index_builder.regions.borders import boundary_pixels
from index_builder.regions.contour_network import ContourNetwork, export_contours
from index_builder.regions.contours import MEAN, STD


class ContourRecipe(BaseModel):
    """Everything that decides a training of the contour network but the data and the starting weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(400, ge=1, description="Optimiser steps.")
    batch: int = Field(8, ge=1, description="Crops a step.")
    crop: int = Field(256, ge=32, multiple_of=32, description="Pixels a side of a crop.")
    scale: tuple[float, float] = Field((0.6, 1.5), description="Enlargement of the photograph, drawn for each crop.")
    learning_rate: float = Field(2e-3, gt=0, description="Of the decoder, after the warm-up.")
    backbone_rate: float = Field(0.25, ge=0, description="Learning rate of the backbone, as a share of the decoder's.")
    weight_decay: float = Field(1e-4, ge=0)
    sure: float = Field(0.25, gt=0, le=1, description="Share of annotators from which a pixel is a contour.")
    seed: int = 0


class Drawing(NamedTuple):
    """image: [H, W, 3] uint8 RGB; share: [H, W] float32, share of the annotators whose boundary runs through it."""

    image: np.ndarray
    share: np.ndarray


def annotations(photograph: Path) -> list[np.ndarray]:
    """Region maps of a photograph, one an annotator: [H, W] int32 each, of ID_0.png, ID_1.png, ... beside ID.jpg.

    Raises:
        ValueError: if there are none, or one is as large as no upright photograph.
    """
    files = sorted(photograph.parent.glob(f"{photograph.stem}_*.png"))
    if not files:
        raise ValueError(f"{photograph} has no region maps {photograph.stem}_0.png, ... beside it; add them")
    with open_image(photograph) as opened:
        width, height = opened.size
    maps = []
    for file in files:
        with open_image(file) as opened:
            regions = np.asarray(opened).astype(np.int32)
        if regions.shape != (height, width):
            raise ValueError(f"{file} has shape {regions.shape}, its photograph {(height, width)}; make them alike")
        maps.append(regions)
    return maps


def photographs(root: Path, split: str) -> list[Path]:
    """The ID.jpg of a folder, or of its folder `split` where there is one, in order.

    Raises:
        ValueError: if there are none.
    """
    folder = root / split if (root / split).is_dir() else root
    files = sorted(folder.glob("*.jpg"))
    if not files:
        raise ValueError(f"{folder} holds no .jpg photographs; give the folder with ID.jpg and ID_0.png, ID_1.png, ...")
    return files


def read_drawing(photograph: Path) -> Drawing:
    """A photograph and where its annotators see boundaries."""
    with open_image(photograph) as opened:
        image = np.asarray(opened.convert("RGB"))
    drawn = np.mean([boundary_pixels(regions) for regions in annotations(photograph)], axis=0, dtype=np.float32)
    return Drawing(image, np.asarray(drawn))


def contour_loss(logits: Tensor, share: Tensor, sure: float) -> Tensor:
    """Class-balanced cross entropy (Xie & Tu, ICCV 2015, eq. 2), contours and the rest weighing one half each.

    Pixels that some annotators mark, but fewer than `sure`, count as neither (Liu et al., CVPR 2017, eq. 1).

    Args:
        logits: [B, 1, H, W].
        share: [B, 1, H, W], 0..1, share of the annotators that see a boundary there; negative: not known.
        sure: share from which a pixel is a contour.
    """
    contour, rest = share >= sure, share == 0
    each = F.binary_cross_entropy_with_logits(logits, contour.float(), reduction="none")
    halves = [each[part].mean() for part in (contour, rest) if part.any()]
    return torch.stack(halves).mean() if halves else logits.sum() * 0


def train_contours(
    root: Path, out: Path, recipe: ContourRecipe | None = None, weights: dict[str, Tensor] | None = None
) -> Path:
    """Train the network and write contours.onnx and log.csv into `out`.

    Args:
        root: folder of ID.jpg and ID_k.png, or one whose folder train holds them.
        out: made where it is missing.
        recipe: how; None takes the recipe's defaults.
        weights: state of MobileNetV2Model to start from; None starts from scratch.

    Returns:
        Where the network lies.

    Raises:
        ValueError: if the folder holds no such photographs, or the exported network disagrees with torch.
    """
    recipe = recipe or ContourRecipe()
    files = photographs(root, "train")
    drawings = [read_drawing(files[i]) for i in counted(len(files), "Reading drawings")]
    torch.manual_seed(recipe.seed)
    network = ContourNetwork(weights).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # in place
    out.mkdir(parents=True, exist_ok=True)
    with (out / "log.csv").open("w", newline="") as file:
        log = csv.writer(file)
        log.writerow(("step", "loss", "learning_rate", "seconds"))
        for row in _steps(network, drawings, recipe):
            log.writerow(row)
            file.flush()
    export_contours(network, out / "contours.onnx")
    return out / "contours.onnx"


def _steps(
    network: ContourNetwork, drawings: list[Drawing], recipe: ContourRecipe
) -> Iterator[tuple[int, float, float, float]]:
    """Take all steps; gives step, mean loss, learning rate and seconds at every tenth and the last."""
    backbone = {id(parameter) for parameter in network.backbone.parameters()}
    groups = [
        {"params": [p for p in network.parameters() if (id(p) in backbone) == inside], "lr": rate}
        for inside, rate in ((False, recipe.learning_rate), (True, recipe.learning_rate * recipe.backbone_rate))
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    warmup = min(20, recipe.steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warmup, 1) * (1 - step / recipe.steps) ** 0.9
    )
    batches, start, losses = crops(drawings, recipe), time.perf_counter(), []
    for step in counted(recipe.steps, "Training contours"):
        images, share = next(batches)
        loss = contour_loss(network(images), share, recipe.sure)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        rate = float(schedule.get_last_lr()[0])
        schedule.step()
        losses.append(loss.item())
        if (step + 1) % 10 == 0 or step + 1 == recipe.steps:
            yield step + 1, float(np.mean(losses)), rate, round(time.perf_counter() - start, 1)
            losses.clear()


def crops(drawings: list[Drawing], recipe: ContourRecipe) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches: [B, 3, crop, crop] normalised and [B, 1, crop, crop] shares, -1 outside the photograph."""
    random = np.random.default_rng(recipe.seed)
    while True:
        pairs = [_crop(drawings[int(random.integers(len(drawings)))], recipe, random) for _ in range(recipe.batch)]
        images, shares = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
        yield (images.permute(0, 3, 1, 2).float() - MEAN) / STD, shares[:, None]


def _crop(drawing: Drawing, recipe: ContourRecipe, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A window of a random place and size, scaled to the crop, flipped at random: [crop, crop, 3], [crop, crop]."""
    height, width = drawing.share.shape
    scale = float(np.exp(random.uniform(*np.log(recipe.scale))))
    side = recipe.crop / scale
    top, left = (random.uniform(min(0, n - side), max(0, n - side)) for n in (height, width))
    size, box = (recipe.crop, recipe.crop), (left, top, left + side, top + side)
    # Pillow's transform fills what lies outside the photograph with 0; shares are moved by 1 so that 0 can say so.
    image = Image.fromarray(drawing.image).transform(size, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    share = Image.fromarray(drawing.share + 1).transform(size, Image.Transform.EXTENT, box, Image.Resampling.NEAREST)
    pixels, shares = np.asarray(image), np.asarray(share) - 1
    if random.random() < 0.5:
        pixels, shares = pixels[:, ::-1], shares[:, ::-1]
    return np.ascontiguousarray(pixels), np.ascontiguousarray(shares)
