"""Segment sorting: the losses that move pixel embeddings so that segments are told apart (paper, section 3.2)."""

from typing import NamedTuple

import torch
from torch import Tensor

from segsort.sphere import mean_direction


class Prototypes(NamedTuple):
    """Segments of a batch that take part in the loss.

    directions: [S, D] unit vectors, with gradient.
    class_ids: [S] int64.
    domains: [S] int64, the world each segment comes from (0 where there is only one).
    segment_of: [B, h, w] int64, row of each pixel's segment, -1 where it has none (ignored, padding, tiny segment).
    """

    directions: Tensor
    class_ids: Tensor
    domains: Tensor
    segment_of: Tensor


def prototypes_by_label(
    embeddings: Tensor, segments: Tensor, labels: Tensor, domains: Tensor, *, ignore: int, min_pixels: int
) -> Prototypes:
    """Split sorted segments by label and take the mean direction of each piece.

    A piece of fewer than `min_pixels` pixels is left out together with its pixels: its mean is mostly noise, and a
    one-pixel piece would be a prototype that its own pixel matches perfectly.

    Args:
        embeddings: [B, D, h, w] unit vectors.
        segments: [B, h, w] int64 from pixel sorting, -1 where a pixel is in none.
        labels: [B, h, w] int64 class of each pixel, `ignore` where unknown.
        domains: [B] int64.
        ignore: the label that is no class.
        min_pixels: the smallest piece kept, in pixels of the embedding.
    """
    B, D = embeddings.shape[:2]
    valid = (segments >= 0) & (labels != ignore)
    image = torch.arange(B, device=labels.device)[:, None, None]
    spans = int(segments.max()) + 1 if segments.numel() else 1
    classes = int(labels.masked_fill(labels == ignore, 0).max()) + 1
    key = torch.where(valid, (image * spans + segments) * classes + labels, -1).flatten()
    kept, inverse, sizes = torch.unique(key, return_inverse=True, return_counts=True)
    large = (kept >= 0) & (sizes >= min_pixels)
    row = torch.where(large, large.cumsum(0) - 1, -1)
    segment_of = row[inverse]  # [B*h*w]
    pieces = kept[large]
    flat = embeddings.permute(0, 2, 3, 1).reshape(-1, D)
    return Prototypes(
        directions=mean_direction(flat, segment_of, len(pieces)),
        class_ids=pieces % classes,
        domains=domains[pieces // (classes * spans)],
        segment_of=segment_of.reshape(labels.shape),
    )


def vmf_loss(pixels: Tensor, own: Tensor, prototypes: Tensor, kappa: float) -> Tensor:
    """Every segment is its own class (unsupervised; paper, eq. 5).

    Args:
        pixels: [P, D] unit vectors.
        own: [P] int64, row of each pixel's own segment.
        prototypes: [S, D] unit vectors, the batch's and any others (memory bank).
        kappa: concentration, > 0.

    Returns:
        [P] negative log posteriors of the own segments.
    """
    return torch.nn.functional.cross_entropy(kappa * pixels @ prototypes.T, own, reduction="none")


def vmf_nca_loss(
    pixels: Tensor, classes: Tensor, own: Tensor, prototypes: Tensor, prototype_classes: Tensor, kappa: float
) -> Tensor:
    """Segments of a pixel's class attract it, all others repel it (supervised; paper, eq. 6).

    The pixel's own segment is in neither sum; it attracts only where its class has no other segment.

    Args:
        pixels: [P, D] unit vectors.
        classes: [P] int64 class of each pixel.
        own: [P] int64, row of each pixel's own segment, -1 where it is not among the prototypes.
        prototypes: [S, D] unit vectors, the batch's and any others (memory bank, another world).
        prototype_classes: [S] int64.
        kappa: concentration, > 0.

    Returns:
        [P] negative log posteriors; 0 with zero gradient for a pixel that no prototype attracts, its own included.
    """
    attracts = prototype_classes[None, :] == classes[:, None]  # [P, S]
    has_own = own >= 0
    column = own.clamp(min=0)[:, None]
    attracts.scatter_(1, column, attracts.gather(1, column) & ~has_own[:, None])
    alone = ~attracts.any(dim=1)
    stands_in = alone & has_own
    attracts.scatter_(1, column, attracts.gather(1, column) | stands_in[:, None])
    attracts |= (alone & ~has_own)[:, None]  # nothing attracts: both sums become equal, the loss and its gradient 0

    logits = kappa * pixels @ prototypes.T  # [P, S]
    left_out = (has_own & ~stands_in)[:, None]
    logits = logits.scatter(1, column, logits.gather(1, column).masked_fill(left_out, float("-inf")))
    return torch.logsumexp(logits, dim=1) - torch.logsumexp(logits.masked_fill(~attracts, float("-inf")), dim=1)
