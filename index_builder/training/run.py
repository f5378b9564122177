"""A whole training run: data, network, Lightning trainer, checkpoints, logs, and export of the network."""

import json
import warnings
from itertools import islice
from pathlib import Path
from pickle import UnpicklingError

import lightning as L
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader

from index_builder.datasets import Dataset, Sample, open_dataset, open_images
from index_builder.embedder_source import is_release
from index_builder.environment import circumstances
from index_builder.regions import open_regions
from index_builder.training.averaging import NormStatistics, WarmAveraging
from index_builder.training.crops import Augment, Crops, Domain, WithClasses, WithRegions
from index_builder.training.export import write_network
from index_builder.training.processes import is_first_process
from index_builder.training.ranks import share_batch_norms
from index_builder.training.recipe import Recipe, normalisation, with_current_names
from index_builder.training.softmax_module import SoftmaxModule
from index_builder.training.sorting_modules import SupervisedModule, UnsupervisedModule
from index_builder.training.starting_network import starting_network, unfold_batch_norms
from index_builder.training.training_module import TrainingModule
from segsort.loops import multiplies_bfloat16
from segsort.network import ClassifyingNetwork, EmbeddingNetwork, build_network

KEEP_EVERY = 100  # steps between checkpoints of a run that does not validate


def make_network(recipe: Recipe) -> EmbeddingNetwork:
    """Build the network of a recipe with its initial weights.

    Raises:
        ValueError: if `weights` or `start` of the recipe names a file or folder that does not exist or does not fit.
    """
    if recipe.weights is not None and not Path(recipe.weights).is_file():
        raise ValueError(
            f"weights={recipe.weights!r} of the recipe does not exist; give a file that exists, or leave it out"
        )
    if recipe.start is not None:
        network = starting_network(Path(recipe.start), recipe)
    else:
        weights = _read_weights(Path(recipe.weights)) if recipe.weights is not None else None
        network = build_network(recipe.backbone, recipe.dimension, weights, recipe.backbone_config)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # in place
    return network


def _read_weights(file: Path) -> dict[str, Tensor]:
    """Read a state dict: a safetensors file, or one that torch saved. No code of the file is run."""
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ValueError(
            f"weights={str(file)!r} of the recipe cannot be read ({str(error) or type(error).__name__}); give a state "
            "dict as .safetensors, or as .pth saved by torch"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"weights={str(file)!r} of the recipe is no state dict; give one that maps names to tensors")
    return state


def open_domain(recipe: Recipe, name: str, split: str) -> Dataset:
    """Open one of the recipe's data sets."""
    return open_dataset(name, recipe.root(name), split, count=recipe.counts.get(name))


def open_domains(recipe: Recipe) -> list[Domain]:
    """Open what the recipe trains on: images with classes, or images with regions if the objective is "vmf"."""
    splits = {name: recipe.train_splits.get(name, "train") for name in recipe.datasets}
    if recipe.objective != "vmf":
        return [WithClasses(open_domain(recipe, name, split)) for name, split in splits.items()]
    regions = open_regions(
        recipe.regions,
        folder=Path(recipe.region_maps) if recipe.region_maps else None,
        contours=Path(recipe.contours) if recipe.contours else None,
    )
    return [
        WithRegions(open_images(name, recipe.root(name), split, count=recipe.counts.get(name)), regions)
        for name, split in splits.items()
    ]


def make_module(recipe: Recipe, domains: list[Domain]) -> TrainingModule:
    """Build the Lightning module of a recipe: network, loss and optimiser.

    Raises:
        ValueError: if the data sets have different classes.
    """
    augment = Augment(*normalisation(recipe.backbone), strong=recipe.photometry == "strong")
    network = make_network(recipe)
    if recipe.objective == "vmf":
        return UnsupervisedModule(network, recipe, augment, ())
    labelled = [domain.dataset for domain in domains if isinstance(domain, WithClasses)]
    _check_classes(labelled)
    classes = labelled[0].classes
    if recipe.objective == "softmax":
        classifying = ClassifyingNetwork(network, len(classes), recipe.frozen)
        return SoftmaxModule(classifying, recipe, augment, classes)
    return SupervisedModule(network, recipe, augment, classes)


def train(recipe: Recipe, out: Path) -> Path:
    """Train a network, or continue the run in `out`.

    `out` receives recipe.json, environment.json (commit, machine, threads), checkpoints/ (last.ckpt and, of a run that
    validates, the one with the best mIoU) and logs/ (TensorBoard, and one CSV for each start of the run). At the end it
    receives network.onnx and network.json, which `segsort build --embedder` reads.

    Returns:
        The folder `out`.

    Raises:
        ValueError: if `out` has a run of another recipe, or the recipe names a file or data set that does not exist.
    """
    out.mkdir(parents=True, exist_ok=True)
    _check_recipe(recipe, out / "recipe.json")
    if is_first_process():
        _warn_of_slow_precision(recipe)
    L.seed_everything(recipe.seed, workers=True)
    domains = open_domains(recipe)
    module = make_module(recipe, domains)
    validation = _validation(recipe, module, domains)
    if is_first_process():
        (out / "recipe.json").write_text(json.dumps(recipe.model_dump(mode="json"), indent=2) + "\n")
        (out / "environment.json").write_text(json.dumps(circumstances(), indent=2) + "\n")
    last = out / "checkpoints" / "last.ckpt"
    first_step = _step_of(last) if last.exists() else 0
    if 0 < first_step < recipe.steps and is_first_process():
        _keep_log(out / "logs" / "metrics.csv", first_step)
    elif first_step == 0 and recipe.start is not None and is_release(Path(recipe.start)):
        batches = [batch.images for batch in islice(Crops(domains, recipe), 4)]
        unfold_batch_norms(module.network, module.augment(torch.cat(batches)))
    if recipe.devices > 1:
        share_batch_norms(module.network)
    stream = DataLoader(
        Crops(domains, recipe, first_step),
        batch_size=None,
        num_workers=recipe.workers,
        pin_memory=torch.cuda.is_available(),
    )
    checkpoints = _checkpoints(recipe, out)
    _trainer(recipe, out, domains, checkpoints).fit(
        module, stream, validation, ckpt_path=str(last) if last.exists() else None, weights_only=False
    )
    if not is_first_process():
        return out
    best = checkpoints.best_model_path if recipe.validates and checkpoints.best_model_path else str(last)
    write_network(best, recipe, out, module.classes)
    return out


def _checkpoints(recipe: Recipe, out: Path) -> ModelCheckpoint:
    """Keep the last checkpoint and, if the run validates, the one with the best mIoU."""
    folder = out / "checkpoints"
    if recipe.validates:
        return ModelCheckpoint(
            folder, "best", monitor="val/miou", mode="max", save_last=True, enable_version_counter=False
        )
    return ModelCheckpoint(
        folder, "last", every_n_train_steps=min(KEEP_EVERY, recipe.steps), enable_version_counter=False
    )


def _trainer(recipe: Recipe, out: Path, domains: list[Domain], checkpoints: ModelCheckpoint) -> L.Trainer:
    averaging = WarmAveraging(recipe.ema_decay) if recipe.ema_decay else None
    return L.Trainer(
        max_steps=recipe.steps,
        accelerator=recipe.accelerator,
        devices=recipe.devices,
        strategy="ddp" if recipe.devices > 1 else "auto",
        use_distributed_sampler=False,  # every process validates on all images: exemplars are needed together
        precision=recipe.precision,  # type: ignore[arg-type]
        callbacks=[
            checkpoints,
            LearningRateMonitor("step"),
            TQDMProgressBar(refresh_rate=10),
            *([averaging] if averaging else []),
            NormStatistics(domains, recipe, averaging),  # after the weights were averaged
        ],
        logger=[CSVLogger(out, "logs", version=""), TensorBoardLogger(out, "logs", version="")],
        val_check_interval=recipe.validate_every if recipe.validates else None,
        limit_val_batches=None if recipe.validates else 0,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        gradient_clip_val=5.0,
        log_every_n_steps=10,
    )


def _validation(recipe: Recipe, module: TrainingModule, domains: list[Domain]) -> list[DataLoader[Sample]] | None:
    if not recipe.validates:
        return None
    labelled = [domain.dataset for domain in domains if isinstance(domain, WithClasses)]
    queries = open_domain(recipe, recipe.datasets[0], recipe.validation_split)
    _check_classes([labelled[0], queries])
    return module.validation_loaders(labelled, queries)


def _warn_of_slow_precision(recipe: Recipe) -> None:
    on_cpu = recipe.accelerator == "cpu" or (recipe.accelerator == "auto" and not torch.accelerator.is_available())
    if recipe.precision.startswith("bf16") and on_cpu and not multiplies_bfloat16():
        warnings.warn(
            f"precision={recipe.precision}: this processor has no instructions for bfloat16, and a step takes about "
            "ten times as long as with 32-true; give --precision 32-true, unless this run must be like another one",
            stacklevel=3,
        )


def _check_recipe(recipe: Recipe, file: Path) -> None:
    """Refuse a recipe that differs from the one that the run in this folder was started with."""
    if not file.exists():
        return
    asked, kept = recipe.model_dump(mode="json"), with_current_names(json.loads(file.read_text()))
    differ = sorted(key for key in {*kept, *asked} if kept.get(key) != asked.get(key))
    if differ:
        raise ValueError(
            f"{file.parent} has a run with other values of {', '.join(differ)} "
            f"({', '.join(f'{key}={kept.get(key)!r}' for key in differ)}); give the same values to continue it, or "
            "another folder with --out to start a new run"
        )


def _check_classes(domains: list[Dataset]) -> None:
    """Refuse domains whose class ids mean different classes: labels of all domains are compared by id."""
    first, *others = ([info.name for info in domain.classes] for domain in domains)
    for domain, names in zip(domains[1:], others, strict=True):
        if names != first:
            raise ValueError(
                f"data set {domain.name} has the classes {', '.join(names)}, {domains[0].name} has {', '.join(first)}; "
                "data sets that are trained on together must have the same classes in the same order"
            )


def _keep_log(file: Path, step: int) -> None:
    """Rename the CSV of earlier steps, because Lightning overwrites it when a run continues."""
    if file.exists():
        file.rename(file.with_name(f"metrics-until-{step}.csv"))


def _step_of(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, map_location="cpu", weights_only=False)["global_step"])
