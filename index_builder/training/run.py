"""A whole training run: data, network, Lightning, checkpoints, logs, and the exported network at its end."""

import json
import logging
from itertools import islice
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from index_builder.datasets import Dataset, Sample, open_dataset, open_images
from index_builder.environment import circumstances
from index_builder.regions import open_regions
from index_builder.training.crops import Augment, Crops, Domain, WithClasses, WithRegions
from index_builder.training.export import write_network
from index_builder.training.recipe import Recipe, normalisation
from index_builder.training.softmax_module import SoftmaxModule
from index_builder.training.sorting_modules import SupervisedModule, UnsupervisedModule
from index_builder.training.starting_network import is_release, starting_network, unfold_batch_norms
from index_builder.training.training_module import TrainingModule
from segsort.network import ClassifyingNetwork, EmbeddingNetwork, build_network

KEEP_EVERY = 100  # steps between checkpoints of a run that does not validate

log = logging.getLogger(__name__)


def make_network(recipe: Recipe) -> EmbeddingNetwork:
    """The network of a recipe, with its starting weights."""
    if recipe.weights is not None and not Path(recipe.weights).is_file():
        raise ValueError(
            f"{recipe.weights} is missing, which the recipe's weights names; give one that exists, or leave it out"
        )
    if recipe.start is not None:
        network = starting_network(Path(recipe.start), recipe)
    else:
        weights = load_file(recipe.weights) if recipe.weights is not None else None
        network = build_network(recipe.backbone, recipe.dimension, weights, recipe.backbone_config)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # in place
    return network


def open_domain(recipe: Recipe, name: str, split: str) -> Dataset:
    """One of the recipe's data sets."""
    return open_dataset(name, recipe.root(name), split, count=recipe.counts.get(name))


def open_domains(recipe: Recipe) -> list[Domain]:
    """What the recipe trains on: images with classes or, without a look at those, with regions."""
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
    """Network, loss and optimiser of a recipe."""
    augment, network = Augment(*normalisation(recipe.backbone)), make_network(recipe)
    if recipe.objective == "vmf":
        return UnsupervisedModule(network, recipe, augment, ())
    labelled = [domain.dataset for domain in domains if isinstance(domain, WithClasses)]
    _check_classes(labelled)
    classes = labelled[0].classes
    if recipe.objective == "softmax":
        twin = ClassifyingNetwork(network, len(classes), recipe.frozen)
        return SoftmaxModule(twin, recipe, augment, classes)
    return SupervisedModule(network, recipe, augment, classes)


def train(recipe: Recipe, out: Path) -> Path:
    """Train, or go on with the run that `out` holds.

    `out` receives recipe.json, environment.json (commit, machine, threads), checkpoints/ (last.ckpt and, of a run that
    validates, the best by mIoU), logs/ (TensorBoard, and CSV: one file for each time that the run was begun), and at
    the end network.onnx with network.json, which `segsort build --embedder` takes.

    Raises:
        ValueError: if `out` holds a run of another recipe, or the recipe names what does not exist.
    """
    out.mkdir(parents=True, exist_ok=True)
    _check_recipe(recipe, out / "recipe.json")
    L.seed_everything(recipe.seed, workers=True)
    domains = open_domains(recipe)
    module = make_module(recipe, domains)
    validation = _validation(recipe, module, domains)
    (out / "recipe.json").write_text(json.dumps(recipe.model_dump(mode="json"), indent=2) + "\n")
    (out / "environment.json").write_text(json.dumps(circumstances(), indent=2) + "\n")
    last = out / "checkpoints" / "last.ckpt"
    first_step = _step_of(last) if last.exists() else 0
    if 0 < first_step < recipe.steps:
        _keep_log(out / "logs" / "metrics.csv", first_step)
    elif first_step == 0 and recipe.start is not None and is_release(Path(recipe.start)):
        batches = [batch.images for batch in islice(Crops(domains, recipe), 4)]
        unfold_batch_norms(module.network, module.augment(torch.cat(batches)))
    stream = DataLoader(
        Crops(domains, recipe, first_step),
        batch_size=None,
        num_workers=recipe.workers,
        pin_memory=torch.cuda.is_available(),
    )
    checkpoints = ModelCheckpoint(
        out / "checkpoints", "best", monitor="val/miou", mode="max", save_last=True, enable_version_counter=False
    )
    if not recipe.validates:
        checkpoints = ModelCheckpoint(
            out / "checkpoints", "last", every_n_train_steps=min(KEEP_EVERY, recipe.steps), enable_version_counter=False
        )
    trainer = L.Trainer(
        max_steps=recipe.steps,
        accelerator=recipe.accelerator,
        devices=recipe.devices,
        precision=recipe.precision,  # type: ignore[arg-type]
        callbacks=[
            checkpoints,
            LearningRateMonitor("step"),
            TQDMProgressBar(refresh_rate=10),
            *([EMAWeightAveraging(decay=recipe.ema_decay)] if recipe.ema_decay else []),
        ],
        logger=[CSVLogger(out, "logs", version=""), TensorBoardLogger(out, "logs", version="")],
        val_check_interval=recipe.validate_every if recipe.validates else None,
        limit_val_batches=None if recipe.validates else 0,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        gradient_clip_val=5.0,
        log_every_n_steps=10,
    )
    trainer.fit(
        module,
        stream,
        validation,
        ckpt_path=str(last) if last.exists() else None,
        weights_only=False,
    )
    best = checkpoints.best_model_path if recipe.validates and checkpoints.best_model_path else str(last)
    write_network(best, recipe, out, module.classes)
    return out


def _validation(recipe: Recipe, module: TrainingModule, domains: list[Domain]) -> list[DataLoader[Sample]] | None:
    if not recipe.validates:
        return None
    labelled = [domain.dataset for domain in domains if isinstance(domain, WithClasses)]
    queries = open_domain(recipe, recipe.datasets[0], recipe.validation_split)
    _check_classes([labelled[0], queries])
    return module.validation_loaders(labelled, queries)


def _check_recipe(recipe: Recipe, file: Path) -> None:
    told = recipe.model_dump(mode="json")
    if file.exists():
        kept = json.loads(file.read_text())
        differ = sorted(key for key in {*kept, *told} if kept.get(key) != told.get(key))
        if differ:
            raise ValueError(
                f"{file.parent} holds a run with other values of {', '.join(differ)} "
                f"({', '.join(f'{key}={kept.get(key)!r}' for key in differ)}); give the same values to go on with it, "
                "or another folder with --out to start anew"
            )


def _check_classes(domains: list[Dataset]) -> None:
    """Labels of all domains are compared by number, so that the numbers must mean the same."""
    first, *others = ([info.name for info in domain.classes] for domain in domains)
    for domain, names in zip(domains[1:], others, strict=True):
        if names != first:
            raise ValueError(
                f"data set {domain.name} has the classes {', '.join(names)}, {domains[0].name} has {', '.join(first)}; "
                "give the classes the same names in the same order to train on both together"
            )


def _keep_log(file: Path, step: int) -> None:
    """Lightning begins its CSV anew when a run goes on: put aside what was logged before."""
    if file.exists():
        file.rename(file.with_name(f"metrics-until-{step}.csv"))


def _step_of(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, map_location="cpu", weights_only=False)["global_step"])
