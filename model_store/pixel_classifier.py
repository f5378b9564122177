"""Pixel-wise labels of a softmax classifier, the baseline that retrieval is compared with. It is never served."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def classify_pixels(logits: Tensor, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate logits to the resolution of the image and take the most probable class of each pixel.

    Args:
        logits: [C, h, w] float32.
        size: (H, W) of the image, pixels.

    Returns:
        Classes [H, W] int64 and their probabilities [H, W] float32, 0..1.
    """
    whole = F.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]
    probability, classes = torch.softmax(whole, dim=0).max(dim=0)
    return classes.numpy(), probability.numpy()
