"""A whole training run on a few small images: it learns, resumes after a stop, and exports the trained network."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from index_builder.build import build_release
from index_builder.datasets import IGNORE, open_dataset
from index_builder.embedder_source import load_embedder_source
from index_builder.evaluation import evaluate
from index_builder.heads import store_in_half
from index_builder.training import run
from index_builder.training.crops import Crops, WithClasses
from index_builder.training.export import load_checkpoint
from index_builder.training.recipe import Recipe
from index_builder.training.run import train
from index_builder.training.starting_network import starting_network, unfold_batch_norms
from index_builder.training.training_module import TrainingModule
from model_store.labelled.camvid import UNLABELLED
from tests.conftest import Blocks

pytestmark = pytest.mark.filterwarnings("default")  # Lightning warns of itself


def recipe(blocks: Path, **changed: object) -> Recipe:
    values = {
        "datasets": ["folder"], "roots": {"folder": str(blocks)}, "working_size": 96, "crop": (64, 96), "segments": 12,
        "steps": 4, "validate_every": 2, "batch_per_domain": 2, "pixels_per_domain": 128, "workers": 0,
        "accelerator": "cpu", "ema_decay": 0.5,
    }  # fmt: skip
    return Recipe.model_validate({**values, **changed})


def logged(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "logs" / "metrics.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def trained(blocks_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 steps."""
    asked = recipe(
        blocks_folder,
        steps=60,
        validate_every=30,
        learning_rate=0.003,
        backbone_rate=1.0,
        batch_per_domain=4,
        ema_decay=0.9,
    )
    return train(asked, tmp_path_factory.mktemp("runs") / "run")


def test_training_lowers_the_loss_and_logs_it(trained: Path) -> None:
    losses = [float(row["loss"]) for row in logged(trained) if row["loss"]]
    assert np.median(losses[-4:]) < 0.5 * losses[0], "one value each ten steps"
    scores = [float(row["val/miou"]) for row in logged(trained) if row["val/miou"]]
    assert len(scores) == 2
    assert list((trained / "logs").glob("events.out.tfevents*")), "TensorBoard's log is written too"


def test_pixels_of_other_domains_are_compared_with_the_reference_too(tmp_path: Path) -> None:
    """Photographs (here painted too, small, in CamVid's layout) beside painted streets, whose exemplars are served."""
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        (tmp_path / f"{split}annot").mkdir()
        for i in range(2):
            sample = open_dataset("streets", None, split, count=2)[i]
            labels = np.where(sample.labels == IGNORE, UNLABELLED, sample.labels)[::4, ::4]
            Image.fromarray(sample.image[::4, ::4]).save(tmp_path / split / f"a_{i}.png")
            Image.fromarray(labels.astype(np.uint8)).save(tmp_path / f"{split}annot" / f"a_{i}.png")
    domains = {"datasets": ["camvid", "streets"], "roots": {"camvid": str(tmp_path)}, "counts": {"streets": 2}}
    run = train(recipe(tmp_path, **domains, reference="streets", bank_batches=1, steps=10), tmp_path / "run")
    rows = logged(run)
    for name in ("loss/camvid-camvid", "loss/camvid-streets", "loss/streets-streets"):
        assert any(row[name] for row in rows), name
    assert "loss/streets-camvid" not in rows[0]
    for domain in ("camvid", "streets"):
        assert any(row[f"val/miou/{domain}"] for row in rows), "validation queries the exemplars of each domain"


def test_a_release_can_be_built_of_a_run(trained: Path, tmp_path: Path) -> None:
    built = build_release(Blocks(), load_embedder_source(trained), tmp_path / "release")
    assert built.card.training["steps"] == 60
    assert "start" not in built.card.training
    assert built.card.sorting.location_weight == 0.5
    assert evaluate(built, Blocks("val", count=2)).images == 2


@pytest.mark.parametrize("size", [(32, 32), (64, 160), (96, 64)])
def test_the_exported_network_embeds_as_torch_does(trained: Path, size: tuple[int, int]) -> None:
    asked = Recipe.model_validate_json((trained / "recipe.json").read_bytes())
    network = load_checkpoint(trained / "checkpoints" / "best.ckpt", asked)
    image = np.random.default_rng(0).standard_normal((1, 3, *size)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(trained / "network.onnx"), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(session.run(["embedding"], {"image": image})[0], expected, atol=1e-4)


def test_a_stopped_run_goes_on_where_it_stopped(
    blocks_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt is interrupted between two steps, after it has written a checkpoint."""
    whole, seen = TrainingModule.training_step, []

    def step(self: TrainingModule, batch: object, number: int) -> torch.Tensor:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(self.global_step)
        return whole(self, batch, number)  # type: ignore[arg-type]

    monkeypatch.setattr(TrainingModule, "training_step", step)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train(recipe(blocks_folder), tmp_path / "run")
    assert seen == [0, 1, 2]
    assert not (tmp_path / "run" / "network.onnx").exists()
    seen.clear()
    train(recipe(blocks_folder), tmp_path / "run")
    assert seen == [2, 3], "the checkpoint is of the validation after two steps"
    assert (tmp_path / "run" / "network.onnx").exists()
    before = (tmp_path / "run" / "logs" / "metrics-until-2.csv").read_text()
    assert "val/miou" in before, "what was logged before the stop is kept"


def test_a_finished_run_is_left_as_it_is_and_without_validation_its_last_weights_count(
    blocks_folder: Path, tmp_path: Path
) -> None:
    asked = recipe(blocks_folder, steps=2, validate_every=99)
    run = train(asked, tmp_path / "run")
    exported = (run / "network.onnx").read_bytes()
    assert not (run / "checkpoints" / "best.ckpt").exists()
    image = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = load_checkpoint(run / "checkpoints" / "last.ckpt", asked)(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(session.run(["embedding"], {"image": image})[0], expected, atol=1e-4)
    train(asked, run)
    assert (run / "network.onnx").read_bytes() == exported


def test_a_run_of_another_recipe_is_not_overwritten(blocks_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps(recipe(blocks_folder).model_dump(mode="json")))
    with pytest.raises(ValueError, match=r"other values of kappa, steps \(kappa=10.0, steps=4\)"):
        train(recipe(blocks_folder, kappa=5.0, steps=9), tmp_path)
    assert json.loads((tmp_path / "recipe.json").read_text())["kappa"] == 10
    assert [entry.name for entry in tmp_path.iterdir()] == ["recipe.json"]


def test_a_run_may_start_from_anothers_network(trained: Path, tmp_path: Path) -> None:
    from index_builder.training.export import network_weights
    from index_builder.training.run import make_network

    network = make_network(recipe(tmp_path, start=str(trained)))
    for name, value in network_weights(trained / "checkpoints" / "best.ckpt").items():
        torch.testing.assert_close(network.state_dict()[name], value)


@pytest.mark.parametrize("half", [False, True])
def test_a_run_may_start_from_a_releases_network_and_its_norms_learn_again(
    trained: Path, half: bool, tmp_path: Path
) -> None:
    """ONNX has no batch norms. The restored network embeds equally before and after its norms get statistics."""
    source = load_embedder_source(trained)
    if half:  # as the bundled release stores its weights
        file = Path(shutil.copyfile(source.network_file, tmp_path / "network.onnx"))
        store_in_half(file)
        assert file.stat().st_size < 0.6 * source.network_file.stat().st_size
        source = replace(source, network_file=file)
    built = build_release(Blocks(), source, tmp_path / "release")
    network = starting_network(built.path, recipe(tmp_path, start=str(built.path))).eval()
    images = torch.randn(4, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    asked = Recipe.model_validate_json((trained / "recipe.json").read_bytes())
    with torch.no_grad():
        expected = load_checkpoint(trained / "checkpoints" / "best.ckpt", asked)(images)
        torch.testing.assert_close(network(images), expected, atol=1e-3, rtol=0)
        unfold_batch_norms(network, images)
        torch.testing.assert_close(network.eval()(images), expected, atol=2e-3, rtol=0)
        by_batch = network.train()(images)
    assert (by_batch * expected).sum(dim=1).mean() > 0.98, "statistics of the batch are those that were set"


def test_a_start_that_is_of_another_kind_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dimension 32, the recipe has 'mobilenet_v2' and 16"):
        starting_network(trained, recipe(tmp_path, start=str(trained), dimension=16))
    with pytest.raises(ValueError, match="has neither"):
        starting_network(tmp_path, recipe(tmp_path, start=str(tmp_path)))


def scrambled(blocks: Path, out: Path) -> Path:
    """Copy a folder of labelled images, and give each image the mask of another image, upside down."""
    shutil.copytree(blocks, out)
    masks = sorted((out / "masks" / "train").iterdir())
    turned = [np.asarray(Image.open(mask))[::-1] for mask in masks]
    for mask, labels in zip(masks, turned[1:] + turned[:1], strict=True):
        Image.fromarray(labels).save(mask)
    return out


def test_training_without_labels_reads_none(blocks_folder: Path, tmp_path: Path) -> None:
    """Shuffled labels change a supervised run, but no byte of an unsupervised run, which also needs no masks."""
    roots = {"right": blocks_folder, "shuffled": scrambled(blocks_folder, tmp_path / "shuffled")}
    exported = {}
    for objective in ("vmf", "vmf-nca"):
        for name, root in roots.items():
            asked = recipe(root, objective=objective, validate_every=0, steps=3, views=2 if objective == "vmf" else 1)
            exported[objective, name] = (train(asked, tmp_path / f"{objective}-{name}") / "network.onnx").read_bytes()
    assert exported["vmf", "right"] == exported["vmf", "shuffled"]
    assert exported["vmf-nca", "right"] != exported["vmf-nca", "shuffled"]
    bare = {"datasets": ["images"], "roots": {"images": str(blocks_folder / "images")}}
    without = train(recipe(blocks_folder, **bare, objective="vmf", steps=3, views=2), tmp_path / "bare")
    assert (without / "network.onnx").read_bytes() == exported["vmf", "right"]


def test_training_without_labels_lowers_the_loss(blocks_folder: Path, tmp_path: Path) -> None:
    asked = recipe(
        blocks_folder, objective="vmf", steps=40, learning_rate=0.003, backbone_rate=1.0, batch_per_domain=4, views=2
    )
    losses = [float(row["loss"]) for row in logged(train(asked, tmp_path / "run")) if row["loss"]]
    assert losses[-1] < 0.8 * losses[0]


def test_the_softmax_twin_learns_and_is_validated_and_exported(blocks_folder: Path, tmp_path: Path) -> None:
    asked = recipe(
        blocks_folder, objective="softmax", steps=40, validate_every=40, learning_rate=0.003, backbone_rate=1.0
    )
    run = train(asked, tmp_path / "run")
    losses = [float(row["loss"]) for row in logged(run) if row["loss"]]
    assert losses[-1] < 0.7 * losses[0]
    assert any(row["val/miou"] for row in logged(run))
    session = onnxruntime.InferenceSession(str(run / "network.onnx"), providers=["CPUExecutionProvider"])
    embedding, logits = session.run(["embedding", "logits"], {"image": np.zeros((1, 3, 64, 96), dtype=np.float32)})
    assert embedding.shape == (1, 32, 16, 24)
    assert logits.shape == (1, 3, 16, 24)


def test_a_classifier_may_be_trained_on_a_frozen_embedding(trained: Path, blocks_folder: Path, tmp_path: Path) -> None:
    asked = recipe(blocks_folder, objective="softmax", start=str(trained), frozen=True, steps=10, validate_every=0)
    run = train(asked, tmp_path / "run")
    image = np.random.default_rng(0).standard_normal((1, 3, 64, 96)).astype(np.float32)
    before, after = (
        onnxruntime.InferenceSession(str(folder / "network.onnx")).run(["embedding"], {"image": image})[0]
        for folder in (trained, run)
    )
    np.testing.assert_allclose(after, before, atol=1e-4)
    with pytest.raises(ValueError, match="frozen"):
        recipe(blocks_folder, objective="softmax", frozen=True)


def test_crops_go_on_with_other_images_than_before_and_keep_their_domain(tmp_path: Path) -> None:
    domains = [WithClasses(Blocks("train", 4)), WithClasses(Blocks("val", 4))]
    first, again, later = (next(iter(Crops(domains, recipe(tmp_path), step))) for step in (0, 0, 7))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, later.images)
    assert first.domains.tolist() == [0, 0, 1, 1]
    assert first.images.shape == (4, 3, 64, 96)
    assert first.labels.shape == (4, 64, 96)
    assert set(first.labels.unique().tolist()) <= {-1, 0, 1, 2}


def test_recipes_refuse_what_they_do_not_know(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stepps"):
        recipe(tmp_path, stepps=3)
    with pytest.raises(ValueError, match="kappa"):
        recipe(tmp_path, kappa=0)


@pytest.mark.parametrize(("quick", "precision"), [(False, "bf16-mixed"), (True, "bf16-mixed"), (False, "32-true")])
def test_a_precision_that_the_processor_only_imitates_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder, quick: bool, precision: str
) -> None:
    """The data set does not exist, so nothing is trained."""
    monkeypatch.setattr(run, "multiplies_bfloat16", lambda: quick)
    with pytest.raises(ValueError, match="missing"):
        train(recipe(tmp_path / "missing", precision=precision), tmp_path / "run")
    warned = any("give --precision 32-true" in str(one.message) for one in recwarn)
    assert warned is (not quick and precision != "32-true")
