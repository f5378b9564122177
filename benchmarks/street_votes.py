"""Measure changes of sorting and vote on a frozen street network, each alone, and how steady explanations are.

    python -m benchmarks.street_votes RUN --camvid CAMVID --fit fit-without-0006R0 --test only-0006R0 \
        --cache out/votes --out docs/results/votes/only-0006R0.json

RUN is a training run or a release. Its embeddings, exemplars and probe are computed once and kept in the cache, a
folder for each network, so that each variant takes seconds. Finished variants are in the output and are not measured
again. Exemplars come from a split of CamVid, or with `--exemplars release` from the release. Choose on
"held-without-DRIVE", and report on "only-DRIVE".

The output has counts of pixels by blocks of frames, and of each variant the commit and machine that it was measured
at. `benchmarks.street_votes_table` makes tables of several outputs.
Times are CPU time of sorting and vote, beside the first variant on the same image, in turn.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from sklearn.linear_model import LogisticRegression

from benchmarks.street_vote_variants import MIN_AREA, SERVED, ClassScores, Exemplars, Variant, Voting, variants
from index_builder.datasets import IGNORE, open_dataset
from index_builder.embedder_source import is_release, load_embedder_source
from index_builder.environment import circumstances
from index_builder.evaluation.explanation_trials import DISTURBANCES
from index_builder.pixel_scores import FRAMES
from index_builder.progress import counted
from index_builder.scores import label_counts
from index_builder.selection import Candidates, select
from model_store.embedder import Embedder
from model_store.release import Release
from segsort.cells import centres_of_cells
from segsort.labelled_segments import split_by_label
from segsort.retrieval import vote
from segsort.segments import segment_image

PROBE = "pixel probe, fitted to convergence"
PROBE_CELLS = 300  # of an image, for the probe
LEAST_SHARE = 1e-3  # of a class in a vote, where its logarithm is added to other evidence
TIMED = 4  # every n-th image is timed
REMOVED = (8, 32)
FEWER = {"noise": 2, "jpeg": 1, "shift": 2}  # every n-th image of those that are disturbed


class Images(NamedTuple):
    """embeddings: [I, D, h, w] float16; labels: [I, H, W] uint8; disturbed: by disturbance, [I, D, h, w] float16."""

    embeddings: np.ndarray
    labels: np.ndarray
    disturbed: dict[str, np.ndarray]

    def embedding(self, i: int, disturbance: str | None = None) -> np.ndarray:
        """[D, h, w] float32 unit vectors of image i, or of its disturbed copy."""
        found = (self.embeddings if disturbance is None else self.disturbed[disturbance])[i].astype(np.float32)
        return np.ascontiguousarray(found / np.linalg.norm(found, axis=0, keepdims=True))


def embedded(run: Path, camvid: Path, split: str, cache: Path, step: int, disturb: bool = False) -> Images:
    """Embeddings of every `step`-th image of a split, from the cache if it has them."""
    file = cache / f"{split}-{step}{'-disturbed' if disturb else ''}.npz"
    if not file.exists():
        source, dataset = load_embedder_source(run), open_dataset("camvid", camvid, split)
        embedder, random = Embedder((source.network_file, source.preprocessing), "cpu"), np.random.default_rng(0)
        rows = range(0, len(dataset), step)
        found: dict[str, list[np.ndarray]] = {name: [] for name in ("", "labels", *(DISTURBANCES if disturb else ()))}
        for n in counted(len(rows), f"embedding {split}"):
            sample = dataset[rows[n]]
            found[""].append(np.asarray(embedder.embed(sample.image)).astype(np.float16))
            found["labels"].append(sample.labels)
            for name in found.keys() & DISTURBANCES.keys():
                changed = DISTURBANCES[name].change(sample.image, random)
                found[name].append(np.asarray(embedder.embed(changed)).astype(np.float16))
        file.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {name or "embeddings": np.stack(values) for name, values in found.items()}
        np.savez(file, **arrays)
    with np.load(file) as kept:
        return Images(kept["embeddings"], kept["labels"], {n: kept[n] for n in DISTURBANCES if n in kept})


def exemplars_of(images: Images, classes: int, file: Path) -> Exemplars:
    """The exemplars that `segsort build` would select, from the file if it exists, else written to it."""
    if file.exists():
        with np.load(file) as kept:
            return Exemplars(kept["prototypes"], kept["class_ids"])
    parts = []
    for i in range(len(images.labels)):
        embedding, labels = images.embedding(i), images.labels[i]
        found = segment_image(embedding, labels.shape, SERVED.options(), MIN_AREA)
        pieces = split_by_label(found, embedding, labels, IGNORE, 0.0001, 0.5)
        parts.append((pieces.prototypes, pieces.class_ids, np.full(len(pieces.areas), i), pieces.areas))
    prototypes, class_ids, image_ids, areas = (np.concatenate(column) for column in zip(*parts, strict=True))
    nothing = np.zeros((len(areas), 4), dtype=np.int32)
    rows = select(Candidates(prototypes, class_ids, image_ids, nothing, areas, [""] * len(areas)), classes, 20_000)
    np.savez(file, prototypes=prototypes[rows], class_ids=class_ids[rows])
    return Exemplars(prototypes[rows], class_ids[rows])


def fitted_probe(images: Images, file: Path) -> ClassScores:
    """Multinomial logistic regression of pixels, with a scale, until it converges; kept in a file."""
    if file.exists():
        with np.load(file) as kept:
            return ClassScores(kept["weights"], kept["offsets"])
    random, rows, classes = np.random.default_rng(0), [], []
    for i in range(len(images.labels)):
        embedding, labels = images.embedding(i), images.labels[i]
        D, h, w = embedding.shape
        truth = labels[centres_of_cells(h, labels.shape[0])[:, None], centres_of_cells(w, labels.shape[1])].ravel()
        known = random.permutation(np.flatnonzero(truth != IGNORE))[:PROBE_CELLS]
        rows.append(embedding.reshape(D, -1).T[known])
        classes.append(truth[known])
    x, y = np.concatenate(rows), np.concatenate(classes)
    scale = 1 / float(x.std(axis=0).mean())
    model = LogisticRegression(C=1.0, max_iter=1000).fit(x * scale, y)
    weights = np.zeros((int(y.max()) + 1, x.shape[1]), dtype=np.float32)
    offsets = np.full(len(weights), -np.inf, dtype=np.float32)
    weights[model.classes_], offsets[model.classes_] = model.coef_ * scale, model.intercept_
    np.savez(file, weights=weights, offsets=offsets)
    return ClassScores(weights, offsets)


def _enlarged(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Values of cells [h, w, C] at the pixels of an image, bilinearly: [C, H, W]."""
    from torch import from_numpy
    from torch.nn.functional import interpolate

    planes = from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None].float()
    return np.asarray(interpolate(planes, size=size, mode="bilinear", align_corners=False)[0].numpy())


def _of_pixels(embedding: np.ndarray, shares: Callable[[np.ndarray], np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Shares of the classes for each pixel: [C, H, W]."""
    D, h, w = embedding.shape
    return _enlarged(shares(np.ascontiguousarray(embedding.reshape(D, -1).T)).reshape(h, w, -1), size)


class Outcome(NamedTuple):
    """Of one image. confusion: [C, C]; segments: their number; seconds: CPU time of sorting and vote."""

    confusion: np.ndarray
    segments: int
    seconds: float


def label(variant: Variant, embedding: np.ndarray, labels: np.ndarray, classes: int) -> Outcome:
    """Label one image."""
    started = time.process_time()
    found = variant.sort(embedding, labels.shape)
    shares = variant.voting.shares(found.prototypes, classes)
    seconds = time.process_time() - started
    if not variant.by_pixel:
        counts = label_counts(found.labels, labels, len(found.areas), classes)
        confusion = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(confusion.T, shares.argmax(axis=1), counts)
        return Outcome(confusion, len(found.areas), seconds)
    started = time.process_time()
    if variant.looks is not None:
        evidence = _of_pixels(embedding, variant.looks.log_posteriors, labels.shape)
        pixels = np.log(np.maximum(shares.T, LEAST_SHARE))[:, found.labels] + variant.weight * evidence
    else:
        pixels = _of_pixels(embedding, lambda rows: variant.voting.shares(rows, classes), labels.shape)
        if not np.isinf(variant.pixels):
            pixels = pixels + shares.T[:, found.labels] / variant.pixels
    predicted = pixels.argmax(axis=0)
    seconds += time.process_time() - started
    return Outcome(_confusion(predicted, labels, classes), len(found.areas), seconds)


def _confusion(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    known = labels != IGNORE
    pairs = labels[known].astype(np.int64) * classes + predicted[known]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def explained(variant: Variant, images: Images, classes: int) -> dict[str, float]:
    """Steadiness, purity and removal of one variant, weighted by area.

    jaccard of each disturbance: as `segsort evaluate --explanations` computes it; purity: share of the voters with the
    segment's true class; removed: share of the area whose label stays when the nearest exemplars of its class are
    removed.
    """
    sums: dict[str, list[tuple[float, float]]] = {}
    voting = variant.voting
    for i in range(len(images.labels)):
        labels = images.labels[i]
        found = variant.sort(images.embedding(i), labels.shape)
        counts = label_counts(found.labels, labels, len(found.areas), classes)
        area = counts.sum(axis=1).astype(float)
        cosines, rows = voting.searched.search(found.prototypes, voting.k + max(REMOVED))
        voters = voting.exemplars.class_ids[rows]
        pure = (voters[:, : voting.k] == counts.argmax(axis=1)[:, None]).mean(axis=1)
        sums.setdefault("purity", []).append((float(pure @ area), area.sum()))
        winners = _votes(voting, cosines, voters, np.zeros_like(voters, dtype=bool), classes)
        order = np.cumsum(voters == winners[:, None], axis=1) - 1
        for m in REMOVED:
            gone = (voters == winners[:, None]) & (order < m)
            stays = _votes(voting, cosines, voters, gone, classes) == winners
            sums.setdefault(f"removed {m}", []).append((float(stays @ area), area.sum()))
        for name, every in FEWER.items():
            if i % every == 0 and name in images.disturbed:
                other = variant.sort(images.embedding(i, name), labels.shape)
                theirs = voting.searched.search(other.prototypes, voting.k)[1]
                sums.setdefault(f"jaccard {name}", []).append(
                    _steadiness(found.labels, other.labels, rows[:, : voting.k], theirs, DISTURBANCES[name].shift)
                )
    return {name: sum(a for a, _ in each) / sum(b for _, b in each) for name, each in sums.items()}


def _votes(voting: Voting, cosines: np.ndarray, voters: np.ndarray, gone: np.ndarray, classes: int) -> np.ndarray:
    """Labels by the first k that are not gone; all are [S, R]."""
    first = np.argsort(gone, axis=1, kind="stable")[:, : voting.k]
    near, of_class = (np.take_along_axis(column, first, axis=1) for column in (cosines, voters))
    return vote(near, of_class, classes, voting.kappa).class_ids


def _steadiness(
    labels: np.ndarray, others: np.ndarray, rows: np.ndarray, theirs: np.ndarray, shift: int
) -> tuple[float, float]:
    """Sum over pixels of the Jaccard index of voters, as `explanation_trials.steadiness`, and the number of pixels."""
    width = labels.shape[1] - shift
    S, T = len(rows), len(theirs)
    pairs = labels[:, :width].ravel().astype(np.int64) * T + others[:, shift:].ravel()
    overlap = np.bincount(pairs, minlength=S * T).reshape(S, T)
    match = overlap.argmax(axis=1)
    jaccard = [
        len(np.intersect1d(mine, other)) / len(np.union1d(mine, other))
        for mine, other in zip(rows, theirs[match], strict=True)
    ]
    return float(overlap.sum(axis=1) @ np.array(jaccard)), float(overlap.sum())


class Measured(NamedTuple):
    """Of one variant. confusions: [I, C, C]; segments: mean number; time: CPU time, as a share of the first variant."""

    confusions: np.ndarray
    segments: float
    time: float


def measured(name: str, variant: Variant, first: Variant, images: Images, classes: int) -> Measured:
    """Label all images with a variant; every fourth also with the first one, for the time."""
    outcomes, times = [], []
    for i in counted(len(images.labels), name):
        embedding, labels = images.embedding(i), images.labels[i]
        outcomes.append(label(variant, embedding, labels, classes))
        if i % TIMED == 0:
            times.append(outcomes[-1].seconds / max(label(first, embedding, labels, classes).seconds, 1e-9))
    return Measured(
        np.stack([one.confusion for one in outcomes]),
        float(np.mean([one.segments for one in outcomes])),
        float(np.median(times)),
    )


def counts_of(confusions: np.ndarray, block: int) -> list[Any]:
    """True, predicted and common pixels by blocks of images: [I, C, C] -> [blocks][3][C]."""
    starts = np.arange(0, len(confusions), block)
    columns = (confusions.sum(axis=2), confusions.sum(axis=1), np.diagonal(confusions, axis1=1, axis2=2))
    return list(np.add.reduceat(np.stack(columns, axis=1), starts).tolist())


def main(
    run: Annotated[Path, typer.Argument(help="Training run or release.")],
    camvid: Annotated[Path, typer.Option(help="CamVid in the layout of SegNet.")],
    cache: Annotated[Path, typer.Option(help="Folder for embeddings, one for each network.")],
    out: Annotated[Path, typer.Option(help="JSON file; variants that it has are not measured again.")],
    fit: Annotated[str, typer.Option(help="Split for exemplars and probe.")] = "fit",
    test: Annotated[str, typer.Option(help="Split that is reported.")] = "val",
    exemplars: Annotated[str, typer.Option(help="fit: from that split; release: those of RUN.")] = "fit",
    step: Annotated[int, typer.Option(help="Every n-th image of the test split.")] = 1,
    fit_step: Annotated[int, typer.Option(help="Every n-th image of the split for exemplars.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="Words in the names of variants to measure.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Measure explanations too; takes four times as long.")] = (
        False
    ),
) -> None:
    """Measure all variants on a split."""
    known = embedded(run, camvid, fit, cache, fit_step)
    images = embedded(run, camvid, test, cache, step, disturb=explain)
    classes = len(open_dataset("camvid", camvid, fit).classes)
    if exemplars == "release":
        if not is_release(run):
            raise typer.BadParameter(f"{run} is no release; give --exemplars fit")
        stored = Release.open(run).exemplars
        chosen = Exemplars(stored.prototypes, stored.class_ids, stored.strengths)
    else:
        chosen = exemplars_of(known, classes, cache / f"exemplars-{fit}-{fit_step}.npz")
    probe = fitted_probe(known, cache / f"probe-{fit}-{fit_step}.npz")
    facts = {"run": run.name, "fit": fit, "test": test, "exemplars": exemplars, "images": len(images.labels)}
    found, possible = opened(out, facts | {"step": step}), variants(chosen, probe)
    first, block = next(iter(possible.values())), max(1, FRAMES // step)
    for name, variant in possible.items():
        if name not in found["rows"] and _wanted(name, only):
            one = measured(name, variant, first, images, classes)
            row = {"counts": counts_of(one.confusions, block), "segments": one.segments, "time": one.time}
            row["exemplars"] = len(variant.voting.exemplars.class_ids)
            row |= explained(variant, images, classes) if explain and not variant.by_pixel else {}
            add_row(out, found, name, row)
    if PROBE not in found["rows"] and _wanted(PROBE, only):
        add_row(out, found, PROBE, {"counts": counts_of(_probed(probe, images, classes), block)})


def opened(out: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """The document of an output, with the rows that it has already.

    A document of an earlier version states one environment for all its rows. Each of these rows keeps it.

    Args:
        out: JSON file; it need not exist.
        facts: network, split and images of the rows.

    Raises:
        ValueError: if the rows of the file are of other ones.
    """
    found: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"rows": {}}
    others = {name: found[name] for name in facts if name in found and found[name] != facts[name]}
    if others:
        raise ValueError(f"the rows of {out} are of {others}; give another file with --out")
    environment = found.pop("environment", None)
    for row in found["rows"].values():
        row.setdefault("environment", environment)
    return found | facts


def add_row(out: Path, found: dict[str, Any], name: str, row: dict[str, Any]) -> None:
    """Add what was measured now to a document, with its commit and machine, and write the document."""
    found["rows"][name] = row | {"environment": circumstances()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found) + "\n")


def _wanted(name: str, only: list[str] | None) -> bool:
    return not only or any(word in name for word in only)


def _probed(probe: ClassScores, images: Images, classes: int) -> np.ndarray:
    """Confusions [I, C, C] of a linear classifier of pixels."""
    found = []
    for i in range(len(images.labels)):
        predicted = _of_pixels(images.embedding(i), probe.scores, images.labels[i].shape).argmax(axis=0)
        found.append(_confusion(predicted, images.labels[i], classes))
    return np.stack(found)


if __name__ == "__main__":
    typer.run(main)
