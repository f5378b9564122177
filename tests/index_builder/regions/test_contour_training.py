"""Training of the contour network: reading annotations, the loss computed by hand, and a small run."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from command_line.main import cli
from index_builder.regions import open_regions
from index_builder.regions.contour_network import ContourNetwork
from index_builder.regions.contour_training import (
    ContourRecipe,
    Drawing,
    annotations,
    contour_loss,
    crops,
    photographs,
    read_drawing,
)
from index_builder.regions.region_maps import write_map


@pytest.fixture(scope="module")
def bsds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photographs of two fields. Two annotators draw the boundary two pixels apart."""
    root = tmp_path_factory.mktemp("bsds")
    (root / "train").mkdir()
    columns = np.arange(80)
    for number in range(3):
        fields = np.where(columns < 40, 60, 190)[None, :, None] + np.zeros((60, 1, 3))
        Image.fromarray(fields.astype(np.uint8)).save(root / "train" / f"{number}.jpg", quality=95)
        for annotator in range(2):
            regions = np.broadcast_to(1 + (columns >= 40 + 2 * annotator), (60, 80))
            write_map(regions.astype(np.int32), root / "train" / f"{number}_{annotator}.png")
    return root


def test_a_drawing_says_which_share_of_the_annotators_sees_a_boundary(bsds: Path) -> None:
    drawing = read_drawing(bsds / "train" / "0.jpg")
    assert drawing.image.shape == (60, 80, 3)
    expected = np.zeros((60, 80))
    expected[:, 39:43] = 0.5
    np.testing.assert_array_equal(drawing.share, expected)


def test_photographs_are_found_in_a_split_or_beside_it(bsds: Path, tmp_path: Path) -> None:
    assert [file.name for file in photographs(bsds, "train")] == ["0.jpg", "1.jpg", "2.jpg"]
    assert photographs(bsds / "train", "train") == photographs(bsds, "train")
    with pytest.raises(ValueError, match=r"has no \.jpg photographs"):
        photographs(tmp_path, "train")


def test_what_is_wrong_with_region_maps_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((6, 8, 3), dtype=np.uint8)).save(tmp_path / "7.jpg")
    with pytest.raises(ValueError, match=r"7\.jpg has no region maps 7_0\.png"):
        annotations(tmp_path / "7.jpg")
    write_map(np.zeros((6, 7), dtype=np.int32), tmp_path / "7_0.png")
    with pytest.raises(ValueError, match=r"7_0\.png has shape \(6, 7\), its photograph \(6, 8\)"):
        annotations(tmp_path / "7.jpg")


def test_contours_and_the_rest_weigh_one_half_each_and_doubtful_pixels_nothing() -> None:
    logits = torch.tensor([2.0, -1.0, 0.5, 0.0, 9.0, 9.0]).reshape(1, 1, 1, 6)
    share = torch.tensor([1.0, 0.4, 0.0, 0.0, 0.1, -1.0]).reshape(1, 1, 1, 6)
    contour = (math.log1p(math.exp(-2)) + math.log1p(math.exp(1))) / 2
    rest = (math.log1p(math.exp(0.5)) + math.log(2)) / 2
    assert contour_loss(logits, share, sure=0.25).item() == pytest.approx((contour + rest) / 2)


def test_the_loss_of_a_crop_without_contours_is_of_the_rest_alone() -> None:
    logits = torch.zeros(1, 1, 2, 2, requires_grad=True)
    assert contour_loss(logits, torch.zeros(1, 1, 2, 2), 0.25).item() == pytest.approx(math.log(2))
    contour_loss(logits, torch.full((1, 1, 2, 2), -1.0), 0.25).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert not logits.grad.any()


def test_a_crop_shows_image_and_drawing_at_the_same_place() -> None:
    """The image is its own annotation: all annotators draw a boundary at its bright pixels."""
    bright = np.zeros((90, 70), dtype=bool)
    bright[20:60, 15:50] = True
    drawing = Drawing(np.repeat((bright * 255).astype(np.uint8)[..., None], 3, axis=2), bright.astype(np.float32))
    images, share = next(crops([drawing], ContourRecipe(batch=16, crop=128)))
    assert images.shape == (16, 3, 128, 128)
    assert share.shape == (16, 1, 128, 128)
    inside = share >= 0
    assert 0.2 < inside.float().mean() < 1, "a small photograph does not fill every crop"
    agree = (images[:, :1] > 0) == (share == 1)
    assert agree[inside].float().mean() > 0.97
    assert images.min() >= -1
    assert images.max() <= 1


def test_crops_of_one_seed_are_the_same() -> None:
    drawing = Drawing(np.zeros((50, 50, 3), dtype=np.uint8), np.random.default_rng(0).random((50, 50), np.float32))
    first, again, other = (next(crops([drawing], ContourRecipe(crop=32, seed=seed)))[1] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.usefixtures("one_thread")
def test_training_leaves_the_statistics_of_the_backbone_alone() -> None:
    network = ContourNetwork().train()
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.randn(2, 3, 64, 64))
    changed = {name for name, value in network.named_buffers() if not torch.equal(value, before[name])}
    assert changed
    assert not [name for name in changed if name.startswith("backbone.")]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """On a busy machine, one thread is faster than several that wait for each other at every layer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore")  # torch's exporter warns of itself
def test_a_run_ends_with_a_network_that_cuts_images(bsds: Path, tmp_path: Path) -> None:
    run, maps = tmp_path / "run", tmp_path / "maps"
    made = CliRunner().invoke(
        cli,
        [
            "regions", "train-contours", "--root", str(bsds), "--out", str(run),
            "--steps", "3", "--batch", "2", "--crop", "64",
        ],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    with (run / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["3"]
    assert 0 < float(rows[0]["loss"]) < 10
    image = np.asarray(Image.open(bsds / "train" / "0.jpg"))
    regions = open_regions("contours", contours=run / "contours.onnx")(image, "train/0")
    assert regions.shape == (60, 80)
    written = CliRunner().invoke(
        cli,
        [
            "regions", "write", "--images", str(bsds / "train"), "--source", "contours",
            "--contours", str(run / "contours.onnx"), "--out", str(maps),
        ],
    )  # fmt: skip
    assert written.exit_code == 0, written.output
    np.testing.assert_array_equal(open_regions("folder", folder=maps)(image, "train/0"), regions)
