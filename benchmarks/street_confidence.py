"""Compare curves of confidence that are fitted to pixels, or to the majorities of segments, on drives left out.

    python -m benchmarks.street_confidence --camvid CAMVID --runs runs/claims --cache out/votes \
        --out docs/results/votes/confidence.json

Networks are those of `benchmarks.street_claims`, seed 0. Curves are fitted on held-out frames as they are and in other
light, as the bundled release is calibrated, and the expected calibration error (15 bins) is that of the left-out drive:
of pixels (right: the pixel has the label) and of segments (right: most pixels of the segment have it).
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from benchmarks.street_claims import DRIVES
from benchmarks.street_vote_variants import LEAST, SERVED, Exemplars, Voting, sorting, splitting
from benchmarks.street_votes import Images, embedded, exemplars_of
from index_builder.calibration import rising_curve
from index_builder.datasets import open_dataset
from index_builder.embedder_source import load_embedder_source
from index_builder.environment import circumstances
from index_builder.pixel_scores import BINS, calibration_error_of
from index_builder.scores import label_counts, majority_agrees
from index_builder.training import WithOtherLight
from model_store.embedder import Embedder
from segsort.retrieval import calibrate


class Votes(NamedTuple):
    """Votes on S segments.

    share: [S] winning share; pixels: [S] labelled pixels; right: [S] how many of them have the label; majority: [S]
    bool, whether the label is the majority class.
    """

    share: np.ndarray
    pixels: np.ndarray
    right: np.ndarray
    majority: np.ndarray

    def curve(self, by: str) -> tuple[list[float], list[float]]:
        """The rising curve over shares. by: "pixels" or "majorities"."""
        used = self.pixels > 0
        right = self.right[used] / self.pixels[used] if by == "pixels" else self.majority[used].astype(float)
        return rising_curve(self.share[used], right, self.pixels[used])

    def errors(self, curve: tuple[list[float], list[float]]) -> dict[str, float]:
        """Expected calibration error of pixels and of segments, weighted by labelled pixels."""
        confidence = calibrate(self.share, *curve)
        bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)

        def error(right: np.ndarray) -> float:
            values = (self.pixels, self.pixels * confidence, right)
            return calibration_error_of([np.bincount(bins, weights=value, minlength=BINS).tolist() for value in values])

        return {"pixels": error(self.right), "segments": error(self.pixels * self.majority)}


def votes_of(frames: Iterable[tuple[np.ndarray, np.ndarray]], exemplars: Exemplars, classes: int) -> Votes:
    """Votes on the segments of frames: embedding [D, h, w] and labels [H, W] of each."""
    sort, voting, found = sorting(SERVED.options(), splitting(exemplars, LEAST)), Voting.of(exemplars), []
    for embedding, labels in frames:
        segments = sort(embedding, labels.shape)
        shares = voting.shares(segments.prototypes, classes)
        counts, winners = label_counts(segments.labels, labels, len(segments.areas), classes), shares.argmax(axis=1)
        right = counts[np.arange(len(counts)), winners]
        found.append(Votes(shares.max(axis=1), counts.sum(axis=1), right, majority_agrees(counts, winners)))
    return Votes(*(np.concatenate(column) for column in zip(*found, strict=True)))


def of_drive(run: Path, camvid: Path, drive: str, cache: Path) -> dict[str, dict[str, float]]:
    """Errors on a left-out drive, by what the curve was fitted to."""
    fit, held, shown = (
        embedded(run, camvid, split, cache, 1)
        for split in (f"fit-without-{drive}", f"held-without-{drive}", f"only-{drive}")
    )
    classes = len(open_dataset("camvid", camvid, f"fit-without-{drive}").classes)
    exemplars = exemplars_of(fit, classes, cache / f"exemplars-fit-without-{drive}-1.npz")
    known = votes_of([*_frames(held), *_in_other_light(run, camvid, drive)], exemplars, classes)
    asked = votes_of(_frames(shown), exemplars, classes)
    return {by: asked.errors(known.curve(by)) for by in ("majorities", "pixels")}


def _frames(images: Images) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(images.embedding(i), images.labels[i]) for i in range(len(images.labels))]


def _in_other_light(run: Path, camvid: Path, drive: str) -> list[tuple[np.ndarray, np.ndarray]]:
    source = load_embedder_source(run)
    embedder = Embedder((source.network_file, source.preprocessing), "cpu", threads=1)
    lit = WithOtherLight(open_dataset("camvid", camvid, f"held-without-{drive}"))
    changed = (lit[i] for i in range(len(lit) // 2, len(lit)))
    return [(np.asarray(embedder.embed(sample.image)), sample.labels) for sample in changed]


def _main(
    camvid: Annotated[Path, typer.Option(help="CamVid in the layout of SegNet.")],
    runs: Annotated[Path, typer.Option(help="Folder of the runs of benchmarks.street_claims.")],
    cache: Annotated[Path, typer.Option(help="Folder for embeddings; one folder for each drive is made in it.")],
    out: Annotated[Path, typer.Option(help="JSON file.")],
) -> None:
    """Compare curves of confidence on drives left out."""
    drives = {drive: of_drive(runs / drive / "segsort-0", camvid, drive, cache / drive) for drive in sorted(DRIVES)}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"drives": drives, "environment": circumstances()}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(_main)
