"""Reads the folder of a run as plain JSON: recipe, log and measurements."""

import csv
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from index_builder.training import Recipe, with_current_names

Json = dict[str, Any]

EXPECTED = (
    "recipe.json",
    "log.csv or logs/metrics*.csv",
    "evaluation.json or evaluation-NAME.json",
    "sweep-NAME.json",
    "regions.json",
    "speed.json",
)
# These keys do not change what a run learns. Runs that differ in them can be seeds of one experiment.
INCIDENTAL = frozenset(("label", "seed", "roots", "workers", "accelerator", "validate_every", "validation_images"))

_PATH = re.compile(r"(?<![\w/.:~-])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\'\",=:;]+[/\\])+([^\s/\\'\",=:;]*)")


@dataclass(frozen=True)
class Run:
    """The contents of a run's folder.

    Attributes:
        name: name of the folder.
        label: name in tables; runs of one label are seeds of one experiment.
        recipe: recipe.json, or {}.
        log: a row for each logged step, in order, with the columns that have a value.
        evaluations: documents of `segsort evaluate --json`, by NAME of evaluation-NAME.json, "" of evaluation.json.
        sweeps: documents by NAME of sweep-NAME.json.
        regions, speed: regions.json and speed.json, or None.
        environment: commit, machine and threads, or {}.
    """

    name: str
    label: str
    recipe: Json = field(default_factory=dict)
    log: Sequence[dict[str, float]] = ()
    evaluations: dict[str, Json] = field(default_factory=dict)
    sweeps: dict[str, Json] = field(default_factory=dict)
    regions: Any = None
    speed: Json | None = None
    environment: Json = field(default_factory=dict)

    @property
    def seed(self) -> int | None:
        """The seed of the recipe, or None without a recipe."""
        return self.recipe.get("seed", 0) if self.recipe else None

    @property
    def objective(self) -> str:
        """vmf-nca, vmf or softmax; "" without a recipe."""
        return str(value_of(self.recipe, "objective")) if self.recipe else ""


def read_runs(folders: Iterable[Path]) -> list[Run]:
    """Read the runs of some folders, sorted by label and seed.

    Runs without a label in their recipe that differ in more than the seed get labels that name the difference.

    Raises:
        ValueError: if a folder holds no run, a file cannot be read, two folders have one name, or two runs of one
            label have one seed.
    """
    runs = [read_run(folder) for folder in folders]
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two of the folders have the name {name!r}; give each run once, with its own folder name")
    runs = [run for label in sorted({run.label for run in runs}) for run in _distinguished(runs, label)]
    runs.sort(key=lambda run: (run.label, -1 if run.seed is None else run.seed, run.name))
    for first, second in pairwise(runs):
        if (first.label, first.seed) == (second.label, second.seed):
            raise ValueError(
                f"{first.name} and {second.name} both have the label {first.label!r} and the seed {first.seed}; give "
                "one of them another `label` in its recipe.json, or leave it out"
            )
    return runs


def read_run(folder: Path) -> Run:
    """Read the folder of a run. Absolute paths in its files are shortened to their last part.

    Raises:
        ValueError: if it holds none of the files of a run, or one that cannot be read.
    """
    recipe = with_current_names(_document(folder / "recipe.json") or {})
    run = Run(
        name=folder.resolve().name,
        label=_label(recipe) if recipe else folder.resolve().name,
        recipe=recipe,
        log=read_log(folder),
        evaluations=_documents(folder, "evaluation"),
        sweeps=_documents(folder, "sweep"),
        regions=_document(folder / "regions.json"),
        speed=_document(folder / "speed.json"),
        environment=_document(folder / "environment.json") or {},
    )
    held = (run.recipe, run.log, run.evaluations, run.sweeps, run.regions, run.speed)
    if not any(held):
        raise ValueError(f"{folder} has no run; expected is a folder with any of {', '.join(EXPECTED)}")
    return run


def value_of(recipe: Json, key: str) -> Any:
    """A value of a recipe, else its default, else None."""
    if key in recipe:
        return recipe[key]
    info = Recipe.model_fields.get(key)
    if info is None or info.is_required():
        return None
    return json.loads(
        json.dumps(info.get_default(call_default_factory=True, validated_data={}))
    )  # the types of a JSON file


def changed_values(recipe: Json) -> Json:
    """The values of a recipe that are not the defaults, without label, seed and data folders."""
    return {
        key: value
        for key, value in recipe.items()
        if key not in ("roots", "label", "seed") and (key not in Recipe.model_fields or value != value_of({}, key))
    }


def differing(recipes: Sequence[Json], besides: Iterable[str] = ()) -> list[str]:
    """Keys in which recipes differ and that can change results, except those of `besides`."""
    keys = sorted({key for recipe in recipes for key in recipe} - INCIDENTAL - set(besides))
    return [key for key in keys if any(value_of(recipe, key) != value_of(recipes[0], key) for recipe in recipes)]


def read_log(folder: Path) -> list[dict[str, float]]:
    """The rows of log.csv, or of all logs/metrics*.csv, one for each step.

    A stopped run continues from its last checkpoint. Rows of metrics-until-N.csv for step N and later are dropped,
    because these steps were repeated.
    """
    joined = folder / "log.csv"
    rows: dict[int, dict[str, float]] = {}
    for file in [joined] if joined.exists() else _by_cut(folder / "logs"):
        limit = _cut(file)
        for row in _rows(file):
            if row["step"] < limit:
                rows.setdefault(int(row["step"]), {}).update(row)
    return [rows[step] for step in sorted(rows)]


def without_paths(value: Any) -> Any:
    """A JSON value whose absolute paths are shortened to their last part."""
    if isinstance(value, dict):
        return {key: without_paths(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_paths(entry) for entry in value]
    return _PATH.sub(lambda found: found[1], value) if isinstance(value, str) else value


def _label(recipe: Json) -> str:
    return str(recipe.get("label") or f"{value_of(recipe, 'objective')}, {value_of(recipe, 'backbone')}")


def _distinguished(runs: Sequence[Run], label: str) -> list[Run]:
    """The runs of one label; without a label in the recipe, the differing values are appended."""
    named = [run for run in runs if run.label == label]
    keys = [] if any(run.recipe.get("label") for run in named) else differing([run.recipe for run in named])
    return [
        replace(run, label=", ".join([label, *(f"{key} {plain(value_of(run.recipe, key))}" for key in keys)]))
        for run in named
    ]


def plain(value: Any) -> str:
    """A JSON value in a line of text."""
    return value if isinstance(value, str) else json.dumps(value)


def _documents(folder: Path, kind: str) -> dict[str, Json]:
    """kind.json and kind-NAME.json by NAME."""
    files = [file for file in sorted(folder.glob(f"{kind}*.json")) if re.fullmatch(rf"{kind}(-.*)?", file.stem)]
    return {file.stem[len(kind) + 1 :]: _document(file) for file in files}


def _document(file: Path) -> Any:
    if not file.exists():
        return None
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON ({error}); write it again, or leave it out") from error
    if not isinstance(document, dict) and file.name != "regions.json":
        raise ValueError(f"{file} has a {type(document).__name__}; expected is a JSON object")
    return without_paths(document)


def _by_cut(folder: Path) -> list[Path]:
    return sorted(folder.glob("metrics*.csv"), key=lambda file: (_cut(file), file.name))


def _cut(file: Path) -> float:
    """N of metrics-until-N.csv, else infinity."""
    found = re.fullmatch(r"metrics-until-(\d+)", file.stem)
    return int(found[1]) if found else math.inf


def _rows(file: Path) -> list[dict[str, float]]:
    """The numbers of each row of a CSV by column."""
    with file.open(newline="", encoding="utf-8") as opened:
        reader = csv.DictReader(opened)
        if "step" not in (reader.fieldnames or ()):
            raise ValueError(
                f"{file} has the columns {', '.join(reader.fieldnames or ())}; expected is `step` among them"
            )
        try:
            return [{key: float(cell) for key, cell in row.items() if cell} for row in reader if row["step"]]
        except ValueError as error:
            raise ValueError(
                f"{file}, line {reader.line_num}: {error}; every cell must be a number or empty"
            ) from error
