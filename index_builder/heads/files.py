"""Values of a head, and statistics of features, as npz files."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segsort.features import FeatureGroup
from segsort.head import FeatureStatistics, Head, Trees

_STATISTICS = ("mean", "scale", "correlation")


class StoredHead(NamedTuple):
    """What `save_head` writes.

    head: the head; statistics: of the features, which later heads are fitted with; fitted_on: names of the images that
    the head was fitted to, none for an identity head.
    """

    head: Head
    statistics: FeatureStatistics
    fitted_on: frozenset[str]


def save_head(file: Path, head: Head, statistics: FeatureStatistics, fitted_on: Iterable[str] = ()) -> None:
    """Write a head, the statistics of its features, and the names of the images that it was fitted to."""
    values = {f"statistics_{name}": getattr(statistics, name).astype(np.float16) for name in ("correlation",)}
    values |= {f"statistics_{name}": getattr(statistics, name) for name in ("mean", "scale")}
    trees = {} if head.trees is None else {f"trees_{k}": v for k, v in head.trees._asdict().items()}
    second = {} if head.second is None else {"second": head.second}
    names = np.array([group.name for group in head.groups])
    sizes = np.array([(group.channels, group.stride) for group in head.groups])
    facts = {
        "kind": np.array(head.kind),
        "logits": np.array(head.logits),
        "tail": np.array(head.tail),
        "blend": np.array(head.blend),
        "fitted_on": np.array(sorted(set(fitted_on)), dtype=np.str_),
    }
    with file.open("wb") as opened:
        columns = {"names": names, "sizes": sizes, "weight": head.weight, "bias": head.bias}
        np.savez_compressed(opened, allow_pickle=False, **columns, **facts, **second, **trees, **values)


def load_head(file: Path) -> StoredHead:
    """Read what `save_head` wrote.

    Raises:
        ValueError: if the file lacks a value.
    """
    try:
        with file.open("rb") as opened, np.load(opened) as stored:
            values = {name: stored[name] for name in stored.files}
        groups = tuple(
            FeatureGroup(str(name), int(channels), int(stride))
            for name, (channels, stride) in zip(values["names"], values["sizes"], strict=True)
        )
        trees = {name.removeprefix("trees_"): value for name, value in values.items() if name.startswith("trees_")}
        head = Head(
            kind=str(values["kind"]),  # type: ignore[arg-type]
            groups=groups,
            weight=values["weight"],
            bias=values["bias"],
            logits=int(values["logits"]),
            tail=int(values["tail"]),
            second=values.get("second"),
            trees=Trees(**trees) if trees else None,
            blend=float(values["blend"]),
        )
        statistics = FeatureStatistics(*(values[f"statistics_{name}"].astype(np.float32) for name in _STATISTICS))
    except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} does not hold the values of a head ({error}); build the release again") from error
    fitted_on = values.get("fitted_on", np.zeros(0, dtype=np.str_))  # older files have identity heads only
    return StoredHead(head, statistics, frozenset(fitted_on.tolist()))
