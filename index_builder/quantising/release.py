"""Adds a network in bytes to a release, with what it loses on labelled images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from index_builder.adapt import LabelledByExemplars
from index_builder.datasets import Dataset, Images
from index_builder.progress import counted
from index_builder.quantising.folded import EMBEDDING, FoldedNetwork, open_model
from index_builder.quantising.network import choose_in_float, compare, quantise
from index_builder.quantising.ranges import find_ranges
from index_builder.scores import class_lookup, intersection_over_union, label_counts
from index_builder.subsets import evenly_spread
from model_store.card import QuantisedInfo, QuantisedScores
from model_store.embedder import Embedder
from model_store.predictor import Predictor
from model_store.release import QUANTISED, Release, write_release


@dataclass(frozen=True)
class QuantiseOptions:
    """How many images are used.

    Attributes:
        calibration_images: on which the ranges of maps are found.
        choice_images: on which embeddings are compared to choose the layers that stay in float32.
        threads: of the network; None: all cores.
    """

    calibration_images: int = 24
    choice_images: int = 4
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.calibration_images < 1 or self.choice_images < 1:
            raise ValueError(
                f"calibration_images={self.calibration_images} and choice_images={self.choice_images} must be at least "
                "1"
            )


def quantise_release(
    release: Release,
    out: Path,
    measure_on: Mapping[str, Dataset],
    *,
    calibrate_on: Images | None = None,
    choose_on: Images | None = None,
    options: QuantiseOptions | None = None,
) -> Release:
    """Copy a release and add a network in bytes, with what it loses.

    The exemplars keep their prototypes, which the network in float32 computed.

    Args:
        release: the original, which stays unchanged.
        out: folder of the copy; it must not exist.
        measure_on: labelled images by name. The loss of mIoU on each is written to the card; the largest one decides
            whether the network in bytes is served by default.
        calibrate_on: images to find the ranges of maps on; None: those of the release's exemplars.
        choose_on: images to choose the layers on that stay in float32; None: as `calibrate_on`.
        options: how many images are used.

    Raises:
        ValueError: if the network cannot be quantised, or the release has no images and none are given.
        ReleaseError: if `out` exists.
    """
    options = options or QuantiseOptions()
    calibrate_on = calibrate_on if calibrate_on is not None else LabelledByExemplars(release)
    choose_on = choose_on if choose_on is not None else calibrate_on
    for images in (calibrate_on, choose_on):
        if not len(images):
            raise ValueError(
                f"{images.name} has no images to quantise the network on; give others, with --calibrate-on"
            )
    model, info = quantised_network(release, calibrate_on, choose_on, options)
    with TemporaryDirectory() as folder:
        file = Path(folder) / QUANTISED
        onnx.save(model, file)
        unmeasured = _with_network(release, Path(folder) / release.card.name, file, info)
        measured = {name: measure(unmeasured, dataset, options.threads) for name, dataset in measure_on.items()}
        return _with_network(release, out, file, info.model_copy(update={"measured": measured}))


def quantised_network(
    release: Release, calibrate_on: Images, choose_on: Images, options: QuantiseOptions
) -> tuple[onnx.ModelProto, QuantisedInfo]:
    """The network of a release in bytes, and its description, without measured losses."""
    embedder, network = Embedder(release, threads=1, precision="float32"), FoldedNetwork.read(release.network_path)
    ranges = find_ranges(network, _prepared(embedder, calibrate_on, options.calibration_images))
    compared = list(_prepared(embedder, choose_on, options.choice_images))
    in_float = choose_in_float(network, ranges, compared)
    model, session = quantise(network, ranges, in_float), open_model(network.model)
    agreement = compare(model, compared, [session.run([EMBEDDING], {"image": x})[0] for x in compared])
    return model, QuantisedInfo(
        calibrated_on=_described(calibrate_on, options.calibration_images),
        chosen_on=_described(choose_on, options.choice_images),
        float_layers=in_float,
        layers=len(network.convolutions),
        cosine=round(agreement.mean, 6),
        cosine_p01=round(agreement.p01, 6),
    )


def measure(release: Release, dataset: Dataset, threads: int | None = None) -> QuantisedScores:
    """Compare the labels of a release with its network in bytes and in float32 with each other and with masks.

    Args:
        release: with a network in bytes.
        dataset: labelled images. Classes are matched by name; ignored pixels do not count.
        threads: of the networks; None: all cores.

    Raises:
        ValueError: if the data set has no images, or a class that is not in the release.
    """
    if not len(dataset):
        raise ValueError(f"data set {dataset.name!r} has no images to measure on; give another split")
    classes = release.card.classes
    lookup = class_lookup(dataset.classes, classes, f"release {release.card.name}")
    predictors = [Predictor(release, threads=threads, precision=one) for one in ("int8", "float32")]
    confusion, same, pixels = np.zeros((2, len(classes), len(classes)), dtype=np.int64), 0, 0
    for i in counted(len(dataset), f"measuring on {dataset.name}"):
        sample = dataset[i]
        labels = lookup[sample.labels]
        maps = [predictor.predict(sample.image).class_map for predictor in predictors]
        for counts, found in zip(confusion, maps, strict=True):
            counts += label_counts(found, labels, len(classes), len(classes)).T
        same += int((maps[0] == maps[1]).sum())
        pixels += labels.size
    ours = [int(lookup[info.class_id]) for info in dataset.classes]
    order = ours + [info.class_id for info in classes if info.class_id not in ours]
    miou, whole = (float(np.nanmean(intersection_over_union(one[ours][:, order]))) for one in confusion)
    return QuantisedScores(
        images=len(dataset), miou=round(miou, 6), miou_float32=round(whole, 6), agreement=round(same / pixels, 6)
    )


def _with_network(release: Release, out: Path, file: Path, info: QuantisedInfo) -> Release:
    card = release.card.model_copy(update={"quantised": info})
    images = ((source.file, (release.path / source.file).read_bytes()) for source in release.sources)
    attachments = {**release.attachments, QUANTISED: file}
    return write_release(out, card, release.network_path, release.exemplars, release.sources, images, attachments)


def _prepared(embedder: Embedder, images: Images, most: int) -> Iterator[np.ndarray]:
    """Some images, evenly spread, as inputs of the network."""
    for i in evenly_spread(len(images), most):
        yield embedder.prepare(images.photograph(i).image)


def _described(images: Images, most: int) -> str:
    split = getattr(images, "split", None)
    return f"{min(most, len(images))} images of {images.name}{f'/{split}' if split else ''}"
