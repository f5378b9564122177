"""Commands for the database as a whole: verify, recover."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from service.records.objects.store import ObjectStore
    from service.settings import Settings

Database = Annotated[str | None, typer.Option(help="URL of the database. Default: that of the settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]


def verify(
    database: Database = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Unpack the content of every answer too, about 2 ms each, and read every file of the image store.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check every row of the database: pages, tables, the log of edits, answers, images, jobs. Writes nothing.

    The service may use the database meanwhile. Exit status 1: something is wrong.
    """
    from service.verifying.unpacking import releases_in
    from service.verifying.verify import verify_database

    settings, keeper = _settings(database)
    releases, store = (releases_in(settings.data_dir), _store(settings)) if deep else (None, None)
    report = verify_database(settings.database, keeper, _say, releases, store)
    if as_json:
        print(json.dumps(report.as_json()))
    else:
        for finding in report.findings:
            print(finding)
        if report.more:
            print(f"and {report.more} more")
        rows = ", ".join(f"{count} {table}" for table, count in sorted(report.rows.items()))
        print(f"{report.database}: {'sound' if report.sound else 'damaged'}; read {rows} in {report.seconds:.1f} s")
        for table, count in sorted(report.unchecked.items()):
            print(f"{count} {table} of earlier versions have no checksum")
        if report.unread_images:
            print(
                f"the files of {report.unread_images} images in the image store were not read: use --deep, with "
                "SEGSORT_IMAGES_URL"
            )
        if report.uncompared:
            print(f"the similarities of {report.uncompared} answers were not compared: their releases are not here")
    raise typer.Exit(0 if report.sound else 1)


def recover(
    database: Database = None,
    out: Annotated[
        str | None, typer.Option(help="File or URL of the new database. It must not exist, or be empty.")
    ] = None,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept", help="Take the database as it is: forget the edits that only the file beside it knows."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a new database with every row of a damaged one that is as it was written. The old one is not touched.

    Exit status 1: something was lost; it is listed.
    """
    settings, keeper = _settings(database)
    if accept == (out is not None):
        raise ValueError("give either --out NEW, to write a new database, or --accept, to take the database as it is")
    if out is None:
        return _accept(settings, keeper, as_json)
    from service.verifying.recover import recover_database
    from service.verifying.replaying import replay_on

    url = out if "://" in out else f"sqlite:///{Path(out).absolute()}"
    done = recover_database(settings.database, url, keeper, _say, replay_on(settings.data_dir, settings.release))
    if as_json:
        print(json.dumps(done.report.as_json() | {"recovered": url, "lost_edits": done.lost_edits}))
    else:
        for finding in done.report.findings:
            print(finding)
        rows = ", ".join(f"{count} {table}" for table, count in sorted(done.report.rows.items()))
        print(f"{url}: {rows}; lost edits: {', '.join(map(str, done.lost_edits)) or 'none'}")
        if done.lost_edits:
            print("put it in the place of the old database, and run `segsort recover --accept` before the next start")
    raise typer.Exit(1 if done.report.findings else 0)


def _accept(settings: "Settings", keeper: Any, as_json: bool) -> None:
    kept = None if keeper is None else keeper.forget()
    told = {"database": settings.database, "forgotten": None if kept is None else kept._asdict()}
    if as_json:
        print(json.dumps(told))
    elif kept is None:
        print("no file knows of a last edit; the next start takes the database as it is")
    else:
        print(
            f"{keeper.path} is removed, which knew of {kept.number} edits; the next start takes the database as it is"
        )


def _settings(database: str | None) -> tuple["Settings", Any]:
    from service.records.head_file import HeadFile
    from service.settings import load_settings

    settings = load_settings(database_url=database)
    return settings, HeadFile.of(settings.data_dir, settings.database)


def _store(settings: "Settings") -> "ObjectStore | None":
    from service.records.objects.store import ObjectStore

    return None if not settings.images_url else ObjectStore(settings.images_url, settings.images_timeout_s)


def _say(step: str) -> None:
    print(f"segsort: checking {step}", file=sys.stderr, flush=True)
