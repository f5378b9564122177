"""Segment sorting: losses that pull pixel embeddings to segments, and push them from others (paper, section 3.2).

- `vmf_loss`: every segment is a class of its own (unsupervised; paper, eq. 5)
- `vmf_nca_loss`: segments of a class attract its pixels (supervised; paper, eq. 6)
- `prototypes_by_label`: the prototypes of a batch, for both

In this module, a segment number comes from pixel sorting, and a label is a class id. All shapes follow from the
arguments and not from the data, so the host never synchronises with the GPU.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from segsort.sphere import mean_direction

MAX_SHARED_KAPPA = 40.0  # largest kappa at which both sums of the supervised loss share one exponential a pair
_LEAST = 1e-37  # replaces an empty sum


class Prototypes(NamedTuple):
    """Segments of a batch that take part in the loss, in a fixed number of rows.

    directions: [S, D] unit vectors, with gradient; zeros in rows that hold no segment.
    class_ids: [S] int64, -1 in rows that hold no segment.
    domains: [S] int64, the domain of each segment (0 where there is only one).
    valid: [S] bool, whether a row holds a segment.
    segment_of: [B, h, w] int64, row of each pixel's segment, -1 where it has none (ignored, padding, tiny segment).
    """

    directions: Tensor
    class_ids: Tensor
    domains: Tensor
    valid: Tensor
    segment_of: Tensor


def prototypes_by_label(
    embeddings: Tensor,
    segments: Tensor,
    labels: Tensor,
    domains: Tensor,
    *,
    images: Tensor | None = None,
    classes: int,
    segments_per_image: int,
    rows: int,
    min_pixels: int,
) -> Prototypes:
    """Split each segment by class, and take the mean direction of each part.

    A part holds the pixels of one segment that have one class. A part of fewer than `min_pixels` pixels is left out
    together with its pixels. Its mean is mostly noise, and a part of one pixel would match that pixel perfectly.

    Args:
        embeddings: [B, D, h, w] unit vectors.
        segments: [B, h, w] int64 segment numbers, 0..segments_per_image-1, -1 where a pixel is in none.
        labels: [B, h, w] int64 class id of each pixel, 0..classes-1, -1 where unknown.
        domains: [I] int64, of each image.
        images: [B] int64, 0..I-1, the image of each crop; crops of one image share their segments. None: each
            crop is of another image, I = B.
        classes: number of classes.
        segments_per_image: maximum number of segments of an image, such as K of pixel sorting.
        rows: S; if there are more parts, the largest are kept.
        min_pixels: the smallest part kept, in pixels of the embedding.
    """
    B, D = embeddings.shape[:2]
    slots = len(domains) * segments_per_image * classes
    images = torch.arange(B, device=labels.device) if images is None else images
    image = images[:, None, None]
    part = (image * segments_per_image + segments) * classes + labels
    key = torch.where((segments >= 0) & (labels >= 0), part, slots).flatten()
    sizes = torch.zeros(slots + 1, dtype=torch.int64, device=key.device).index_add_(0, key, torch.ones_like(key))
    largest = sizes[:slots].topk(min(rows, slots))
    valid = largest.values >= min_pixels
    row_of = torch.full_like(sizes, -1)
    row_of[largest.indices] = torch.where(valid, torch.arange(len(valid), device=key.device), -1)
    segment_of = row_of[key]  # [B*h*w]
    return Prototypes(
        directions=mean_direction(embeddings.permute(0, 2, 3, 1).reshape(-1, D), segment_of, len(valid)),
        class_ids=torch.where(valid, largest.indices % classes, -1),
        domains=domains[largest.indices // (classes * segments_per_image)],
        valid=valid,
        segment_of=segment_of.reshape(labels.shape),
    )


def sample_pixels(weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Draw pixels without replacement, each by its weight (Efraimidis and Spirakis, 2006).

    Args:
        weights: [N] not negative; a pixel of weight 0 is never drawn.
        count: pixels wanted.

    Returns:
        Positions [P], P = min(count, N), and [P] bool, False where no pixel of positive weight was left.
    """
    drawn = sampling_keys(weights).topk(min(count, len(weights)))
    return drawn.indices, drawn.values > 0


def sampling_keys(weights: Tensor) -> Tensor:
    """Random keys [N] of pixels with weights [N]: those with the largest keys are a sample as of `sample_pixels`."""
    return weights / torch.empty_like(weights).exponential_().clamp(min=1e-12)


def frequencies(classes: Tensor, counted: Tensor, number: int) -> Tensor:
    """Number of pixels of each class.

    Args:
        classes: [N] int64, class id of each pixel, 0..number-1 where counted.
        counted: [N] bool, which pixels count.
        number: number of classes.

    Returns:
        [number] float32.
    """
    counts = torch.zeros(number + 1, device=classes.device)
    counts.index_add_(0, torch.where(counted, classes, number), torch.ones_like(classes, dtype=counts.dtype))
    return counts[:number]


def vmf_loss(pixels: Tensor, own: Tensor, prototypes: Tensor, kappa: float, compared: Tensor | None = None) -> Tensor:
    """vMF loss: every segment is its own class (unsupervised; paper, eq. 5).

    Let v be a pixel, mu_s the prototypes and o the pixel's own segment. The loss of the pixel is

        -log( exp(kappa * v . mu_o) / sum over s of exp(kappa * v . mu_s) ).

    Args:
        pixels: [P, D] unit vectors.
        own: [P] int64, row of each pixel's own segment.
        prototypes: [S, D] unit vectors, the batch's and any others (memory bank).
        kappa: concentration, > 0.
        compared: [S] bool, prototypes that take part; None: all do. The own segment always takes part.

    Returns:
        [P] negative log posteriors of the own segments.
    """
    logits = kappa * pixels @ prototypes.T
    if compared is not None:
        left_out = (~compared).expand(logits.shape).scatter(1, own[:, None], False)
        logits = logits.masked_fill(left_out, float("-inf"))
    return torch.nn.functional.cross_entropy(logits, own, reduction="none")


def vmf_nca_loss(
    pixels: Tensor,
    classes: Tensor,
    own: Tensor,
    prototypes: Tensor,
    prototype_classes: Tensor,
    kappa: float,
    compared: Tensor | None = None,
) -> Tensor:
    """vMF-NCA loss: segments of a pixel's class attract it, all others repel it (supervised; paper, eq. 6).

    Let v be a pixel, c its class, o its own segment, and mu_s the prototypes with the classes c_s. The loss is

        -log( sum over s != o with c_s = c of exp(kappa * v . mu_s)  /  sum over s != o of exp(kappa * v . mu_s) ).

    The own segment is in neither sum. Only if its class has no other segment, the own segment takes part in both.

    Args:
        pixels: [P, D] unit vectors.
        classes: [P] int64 class of each pixel.
        own: [P] int64, row of each pixel's own segment, -1 where it is not among the prototypes.
        prototypes: [S, D] unit vectors, the batch's and any others (memory bank, another domain).
        prototype_classes: [S] int64.
        kappa: concentration, > 0.
        compared: [S] bool, prototypes that take part; None: all do.

    Returns:
        [P] negative log posteriors; 0 with zero gradient for a pixel that no prototype attracts, its own included.
    """
    pairs = _pairs(classes, own, prototype_classes, compared)
    if kappa <= MAX_SHARED_KAPPA:
        bias = None if compared is None else torch.where(compared, 0.0, float("-inf")).to(pixels.dtype)
        loss: Tensor = _NcaLoss.apply(pixels, prototypes, pairs, bias, kappa)  # type: ignore[no-untyped-call]
        return loss
    # The plain form, which defines the loss: `_NcaLoss` computes the same with one exponential for both sums.
    logits = kappa * pixels @ prototypes.T  # [P, S]
    if compared is not None:
        logits = logits.masked_fill(~(compared[None, :] | pairs.nothing[:, None]), float("-inf"))
    own_logit = logits.gather(1, pairs.column).masked_fill(pairs.left_out[:, None], float("-inf"))
    logits = logits.scatter(1, pairs.column, own_logit)
    attracting = logits.masked_fill(~pairs.attracts, float("-inf"))
    return torch.logsumexp(logits, dim=1) - torch.logsumexp(attracting, dim=1)


class _Pairs(NamedTuple):
    """Which prototypes enter the two sums of the vMF-NCA loss of each pixel.

    attracts: [P, S] bool, prototypes in the upper sum.
    column: [P, 1] int64, row of the own segment; 0 where it is not among the prototypes.
    left_out: [P] bool, whether the own segment is in neither sum.
    nothing: [P] bool, pixels that no prototype attracts. `attracts` is then true everywhere: both sums become equal, so
        that the loss and its gradient are 0.
    """

    attracts: Tensor
    column: Tensor
    left_out: Tensor
    nothing: Tensor


def _pairs(classes: Tensor, own: Tensor, prototype_classes: Tensor, compared: Tensor | None) -> _Pairs:
    """Find which prototypes attract which pixels; the arguments are those of `vmf_nca_loss`."""
    attracts = prototype_classes[None, :] == classes[:, None]  # [P, S]
    if compared is not None:
        attracts &= compared[None, :]
        own = torch.where((own >= 0) & compared[own.clamp(min=0)], own, -1)
    has_own = own >= 0
    column = own.clamp(min=0)[:, None]
    attracts.scatter_(1, column, attracts.gather(1, column) & ~has_own[:, None])
    alone = ~attracts.any(dim=1)
    own_attracts = alone & has_own  # its class has no other segment
    attracts.scatter_(1, column, attracts.gather(1, column) | own_attracts[:, None])
    nothing = alone & ~has_own
    attracts |= nothing[:, None]
    return _Pairs(attracts, column, has_own & ~own_attracts, nothing)


class _NcaLoss(torch.autograd.Function):
    """vMF-NCA loss with one exponential for each pair of pixel and prototype, and one array [P, S] for its gradient.

    With kappa up to `MAX_SHARED_KAPPA` no weight is rounded to 0, since exp(-2 * 40) is a float32. With a larger kappa,
    each sum needs its own exponentials.
    """

    @staticmethod
    def forward(
        ctx: Any,
        pixels: Tensor,
        prototypes: Tensor,
        pairs: _Pairs,
        bias: Tensor | None,
        kappa: float,
    ) -> Tensor:
        scaled = pixels * kappa
        logits = scaled @ prototypes.T if bias is None else torch.addmm(bias, scaled, prototypes.T)
        own_logit = logits.gather(1, pairs.column).masked_fill_(pairs.left_out[:, None], float("-inf"))
        logits.scatter_(1, pairs.column, own_logit)
        top = logits.amax(dim=1, keepdim=True)
        top.masked_fill_(top == float("-inf"), 0)  # no prototype takes part
        weights = logits.sub_(top).exp_()
        total = weights.sum(dim=1).clamp_(min=_LEAST)
        attracting = (weights * pairs.attracts).sum(dim=1).clamp_(min=_LEAST)
        ctx.save_for_backward(pixels, prototypes, pairs.attracts, weights, total, attracting)
        ctx.kappa = kappa
        return total.log() - attracting.log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        pixels, prototypes, attracts, weights, total, attracting = ctx.saved_tensors
        repelled, attracted = (grad / total)[:, None], (grad / total - grad / attracting)[:, None]
        slopes = torch.where(attracts, attracted, repelled).mul_(weights).mul_(ctx.kappa)
        return slopes @ prototypes, slopes.T @ pixels, None, None, None
