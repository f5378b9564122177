"""Embeddings of smooth images, and their prototypes by naive loops."""

import numpy as np
import torch
from torch import Tensor

from segsort.sphere import normalize


def blobs(height: int, width: int, dimension: int = 5, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, dimension, 3, 4, generator=generator)
    return normalize(torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")[0], dim=0)


def naive_prototypes(embeddings: Tensor, labels: np.ndarray, count: int) -> np.ndarray:
    """Sum the cells whose centres a segment covers, or else the cell below each of its pixels; [count, D]."""
    (D, h, w), (H, W) = embeddings.shape, labels.shape
    centres = {(y, x): labels[int((y + 0.5) * H / h), int((x + 0.5) * W / w)] for y in range(h) for x in range(w)}
    found = np.zeros((count, D))
    for segment in range(count):
        cells = [cell for cell, label in centres.items() if label == segment]
        if not cells:
            cells = [(y * h // H, x * w // W) for y, x in zip(*np.nonzero(labels == segment), strict=True)]
        total = sum((embeddings[:, y, x].double().numpy() for y, x in cells), start=np.zeros(D))
        found[segment] = total / max(float(np.linalg.norm(total)), 1e-12)
    return found
