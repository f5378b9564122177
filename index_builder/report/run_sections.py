"""Sections about recipes, learning curves, sweeps, explanations, regions and speed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from statistics import mean
from typing import Any

from index_builder.report import plots
from index_builder.report.experiments import Measured, Setting, at, environments, mean_spread, where
from index_builder.report.markdown import Block, Plot, details, flattened, number, record_table, table
from index_builder.report.run_files import Json, Run, changed_values, plain
from index_builder.report.score_sections import heading, slug

AXES = {
    "K": "K of pixel sorting (segments at its start)",
    "k": "k (exemplars that vote)",
    "exemplars": "exemplars in the index",
    "location_weight": "weight of location in pixel sorting",
    "kappa": "kappa (concentration)",
}
WAYS = {
    "top_area": "nearest removed, by area",
    "top_segments": "nearest removed, by segments",
    "random_area": "random removed, by area",
    "random_segments": "random removed, by segments",
}
LOG_FROM = 20  # an axis is logarithmic if the largest value is at least this many times the smallest


def by_label(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Runs by their label, in order."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.label, []).append(run)
    return found


def recipes(runs: Sequence[Run]) -> list[Block]:
    """The recipe of each experiment: the values that are not the defaults."""
    return [details(*_made(label, group)) for label, group in by_label(runs).items()]


def _made(label: str, runs: Sequence[Run]) -> tuple[str, str]:
    """A line about an experiment, and a table of its recipe."""
    names, made = ", ".join(run.name for run in runs), [run for run in runs if run.recipe]
    if not made:
        return f"{label}: no recipe, in {names}", "The folder has no recipe.json."
    return f"{label}: seeds {', '.join(str(run.seed) for run in made)}, in {names}", _recipe_table(made)


def _recipe_table(runs: Sequence[Run]) -> str:
    changed = [changed_values(run.recipe) for run in runs]
    keys = sorted({key for values in changed for key in values})
    rows = []
    for key in keys:
        cells = [plain(values[key]) if key in values else "the default" for values in changed]
        rows.append([f"`{key}`", cells[0] if len(set(cells)) == 1 else "; ".join(cells)])
    return table(["option", "value"], rows, left=2)


def learning(runs: Sequence[Run], order: Sequence[str]) -> list[Block]:
    """Loss and validation mIoU over steps."""
    loss = [line for run in runs if (line := _logged(run, "loss"))]
    score = [line for run in runs if (line := _logged(run, "val/miou"))]
    if not loss and not score:
        return ["No run has a log (`logs/metrics*.csv` or `log.csv`)."]
    text = (
        "One line per seed. Faint: the values. Full: their mean over 5 % of the steps. Losses of different objectives "
    )
    text += "have different scales, so compare lines of one objective only."
    plot = Plot("learning", "Loss and validation mIoU over steps", partial(plots.curves, loss, score, order))
    return [text, plot] if score else [text + " No log has `val/miou`.", plot]


def _logged(run: Run, key: str) -> plots.Line | None:
    rows = [row for row in run.log if key in row]
    return plots.Line(run.label, [row["step"] for row in rows], [row[key] for row in rows]) if rows else None


def sweeps(runs: Sequence[Run], order: Sequence[str]) -> list[Block]:
    """A table for each swept value, and a plot if its values are numbers."""
    found: dict[tuple[str, str, str], list[tuple[Run, Json]]] = {}
    for run in runs:
        for name, document in run.sweeps.items():
            key = str(document.get("axis", name)), str(document.get("dataset", "?")), name
            found.setdefault(key, []).append((run, document))
    blocks: list[Block] = []
    for (axis, dataset, name), pairs in sorted(found.items()):
        documents = {label: [document for run, document in pairs if run.label == label] for label in by_label(
            run for run, _ in pairs)}  # fmt: skip
        blocks.append(f"### {AXES.get(axis, axis)}, on {dataset}")
        blocks += sorted({str(document["what"]) for _, document in pairs if document.get("what")})
        blocks.append(_sweep_table(axis, documents))
        blocks += where(document.get("environment") or run.environment for run, document in pairs)
        blocks += _sweep_plot(axis, dataset, name, documents, order)
    return blocks or ["No run has a `sweep-NAME.json`."]


def _sweep_plot(
    axis: str, dataset: str, name: str, documents: Mapping[str, Sequence[Json]], order: Sequence[str]
) -> list[Block]:
    lines = [plots.Line(label, *series) for label, of in documents.items() if (series := _series(of, "miou"))]
    if not lines:
        return []
    values = [x for line in lines for x in line.x]
    log = min(values) > 0 and max(values) >= LOG_FROM * min(values)
    draw = partial(plots.sweep, AXES.get(axis, axis), lines, f"mIoU on {dataset} (share)", log, order)
    case = "upper" if name == "K" else ""  # K and k would be one file on a file system that ignores case
    return [Plot(slug("sweep", name, case, dataset), f"mIoU against {AXES.get(axis, axis)}, on {dataset}", draw)]


def _sweep_table(axis: str, documents: Mapping[str, Sequence[Json]]) -> str:
    """A table in which rows of one value are averaged over seeds."""
    rows: list[list[str]] = []
    metrics = list(
        dict.fromkeys(
            key for of in documents.values() for one in of for row in one.get("rows", ()) for key in flattened(row)
        )
    )
    metrics = [key for key in metrics if key != "value"]
    for label, of in documents.items():
        flat = [flattened(row) for one in of for row in one.get("rows", ())]
        for value in dict.fromkeys(number(row.get("value")) for row in flat):
            same = [row for row in flat if number(row.get("value")) == value]
            rows.append([label, value, *(_cell([row.get(key) for row in same]) for key in metrics)])
    return table(["", axis, *(key.replace("_", " ") for key in metrics)], rows)


def _cell(values: Sequence[Any]) -> str:
    """Equal values as they are, different numbers as mean and spread."""
    if len(set(values)) > 1 and all(at(value) is not None for value in values):
        return mean_spread([at(value) for value in values])
    return " / ".join(dict.fromkeys(map(number, values)))


def _series(documents: Sequence[Json], metric: str) -> tuple[list[float], list[float]] | None:
    """The swept numbers and the metric's mean over seeds at each, or None for fewer than two numbers."""
    found: dict[float, list[float]] = {}
    for document in documents:
        for row in document.get("rows", ()):
            x, y = at(row, "value"), at(row, metric)
            if x is not None and y is not None:
                found.setdefault(x, []).append(y)
    return (sorted(found), [mean(found[x]) for x in sorted(found)]) if len(found) > 1 else None


def explanations(settings: Mapping[Setting, list[Measured]], order: Sequence[str]) -> list[Block]:
    """Tests of the explanations: replay, removal, flip sets, label swap, stability, purity."""
    blocks: list[Block] = []
    for setting, group in settings.items():
        explained = [one for one in group if any(document.get("explanations") for document in one.documents)]
        if explained:
            documents = {
                one.title: [document.get("explanations") or {} for document in one.documents] for one in explained
            }
            blocks.append(_explanation_table(setting, documents))
            blocks += where(environments(explained))
            blocks += [*_histograms(setting, documents), *_removal(setting, documents, order)]
    return blocks or ["No evaluation has `explanations`."]


def _explanation_table(setting: Setting, documents: Mapping[str, Sequence[Json]]) -> str:
    """A row for each number; lists and histograms have tables of their own."""
    flat = {title: [flattened(document) for document in of] for title, of in documents.items()}
    keys = list(dict.fromkeys(key for of in flat.values() for one in of for key in one))
    rows = [[key.replace("_", " "), *(_cell([one.get(key) for one in of]) for of in flat.values())] for key in keys]
    return table([f"on {heading(setting)}", *flat], rows)


def _removal(setting: Setting, documents: Mapping[str, Sequence[Json]], order: Sequence[str]) -> list[Block]:
    """The share of labels that stay when exemplars are removed: a table, and a plot of the areas."""
    curves = {title: [_curve(document) for document in of] for title, of in documents.items()}
    first = next((rows for of in curves.values() for rows in of if rows), None)
    if first is None:
        return ["No evaluation has a removal curve."]
    axis, *ways = first[0]
    cells, lines = [], {}
    for title, of in curves.items():
        points = {x: [row for rows in of for row in rows if row[axis] == x] for x in (row[axis] for row in of[0])}
        cells += [
            [title, number(x), *(mean_spread([at(row, way) for row in rows]) for way in ways)]
            for x, rows in points.items()
        ]
        areas = [way for way in ways if way.endswith("area")] or ways
        series = [(way, _series([{"rows": [row | {"value": row[axis]} for row in rows]} for rows in of], way))
                  for way in areas]  # fmt: skip
        lines[title] = [plots.Line(_words(way), *pair) for way, pair in series if pair]
    head = ["share that keeps its label", _words(axis), *map(_words, ways)]
    shows = f"Share that keeps its label on {heading(setting)}, when exemplars of the winning class are removed"
    draw = partial(
        plots.removal, lines, "exemplars removed from each segment's vote", "share that keeps its label", order
    )
    return [table(head, cells), Plot(slug("removal", setting.dataset, setting.protocol), shows, draw)]


def _curve(document: Json) -> list[Json]:
    """The records of the removal curve; their first key is the number of removed exemplars."""
    return next((rows for name, rows in lists_of_records(document).items() if "remov" in name), [])


def _histograms(setting: Setting, documents: Mapping[str, Sequence[Json]]) -> list[Block]:
    """Sizes of flip sets: a row for correct and one for wrong segments, counted over all seeds."""
    rows: list[tuple[str, dict[str, int]]] = []
    for title, of in documents.items():
        for kind in ("right", "wrong"):
            found = [((document.get("flip_sets") or {}).get(kind) or {}).get("histogram") or {} for document in of]
            sizes = dict.fromkeys(size for one in found for size in one)
            if sizes:
                rows.append(
                    (f"{title}, {kind} segments", {size: sum(one.get(size, 0) for one in found) for size in sizes})
                )
    if not rows:
        return []
    ordered = sorted({size for _, counts in rows for size in counts}, key=_least)
    return [
        table(["size of the flip set", *ordered], [[name, *(number(c.get(s)) for s in ordered)] for name, c in rows])
    ]


def _least(size: str) -> float:
    """ "3-4" -> 3; "none", for a label that nothing flips, sorts last."""
    first = size.partition("-")[0].strip("+")
    return int(first) if first.isdigit() else math.inf


def _words(key: str) -> str:
    return WAYS.get(key, key.replace("_", " "))


def lists_of_records(document: Json, before: str = "") -> dict[str, list[Json]]:
    """Every list of records in a document, by the path of its keys."""
    found: dict[str, list[Json]] = {}
    for key, value in document.items():
        name = f"{before}, {key}" if before else key
        if isinstance(value, dict):
            found |= lists_of_records(value, name)
        elif isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
            found[name] = value
    return found


def regions(runs: Sequence[Run]) -> list[Block]:
    """Sources of regions that unsupervised segments come from."""
    blocks: list[Block] = []
    for run in runs:
        if run.regions is not None:
            whole = run.regions if isinstance(run.regions, dict) else {"rows": run.regions}
            lists = lists_of_records(whole) or {"": _named_records(whole)}
            blocks += [record_table(rows) for rows in lists.values() if rows]
            blocks += where([_circumstances(whole) or run.environment])
    return blocks or ["No run has a `regions.json` (`python -m benchmarks.regions`)."]


def _named_records(document: Json) -> list[Json]:
    """{"a": {...}, "b": {...}} as records with their name as `source`."""
    return [{"source": key} | value for key, value in document.items() if isinstance(value, dict)]


def _circumstances(document: Json) -> Json:
    """The circumstances of a benchmark in the form of an environment.json."""
    kept = document.get("circumstances") or {}
    machine = kept.get("machine") or kept.get("processor")  # older files have no `machine`
    named = {"commit": kept.get("commit"), "machine": machine, "threads": kept.get("threads")}
    return {key: value for key, value in named.items() if value is not None}


def speed(runs: Sequence[Run], settings: Mapping[Setting, list[Measured]]) -> list[Block]:
    """Images per second in training, and milliseconds per stage in serving."""
    timed = [(run, run.speed) for run in runs if run.speed]
    names = list(dict.fromkeys(key for _, document in timed for key in document.get("images_per_s") or {}))
    blocks: list[Block] = []
    if timed:
        rows = [
            [
                run.label,
                number(run.seed),
                *(number(at(document, "images_per_s", key)) for key in names),
                str(document.get("machine", "")),
            ]
            for run, document in timed
        ]
        blocks.append(table(["training, images per second", "seed", *names, "machine"], rows))
    for setting, group in settings.items():
        steps = list(dict.fromkeys(key for one in group for d in one.documents for key in d.get("timings_ms") or {}))
        if steps:
            rows = [[one.title, *(mean_spread(one.values("timings_ms", key)) for key in steps)] for one in group]
            blocks.append(table([f"median ms per image, {heading(setting)}", *steps], rows))
            blocks += where(environments(group))
    return blocks or ["No run has a `speed.json`, and no evaluation has `timings_ms`."]
