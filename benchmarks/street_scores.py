"""Score the networks of `benchmarks.street_claims` on the drives that they have not seen, and on CamVid val.

    python -m benchmarks.street_scores --camvid CAMVID --runs runs/claims --out docs/results/claims

For each fold and seed, SegSort as served, a converged probe and retrieval pixel by pixel on the same embedding, and the
softmax twin label every frame of the left-out drive. The file supervised-DRIVE-SEED.json receives counts of pixels by
blocks of frames, from which `segsort report` computes scores, ratios and intervals; a file for each source of regions
does so for unsupervised runs. Files that exist are kept. With --renew, SegSort as served is scored anew in files that
exist, and the scores of all other methods, which do not depend on how it is served, are kept. The file then names the
circumstances of both.

Without --runs, the bundled release is scored on CamVid val in the same ways, into bundled.json, which is written anew.

Exemplars come from "fit-without-DRIVE". Every choice and calibration is made on "held-without-DRIVE".

"As served" means with the options of the bundled release: number of segments, splitting, distinct exemplars, and
confidence calibrated on held-out frames as they are and in other light. Only the number of exemplars is that of a build
by default.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.street_claims import CPU, DRIVES, SCRATCH, finished
from benchmarks.street_methods import Method, PixelRetrieval, Probe, Served, Twin
from index_builder.build import BuildOptions, build_release
from index_builder.datasets import Dataset, Sample, open_dataset
from index_builder.embedder_source import load_embedder_source
from index_builder.environment import circumstances
from index_builder.pixel_scores import PixelScores, PixelTally
from index_builder.progress import counted
from index_builder.training import WithOtherLight
from model_store.release import Release
from model_store.store import open_store

SEEN = "0016E5"  # the drive that val is a clip of
SUPERVISED, BUNDLED = "supervised", "bundled.json"
UNSUPERVISED = (
    "frozen",  # benchmarks.street_features
    *("felzenszwalb-1", "felzenszwalb-2", f"felzenszwalb-2-{SCRATCH}"),
    *("contours-1", "contours-2", "slic-merge-2"),
)


class Frames:
    """The parts of CamVid that train, choose and report.

    Args:
        camvid: folder of CamVid.
        fit: split that trains and gives exemplars.
        held: split that everything is chosen and calibrated on.
        shown: splits that are reported, by name.
    """

    def __init__(self, camvid: Path, fit: str, held: str, shown: Mapping[str, str]) -> None:
        self.fit, self.held = (open_dataset("camvid", camvid, split) for split in (fit, held))
        self.held_samples = [self.held[i] for i in range(len(self.held))]
        self.shown: dict[str, Dataset] = {name: open_dataset("camvid", camvid, split) for name, split in shown.items()}

    @classmethod
    def without(cls, camvid: Path, drive: str) -> "Frames":
        """A drive is reported, and val if its drive is another one."""
        shown = {"drive": f"only-{drive}"} | ({} if drive == SEEN else {"val": "val"})
        return cls(camvid, f"fit-without-{drive}", f"held-without-{drive}", shown)

    def release(self, network: Path, work: Path, options: BuildOptions) -> Release:
        """A release with exemplars of the fitted frames, calibrated on the held-out ones.

        Args:
            network: folder of a run or release.
            work: folder for the release.
            options: of the release.
        """
        source = load_embedder_source(network)
        out = work / network.name
        lit = WithOtherLight(self.held)
        return build_release(self.fit, source, out, options=options, calibrate_with=lit, threads=1)


class Fold:
    """The frames and networks of one left-out drive and seed.

    Args:
        camvid: folder of CamVid.
        runs: folder of the runs.
        drive: the left-out drive.
        seed: of the runs.
        options: of the releases.
    """

    def __init__(self, camvid: Path, runs: Path, drive: str, seed: int, options: BuildOptions) -> None:
        self.runs, self.drive, self.seed, self.options = runs / drive, drive, seed, options
        self.frames = Frames.without(camvid, drive)

    def served(self, work: Path) -> Iterator[Served]:
        """SegSort as served, if its network is trained. work: for its release."""
        run = self.runs / f"segsort-{self.seed}"
        if finished(run):
            yield Served("SegSort as served", self.frames.release(run, work, self.options))

    def supervised(self, work: Path) -> Iterator[Method]:
        """SegSort as served, the probe and pixels one by one on its embedding, and the twins. work: for releases."""
        served = next(self.served(work), None)
        if served is None:
            return
        yield served
        yield from _by_pixel(served, self.frames, "logistic probe on SegSort's embedding")
        for name, suffix in (("softmax twin, equal time", "time"), ("softmax twin, equal steps", "steps")):
            twin = self.runs / f"softmax-{suffix}-{self.seed}"
            if finished(twin):
                yield Twin(name, twin)

    def unsupervised(self, source: str, work: Path) -> Iterator[Method]:
        """A network trained without labels; its exemplars have labels. work: for its release."""
        run = self.runs / f"{source}-{self.seed}"
        if finished(run):
            yield Served(f"unsupervised, {source}", self.frames.release(run, work, self.options))


def served_options(release: Release) -> BuildOptions:
    """The options with which exemplars are selected and served as a release does; its limits of number do not count."""
    return BuildOptions(sorting=release.card.sorting, distinct=release.card.data["exemplars"].get("distinct"))


def _by_pixel(served: Served, frames: Frames, probe: str) -> Iterator[Method]:
    """A probe and retrieval pixel by pixel, on the embedding of a release."""
    yield Probe(probe, served.embedder, frames.fit, frames.held_samples)
    yield PixelRetrieval("retrieval pixel by pixel", served.predictor.release, served.embedder)


def score_bundled(camvid: Path, release: Release, file: Path) -> None:
    """Score a release on CamVid val: as shipped, with exemplars of CamVid fit, pixel by pixel, and by a probe."""
    frames = Frames(camvid, "fit", "held", {"val": "val"})
    with TemporaryDirectory() as work:
        built = frames.release(release.path, Path(work), served_options(release))
        photographs = Served("as served, exemplars of CamVid fit", built)
        shown: list[Method] = [Served("as shipped", release), photographs]
        methods = [*shown, *_by_pixel(photographs, frames, "logistic probe on its embedding")]
        scores = measure(methods, frames)
    card = release.card
    found = {"network": card.network.name, "created": card.created, "environment": circumstances()}
    dumped = {name: [one.model_dump() for one in of] for name, of in scores.items()}
    file.write_text(json.dumps({**found, "probe": _probe(methods), "scores": dumped}) + "\n")


def measure(methods: Sequence[Method], frames: Frames) -> dict[str, list[PixelScores]]:
    """Scores of each method on each set of frames."""
    classes = len(frames.fit.classes)
    for method in methods:
        method.calibrate(frames.held_samples)
    curves = [method.curve(frames.held_samples) for method in methods]
    found = {}
    for name, shown in frames.shown.items():
        tallies = [PixelTally(method.name, classes, curve) for method, curve in zip(methods, curves, strict=True)]
        for i in counted(len(shown), f"scoring {name}"):
            _add(shown[i], methods, tallies)
        found[name] = [tally.scores() for tally in tallies]
    return found


def _add(sample: Sample, methods: Sequence[Method], tallies: Sequence[PixelTally]) -> None:
    embeddings: dict[int, np.ndarray] = {}
    for method, tally in zip(methods, tallies, strict=True):
        embedding = None
        if isinstance(method, Served | Probe | PixelRetrieval):  # a network that several methods use runs once
            key = id(method.embedder)
            if key not in embeddings:
                embeddings[key] = np.asarray(method.embedder.embed(sample.image))
            embedding = embeddings[key]
        tally.add(sample.labels, *method.label(sample.image, embedding))


def document(
    fold: Fold, methods: Sequence[Method], scores: dict[str, list[PixelScores]], seconds: float
) -> dict[str, Any]:
    """The JSON of one fold and seed."""
    return {
        "drive": fold.drive,
        "seed": fold.seed,
        "classes": [info.name for info in fold.frames.fit.classes],
        **_served_how(fold),
        "frames": {"fit": len(fold.frames.fit), "held": len(fold.frames.held)},
        "probe": _probe(methods),
        "training": {run.name: _trained(run) for run in sorted(fold.runs.iterdir()) if finished(run)},
        "tuned": {file.stem.removeprefix("tuned-"): json.loads(file.read_text()) for file in _tuned(fold.runs)},
        "scores": {name: [one.model_dump() for one in of] for name, of in scores.items()},
        "seconds": seconds,
        "environment": circumstances(),
    }


def renewed(kept: dict[str, Any], fold: Fold, scores: Mapping[str, Sequence[PixelScores]]) -> dict[str, Any]:
    """The JSON of a fold with other scores of some methods, which were measured on the same frames.

    Its "renewed" says which methods, where they were measured, and how the release of the other ones was served.

    Raises:
        ValueError: if the frames are not those of `kept`.
    """
    replaced = {name: {one.method: one.model_dump() for one in of} for name, of in scores.items()}
    for name, of in kept["scores"].items():
        for one in of:
            new = replaced[name].get(one["method"])
            if new is not None and [sum(block[0]) for block in new["counts"]] != [sum(b[0]) for b in one["counts"]]:
                raise ValueError(f"{name} of {fold.drive} has other frames than before; score this fold as a whole")
    found = {name: [replaced[name].get(one["method"], one) for one in of] for name, of in kept["scores"].items()}
    methods = sorted({method for of in replaced.values() for method in of})
    before = kept.get("renewed", {}).get("before") or {"sorting": kept["sorting"], "distinct": kept.get("distinct")}
    return {
        **kept,
        **_served_how(fold),
        "scores": found,
        "renewed": {"methods": methods, "environment": circumstances(), "before": before},
    }


def _served_how(fold: Fold) -> dict[str, Any]:
    sorting = fold.options.sorting
    return {"sorting": {} if sorting is None else sorting.model_dump(), "distinct": fold.options.distinct}


def _probe(methods: Sequence[Method]) -> dict[str, Any] | None:
    """What the probe chose, and in how many iterations it converged."""
    probe = next((method for method in methods if isinstance(method, Probe)), None)
    return None if probe is None else {**probe.chosen, "iterations": probe.iterations}


def _tuned(runs: Path) -> list[Path]:
    return sorted(runs.glob("tuned-*.json"))


def _trained(run: Path) -> dict[str, Any]:
    """Steps, learning rate and CPU seconds of a run."""
    recipe, used = (json.loads((run / name).read_text()) for name in ("recipe.json", CPU))
    return {"steps": recipe["steps"], "learning_rate": recipe["learning_rate"], "cpu_s": round(used["cpu_s"], 1)}


def _main(
    camvid: Annotated[Path, typer.Option(help="Folder of CamVid.")],
    out: Annotated[Path, typer.Option(help="Folder for the JSON files.")],
    runs: Annotated[Path | None, typer.Option(help="Folder of the runs of benchmarks.street_claims.")] = None,
    drive: Annotated[list[str], typer.Option(help="Left-out drive; default: each in turn.")] = list(DRIVES),  # noqa: B006
    seed: Annotated[list[int], typer.Option(help="Seed; repeat it for several.")] = [0],  # noqa: B006
    release: Annotated[
        str, typer.Option(help="Release whose settings are used; without --runs, the scored one.")
    ] = "streets",
    renew: Annotated[
        bool, typer.Option("--renew", help="Score SegSort as served anew in files that exist; keep other methods.")
    ] = False,
) -> None:
    """Score the networks behind the claims about streets."""
    out.mkdir(parents=True, exist_ok=True)
    opened = Release.open(open_store().resolve(release))
    if runs is None:
        score_bundled(camvid, opened, out / BUNDLED)
        return
    options = served_options(opened)
    for fold in (Fold(camvid, runs, one, number, options) for number in seed for one in drive):
        for kind in (SUPERVISED, *UNSUPERVISED):
            file = out / f"{kind}-{fold.drive}-{fold.seed}.json"
            if file.exists() and renew and kind == SUPERVISED:
                _renew(fold, file)
            elif not file.exists():
                _score(fold, fold.supervised if kind == SUPERVISED else partial(fold.unsupervised, kind), file)


def _renew(fold: Fold, file: Path) -> None:
    """Score SegSort as served anew, and keep the scores of the other methods of a file."""
    with TemporaryDirectory() as work:
        scores = measure(list(fold.served(Path(work))), fold.frames)
    file.write_text(json.dumps(renewed(json.loads(file.read_text()), fold, scores)) + "\n")


def _score(fold: Fold, methods: Callable[[Path], Iterator[Method]], file: Path) -> None:
    """Write the scores of the methods whose networks are trained; nothing if there are none."""
    started = time.perf_counter()
    with TemporaryDirectory() as work:
        found = list(methods(Path(work)))
        if found:
            scores = measure(found, fold.frames)
            file.write_text(json.dumps(document(fold, found, scores, time.perf_counter() - started)) + "\n")


if __name__ == "__main__":
    typer.run(_main)
