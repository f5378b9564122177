"""Export of a short run: averaged weights, and batch norms with the statistics of these weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from index_builder.build import BuildOptions, build_release
from index_builder.datasets import open_dataset
from index_builder.embedder_source import load_embedder_source
from index_builder.evaluation import evaluate
from index_builder.training.averaging import NormStatistics, WarmAveraging, estimate_statistics, has_batch_norms
from index_builder.training.crops import Crops
from index_builder.training.export import export_onnx, load_checkpoint, write_network
from index_builder.training.recipe import Recipe
from index_builder.training.run import make_module, open_domains, train
from segsort.network import ClassifyingNetwork, build_network

pytestmark = pytest.mark.filterwarnings("default")  # Lightning warns of itself


def recipe(blocks: Path, **changed: object) -> Recipe:
    values = {
        "datasets": ["folder"], "roots": {"folder": str(blocks)}, "working_size": 96, "crop": (64, 96), "segments": 12,
        "steps": 4, "validate_every": 0, "batch_per_domain": 2, "pixels_per_domain": 128, "workers": 0,
        "accelerator": "cpu",
    }  # fmt: skip
    return Recipe.model_validate({**values, **changed})


@pytest.fixture(scope="module")
def short(blocks_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 steps with the default decay of the average."""
    asked = recipe(blocks_folder, steps=60, pixels_per_domain=256, batch_per_domain=4)
    return train(asked, tmp_path_factory.mktemp("short") / "run")


def test_a_run_of_60_steps_exports_what_it_learnt(short: Path, blocks_folder: Path, tmp_path: Path) -> None:
    """Without the warm-up of the average and the estimated statistics, the exported network had an mIoU of 0.2."""
    dataset = {split: open_dataset("folder", blocks_folder, split) for split in ("train", "val")}
    built = build_release(dataset["train"], load_embedder_source(short), tmp_path / "release", options=BuildOptions())
    exported = evaluate(built, dataset["val"]).miou
    assert exported > 0.9
    trained = of_training_network(short, tmp_path / "trained")
    built = build_release(dataset["train"], load_embedder_source(trained), tmp_path / "other", options=BuildOptions())
    assert exported > evaluate(built, dataset["val"]).miou - 0.05


def of_training_network(run: Path, out: Path) -> Path:
    """Export the weights of the last step without averaging, with estimated statistics of their batch norms."""
    asked = Recipe.model_validate_json((run / "recipe.json").read_bytes())
    state = torch.load(run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=False)
    module = make_module(asked, open_domains(asked))
    module.load_state_dict(state["current_model_state"])
    estimate_statistics(module, [batch for batch, _ in zip(Crops(open_domains(asked), asked), range(8), strict=False)])
    out.mkdir()
    export_onnx(module.network, out / "network.onnx")
    (out / "network.json").write_bytes((run / "network.json").read_bytes())
    return out


def test_statistics_are_those_of_the_batches() -> None:
    """The mean of a layer's input over all batches, and the mean of the variances within a batch."""
    asked = Recipe(datasets=["streets"], counts={"streets": 2}, crop=(32, 64), working_size=64, batch_per_domain=2)
    domains = open_domains(asked)
    module = make_module(asked, domains)
    module.augment.colour = torch.nn.Identity()
    norm = module.network.decoder.laterals[0][1]
    inputs = []
    norm.register_forward_pre_hook(lambda _, given: inputs.append(given[0].detach().double()))
    batches = [batch for batch, _ in zip(Crops(domains, asked), range(3), strict=False)]
    module.eval()
    estimate_statistics(module, batches)
    assert not module.network.training
    assert len(inputs) == 3
    mean, variance = (torch.stack(values).mean(dim=0) for values in zip(*map(of_channels, inputs), strict=True))
    torch.testing.assert_close(norm.running_mean.double(), mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(norm.running_var.double(), variance, atol=1e-5, rtol=1e-4)


def of_channels(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3))


def test_estimates_leave_the_random_numbers_of_training() -> None:
    asked = Recipe(datasets=["streets"], counts={"streets": 2}, crop=(32, 64), working_size=64, batch_per_domain=2)
    module = make_module(asked, open_domains(asked))
    batches = [next(iter(Crops(open_domains(asked), asked)))]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    estimate_statistics(module, batches)
    first = module.network.decoder.laterals[0][1].running_mean.clone()
    assert torch.equal(torch.rand(3), expected)
    estimate_statistics(module, batches)
    assert torch.equal(module.network.decoder.laterals[0][1].running_mean, first)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.995])
def test_the_average_is_that_of_the_formula(decay: float) -> None:
    average, values = WarmAveraging(decay)._average, np.random.default_rng(0).standard_normal(50)
    found, expected = torch.tensor(values[0]), values[0]
    for t in range(1, 50):
        found = average(found, torch.tensor(values[t]), torch.tensor(t))
        kept = min(decay, (1 + t) / (10 + t))
        expected = kept * expected + (1 - kept) * values[t]
        assert float(found) == pytest.approx(expected, rel=1e-5)


def test_a_short_run_exports_nothing_of_its_first_weights_and_lags_by_a_tenth() -> None:
    average, steps = WarmAveraging(0.995)._average, 400
    first, step = torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)
    for t in range(steps):
        first = average(first, torch.zeros_like(first), torch.tensor(t))  # the share of the weights at the start
        step = average(step, torch.full_like(step, t + 1), torch.tensor(t))  # the mean step of what is averaged
    assert float(first) < 1e-15
    assert float(step) == pytest.approx(0.9 * steps, abs=1)


def test_weights_are_averaged_only_in_training() -> None:
    with pytest.raises(RuntimeError, match="during training only"):
        WarmAveraging(0.9).averaged()


def test_what_is_validated_is_what_is_exported(blocks_folder: Path, tmp_path: Path) -> None:
    """The best checkpoint holds the statistics of its own step, not those of a later one."""
    run = train(recipe(blocks_folder, validate_every=2), tmp_path / "run")
    for name, step in (("best", {2, 4}), ("last", {4})):
        state = torch.load(run / "checkpoints" / f"{name}.ckpt", map_location="cpu", weights_only=False)
        assert state["global_step"] in step
        assert state["callbacks"]["NormStatistics"] == {"estimated_at": state["global_step"]}
        assert NormStatistics.are_of(run / "checkpoints" / f"{name}.ckpt")


def test_a_continued_run_exports_statistics_of_its_last_step(
    blocks_folder: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """This holds without averaging too. The checkpoint of a stopped run records that its statistics are out of date."""
    asked = recipe(blocks_folder, ema_decay=0)
    whole = train(asked, tmp_path / "whole")
    norm = "network.decoder.laterals.0.1.running_mean"
    state = torch.load(whole / "checkpoints" / "last.ckpt", weights_only=False)
    network = load_checkpoint(whole / "checkpoints" / "last.ckpt", asked)
    module = make_module(asked, domains := open_domains(asked))
    module.network.load_state_dict(network.state_dict())
    estimate_statistics(module, [batch for batch, _ in zip(Crops(domains, asked, 4), range(4), strict=False)])
    torch.testing.assert_close(module.state_dict()[norm], state["state_dict"][norm])
    assert not [one for one in recwarn if "batch norms" in str(one.message)]


def test_an_export_warns_of_statistics_of_other_weights(short: Path, tmp_path: Path) -> None:
    state = torch.load(short / "checkpoints" / "last.ckpt", weights_only=False)
    del state["callbacks"]["NormStatistics"]  # as earlier versions wrote it
    torch.save(state, tmp_path / "old.ckpt")
    asked = Recipe.model_validate_json((short / "recipe.json").read_bytes())
    with pytest.warns(UserWarning, match="batch norms of .*old.ckpt have running averages"):
        write_network(tmp_path / "old.ckpt", asked, tmp_path, [])
    assert (tmp_path / "network.onnx").exists()


def test_a_frozen_network_has_no_batch_norms_that_change() -> None:
    network = build_network("mobilenet_v2")
    assert has_batch_norms(network)
    assert has_batch_norms(ClassifyingNetwork(network, 3))
    assert not has_batch_norms(ClassifyingNetwork(network, 3, frozen=True))
    assert not has_batch_norms(torch.nn.Conv2d(1, 1, 1))
