"""Two processes that share a batch have the loss, the gradients and the memory bank of one with all of it."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed as dist
from torch import nn
from torch.multiprocessing.spawn import spawn
from torch.nn import functional as F

from index_builder.training import ranks
from index_builder.training.crops import Batch
from index_builder.training.ranks import part_of_rank, sample_of_all_ranks, share_batch_norms, total
from index_builder.training.recipe import Recipe
from index_builder.training.softmax_module import SoftmaxModule
from index_builder.training.sorting_modules import SortingModule, SupervisedModule, UnsupervisedModule
from index_builder.training.training_module import TrainingModule
from model_store.card import ClassInfo

pytestmark = pytest.mark.filterwarnings("default")  # Lightning warns of itself
CLASSES = tuple(ClassInfo(class_id=c, name=f"c{c}", color=(c, c, c)) for c in range(3))
OBJECTIVES: dict[str, Callable[..., TrainingModule]] = {
    "vmf-nca": SupervisedModule,
    "vmf": UnsupervisedModule,
    "softmax": SoftmaxModule,
}


class Network(nn.Module):
    """Crops to unit vectors at stride 4, with a batch norm on the way; for softmax with logits."""

    def __init__(self, logits: bool) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8)
        self.last, self.classifier = nn.Conv2d(8, 6, 1), nn.Conv2d(6, 3, 1) if logits else None

    def forward(self, images: torch.Tensor) -> Any:
        vectors = F.normalize(self.last(F.relu(self.norm(self.first(images)))), dim=1)
        return vectors if self.classifier is None else (vectors, self.classifier(vectors))


def recipe(objective: str) -> Recipe:
    views = 2 if objective == "vmf" else 1
    return Recipe(
        objective=objective, datasets=["a", "b"], reference="a" if objective == "vmf-nca" else None, dimension=6,
        segments=6, iterations=3, views=views, batch_per_domain=4, pixels_per_domain=10**6, bank_batches=2,
        bank_per_batch=10**4, max_regions=8, min_pixels=1, steps=10, validate_every=0, accelerator="cpu",
    )  # fmt: skip


def batch(seed: int, views: int) -> Batch:
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randint(-1, 3, (8, 4, 4), generator=random)
    if views > 1:
        coarse = torch.randint(0, 8, (8, 4, 4), generator=random)
    labels = coarse.repeat_interleave(8, 1).repeat_interleave(8, 2).int()
    images = torch.rand(8, 3, 32, 32, generator=random) + labels[:, None] / 4
    domains = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    return Batch(images, labels, domains, torch.arange(8) // views)


def steps(objective: str) -> dict[str, Any]:
    """Losses, gradients, running statistics and bank after three steps, of this process or of all ranks together."""
    torch.manual_seed(0)
    asked, count = recipe(objective), dist.get_world_size() if dist.is_initialized() else 1
    network = Network(objective == "softmax")
    share_batch_norms(network)
    module = OBJECTIVES[objective](network, asked, nn.Identity(), CLASSES)
    module.on_fit_start()
    optimizer, losses, gradients = torch.optim.SGD(network.parameters(), 0.5), [], []
    for number in range(3):
        own = part_of_rank(batch(number, asked.views), asked.views)
        optimizer.zero_grad()
        loss = module.compare(network(own.images), own)
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(float(total(loss.detach())) / count)
        for weight in network.parameters():
            if weight.grad is not None:
                weight.grad = total(weight.grad) / count  # as DDP does
        gradients.append([weight.grad.clone() for weight in network.parameters() if weight.grad is not None])
        optimizer.step()
    kept = torch.zeros(0, 8)
    if isinstance(module, SortingModule):
        bank = module.bank.read()
        kept = torch.cat([bank.prototypes, bank.class_ids[:, None], bank.valid[:, None]], 1)
    statistics = [network.norm.running_mean, network.norm.running_var]
    return {"losses": losses, "gradients": gradients, "statistics": statistics, "bank": kept[kept[:, -1] == 1]}


def far_from_zero() -> tuple[torch.Tensor, torch.Tensor]:
    """A batch whose values vary by 0.1 around 0, 1000 and -3000, and weights of its loss: [8, 3, 6, 5] each."""
    random = torch.Generator().manual_seed(7)
    values = torch.randn(8, 3, 6, 5, generator=random) / 10 + torch.tensor([0.0, 1000.0, -3000.0])[:, None, None]
    return values, torch.randn(values.shape, generator=random)


def normalised(norm: nn.BatchNorm2d, values: torch.Tensor, weights: torch.Tensor) -> dict[str, torch.Tensor | None]:
    """What a batch norm gives for values, the gradient of a weighted sum of that, and its running variance."""
    values = values.clone().requires_grad_()
    found = norm(values)
    (found * weights).sum().backward()
    return {"values": found.detach(), "gradient": values.grad, "variance": norm.running_var}


def shared_norm(rank: int) -> dict[str, torch.Tensor | None]:
    """Of five images of the batch in the first process, and of three in the second."""
    norm, part = nn.BatchNorm2d(3), slice(0, 5) if rank == 0 else slice(5, 8)
    share_batch_norms(norm)
    values, weights = far_from_zero()
    return normalised(norm, values[part], weights[part])


def drawn(rank: int) -> int:
    """How many of 400 pixels this process draws where those of the second have nine times the weight."""
    torch.manual_seed(rank)
    _, found = sample_of_all_ranks(torch.full((1000,), 1.0 + 8 * rank), 400)
    return int(found.sum())


def _work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    results: dict[str, Any] = {objective: steps(objective) for objective in OBJECTIVES}
    results |= {"drawn": drawn(rank), "norm": shared_norm(rank)}
    ranks._is_on_host = lambda values: False  # as on a GPU
    torch.save({**results, "vmf-nca on a GPU": steps("vmf-nca")}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def in_order(rows: torch.Tensor) -> torch.Tensor:
    """Rows sorted by their values: the bank has no particular order."""
    return torch.from_numpy(rows.numpy()[np.lexsort(rows.numpy().round(4).T)])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes computed together with the other."""
    folder = tmp_path_factory.mktemp("ranks")
    spawn(_work, (str(folder),), nprocs=2)  # type: ignore[no-untyped-call]
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


def test_pixels_are_drawn_by_their_weight_among_those_of_both_processes(results: list[dict[str, Any]]) -> None:
    assert sum(found["drawn"] for found in results) == 400
    assert 20 < results[0]["drawn"] < 100


@pytest.mark.parametrize("objective", [*OBJECTIVES, "vmf-nca on a GPU"])
def test_two_processes_have_the_loss_and_the_gradients_of_one(objective: str, results: list[dict[str, Any]]) -> None:
    expected = steps(objective.removesuffix(" on a GPU"))
    for found in (of_rank[objective] for of_rank in results):
        np.testing.assert_allclose(found["losses"], expected["losses"], rtol=1e-4)
        for of_ranks, of_one in zip(found["gradients"], expected["gradients"], strict=True):
            for a, b in zip(of_ranks, of_one, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(found["statistics"], expected["statistics"], rtol=1e-4, atol=1e-5)
        assert len(found["bank"]) == len(expected["bank"])
        torch.testing.assert_close(in_order(found["bank"]), in_order(expected["bank"]), rtol=1e-3, atol=1e-4)


def test_shared_batch_norms_are_right_where_means_are_large(results: list[dict[str, Any]]) -> None:
    values, weights = (each.double() for each in far_from_zero())
    expected = normalised(nn.BatchNorm2d(3).double(), values, weights)
    first, second = (found["norm"] for found in results)
    for name, scale in (("values", 1.0), ("gradient", 10.0)):
        found = torch.cat([first[name], second[name]]).double()
        torch.testing.assert_close(found / scale, expected[name] / scale, rtol=0, atol=0.01)
    for found in (first, second):
        torch.testing.assert_close(found["variance"].double(), expected["variance"], rtol=1e-3, atol=0)


def test_a_batch_that_cannot_be_shared_equally_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be shared equally between devices=2: give a multiple of 2"):
        Recipe(datasets=["a"], batch_per_domain=3, devices=2)


@pytest.mark.timeout(600)  # two processes that wait for each other a hundred times a step
def test_a_run_of_two_processes_writes_one_network_and_one_log(blocks_folder: Path, tmp_path: Path) -> None:
    """How well it learns is measured by `benchmarks.training_devices`: losses on four images differ by chance."""
    losses = trained(blocks_folder, tmp_path / "run", 2)
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    assert (tmp_path / "run" / "network.onnx").is_file()
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["devices"] == 2


def trained(blocks: Path, out: Path, devices: int) -> list[float]:
    """The logged losses of a run by the command."""
    settings = {
        "working_size": 96, "crop": "[64,96]", "segments": 12, "validate_every": 0, "batch_per_domain": 4,
        "pixels_per_domain": 1024, "workers": 0, "accelerator": '"cpu"', "backbone_rate": 1.0, "learning_rate": 0.003,
    }  # fmt: skip
    command = [sys.executable, "-m", "command_line.main", "train", "--dataset", "folder", "--root", str(blocks)]
    command += ["--out", str(out), "--steps", "20", "--devices", str(devices)]
    command += [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1:] == [str(out)]
    rows = csv.DictReader((out / "logs" / "metrics.csv").read_text().splitlines())
    return [float(row["loss"]) for row in rows if row["loss"]]
