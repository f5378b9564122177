"""Groups runs by label: mean and spread over seeds, and ratios of runs with the same seed."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, NamedTuple

from index_builder.report.run_files import Json, Run, differing, value_of

NONE = "-"  # what was not measured
OBJECTIVES = ("vmf-nca", "vmf", "softmax")
KNN, SOFTMAX, CLUSTER = PROTOCOLS = "knn", "softmax", "cluster"


class Setting(NamedTuple):
    """Protocol and data set: figures are comparable only within one setting."""

    protocol: str
    dataset: str


@dataclass(frozen=True)
class Measured:
    """One experiment in one setting: a document for each of its runs, which differ by seed.

    `variant` is the part of the documents' name that is not in the setting, such as another index.
    """

    label: str
    variant: str
    setting: Setting
    runs: tuple[Run, ...]
    documents: tuple[Json, ...]

    @property
    def title(self) -> str:
        """The name in tables."""
        return f"{self.label} ({self.variant})" if self.variant else self.label

    @property
    def seeds(self) -> str:
        """Number and list of the seeds: "3 (0, 1, 2)"."""
        return seeds_of(self.runs)

    @property
    def objective(self) -> str:
        """The objective of its runs."""
        return self.runs[0].objective

    def values(self, *path: str) -> list[float | None]:
        """A figure of each document, by its keys."""
        return [at(document, *path) for document in self.documents]


class Ratio(NamedTuple):
    """Runs of one experiment over those of another with the same seed.

    `values` are the ratios of each metric, a value for each seed of `seeds`; `differ`: keys, besides the objective,
    in which the recipes differ.
    """

    above: Measured
    below: Measured
    seeds: tuple[int, ...]
    values: dict[str, list[float]]
    differ: list[str]


METRICS: dict[str, tuple[str, ...]] = {"mIoU": ("miou",), "boundary F, 2 px": ("boundary_f", "2")}


def measured(runs: Iterable[Run]) -> dict[Setting, list[Measured]]:
    """All evaluations by setting and experiment, those of SegSort before those of its twin.

    Raises:
        ValueError: if a run was evaluated twice in one setting and nothing says what is different.
    """
    found: dict[tuple[Setting, str, str], list[tuple[Run, Json]]] = {}
    for run in runs:
        for name, document in run.evaluations.items():
            setting = Setting(protocol_of(document), str(document.get("dataset", "?")))
            same = found.setdefault((setting, run.label, _variant(name, setting)), [])
            if any(other.name == run.name for other, _ in same):
                raise ValueError(
                    f"{run.name} holds two evaluations of {setting.dataset} by {setting.protocol} whose names say no "
                    "more; call one of them evaluation-NAME.json, with a NAME that says what is different"
                )
            same.append((run, document))
    settings: dict[Setting, list[Measured]] = {}
    for setting, label, variant in sorted(found, key=_order(found)):
        pairs = found[setting, label, variant]
        runs_, documents = tuple(run for run, _ in pairs), tuple(document for _, document in pairs)
        settings.setdefault(setting, []).append(Measured(label, variant, setting, runs_, documents))
    return settings


def protocol_of(document: Json) -> str:
    """The protocol of an evaluation; older documents without one are kNN."""
    return str(document.get("protocol") or KNN)


def protocol_order(protocol: str) -> tuple[int, str]:
    """A sort key: kNN first, then softmax, then clusters, then other protocols by name."""
    return PROTOCOLS.index(protocol) if protocol in PROTOCOLS else len(PROTOCOLS), protocol


def ratios(above: Sequence[Measured], below: Sequence[Measured]) -> list[Ratio]:
    """Each experiment over each other of the same backbone, data set and variant that shares a seed with it."""
    found = []
    for a in above:
        for b in below:
            same = a.variant == b.variant and a.setting.dataset == b.setting.dataset and _backbone(a) == _backbone(b)
            shared = {run.seed for run in a.runs} & {run.seed for run in b.runs}
            seeds = tuple(sorted(seed for seed in shared if seed is not None))
            if same and seeds:
                found.append(_ratio(a, b, seeds))
    return found


def mean_spread(values: Iterable[float | None]) -> str:
    """ "0.694 ± 0.005": mean and sample standard deviation of those that are defined; one value alone has no spread."""
    defined = [value for value in values if value is not None]
    if not defined:
        return NONE
    digits = 3 if abs(mean(defined)) < 10 else 1
    text = f"{mean(defined):.{digits}f}"
    return f"{text} ± {stdev(defined):.{digits}f}" if len(defined) > 1 else text


def at(document: Any, *path: str) -> float | None:
    """The number at a path of keys, or None."""
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return float(document) if isinstance(document, int | float) and not isinstance(document, bool) else None


def seeds_of(runs: Sequence[Run]) -> str:
    """Number and list of the seeds: "3 (0, 1, 2)"."""
    seeds = [str(run.seed) for run in runs if run.seed is not None]
    return f"{len(seeds)} ({', '.join(seeds)})" if seeds else NONE


def where(environments: Iterable[Json]) -> list[str]:
    """Commit, machine and threads of a measurement as one line, or [] if they are unknown."""
    kept = list(environments)
    parts = []
    for key, before, after in (("commit", "at commit ", ""), ("machine", "on ", ""), ("threads", "", " threads")):
        values = sorted({_short(environment[key]) for environment in kept if environment.get(key) is not None})
        if values:
            parts.append(before + " and ".join(values) + after)
    return [f"Measured {', '.join(parts)}."] if parts else []


def environments(group: Iterable[Measured]) -> list[Json]:
    """The environments of all runs; that of an evaluation replaces that of its run."""
    return [
        document.get("environment") or run.environment
        for one in group
        for run, document in zip(one.runs, one.documents, strict=True)
    ]


def _short(value: Any) -> str:
    """Shorten a commit to nine digits; return other values unchanged."""
    return str(value)[:9] if re.fullmatch("[0-9a-f]{40}", str(value)) else str(value)


def _order(found: dict[tuple[Setting, str, str], list[tuple[Run, Json]]]) -> Callable[[Any], Any]:
    def key(entry: tuple[Setting, str, str]) -> Any:
        setting, label, variant = entry
        objective = found[entry][0][0].objective
        rank = OBJECTIVES.index(objective) if objective in OBJECTIVES else len(OBJECTIVES)
        return setting.dataset, protocol_order(setting.protocol), rank, label.casefold(), label, variant

    return key


def _variant(name: str, setting: Setting) -> str:
    """The words of evaluation-NAME that are not words of the setting."""
    words = {setting.protocol, *re.split(r"\W+", setting.dataset)}
    return "-".join(word for word in name.split("-") if word not in words)


def _backbone(one: Measured) -> Any:
    return value_of(one.runs[0].recipe, "backbone")


def _ratio(a: Measured, b: Measured, seeds: tuple[int, ...]) -> Ratio:
    above, below = ({run.seed: n for n, run in enumerate(one.runs)} for one in (a, b))
    values: dict[str, list[float]] = {}
    for name, path in METRICS.items():
        pairs = [(at(a.documents[above[seed]], *path), at(b.documents[below[seed]], *path)) for seed in seeds]
        values[name] = [x / y for x, y in pairs if x is not None and y]
    recipes = [one.runs[rows[seed]].recipe for one, rows in ((a, above), (b, below)) for seed in seeds]
    return Ratio(a, b, seeds, values, differing(recipes, {"objective"}))
