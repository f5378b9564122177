"""Where a release gets its network from: a training run, or another release."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from model_store.card import NetworkInfo, Preprocessing, RetrievalInfo, SortingInfo
from model_store.release import CARD, NETWORK, Release

DESCRIPTION = "network.json"


@dataclass(frozen=True)
class EmbedderSource:
    """A network and how it is meant to be used.

    Attributes:
        network_file: the network, as ONNX.
        network: its description.
        preprocessing: what it expects of an image.
        sorting: how its pixels are sorted.
        retrieval: how its segments are labelled.
        training: how it was trained, for the card.
        licence: of its weights and training data, for the card.
    """

    network_file: Path
    network: NetworkInfo
    preprocessing: Preprocessing
    sorting: SortingInfo = field(default_factory=SortingInfo)
    retrieval: RetrievalInfo = field(default_factory=RetrievalInfo)
    training: dict[str, Any] = field(default_factory=dict)
    licence: dict[str, Any] = field(default_factory=dict)


def load_embedder_source(path: Path | str) -> EmbedderSource:
    """Read the network of a training run or of a release.

    Args:
        path: a run's folder (network.onnx and network.json), or a release's.

    Raises:
        ValueError: if the folder is neither, or network.json lacks a field.
    """
    path = Path(path)
    if (path / CARD).exists():
        return _of_release(Release.open(path))
    if not (path / DESCRIPTION).exists() or not (path / NETWORK).exists():
        raise ValueError(
            f"{path} holds neither {CARD} nor {NETWORK} with {DESCRIPTION}; give the folder of a finished training run "
            "or of a release with --embedder"
        )
    return _of_run(path)


def _of_release(release: Release) -> EmbedderSource:
    card = release.card
    return EmbedderSource(
        release.network_path,
        card.network,
        card.preprocessing,
        card.sorting,
        card.retrieval,
        card.training,
        card.licence,
    )


def _of_run(path: Path) -> EmbedderSource:
    """Weight of location and concentration, where network.json does not say, are as in training."""
    file = path / DESCRIPTION
    try:
        told = TypeAdapter(dict[str, Any]).validate_json(file.read_bytes())
        recipe = told.get("training", {})
        sorting = {"location_weight": recipe["location_weight"]} if "location_weight" in recipe else {}
        retrieval = {"kappa": recipe["kappa"]} if "kappa" in recipe else {}
        return EmbedderSource(
            network_file=path / NETWORK,
            network=NetworkInfo.model_validate(told["network"]),
            preprocessing=Preprocessing.model_validate(told["preprocessing"]),
            sorting=SortingInfo.model_validate({**sorting, **told.get("sorting", {})}),
            retrieval=RetrievalInfo.model_validate({**retrieval, **told.get("retrieval", {})}),
            training=recipe,
            licence=told.get("licence", {}),
        )
    except KeyError as error:
        raise ValueError(
            f"{file} lacks {error}; it needs 'network' and 'preprocessing'; export the run again"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or json.dumps(error.title)
        raise ValueError(f"{file}, field {where}: {first['msg']}; export the run again") from error
