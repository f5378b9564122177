"""Networks in bytes: ranges, what stays in float32, and releases that have both networks."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from command_line.main import cli
from index_builder.adapt import LabelledByExemplars
from index_builder.quantising import QuantiseOptions, quantise_release
from index_builder.quantising.folded import FoldedNetwork, open_model
from index_builder.quantising.network import choose_in_float, compare, quantise
from index_builder.quantising.ranges import Range, best_range, find_ranges, rounded
from index_builder.quantising.release import measure
from model_store.card import QuantisedScores
from model_store.embedder import Embedder
from model_store.predictor import Predictor
from model_store.release import QUANTISED, Release, ReleaseError, write_release
from tests.conftest import Blocks


def prepared(release: Release, split: str = "train") -> list[np.ndarray]:
    embedder = Embedder(release, precision="float32")
    return [embedder.prepare(Blocks(split)[i].image) for i in range(2)]


def test_numbers_become_the_nearest_of_256_steps_and_stay_in_their_range() -> None:
    found = rounded(np.array([-9.0, -1.0, 0.0, 0.004, 0.5, 2.0, 9.0]), Range(-1, 2))
    steps = (np.arange(256) - 85) * 3 / 255  # 0 is one of them
    expected = [steps[np.abs(steps - value).argmin()] for value in (-9.0, -1.0, 0.0, 0.004, 0.5, 2.0, 9.0)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_rare_large_number_is_cut_off_and_an_even_spread_is_not() -> None:
    random = np.random.default_rng(0)
    even = random.uniform(-1, 2, 4000)
    assert best_range(Range(-1, 2), even) == Range(-1, 2)
    bell = np.append(random.normal(0, 0.1, 4000), 8.0)
    low, high = best_range(Range(float(bell.min()), 8.0), bell[:-1])
    assert high < 4
    assert low < -0.25


def test_the_ranges_hold_what_the_maps_of_the_images_are(layered_release: Path) -> None:
    release = Release.open(layered_release)
    network, images = FoldedNetwork.read(release.network_path), prepared(release)
    ranges = find_ranges(network, images)
    assert set(ranges) == {"image", "parts", "positive", "again", "more", "unscaled"}
    assert ranges["positive"].low == 0
    colours = [
        x.reshape(3, x.shape[1] // 4, 4, x.shape[2] // 4, 4).mean(axis=(2, 4)) for x in (one[0] for one in images)
    ]
    most = max(np.abs(one).max() for one in colours)
    assert 0.3 * most - 1e-5 <= ranges["positive"].high <= most + 1e-5
    with pytest.raises(ValueError, match="no image was given"):
        find_ranges(network, [])


def test_layers_compute_in_bytes_beside_those_that_stay_in_float32(layered_release: Path, tmp_path: Path) -> None:
    release = Release.open(layered_release)
    network, images = FoldedNetwork.read(release.network_path), prepared(release)
    assert network.convolutions == ("first", "second", "head")
    assert network.head == "head"
    model = quantise(network, find_ranges(network, images), ["head"])
    weights = {one.name: one.data_type for one in model.graph.initializer}
    assert onnx.TensorProto.INT8 in {kind for name, kind in weights.items() if "second" in name}
    assert {kind for name, kind in weights.items() if name.startswith("head")} == {onnx.TensorProto.FLOAT}
    expected = [open_model(network.model).run(["embedding"], {"image": x})[0] for x in images]
    agreement = compare(model, images, expected)
    assert 0.99 < agreement.p01 < agreement.mean < 1


def test_first_layers_stay_in_float32_until_the_embeddings_agree(
    layered_release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = Release.open(layered_release)
    network, images = FoldedNetwork.read(release.network_path), prepared(release)
    ranges = find_ranges(network, images)
    assert choose_in_float(network, ranges, images) == []
    bad = ranges | {"parts": Range(0, 1e-3), "positive": Range(0, 1e-3)}  # all colours are cut off there
    assert choose_in_float(network, bad, images) == ["first", "second"]
    worse = bad | {"unscaled": Range(-1e-3, 1e-3)}  # and in the result of the head
    assert choose_in_float(network, worse, images) == ["first", "second", "head"]


def enlarging_network(file: Path, stride: int) -> FoldedNetwork:
    """A network that reduces an image by `stride`, and enlarges the map to stride 4."""
    import torch
    from torch.nn import functional as F

    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = torch.nn.Conv2d(3, 8, 3, stride, 1), torch.nn.Conv2d(8, 8, 1)
            self.head = torch.nn.Conv2d(8, 8, 1)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            size = (image.shape[2] // 4, image.shape[3] // 4)
            x = F.interpolate(torch.relu(self.down(image)), size=size, mode="bilinear", align_corners=False)
            return F.normalize(self.head(torch.relu(self.up(x))), dim=1)

    torch.manual_seed(0)
    axes = {"image": {2: "height", 3: "width"}, "embedding": {2: "h", 3: "w"}}
    torch.onnx.export(
        Small().eval(), (torch.zeros(1, 3, 64, 96),), file, input_names=["image"],
        output_names=["embedding"], dynamic_axes=axes, opset_version=18, dynamo=False,
    )  # fmt: skip
    network = FoldedNetwork.read(file)
    assert "Concat" not in {node.op_type for node in network.model.graph.node}, "the factor is constant"
    return network


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's exporter
@pytest.mark.parametrize("stride", [8, 16])
def test_a_map_is_enlarged_as_bytes_to_what_it_is_in_float32(stride: int, tmp_path: Path) -> None:
    network = enlarging_network(tmp_path / "network.onnx", stride)
    random = np.random.default_rng(0)
    images = [random.normal(size=(1, 3, *size)).astype(np.float32) for size in ((64, 96), (96, 32))]
    model = quantise(network, find_ranges(network, images), [network.head])
    resizes = [node for node in model.graph.node if node.op_type == "Resize"]
    producers = {output: node.op_type for node in model.graph.node for output in node.output}
    assert [producers[node.input[0]] for node in resizes] == ([] if stride == 8 else ["QuantizeLinear"])
    expected = [open_model(network.model).run(["embedding"], {"image": x})[0] for x in images]
    assert compare(model, images, expected).mean > 0.999


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's exporter
@pytest.mark.parametrize("size", [(8, 8), (8, 200), (72, 56), (264, 8)])
def test_a_doubled_map_of_bytes_is_the_bilinear_one_up_to_rounding_also_at_its_edges(
    size: tuple[int, int], tmp_path: Path
) -> None:
    import torch

    network = enlarging_network(tmp_path / "network.onnx", 8)
    images = [np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32)]
    model = quantise(network, find_ranges(network, images), [network.head])
    (name,) = network.doubled
    first = next(node for node in model.graph.node if node.name == f"{name}/last")
    smoothed = next(node for node in model.graph.node if node.name == f"{name}/bytes")
    before, after = first.input[0], smoothed.output[0]
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(one, onnx.TensorProto.UINT8, None) for one in (before, after)
    )
    small, doubled = open_model(model).run([before, after], {"image": images[0]})
    assert doubled.shape == (1, 8, size[0] // 4, size[1] // 4)
    expected = torch.nn.functional.interpolate(torch.from_numpy(small).double(), scale_factor=2, mode="bilinear")
    assert np.abs(doubled - expected.numpy()).max() <= 0.5
    assert np.ptp(small) > 100, "the map is no constant"


def test_a_file_that_is_no_embedding_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"network\.onnx cannot be opened as an ONNX network"):
        FoldedNetwork.read(tmp_path / "network.onnx")


def test_a_quantised_release_has_both_networks_and_says_what_it_loses(
    layered_release: Path, quantised_release: Path
) -> None:
    before, after = Release.open(layered_release), Release.open(quantised_release)
    assert after.network_path.read_bytes() == before.network_path.read_bytes()
    assert list(after.attachments) == [QUANTISED]
    assert QUANTISED in json.loads((quantised_release / "checksums.json").read_text())
    assert before.digest != after.digest
    info = after.card.quantised
    assert info is not None
    assert (info.layers, info.float_layers) == (3, [])
    assert info.calibrated_on == "6 images of exemplars of tiny"
    assert info.cosine > 0.999
    scores = info.measured["blocks/val"]
    assert scores.images == 3
    assert scores.agreement > 0.97
    assert info.loss == scores.miou_float32 - scores.miou
    assert before.card.quantised is None


def test_the_measured_scores_are_those_of_the_labels(quantised_release: Path) -> None:
    release, dataset = Release.open(quantised_release), Blocks("val", count=2)
    found, same, hits = measure(release, dataset), [], {"int8": np.zeros((3, 2)), "float32": np.zeros((3, 2))}
    for i in range(2):
        sample, maps = dataset[i], {}
        for precision, counts in hits.items():
            maps[precision] = Predictor(release, precision=precision).predict(sample.image).class_map  # type: ignore[arg-type]
            known = sample.labels != 255
            for c in range(3):
                true, predicted = (sample.labels == c) & known, (maps[precision] == c) & known
                counts[c] += (true & predicted).sum(), (true | predicted).sum()
        same.append((maps["int8"] == maps["float32"]).mean())
    assert found.agreement == pytest.approx(np.mean(same))
    miou = {name: (counts[:, 0] / counts[:, 1]).mean() for name, counts in hits.items()}
    assert (found.miou, found.miou_float32) == pytest.approx((miou["int8"], miou["float32"]))


def test_a_network_in_bytes_that_the_card_does_not_describe_is_not_written(
    quantised_release: Path, tmp_path: Path
) -> None:
    release = Release.open(quantised_release)
    images = [(source.file, (quantised_release / source.file).read_bytes()) for source in release.sources]
    parts = (release.network_path, release.exemplars, release.sources, images)
    undescribed = release.card.model_copy(update={"quantised": None})
    with pytest.raises(ReleaseError, match="network in bytes, which the card does not describe"):
        write_release(tmp_path / "a", undescribed, *parts, release.attachments)
    assert write_release(tmp_path / "b", release.card, *parts).card.quantised is None, "there is no such file"


def test_images_and_their_number_are_checked(layered_release: Path, empty_release: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choice_images=0 must be at least 1"):
        QuantiseOptions(choice_images=0)
    blank = Release.open(empty_release)
    assert not len(LabelledByExemplars(blank))
    with pytest.raises(ValueError, match="has no images to quantise the network on"):
        quantise_release(blank, tmp_path / "out", {})
    with pytest.raises(ValueError, match="'blocks' has no images to measure on"):
        measure(Release.open(layered_release), Blocks("val", count=0))


def test_the_command_writes_a_release_and_says_whether_it_is_served(
    layered_release: Path, blocks_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "made"
    done = CliRunner().invoke(cli, ["quantise", str(layered_release), str(blocks_folder), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "of 3 layers compute in bytes; the network in bytes is served by default" in done.output
    info = Release.open(out).card.quantised
    assert info is not None
    assert [isinstance(one, QuantisedScores) for one in info.measured.values()] == [True]
    shutil.rmtree(out)
