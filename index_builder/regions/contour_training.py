"""Training of the contour network on photographs with regions drawn by several annotators (layout of BSDS500)."""

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

from index_builder.progress import counted
from index_builder.regions.borders import boundary_pixels
from index_builder.regions.contour_network import ContourNetwork, export_contours
from index_builder.regions.contours import MEAN, STD
from model_store.images import read_image, read_indices


class ContourRecipe(BaseModel):
    """Settings of a training of the contour network, without the data and the initial weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(400, ge=1, description="optimiser steps")
    batch: int = Field(8, ge=1, description="crops per step")
    crop: int = Field(256, ge=32, multiple_of=32, description="side of a crop, pixels")
    scale: tuple[float, float] = Field((0.6, 1.5), description="range of the random scale of each crop")
    learning_rate: float = Field(2e-3, gt=0, description="of the decoder, after the warm-up")
    backbone_rate: float = Field(0.25, ge=0, description="learning rate of the backbone, as a share of the decoder's")
    weight_decay: float = Field(1e-4, ge=0)
    sure: float = Field(0.25, gt=0, le=1, description="minimum share of annotators that makes a pixel a contour")
    seed: int = 0


class Drawing(NamedTuple):
    """image: [H, W, 3] uint8 RGB; share: [H, W] float32, share of annotators with a boundary at the pixel, 0..1."""

    image: np.ndarray
    share: np.ndarray


def annotations(photograph: Path) -> list[np.ndarray]:
    """Region maps of a photograph ID.jpg, one an annotator: [H, W] int32 each, read from ID_0.png, ID_1.png, ...

    Raises:
        ValueError: if there are none, or one differs in size from the photograph.
    """
    files = sorted(photograph.parent.glob(f"{photograph.stem}_*.png"))
    if not files:
        raise ValueError(f"{photograph} has no region maps {photograph.stem}_0.png, ... beside it; add them")
    height, width = read_image(photograph).size
    maps = []
    for file in files:
        regions = read_indices(file).astype(np.int32)
        if regions.shape != (height, width):
            raise ValueError(
                f"{file} has shape {regions.shape}, its photograph {(height, width)}; replace the map by one of the "
                "photograph's size"
            )
        maps.append(regions)
    return maps


def photographs(root: Path, split: str) -> list[Path]:
    """The files ID.jpg of a folder, or of its subfolder `split` if it has one, in alphabetical order.

    Raises:
        ValueError: if there are none.
    """
    folder = root / split if (root / split).is_dir() else root
    files = sorted(folder.glob("*.jpg"))
    if not files:
        raise ValueError(f"{folder} has no .jpg photographs; give the folder with ID.jpg and ID_0.png, ID_1.png, ...")
    return files


def read_drawing(photograph: Path) -> Drawing:
    """Read a photograph and the boundaries that its annotators drew."""
    image = read_image(photograph).pixels
    drawn = np.mean([boundary_pixels(regions) for regions in annotations(photograph)], axis=0, dtype=np.float32)
    return Drawing(image, np.asarray(drawn))


def contour_loss(logits: Tensor, share: Tensor, sure: float) -> Tensor:
    """Class-balanced cross entropy (Xie & Tu, ICCV 2015, eq. 2): contours and other pixels have half the weight each.

    Pixels that some annotators mark, but a smaller share than `sure`, are ignored (Liu et al., CVPR 2017, eq. 1).

    Args:
        logits: [B, 1, H, W] float32.
        share: [B, 1, H, W] float32, share of annotators with a boundary at the pixel, 0..1; negative if unknown.
        sure: minimum share that makes a pixel a contour, 0..1.

    Returns:
        A scalar; 0 if no pixel counts.
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
        root: folder of ID.jpg and ID_k.png, or a folder with a subfolder `train` of them.
        out: output folder; it is created if it is missing.
        recipe: settings; None uses the defaults.
        weights: initial state of MobileNetV2Model; None starts from scratch.

    Returns:
        Path of contours.onnx.

    Raises:
        ValueError: if the folder has no such photographs, or the exported network differs from torch.
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
    """Run all steps. Yields step, mean loss, learning rate and seconds after every tenth step and the last."""
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
    """Endless batches: normalised images [B, 3, crop, crop] and shares [B, 1, crop, crop], -1 outside the image."""
    random = np.random.default_rng(recipe.seed)
    while True:
        pairs = [_crop(drawings[int(random.integers(len(drawings)))], recipe, random) for _ in range(recipe.batch)]
        images, shares = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
        yield (images.permute(0, 3, 1, 2).float() - MEAN) / STD, shares[:, None]


def _crop(drawing: Drawing, recipe: ContourRecipe, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A window of random position and size, scaled to the crop and flipped with probability 1/2.

    Returns [crop, crop, 3] uint8 and shares [crop, crop] float32, -1 outside the photograph.
    """
    height, width = drawing.share.shape
    scale = float(np.exp(random.uniform(*np.log(recipe.scale))))
    side = recipe.crop / scale
    top, left = (random.uniform(min(0, n - side), max(0, n - side)) for n in (height, width))
    size, box = (recipe.crop, recipe.crop), (left, top, left + side, top + side)
    # Pillow's transform fills pixels outside the photograph with 0. Shares are shifted by 1, so that 0 marks them.
    image = Image.fromarray(drawing.image).transform(size, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    share = Image.fromarray(drawing.share + 1).transform(size, Image.Transform.EXTENT, box, Image.Resampling.NEAREST)
    pixels, shares = np.asarray(image), np.asarray(share) - 1
    if random.random() < 0.5:
        pixels, shares = pixels[:, ::-1], shares[:, ::-1]
    return np.ascontiguousarray(pixels), np.ascontiguousarray(shares)
