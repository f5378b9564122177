"""Writes an empty release: features and an identity head, without exemplars and classes, to be taught while served."""

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnx import numpy_helper

from index_builder.heads import DIMENSION, OPSET, Candidate, FeatureSource, OpenedFeatures, append_head, save_head
from model_store.card import Card, HeadInfo, NetworkInfo, RetrievalInfo, SortingInfo
from model_store.empty_release import NOT_CALIBRATED
from model_store.exemplar_table import Exemplars
from model_store.release import FEATURES, HEAD, Release, write_release
from segsort.head import FeatureStatistics, Head, identity_head, principal_basis

SORTING = SortingInfo(segments=200)


def network_info(source: FeatureSource, head: Head, network: Path) -> NetworkInfo:
    """Description of a network that consists of features and a head."""
    parameters = sum(numpy_helper.to_array(one).size for one in onnx.load(network).graph.initializer)
    return NetworkInfo(
        name=f"{source.info.name}-{head.kind}",
        backbone=source.info.name,
        dimension=head.dimension,
        parameters=parameters,
        opset=OPSET,
    )


def write_empty(
    out: Path,
    source: FeatureSource,
    head: Head,
    statistics: FeatureStatistics,
    *,
    name: str | None = None,
    description: str = "",
) -> Release:
    """Write a release without exemplars.

    Args:
        out: folder of the release; it must not exist.
        source: the feature extractor.
        head: an identity head.
        statistics: of the features, for the heads that are fitted later.
        name: name of the release; None: the name of the folder.
        description: for the card.

    Raises:
        ReleaseError: if `out` exists.
    """
    with TemporaryDirectory() as folder:
        network, values = Path(folder) / "network.onnx", Path(folder) / HEAD
        append_head(source.file, head, network)
        save_head(values, head, statistics)
        card = Card(
            name=name or out.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            description=description,
            classes=[],
            network=network_info(source, head, network),
            preprocessing=source.preprocessing,
            sorting=SORTING,
            retrieval=RetrievalInfo(),
            calibration=NOT_CALIBRATED,
            features=source.info,
            head=HeadInfo(
                kind=head.kind,
                groups=[group.name for group in head.groups],
                chosen=str(Candidate(head.kind, head.groups)),
            ),
            provenance={"segsort": version("segsort"), "features": source.info.name},
            licence={"network": dict(source.licence), "exemplars": "none"},
        )
        nothing: Iterable[tuple[str, bytes]] = ()
        attachments = {FEATURES: source.file, HEAD: values}
        return write_release(out, card, network, Exemplars.none(head.dimension), [], nothing, attachments)


def write_new(out: Path, features: OpenedFeatures, *, name: str, description: str = "") -> Release:
    """Write an empty release over a feature extractor.

    Args:
        out: folder of the release; it must not exist.
        features: the extractor.
        name: name of the release.
        description: for the card.

    Raises:
        ReleaseError: if `out` exists.
    """
    source, statistics, head = features
    if head is None or head.kind != "identity":
        head = identity_head(source.groups, principal_basis(statistics, source.groups, DIMENSION))
    return write_empty(out, source, head, statistics, name=name, description=description)
