"""Sweeps of hyperparameters on data that are used neither for training nor for evaluation.

    python -m index_builder.sweep --run RUN --dataset camvid --root ROOT --out RUN
    python -m index_builder.sweep --recipe RUN/recipe.json --axis kappa=5,10,20 --axis dimension=16,32 --out FOLDER

The first form sweeps the use of a trained network: K, location weight, k, kappa of the vote, number of exemplars and
working size. The second form trains a short run for each value of a recipe. Both score the split "held" with exemplars
of the split "fit" by served retrieval, and write sweep-NAME.json with one row for each value.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict, cast

import numpy as np
import torch
import typer
from torch import Tensor

from index_builder.datasets import Dataset, Sample, open_dataset
from index_builder.embedder_source import load_embedder_source
from index_builder.progress import counted
from index_builder.training import Recipe, RetrievalScore, train, with_current_names
from model_store.card import Preprocessing, RetrievalInfo, SortingInfo
from model_store.embedder import Embedder

AXES: dict[str, tuple[float, ...]] = {
    "K": (16, 36, 64, 100, 144),
    "location_weight": (0.0, 0.25, 0.5, 1.0),
    "k": (1, 5, 10, 20, 50, 100),
    "kappa": (1, 5, 10, 20, 40),
    "exemplars": (250, 1000, 4000, 16000),
    "working_size": (352, 480, 640),
}
SEED = 0

Embedded = list[tuple[Sample, Tensor]]  # images with their embeddings [D, h, w], float16


class SweepRow(TypedDict, total=False):
    """Scores of one value; the IoU of each class follows under its name."""

    value: Any
    miou: float
    best_possible: float
    exemplars: int


class ServingSweep:
    """Sweeps the settings that a trained network is used with. Each axis is swept with all others at their defaults.

    Args:
        run: folder of a training run or a release.
        exemplars: labelled images that give exemplars.
        queries: labelled images that are scored; none of them is in `exemplars`.
    """

    def __init__(self, run: Path, exemplars: Dataset, queries: Dataset) -> None:
        self.source = load_embedder_source(run)
        self.sorting, self.retrieval = self.source.sorting, self.source.retrieval
        self.classes, self.dataset = queries.classes, f"{queries.name}/{getattr(queries, 'split', '')}"
        self.labelled = exemplars, queries
        self.exemplars, self.queries = self._embedded(self.source.preprocessing)
        self.defaults = self._score(self.sorting)

    def rows(self, axis: str, values: Sequence[float]) -> Iterator[SweepRow]:
        """Scores of each value of an axis.

        Raises:
            ValueError: if the axis is unknown.
        """
        for value in values:
            if axis in ("K", "location_weight"):
                name = "segments" if axis == "K" else axis
                sorting = SortingInfo.model_validate(
                    {**self.sorting.model_dump(), name: int(value) if axis == "K" else value}
                )
                yield self._row(value, self._score(sorting), self.retrieval)
            elif axis in ("k", "kappa"):
                changed = {**self.retrieval.model_dump(), axis: int(value) if axis == "k" else value}
                yield self._row(value, self.defaults, RetrievalInfo.model_validate(changed))
            elif axis == "exemplars":
                yield self._row(value, _with_fewer(self.defaults, int(value)), self.retrieval)
            elif axis == "working_size":
                yield self._row(value, self._score_at(int(value)), self.retrieval)
            else:
                raise ValueError(f"axis {axis!r} is not known; choose {', '.join(AXES)}")

    def _embedded(self, preprocessing: Preprocessing) -> tuple[Embedded, Embedded]:
        """Embed the images that give exemplars and those that are scored."""
        embedder = Embedder((self.source.network_file, preprocessing))
        exemplars, queries = (_embedded(embedder, images) for images in self.labelled)
        return exemplars, queries

    def _score_at(self, working_size: int) -> RetrievalScore:
        """Score with another working size, all else at its default."""
        kept = self.exemplars, self.queries
        changed = {**self.source.preprocessing.model_dump(), "working_size": working_size}
        self.exemplars, self.queries = self._embedded(Preprocessing.model_validate(changed))
        score = self._score(self.sorting)
        self.exemplars, self.queries = kept
        return score

    def _score(self, sorting: SortingInfo) -> RetrievalScore:
        score = RetrievalScore(1, len(self.classes), sorting.options(), self.retrieval.k, self.retrieval.kappa)
        for sample, embeddings in self.exemplars:
            score.add_exemplars(0, sample, embeddings.float())
        for sample, embeddings in self.queries:
            score.add_query(sample, embeddings.float())
        return score

    def _row(self, value: float, score: RetrievalScore, retrieval: RetrievalInfo) -> SweepRow:
        score.k, score.kappa = retrieval.k, retrieval.kappa
        iou = score.iou(0)
        best = np.nanmean(score.best_iou())
        held = sum(len(prototypes) for prototypes, _ in score.exemplars[0])
        per_class = {info.name: round(float(v), 4) for info, v in zip(self.classes, iou, strict=True)}
        row = SweepRow(value=value, miou=float(np.nanmean(iou)), best_possible=float(best), exemplars=held)
        return cast(SweepRow, {**row, **per_class})


def _embedded(embedder: Embedder, dataset: Dataset) -> Embedded:
    """Images and their embeddings. Half precision lets hundreds fit in memory."""
    samples = ((i, dataset[i]) for i in counted(len(dataset), f"embedding {dataset.name}"))
    return [(sample, torch.as_tensor(embedder.embed(sample.image)).half()) for _, sample in samples]


def _with_fewer(score: RetrievalScore, count: int) -> RetrievalScore:
    """A copy of a score with `count` exemplars drawn at random."""
    prototypes = np.concatenate([p for p, _ in score.exemplars[0]])
    classes = np.concatenate([c for _, c in score.exemplars[0]])
    chosen = np.random.default_rng(SEED).permutation(len(classes))[:count]
    fewer = RetrievalScore(1, score.num_classes, score.sorting, score.k, score.kappa)
    fewer.exemplars, fewer.queries = [[(prototypes[chosen], classes[chosen])]], score.queries
    return fewer


def sweep_training(recipe: Path, axis: str, values: Sequence[Any], out: Path) -> list[SweepRow]:
    """Train a run for each value of one field of a recipe, and score it on the validation split of the recipe.

    Raises:
        ValueError: if the recipe cannot be read, has no such field, or does not allow a value.
    """
    document = with_current_names(json.loads(recipe.read_text()))
    rows = []
    for value in values:
        one = Recipe.model_validate({**document, axis: value})
        run = train(one, out / f"{axis}-{value}")
        name, root = one.datasets[0], one.root(one.datasets[0])
        exemplars = open_dataset(name, root, one.train_splits.get(name, "train"), count=one.validation_images)
        queries = open_dataset(name, root, one.validation_split)
        sweep = ServingSweep(run, exemplars, queries)
        rows.append(cast(SweepRow, {**next(sweep.rows("k", [sweep.retrieval.k])), "value": value}))
    return rows


def write(out: Path, axis: str, dataset: str, what: str, rows: Sequence[SweepRow]) -> Path:
    """Write sweep-WHAT-AXIS.json, which `segsort report` reads. WHAT is the first word of `what`."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"sweep-{what.split()[0]}-{axis}.json"
    file.write_text(json.dumps({"axis": axis, "dataset": dataset, "what": what, "rows": rows}, indent=1) + "\n")
    return file


def _main(
    out: Annotated[Path, typer.Option(help="Folder for sweep-NAME.json and for trained runs.")],
    run: Annotated[Path | None, typer.Option(help="Training run or release: sweep its use.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="recipe.json: train short runs of it.")] = None,
    dataset: Annotated[str, typer.Option(help="Data set.")] = "camvid",
    root: Annotated[Path | None, typer.Option(help="Folder of the data set.")] = None,
    count: Annotated[int, typer.Option(help="Maximum number of images that give exemplars.")] = 150,
    axis: Annotated[list[str], typer.Option(help="NAME=VALUE,VALUE,...; default with --run: all axes.")] = [],  # noqa: B006
) -> None:
    """Sweep hyperparameters on held-out images."""
    asked = {name: [json.loads(v) for v in values.split(",")] for name, _, values in (a.partition("=") for a in axis)}
    if (run is None) == (recipe is None):
        raise typer.BadParameter("give either --run, to sweep its use, or --recipe, to train short runs")
    if recipe is not None:
        for name, values in asked.items():
            rows = sweep_training(recipe, name, values, out)
            typer.echo(str(write(out, name, f"{dataset}/held", "training short runs", rows)))
    if run is not None:
        exemplars, queries = open_dataset(dataset, root, "fit", count=count), open_dataset(dataset, root, "held")
        sweep = ServingSweep(run, exemplars, queries)
        for name, values in (asked or {key: list(axis_values) for key, axis_values in AXES.items()}).items():
            rows = list(sweep.rows(name, values))
            typer.echo(str(write(out, name, sweep.dataset, "serving", rows)))


if __name__ == "__main__":
    typer.run(_main)
