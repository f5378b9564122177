"""Command `segsort adapt`: fit the head of a release again, to its exemplars and those that edits added."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from index_builder.child_process import ReportStage, reporting, use_threads, yield_to_parent

if TYPE_CHECKING:
    from service.editing.snapshot import Snapshot
    from service.settings import Settings


def adapt(
    release: Annotated[str | None, typer.Argument(help="Name or path of the release. Default: the active one.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the new release. Default: its name in the data folder.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the new release. Default: the old name, -a and the number of the edit.")
    ] = None,
    fit: Annotated[
        Literal["auto", "none", "linear", "mlp", "forest", "softmax", "ensemble"],
        typer.Option(help="Kind of the head; auto: the best."),
    ] = "auto",
    database: Annotated[
        str | None, typer.Option(help="URL of the database with the edits. Default: that of the settings.")
    ] = None,
    budget: Annotated[float, typer.Option(min=0, help="Seconds for choosing a head.")] = 20.0,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Cores to use. Default: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
    progress: Annotated[bool, typer.Option(help="Print progress as JSON lines on standard error.")] = False,
    keep_snapshot: Annotated[
        Path | None, typer.Option(help="Also keep the release with its edits, as it was adapted, in this folder.")
    ] = None,
    background: Annotated[
        int | None, typer.Option(hidden=True, help="Lower the priority, and end when standard input is closed.")
    ] = None,
) -> None:
    """Fit the head of a release again, to its exemplars and those that edits added. Writes a new release.

    The new release begins with all exemplars. The served release does not change.
    """
    if background is not None:
        yield_to_parent(background)
    use_threads(threads)
    from index_builder.adapt import adapt_release
    from service.settings import load_settings

    settings = load_settings(release=release, database_url=database)
    with reporting(progress) as report, _snapshot(settings, keep_snapshot, report) as snapshot:
        name = name or (out.name if out is not None else f"{snapshot.origin}-a{snapshot.revision}")
        folder = out if out is not None else _new_folder(settings, name)
        done = adapt_release(
            snapshot.release, folder, name=name, fit=fit, budget_s=budget, seed=seed, threads=threads,
            progress=lambda step: report(*step),
        )  # fmt: skip
    result = {
        "release": name,
        "path": str(done.release.path.absolute()),
        "adapted_from": snapshot.origin,
        "index_revision": snapshot.revision,
        "before": done.before,
        "after": done.after,
        "images": done.images,
        "better": done.better,
        "head": done.head,
        "seconds": round(done.seconds, 3),
    }
    typer.echo(json.dumps(result) if as_json else _described(result))


@contextmanager
def _snapshot(settings: "Settings", keep: Path | None, report: ReportStage) -> "Iterator[Snapshot]":
    """The release with its edits, in a folder that is removed after the block unless it is to be kept."""
    from tempfile import TemporaryDirectory

    from service.editing.snapshot import write_state

    report("snapshot", 0, 1)
    if keep is not None:
        snapshot = write_state(settings, keep)
        report("snapshot", 1, 1)
        yield snapshot
        return
    with TemporaryDirectory(prefix="segsort-adapt-") as folder:
        snapshot = write_state(settings, Path(folder) / "snapshot")
        report("snapshot", 1, 1)
        yield snapshot


def _new_folder(settings: "Settings", name: str) -> Path:
    from service.editing.snapshot import check_new_name

    check_new_name(settings, name)
    return settings.data_dir / "releases" / name


def _described(result: dict[str, Any]) -> str:
    if result["before"] is None or result["after"] is None:
        compared = "the old and the new head cannot be compared: mark pixels of each class in two images or more"
    else:
        compared = f"cross-validated mIoU {result['before']:.3f} before, {result['after']:.3f} after"
    return (
        f"{result['release']}: {result['head']}; {compared}; {result['path']}; run `segsort releases activate "
        f"{result['release']}` to serve it from the next start on"
    )
