"""What a softmax classifier says of each pixel: the peer that retrieval is compared with, never what is served."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def classify_pixels(logits: Tensor, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate logits to the image's own resolution and take the best class of each pixel.

    Args:
        logits: [C, h, w].
        size: (H, W), pixels.

    Returns:
        Classes [H, W] int64, and the probability of each, [H, W] float32, 0..1.
    """
    whole = F.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]
    probability, classes = torch.softmax(whole, dim=0).max(dim=0)
    return classes.numpy(), probability.numpy()
