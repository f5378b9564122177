"""Command `segsort segment`: segment image files without a server."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from model_store import spread_options as spreading

if TYPE_CHECKING:
    from model_store.exporting import ExportSummary
    from service.answering.engine import Engine
    from service.batching.folder_run import FolderRun, Outcome

NONE_DONE, SOME_FAILED, INTERRUPTED = 1, 3, 130  # exit statuses beside 0 (all) and 2 (invalid input)
Images = Annotated[list[Path], typer.Argument(help="Image files, or folders of images.")]


def segment(
    images: Images,
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("segments"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document on standard output; write no files.")
    ] = False,
    export: Annotated[
        str | None,
        typer.Option(
            help="Write only labels, in this format: coco, png, color-png, yolo, geojson, label-studio, cvat, labelme "
            "or csv."
        ),
    ] = None,
    with_images: Annotated[
        bool, typer.Option("--with-images", help="With --export: copy the images beside their labels.")
    ] = False,
    join: Annotated[
        bool, typer.Option("--join", help="With --export: touching segments of one class are one object.")
    ] = False,
    sheets: Annotated[
        bool,
        typer.Option("--sheets", help="Also draw a sheet of the exemplars of each segment; about 9 MB an image."),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Segment all images anew, also those that an earlier run has done.")
    ] = False,
    release: Annotated[str | None, typer.Option(help="Name or path of a release. Default: the active release.")] = None,
    engine_name: Annotated[
        Literal["local", "ray"],
        typer.Option("--engine", help="Where images are segmented: in this process, or by Ray."),
    ] = "local",
    workers: spreading.Workers = None,
    ray_address: spreading.RayAddress = None,
    gpus: spreading.Gpus = 0.0,
    send_files: spreading.SendFiles = False,
) -> None:
    """Segment images without a server. Writes an overlay, a label map and JSON of each image, or an export of all.

    A command that was stopped or killed goes on when it is started again: images that are done are skipped, as long as
    the release is the same. Images that failed are listed in failed.txt of the output folder, and tried again.

    Exit status 0: all images are done. 1: none is. 2: invalid input. 3: some failed, and the others are done.
    """
    from model_store.ray_spread import spread_by
    from model_store.spreading import RayOptions, ray_options
    from service.answering.engine import Engine
    from service.batching.folder_run import FolderRun, check_format
    from service.batching.image_files import AnswerOutputs, found_images
    from service.records.database import Records
    from service.settings import load_settings

    ray = ray_options(engine_name, RayOptions(workers, ray_address, gpus, send_files))
    _check_options(as_json, export, sheets)
    if as_json and ray is not None:
        raise ValueError("--json prints the answers of this process; leave --engine ray out, or write files")
    if export is not None:
        check_format(export)
    files = found_images(images)
    with (
        spread_by(ray) as spread,
        closing(Engine(load_settings(release=release), Records("sqlite://"))) as engine,
    ):
        if as_json:
            raise typer.Exit(_print_json(engine, files))
        outputs = AnswerOutputs(engine, sheets) if export is None else None
        with FolderRun(engine, files, out, outputs, again) as run:
            with closing(run.outcomes() if spread.is_local else run.outcomes_by(spread)) as outcomes:
                failed = _follow(outcomes, len(files))  # threads have ended before the folder is released
            if len(failed) < len(files) and export is not None:
                summary = _exported(run, export, with_images, join)
                print(
                    f"{out}: {summary.images} images, {summary.segments} segments with a class, {summary.unknown} "
                    "without",
                    file=sys.stderr,
                )
            listed = run.note_failed(failed)
        if listed is not None:
            print(f"{len(failed)} of {len(files)} images failed; see {listed}", file=sys.stderr)
        raise typer.Exit(_status(len(failed), len(files)))


def _exported(run: "FolderRun", form: str, with_images: bool, join: bool) -> "ExportSummary":
    try:
        return run.export(form, with_images, join)
    except OSError as error:  # no room, or an image was removed meanwhile
        raise ValueError(f"the export cannot be written: {error}; the same command goes on") from error


def _check_options(as_json: bool, export: str | None, sheets: bool) -> None:
    if as_json and export is not None:
        raise ValueError("--json prints answers and --export writes files; give one of the two")
    if sheets and (as_json or export is not None):
        raise ValueError("--sheets draws files beside overlays; give it without --json and --export")


def _status(failed: int, total: int) -> int:
    if not failed:
        return 0
    return NONE_DONE if failed == total else SOME_FAILED


def _print_json(engine: "Engine", files: list[Path]) -> int:
    """Print the answers to all images as one JSON list; returns the exit status."""
    import json

    from service.answering.engine import Recording
    from service.answering.limits import SegmentRequest
    from service.problems import Problem

    bodies: list[dict[str, Any]] = []
    for file in files:
        try:
            answer = engine.segment(file.read_bytes(), SegmentRequest(), recording=Recording(kept=False))
            bodies.append({"image": str(file), **answer.body})
        except (OSError, Problem) as error:
            print(f"{file}: {error}", file=sys.stderr)
    print(json.dumps(bodies))
    return _status(len(files) - len(bodies), len(files))


def _follow(outcomes: Iterator["Outcome"], total: int) -> list["Outcome"]:
    """Segment the images, and show the progress on standard error; returns those that failed."""
    failed: list[Outcome] = []
    began, done, skipped = time.monotonic(), 0, 0
    try:
        with _showing(total) as show:
            for outcome in outcomes:
                done += 1
                skipped += outcome.skipped
                if outcome.failed is not None:
                    failed.append(outcome)
                show(outcome, done)
    except OSError as error:
        raise ValueError(f"an output cannot be written: {error}; the same command goes on") from error
    except KeyboardInterrupt:
        print(f"stopped after {done} of {total} images; the same command goes on", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    seconds, new = time.monotonic() - began, done - skipped - len(failed)
    before = f", {skipped} were done before" if skipped else ""
    print(f"{new} images in {seconds:.1f} s, {new / max(seconds, 1e-9):.2f} a second{before}", file=sys.stderr)
    return failed


@contextmanager
def _showing(total: int) -> Iterator[Callable[["Outcome", int], None]]:
    """Shows outcomes: a bar on a terminal, else a line for each."""
    if not sys.stderr.isatty():
        yield lambda outcome, done: print(_line(outcome, done, total), file=sys.stderr, flush=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("segmenting"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    began, new = time.monotonic(), 0
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total, rate="")

        def show(outcome: "Outcome", done: int) -> None:
            nonlocal new
            new += not outcome.skipped
            if outcome.failed is not None:
                progress.console.print(_line(outcome, done, total), markup=False, highlight=False)
            rate = new / max(time.monotonic() - began, 1e-9)
            progress.update(task, completed=done, rate=f"{rate:.1f} images/s")

        yield show


def _line(outcome: "Outcome", done: int, total: int) -> str:
    if outcome.failed is not None:
        return f"{outcome.file}: {outcome.failed} ({done} of {total})"
    before = ", done before" if outcome.skipped else ""
    return f"{outcome.file}: {outcome.segments} segments{before} ({done} of {total})"
