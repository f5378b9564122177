"""Training on several devices: each process (rank) has a part of the batch, and the loss is that of the whole batch.

Lightning's DDP averages the gradients of the ranks. So each rank returns the sum of its pixels' losses over the number
of pixels of all ranks, times the number of ranks. Prototypes are exchanged with their gradient: pixels of one rank move
the segments of the others too.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from index_builder.training.crops import Batch
from segsort.segment_sorting import Prototypes, sample_pixels, sampling_keys


def ranks() -> int:
    """Number of processes that train together; 1 without DDP."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process among them, from 0."""
    return dist.get_rank() if ranks() > 1 else 0


class _Gather(torch.autograd.Function):
    """Rows of all ranks in their order. The gradient of a rank's rows is the sum of those that all ranks compute."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.count = len(rows)
        return _gather(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        whole = gradient.contiguous().clone()
        dist.all_reduce(whole)
        return whole[rank() * ctx.count : (rank() + 1) * ctx.count]


def _gather(rows: Tensor) -> Tensor:
    own = rows.contiguous()
    found = [torch.empty_like(own) for _ in range(ranks())]
    dist.all_gather(found, own)
    return torch.cat(found)


def total(values: Tensor) -> Tensor:
    """Sum over the ranks, without gradient; the values themselves where there is one rank."""
    if ranks() == 1:
        return values
    summed = values.detach().contiguous().clone()
    dist.all_reduce(summed)
    return summed


def of_all_ranks(rows: Tensor) -> Tensor:
    """Rows of all ranks in their order, without gradient: [ranks * S, ...] from [S, ...]."""
    return rows if ranks() == 1 else _gather(rows.detach())


def segments_of_all_ranks(own: Prototypes) -> Prototypes:
    """The segments of the whole batch, with gradient; `segment_of` is that of the pixels of this rank.

    Args:
        own: segments of this rank's part of the batch. All ranks have the same number of rows.
    """
    if ranks() == 1:
        return own
    rows = len(own.valid)
    segment_of = torch.where(own.segment_of >= 0, own.segment_of + rank() * rows, -1)
    directions: Tensor = _Gather.apply(own.directions)  # type: ignore[no-untyped-call]
    valid = of_all_ranks(own.valid.byte()).bool()
    return Prototypes(directions, of_all_ranks(own.class_ids), of_all_ranks(own.domains), valid, segment_of)


def sample_of_all_ranks(weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`sample_pixels` over the pixels of all ranks, of which each rank receives its own.

    Args:
        weights: [N] not negative, of this rank's pixels. All ranks have the same N.
        count: pixels wanted, of all ranks together.

    Returns:
        Positions [P] among this rank's pixels, 1 <= P <= count, and [P] bool, False where no pixel was drawn. On a
        CPU, P is the number of drawn pixels, or 1. On another device P does not depend on the values, since the host
        would have to wait for them.
    """
    if ranks() == 1:
        return sample_pixels(weights, count)
    own = sampling_keys(weights).topk(min(count, len(weights)))
    keys = _gather(own.values)
    least = keys.topk(min(count, len(keys))).values[-1]
    drawn = (own.values >= least) & (own.values > 0)
    if not _is_on_host(drawn):
        return own.indices, drawn
    kept = max(1, int(drawn.sum()))
    return own.indices[:kept], drawn[:kept]


def _is_on_host(values: Tensor) -> bool:
    """Whether the host can read values without waiting for a device."""
    return values.device.type == "cpu"


def part_of_rank(batch: Batch, views: int) -> Batch:
    """The part of a batch that this rank works on: of each domain every n-th image with all its crops, for n ranks.

    Args:
        batch: the whole batch, which is the same on all ranks. Each domain has a multiple of n images.
        views: crops of each image.
    """
    if ranks() == 1:
        return batch
    images = torch.arange(len(batch.domains)) // views
    own = images % ranks() == rank()
    parts = (batch.images[own], batch.labels[own], batch.domains[own])
    return Batch(*parts, torch.arange(int(own.sum())) // views)


class _SharedBatchNorm(nn.BatchNorm2d):
    """A batch norm whose statistics, in training, are those of the batches of all ranks. It runs on any device.

    `torch.nn.SyncBatchNorm` needs a GPU. As there, ranks exchange their counts, means and variances, so that variances
    are right where means are large.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or ranks() == 1:
            return super().forward(input)
        values = input.float()
        count, mean, variance = _statistics(values)
        self._keep(mean.detach(), (variance * count / (count - 1)).detach())
        normal = (values - mean[:, None, None]) * torch.rsqrt(variance + self.eps)[:, None, None]
        if self.weight is not None:
            normal = normal * self.weight[:, None, None] + self.bias[:, None, None]
        return normal.to(input.dtype)

    @torch.no_grad()
    def _keep(self, mean: Tensor, variance: Tensor) -> None:
        """Update the running statistics."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def _statistics(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Statistics of each channel over the values [B, C, H, W] of all ranks, with gradient.

    Returns:
        Number of values, mean, and variance (divided by the number): [C] each.
    """
    variance, mean = torch.var_mean(values, (0, 2, 3), correction=0)
    own = torch.stack([torch.full_like(mean, values.numel() // values.shape[1]), mean, variance])
    of_ranks: Tensor = _Gather.apply(own[None])  # type: ignore[no-untyped-call]
    counts, means, variances = of_ranks.unbind(1)  # [ranks, C] each
    count = counts.sum(0)
    shares = counts / count
    mean = (shares * means).sum(0)
    return count, mean, (shares * (variances + (means - mean).square())).sum(0)


def share_batch_norms(network: nn.Module) -> None:
    """Let the batch norms of a network use the statistics of all ranks, in place. Names of weights stay."""
    for part in network.modules():
        if type(part) is nn.BatchNorm2d:
            part.__class__ = _SharedBatchNorm
