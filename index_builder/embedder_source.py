"""The network for a new release: from a training run or from another release."""

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
    """A network with the settings that it is used with.

    Attributes:
        network_file: ONNX file.
        network: description of the network.
        preprocessing: preprocessing of its input images.
        sorting: settings of pixel sorting.
        retrieval: settings of the vote.
        training: settings of its training, for the card.
        licence: licences of its weights and of what they were trained on, for the card.
        origin: name of the release that the network comes from; empty: a training run.
    """

    network_file: Path
    network: NetworkInfo
    preprocessing: Preprocessing
    sorting: SortingInfo = field(default_factory=SortingInfo)
    retrieval: RetrievalInfo = field(default_factory=RetrievalInfo)
    training: dict[str, Any] = field(default_factory=dict)
    licence: dict[str, Any] = field(default_factory=dict)
    origin: str = ""


def is_run(path: Path) -> bool:
    """Whether a folder holds the network of a finished training run."""
    return (path / DESCRIPTION).is_file()


def is_release(path: Path) -> bool:
    """Whether a folder is a release."""
    return (path / CARD).exists()


def load_embedder_source(path: Path | str) -> EmbedderSource:
    """Read the network of a training run or of a release.

    Args:
        path: folder of a run (with network.onnx and network.json) or of a release.

    Raises:
        ValueError: if the folder is neither, or network.json has a missing or wrong field.
    """
    path = Path(path)
    if is_release(path):
        return _of_release(Release.open(path))
    if not (path / DESCRIPTION).exists() or not (path / NETWORK).exists():
        raise ValueError(
            f"{path} has neither {CARD} nor {NETWORK} with {DESCRIPTION}; give the folder of a finished training run "
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
        card.network_licence(),
        f"the release {card.name} of {card.created}",
    )


def _of_run(path: Path) -> EmbedderSource:
    """Read network.json. Location weight and kappa default to the values of training."""
    file = path / DESCRIPTION
    try:
        description = TypeAdapter(dict[str, Any]).validate_json(file.read_bytes())
        recipe = description.get("training", {})
        sorting = {"location_weight": recipe["location_weight"]} if "location_weight" in recipe else {}
        retrieval = {"kappa": recipe["kappa"]} if "kappa" in recipe else {}
        return EmbedderSource(
            network_file=path / NETWORK,
            network=NetworkInfo.model_validate(description["network"]),
            preprocessing=Preprocessing.model_validate(description["preprocessing"]),
            sorting=SortingInfo.model_validate({**sorting, **description.get("sorting", {})}),
            retrieval=RetrievalInfo.model_validate({**retrieval, **description.get("retrieval", {})}),
            training=recipe,
            licence=description.get("licence", {}),
        )
    except KeyError as error:
        raise ValueError(
            f"{file} lacks {error}; it needs 'network' and 'preprocessing'; export the run again"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or json.dumps(error.title)
        raise ValueError(f"{file}, field {where}: {first['msg']}; export the run again") from error
