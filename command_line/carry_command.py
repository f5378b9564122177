"""Command `segsort releases carry`: make the edits of earlier releases of a name on the present one."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from index_builder.child_process import reporting, use_threads, yield_to_parent

if TYPE_CHECKING:
    from service.settings import Settings

_PAUSE = 0.25  # seconds between two looks at the job


def carry(
    release: Annotated[
        str | None, typer.Argument(help="Name or path of the release. Default: the active release.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")] = False,
    progress: Annotated[bool, typer.Option(help="Print progress as JSON lines on standard error.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Cores of the job. Default: as the settings say.")] = None,
    measure: Annotated[
        Path | None, typer.Option(hidden=True, help="Make no edit, and write what the network measures into this file.")
    ] = None,
    background: Annotated[
        int | None, typer.Option(hidden=True, help="Lower the priority, and end when standard input is closed.")
    ] = None,
) -> None:
    """Carry over the edits of earlier releases of this name. A service may use the database meanwhile.

    The marked pixels are embedded again with the network of this release, by a job that the service lists and can
    cancel. One edit is made, which can be reverted.
    """
    if background is not None:
        yield_to_parent(background)
    if measure is not None:
        use_threads(threads)
    from service.settings import load_settings

    settings = load_settings(release=release)
    if measure is not None:
        print(json.dumps(_measured(settings, measure, progress, threads)))
        return
    if threads is not None:
        settings = settings.model_copy(update={"adapt_threads": threads})
    result = _carried(settings, progress)
    if as_json:
        print(json.dumps(result))
        return
    for what in result["left"]:
        print(f"not carried over: {what}", file=sys.stderr)
    revision = result["revision"]
    print(f"{result['release']}: no edits wait" if revision is None else f"edit {revision}: {result['summary']}")


def _measured(settings: "Settings", file: Path, progress: bool, threads: int | None) -> dict[str, str]:
    """The work of the child process: measure what waits, and write it into a file."""
    from model_store.store import kept_releases
    from service.answering.remeasuring import Recorder, Remeasuring
    from service.editing.carry import CarryOver
    from service.editing.snapshot import followed

    if threads is not None:
        settings = settings.model_copy(update={"threads": threads})
    with reporting(progress) as report, followed(settings) as (live, records, follower):
        recorder, copies = Recorder(Remeasuring(live.release, settings)), kept_releases(settings.data_dir)
        CarryOver(
            records, follower, live, recorder, copies.open, lambda done, total: report("images", done, total)
        ).measure()  # fmt: skip
        recorder.save(file)
        return {"release": live.name, "release_digest": live.digest}


def _carried(settings: "Settings", progress: bool) -> dict[str, Any]:
    """Start the job and wait for it, with its progress."""
    from model_store.store import kept_releases
    from service.adapting.background import BackgroundJobs
    from service.adapting.earlier import CarryWork
    from service.editing.snapshot import followed
    from service.problems import Problem
    from service.records.follower import Author

    with followed(settings) as (live, records, follower):
        jobs, author = BackgroundJobs(settings, records.engine), Author("carry", None)
        work = CarryWork(records, follower, live, settings, kept_releases(settings.data_dir).open, author)
        try:
            jobs.check_database()
            job = jobs.begin(author, work)
        except Problem as problem:
            raise ValueError(f"{problem.detail} {problem.fix or ''}") from problem
        try:
            with reporting(progress) as report:
                while (job := jobs.get(job.job_id)).is_under_way:
                    report(job.stage, job.done, job.total)
                    time.sleep(_PAUSE)
        finally:
            jobs.close()
    if job.result is None:
        raise ValueError(f"the job {job.job_id} {job.state}" + (f": {job.problem}" if job.problem else ""))
    return {"job_id": job.job_id} | job.result
