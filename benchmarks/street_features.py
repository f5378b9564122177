"""Write the baseline of unsupervised runs: the frozen ImageNet network, with whitened principal components of its maps.

    python -m benchmarks.street_features --camvid CAMVID --weights mobilenet_v2_imagenet.safetensors --out runs/claims

Nothing is trained. In each fold of `benchmarks.street_claims`, the principal components of the feature maps of
"fit-without-DRIVE" are computed without labels and scaled to unit vectors. Their number and how far they are whitened
are chosen on "held-without-DRIVE", as learning rates of the other runs are, by the mIoU of retrieval with exemplars of
every fourth fitted frame. The network is written as a run, out/DRIVE/frozen-0, which `benchmarks.street_scores` scores.
"""

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.street_claims import CPU, DRIVES, RECIPE, finished
from benchmarks.street_vote_variants import LEAST, SERVED, Variant, Voting, sorting, splitting
from benchmarks.street_votes import Images, exemplars_of, label
from index_builder.datasets import Dataset, open_dataset
from index_builder.heads import FeatureSource, append_head, export_extractor, features_info
from index_builder.heads.maps import FeatureExtractor, ImageMaps
from index_builder.heads.statistics import measure_statistics
from index_builder.new_release import network_info
from index_builder.pixel_scores import iou_of
from index_builder.progress import counted
from index_builder.training.recipe import ONE
from model_store.card import Preprocessing
from segsort.features import Extractor, FeatureGroup
from segsort.head import FeatureStatistics, Head, identity_head, principal_basis
from segsort.network import MobileNetV2Features
from segsort.sphere import normalize

FROZEN = "frozen"  # name of the runs
DIMENSIONS = (32, 64, 128)
WHITENINGS = (0.25, 0.375, 0.5)
WORKING_SIZE = 480  # pixels, as that of the trained networks
STEP = 4  # every n-th fitted frame gives exemplars for the choice


class FrozenMaps(Extractor):
    """Maps of MobileNetV2 at strides 4 to 32, as unit vectors. weights: state of MobileNetV2Model; None: random."""

    def __init__(self, weights: dict[str, Tensor] | None) -> None:
        super().__init__()
        self.network = MobileNetV2Features(weights)
        self.groups = tuple(
            FeatureGroup(f"stride{stride}", channels, stride)
            for stride, channels in zip((4, 8, 16, 32), self.network.channels, strict=True)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(normalize(one, dim=1) for one in self.network(image))


class Known(NamedTuple):
    """Feature maps of some images and their labels [H, W] uint8."""

    maps: list[ImageMaps]
    labels: list[np.ndarray]

    @classmethod
    def of(cls, extractor: FeatureExtractor, images: Dataset, step: int) -> "Known":
        """Those of every `step`-th image."""
        rows = range(0, len(images), step)
        samples = [images[rows[n]] for n in counted(len(rows), "features")]
        return cls([extractor.maps(one.image) for one in samples], [one.labels for one in samples])

    def embedded(self, head: Head) -> Images:
        """Their embeddings by a head."""
        found = [normalize(one.affine(head.groups, head.weight, head.bias), dim=0).numpy() for one in self.maps]
        return Images(np.stack(found).astype(np.float16), np.stack(self.labels), {})


class Fold:
    """The frozen network on the images of one fold.

    Args:
        fit: fitted frames.
        held: held-out frames.
        source: feature maps of the network.
        work: folder for feature maps.
    """

    def __init__(self, fit: Dataset, held: Dataset, source: FeatureSource, work: Path) -> None:
        self.fit, self.groups = fit, source.groups
        extractor = FeatureExtractor(source, work, threads=1)
        self.known, self.held = Known.of(extractor, self.fit, STEP), Known.of(extractor, held, 1)
        images = (self.fit.photograph(i).image for i in counted(len(self.fit), "statistics"))
        self.statistics: FeatureStatistics = measure_statistics(source, images, work)

    def head(self, dimension: int, whitening: float) -> Head:
        """Principal components as a head, see `segsort.head.principal_basis`."""
        return identity_head(self.groups, principal_basis(self.statistics, self.groups, dimension, whitening))

    def score(self, head: Head, work: Path) -> float:
        """mIoU of retrieval on the held-out frames."""
        classes, work = len(self.fit.classes), work / f"exemplars-{time.monotonic_ns()}.npz"
        exemplars = exemplars_of(self.known.embedded(head), classes, work)
        variant = Variant(sorting(SERVED.options(), splitting(exemplars, LEAST)), Voting.of(exemplars))
        images = self.held.embedded(head)
        found = (label(variant, images.embedding(i), images.labels[i], classes) for i in range(len(images.labels)))
        confusion = np.sum([one.confusion for one in found], axis=0)
        sums = (confusion.sum(axis=1), confusion.sum(axis=0), np.diagonal(confusion))
        return float(np.nanmean(iou_of(np.stack(sums).astype(float))))


def exported(maps: FrozenMaps, folder: Path) -> FeatureSource:
    """Write the maps as ONNX."""
    file = folder / "features.onnx"
    export_extractor(maps, file)
    mean, std = ONE
    preprocessing = Preprocessing(working_size=WORKING_SIZE, mean=mean, std=std)
    return FeatureSource(file, features_info("mobilenet_v2", maps.groups), preprocessing, {"weights": "ImageNet"})


def write_run(folder: Path, source: FeatureSource, head: Head, chosen: dict[str, Any], cpu_s: float) -> None:
    """Write what `segsort build --embedder` and `benchmarks.street_scores` read of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    append_head(source.file, head, folder / "network.onnx")
    network = network_info(source, head, folder / "network.onnx").model_dump(mode="json")
    description = {"network": network, "preprocessing": source.preprocessing.model_dump(mode="json")}
    (folder / "network.json").write_text(json.dumps(description, indent=2) + "\n")
    (folder / RECIPE).write_text(json.dumps({"steps": 0, "learning_rate": 0.0, **chosen}, indent=2) + "\n")
    (folder / CPU).write_text(json.dumps({"cpu_s": cpu_s, "finished": True, "steps": 0}) + "\n")


def make(camvid: Path, weights: Path, drive: str, folder: Path) -> dict[str, float]:
    """Choose the components of one fold, and write its run.

    Returns:
        mIoU on the held-out frames by "dimension, whitening".
    """
    started = time.process_time()
    with TemporaryDirectory() as name:
        work = Path(name)
        source = exported(FrozenMaps(load_file(weights)), work)
        fit, held = (open_dataset("camvid", camvid, f"{part}-without-{drive}") for part in ("fit", "held"))
        fold = Fold(fit, held, source, work)
        heads = {(D, power): fold.head(D, power) for D in DIMENSIONS for power in WHITENINGS}
        scores = {key: fold.score(head, work) for key, head in heads.items()}
        dimension, whitening = max(scores, key=scores.__getitem__)
        measured = {f"{D}, {power}": score for (D, power), score in scores.items()}
        chosen = {"dimension": dimension, "whitening": whitening, "held_miou": measured}
        write_run(folder, source, heads[dimension, whitening], chosen, time.process_time() - started)
    return measured


def _main(
    camvid: Annotated[Path, typer.Option(help="Folder of CamVid.")],
    weights: Annotated[Path, typer.Option(help="ImageNet weights of MobileNetV2 (safetensors file).")],
    out: Annotated[Path, typer.Option(help="Folder of the runs.")],
    drive: Annotated[list[str], typer.Option(help="Drive to leave out; default: each in turn.")] = list(DRIVES),  # noqa: B006
) -> None:
    """Write the frozen network of each fold; those that exist are kept."""
    for one in drive:
        folder = out / one / f"{FROZEN}-0"
        if (folder / CPU).exists() and finished(folder):
            continue
        for key, score in make(camvid, weights, one, folder).items():
            print(f"{one}: {key}: mIoU {score:.4f}", flush=True)


if __name__ == "__main__":
    typer.run(_main)
