import math
from typing import Any

import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import NCALoss
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from segsort.memory_bank import MemoryBank
from segsort.segment_sorting import frequencies, prototypes_by_label, sample_pixels, vmf_loss, vmf_nca_loss
from segsort.sphere import normalize

ANGLES = (0, 20, 40, 60, 80)


def on_the_circle(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor([[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in ANGLES], dtype=dtype)


def naive_nca(
    pixels: Tensor, classes: Tensor, own: Tensor, prototypes: Tensor, of_class: Tensor, kappa: float
) -> list[float]:
    losses = []
    for v, c, o in zip(pixels, classes, own, strict=True):
        density = [math.exp(kappa * float(v @ m)) for m in prototypes]
        attract = [s for s in range(len(density)) if of_class[s] == c and s != o]
        others = [s for s in range(len(density)) if s != o]
        if not attract and o >= 0:
            attract, others = [int(o)], list(range(len(density)))
        losses.append(-math.log(sum(density[s] for s in attract) / sum(density[s] for s in others)) if attract else 0.0)
    return losses


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kappa", [1.0, 10.0, 40.0, 60.0])
def test_vmf_nca_equals_naive_loop(dtype: torch.dtype, kappa: float) -> None:
    prototypes = on_the_circle(dtype)
    of_class = torch.tensor([0, 1, 0, 2, 1])
    pixels = normalize(torch.randn(40, 2, generator=torch.Generator().manual_seed(0)).to(dtype))
    own = torch.arange(40) % 6 - 1
    classes = torch.where(own >= 0, of_class[own.clamp(min=0)], torch.arange(40) % 4)
    result = vmf_nca_loss(pixels, classes, own, prototypes, of_class, kappa)
    expected = torch.tensor(naive_nca(pixels, classes, own, prototypes, of_class, kappa), dtype=dtype)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kappa", [5.0, 60.0])
@pytest.mark.parametrize("seed", range(5))
def test_vmf_nca_among_the_compared_prototypes_equals_naive_loop(seed: int, kappa: float) -> None:
    """The naive loop gets the prototypes that take part, and own segments by their rows among these."""
    generator = torch.Generator().manual_seed(seed)
    pixels, prototypes = (normalize(torch.randn(n, 3, generator=generator).double()) for n in (50, 12))
    of_class, compared = torch.arange(12) % 4, torch.rand(12, generator=generator) < 0.6
    own = torch.randint(-1, 12, (50,), generator=generator)
    classes = torch.where(own >= 0, of_class[own.clamp(min=0)], torch.arange(50) % 5)
    row = torch.where(compared, compared.cumsum(0) - 1, -1)
    found = vmf_nca_loss(pixels, classes, own, prototypes, of_class, kappa, compared)
    among = torch.where(own >= 0, row[own.clamp(min=0)], -1)
    expected = naive_nca(pixels, classes, among, prototypes[compared], of_class[compared], kappa)
    assert found.tolist() == pytest.approx(expected, abs=1e-9)


def test_vmf_nca_on_prototypes_equals_pytorch_metric_learning() -> None:
    """Pixels that are the prototypes themselves: each excludes itself, which is neighbourhood component analysis."""
    prototypes = normalize(torch.randn(30, 8, generator=torch.Generator().manual_seed(0)).double())
    classes = torch.arange(30) % 4  # every class has others, as NCALoss needs
    peer = NCALoss(softmax_scale=10.0, distance=CosineSimilarity())
    ours = vmf_nca_loss(prototypes, classes, torch.arange(30), prototypes, classes, 10.0)
    torch.testing.assert_close(ours.mean(), peer(prototypes, classes))


def test_own_segment_stands_in_where_its_class_has_no_other() -> None:
    prototypes, classes = on_the_circle(), torch.tensor([0, 1, 1, 1, 1])
    loss = vmf_nca_loss(prototypes[:1], classes[:1], torch.tensor([0]), prototypes, classes, 5.0)
    densities = torch.exp(5.0 * prototypes @ prototypes[0])
    assert float(loss) == pytest.approx(-math.log(float(densities[0] / densities.sum())))


def test_a_pixel_that_nothing_attracts_gives_zero_loss_and_zero_gradient() -> None:
    pixels = on_the_circle()[:2].requires_grad_()
    loss = vmf_nca_loss(
        pixels, torch.tensor([7, 0]), torch.tensor([-1, -1]), on_the_circle(), torch.zeros(5).long(), 9.0
    )
    loss.sum().backward()
    assert pixels.grad is not None
    assert loss[0] == 0
    assert torch.equal(pixels.grad[0], torch.zeros(2, dtype=torch.float64))


def test_gradient_is_right_and_finite_at_large_kappa() -> None:
    pixels = on_the_circle().requires_grad_()
    prototypes = normalize(torch.randn(6, 2, generator=torch.Generator().manual_seed(3)).double()).requires_grad_()
    classes, own = torch.tensor([0, 1, 0, 1, 2]), torch.tensor([0, 1, 2, 3, 4])
    of_class = torch.tensor([0, 1, 0, 1, 2, 0])
    assert torch.autograd.gradcheck(lambda p, q: vmf_nca_loss(p, classes, own, q, of_class, 10.0), (pixels, prototypes))
    vmf_nca_loss(pixels, classes, own, prototypes, of_class, 5000.0).sum().backward()
    assert pixels.grad is not None
    assert torch.isfinite(pixels.grad).all()


@pytest.mark.parametrize("kappa", [0.5, 10.0, 40.0])
def test_one_exponential_a_pair_or_two_give_the_same_loss_and_gradient(
    kappa: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 and where the weights are smallest: opposite vectors, own segments, a row that is not compared."""
    generator = torch.Generator().manual_seed(5)
    vectors, prototypes = (normalize(torch.randn(n, 4, generator=generator)) for n in (60, 25))
    vectors[:10] = -prototypes[:10]
    of_class, own = torch.arange(25) % 3, torch.arange(60) % 26 - 1
    classes = torch.where(own >= 0, of_class[own.clamp(min=0)], torch.arange(60) % 4)
    compared = torch.arange(25) != 7
    found = []
    for limit in (40.0, 0.0):
        monkeypatch.setattr("segsort.segment_sorting.MAX_SHARED_KAPPA", limit)
        inputs = vectors.clone().requires_grad_(), prototypes.clone().requires_grad_()
        loss = vmf_nca_loss(inputs[0], classes, own, inputs[1], of_class, kappa, compared)
        loss.square().sum().backward()
        found.append((loss.detach(), inputs[0].grad, inputs[1].grad))
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


def test_gradient_attracts_to_the_class_and_repels_from_others() -> None:
    pixel = normalize(torch.tensor([[1.0, 1.0]])).requires_grad_()
    prototypes = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    vmf_nca_loss(pixel, torch.tensor([0]), torch.tensor([-1]), prototypes, torch.tensor([0, 1]), 10.0).sum().backward()
    assert pixel.grad is not None
    assert pixel.grad[0, 0] < 0 < pixel.grad[0, 1]


def test_permuting_prototypes_changes_nothing() -> None:
    prototypes = normalize(torch.randn(12, 4).double())
    classes, pixels = torch.arange(12) % 3, normalize(torch.randn(7, 4).double())
    own, order = torch.arange(7), torch.randperm(12)
    first = vmf_nca_loss(pixels, classes[own], own, prototypes, classes, 8.0)
    second = vmf_nca_loss(pixels, classes[own], order.argsort()[own], prototypes[order], classes[order], 8.0)
    torch.testing.assert_close(first, second)


def test_vmf_loss_equals_naive_loop() -> None:
    prototypes, pixels = on_the_circle(), on_the_circle().flip(0)
    own = torch.tensor([4, 3, 2, 1, 0])
    for v, o, value in zip(pixels, own, vmf_loss(pixels, own, prototypes, 6.0), strict=True):
        densities = [math.exp(6.0 * float(v @ m)) for m in prototypes]
        assert float(value) == pytest.approx(-math.log(densities[int(o)] / sum(densities)))


@pytest.mark.parametrize("loss", ["vmf", "vmf-nca"])
def test_rows_that_are_not_compared_might_as_well_not_be_there(loss: str) -> None:
    prototypes = normalize(torch.randn(12, 4, generator=torch.Generator().manual_seed(0)).double())
    classes, own, compared = torch.arange(12) % 3, torch.tensor([0, 2, 5, 7]), torch.arange(12) != 4
    compared[8:] = False
    vectors = normalize(torch.randn(4, 4).double()).requires_grad_()
    kept = compared.nonzero().squeeze(1)
    row = torch.tensor([int((kept == o).nonzero()) for o in own])
    if loss == "vmf":
        first = vmf_loss(vectors, own, prototypes, 8.0, compared)
        second = vmf_loss(vectors, row, prototypes[kept], 8.0)
    else:
        first = vmf_nca_loss(vectors, classes[own], own, prototypes, classes, 8.0, compared)
        second = vmf_nca_loss(vectors, classes[own], row, prototypes[kept], classes[kept], 8.0)
    torch.testing.assert_close(first, second)
    (gradient,) = torch.autograd.grad(first.sum(), vectors)
    assert torch.isfinite(gradient).all()


def test_an_own_segment_that_is_not_compared_neither_attracts_nor_repels() -> None:
    prototypes, classes = on_the_circle(), torch.tensor([0, 0, 1, 1, 1])
    compared = torch.tensor([False, True, True, True, True])
    with_own = vmf_nca_loss(prototypes[:1], classes[:1], torch.tensor([0]), prototypes, classes, 5.0, compared)
    without = vmf_nca_loss(prototypes[:1], classes[:1], torch.tensor([-1]), prototypes[1:], classes[1:], 5.0)
    torch.testing.assert_close(with_own, without)


def test_segments_are_split_by_label_and_tiny_pieces_left_out() -> None:
    embeddings = normalize(torch.randn(2, 3, 4, 4), dim=1)
    segments = torch.zeros(2, 4, 4, dtype=torch.int64)
    segments[:, 2:] = 1
    labels = torch.zeros(2, 4, 4, dtype=torch.int64)
    labels[0, :, 2:] = 5
    labels[1, 0, 0] = 3  # one pixel, less than min_pixels
    labels[1, 3] = -1
    result = prototypes_by_label(
        embeddings, segments, labels, torch.tensor([0, 1]), classes=6, segments_per_image=2, rows=20, min_pixels=2
    )
    kept = result.valid.nonzero().squeeze(1)
    assert sorted(zip(result.domains[kept].tolist(), result.class_ids[kept].tolist(), strict=True)) == [
        (0, 0), (0, 0), (0, 5), (0, 5), (1, 0), (1, 0)
    ]  # fmt: skip
    assert (result.class_ids[~result.valid] == -1).all()
    assert (result.directions[~result.valid] == 0).all()
    assert result.segment_of[1, 0, 0] == -1
    assert (result.segment_of[1, 3] == -1).all()
    for row in kept.tolist():
        members = embeddings.permute(0, 2, 3, 1)[result.segment_of == row]
        torch.testing.assert_close(result.directions[row], normalize(members.sum(0)))
        assert len(labels[result.segment_of == row].unique()) == 1


def test_where_there_are_more_pieces_than_rows_the_largest_are_kept() -> None:
    labels = torch.tensor([[[0, 1, 1, 2, 2, 2, 3, 3, 3, 3]]])
    embeddings = normalize(torch.randn(1, 3, 1, 10), dim=1)
    segments = torch.zeros_like(labels)
    found = prototypes_by_label(
        embeddings, segments, labels, torch.tensor([0]), classes=4, segments_per_image=1, rows=2, min_pixels=1
    )
    assert sorted(found.class_ids.tolist()) == [2, 3]
    assert (found.segment_of[labels < 2] == -1).all()


def test_crops_of_one_image_share_their_segments() -> None:
    embeddings = normalize(torch.randn(4, 3, 2, 2), dim=1)
    labels = torch.tensor([0, 0, 1, 1]).reshape(1, 2, 2).expand(4, 2, 2)
    found = prototypes_by_label(
        embeddings, torch.zeros_like(labels), labels, torch.tensor([0, 1]), images=torch.tensor([0, 0, 1, 1]),
        classes=2, segments_per_image=1, rows=9, min_pixels=1,
    )  # fmt: skip
    assert int(found.valid.sum()) == 4, "two regions in each of two images"
    assert torch.equal(found.segment_of[0], found.segment_of[1])
    assert not torch.equal(found.segment_of[1], found.segment_of[2])
    both = embeddings[:2].permute(0, 2, 3, 1)[labels[:2] == 0]
    torch.testing.assert_close(found.directions[found.segment_of[0, 0, 0]], normalize(both.sum(0)))
    assert sorted(found.domains[found.valid].tolist()) == [0, 0, 1, 1]


def test_pixels_are_drawn_by_weight_without_replacement() -> None:
    weights = torch.tensor([0.0, 1.0, 3.0, 0.0, 4.0])
    torch.manual_seed(0)
    first = torch.stack([sample_pixels(weights, 1)[0] for _ in range(4000)]).flatten()
    share = torch.bincount(first, minlength=5) / 4000
    torch.testing.assert_close(share, weights / 8, atol=0.03, rtol=0)
    drawn, real = sample_pixels(weights, 4)
    assert sorted(drawn[real].tolist()) == [1, 2, 4], "the fourth would have no weight"
    assert int(real.sum()) == 3


def test_frequencies_count_what_is_counted() -> None:
    classes, counted = torch.tensor([0, 2, 2, -1, 1]), torch.tensor([True, True, True, False, False])
    assert frequencies(classes, counted, 4).tolist() == [1, 0, 2, 0]


class NeverWaits(TorchDispatchMode):
    """Refuses what makes a program wait for a GPU: a value read back, or a shape that depends on values."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name()
        waits = ("_local_scalar_dense", "nonzero", "unique", "bincount", "masked_select", "repeat_interleave.Tensor")
        assert not any(word in name for word in waits), name
        return func(*args, **(kwargs or {}))


def test_no_step_from_segments_to_loss_waits_for_a_gpu() -> None:
    embeddings = normalize(torch.randn(2, 3, 8, 8), dim=1).requires_grad_()
    labels = torch.arange(2 * 64).reshape(2, 8, 8) % 5 - 1
    segments, worlds = torch.arange(2 * 64).reshape(2, 8, 8) // 9 % 6, torch.tensor([0, 1])
    bank = MemoryBank(8, 3)
    with NeverWaits():
        own = prototypes_by_label(
            embeddings, segments, labels, worlds, classes=4, segments_per_image=6, rows=16, min_pixels=1
        )
        bank.add(*own[:4])
        everything = bank.read()
        of = own.segment_of.flatten()
        weights = frequencies(own.class_ids[of.clamp(min=0)], of >= 0, 4).clamp(min=1).rsqrt()
        pixels, _ = sample_pixels(torch.where(of >= 0, weights[own.class_ids[of.clamp(min=0)]], 0), 32)
        vectors, rows = embeddings.permute(0, 2, 3, 1).reshape(-1, 3)[pixels], of[pixels].clamp(min=0)
        compared = own.valid & (own.domains == 0)
        vmf_nca_loss(vectors, own.class_ids[rows], rows, own.directions, own.class_ids, 9.0, compared).sum().backward()
        vmf_loss(vectors.detach(), rows % 8, everything.prototypes, 9.0, everything.valid)
    with pytest.raises(AssertionError, match="nonzero"), NeverWaits():
        labels.nonzero()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("min_pixels", [1, 3])
def test_prototypes_equal_a_naive_loop_over_the_pixels(seed: int, min_pixels: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    embeddings = normalize(torch.randn(3, 4, 5, 6, generator=generator), dim=1)
    segments = torch.randint(-1, 4, (3, 5, 6), generator=generator)
    labels = torch.randint(-1, 3, (3, 5, 6), generator=generator)
    domains = torch.tensor([0, 1, 0])
    found = prototypes_by_label(
        embeddings, segments, labels, domains, classes=3, segments_per_image=4, rows=50, min_pixels=min_pixels
    )
    pieces: dict[tuple[int, int, int], list[tuple[int, int, int]]] = {}
    for image in range(3):
        for y in range(5):
            for x in range(6):
                segment, label = int(segments[image, y, x]), int(labels[image, y, x])
                if segment >= 0 and label >= 0:
                    pieces.setdefault((image, segment, label), []).append((image, y, x))
    pieces = {key: places for key, places in pieces.items() if len(places) >= min_pixels}
    assert int(found.valid.sum()) == len(pieces)
    placed = 0
    for (image, _, label), places in pieces.items():
        rows = {int(found.segment_of[at]) for at in places}
        assert len(rows) == 1
        row = rows.pop()
        assert bool(found.valid[row])
        assert (int(found.class_ids[row]), int(found.domains[row])) == (label, int(domains[image]))
        total = torch.stack([embeddings[at[0], :, at[1], at[2]] for at in places]).sum(0)
        torch.testing.assert_close(found.directions[row], total / total.norm())
        placed += len(places)
    assert int((found.segment_of >= 0).sum()) == placed


def test_gradients_reach_the_pixels_of_a_prototype_alone() -> None:
    embeddings = normalize(torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0)), dim=1).requires_grad_()
    segments, labels = torch.tensor([[[0, 0], [1, 1]]]), torch.tensor([[[0, 0], [0, -1]]])
    found = prototypes_by_label(
        embeddings, segments, labels, torch.tensor([0]), classes=1, segments_per_image=2, rows=4, min_pixels=2
    )
    row = int(found.segment_of[0, 0, 0])
    found.directions[row].sum().backward()  # type: ignore[no-untyped-call]
    assert embeddings.grad is not None
    moved = embeddings.grad.abs().sum(dim=1)[0] > 0
    assert moved.tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("count", [1, 3, 5, 100])
def test_no_pixel_is_drawn_twice(count: int) -> None:
    positions, drawn = sample_pixels(torch.ones(5), count)
    assert len(positions) == len(set(positions.tolist())) == min(count, 5)
    assert drawn.all()


def test_pixels_without_weight_are_marked_as_not_drawn() -> None:
    positions, drawn = sample_pixels(torch.tensor([0.0, 2.0, 0.0, 1.0]), 4)
    assert set(positions[drawn].tolist()) == {1, 3}
    assert drawn.tolist() == [True, True, False, False]


@pytest.mark.parametrize("kappa", [0.5, 10.0, 60.0])
def test_the_losses_agree_where_every_segment_is_a_class_of_its_own_and_pixels_have_none(kappa: float) -> None:
    """Then the own segment attracts in the one, and the only segment of the class in the other."""
    generator = torch.Generator().manual_seed(0)
    pixels = normalize(torch.randn(9, 4, generator=generator).double())
    prototypes = normalize(torch.randn(6, 4, generator=generator).double())
    own = torch.randint(0, 6, (9,), generator=generator)
    nobody = torch.full_like(own, -1)
    unsupervised = vmf_loss(pixels, own, prototypes, kappa)
    supervised = vmf_nca_loss(pixels, own, nobody, prototypes, torch.arange(6), kappa)
    torch.testing.assert_close(unsupervised, supervised)


@pytest.mark.parametrize("loss", ["vmf", "nca"])
def test_rotating_the_sphere_leaves_the_losses_unchanged(loss: str) -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = normalize(torch.randn(9, 4, generator=generator).double())
    prototypes = normalize(torch.randn(6, 4, generator=generator).double())
    own, classes = torch.randint(0, 6, (9,), generator=generator), torch.tensor([0, 0, 1, 1, 2, 2])
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=generator).double())[0]

    def value(turn: Tensor) -> Tensor:
        if loss == "vmf":
            return vmf_loss(pixels @ turn, own, prototypes @ turn, 8.0)
        return vmf_nca_loss(pixels @ turn, classes[own], own, prototypes @ turn, classes, 8.0)

    torch.testing.assert_close(value(rotation), value(torch.eye(4, dtype=torch.float64)))
