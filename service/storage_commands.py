"""Commands `segsort database ...`: sizes, pruning, compaction and vacuum, with or without a running service."""

from typing import Annotated

import typer

app = typer.Typer(help="Sizes of the database, and what makes it smaller.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show what the database holds, how much space that takes, and how much is left."""
    import json

    from service.records.database import Records
    from service.records.tables import iso
    from service.settings import load_settings

    records = Records.of(load_settings())
    figures, left = records.room.figures, records.room.left
    records.close()
    found = figures._asdict() | {"oldest": None if figures.oldest is None else iso(figures.oldest), "left": left}
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        typer.echo(f"{name.replace('_', ' ')}: {'-' if value is None else value}")


@app.command()
def prune() -> None:
    """Delete the answers past the retention that the settings name, now."""
    from service.records.database import Records
    from service.settings import load_settings

    records = Records.of(load_settings())
    if not records.pruner.retention.is_set:
        raise ValueError(
            "no retention is set, so there is nothing to prune; set SEGSORT_RETENTION_ANSWERS, SEGSORT_RETENTION_DAYS "
            "or SEGSORT_RETENTION_MB"
        )
    deleted = records.pruner.all()
    typer.echo(f"{deleted} answers were deleted, {records.room.figures.answers - deleted} are left")
    records.close()


@app.command()
def compact() -> None:
    """Write the answers of earlier versions in the space of new ones, without loss."""
    from model_store.store import kept_releases, open_store
    from service.answering.catalogue import ReleaseCatalogue
    from service.answering.examination import Examination
    from service.problems import Problem
    from service.records.answered import Answered
    from service.records.compaction import compact as rewrite
    from service.records.database import Records
    from service.records.follower import Follower
    from service.records.live_release import LiveRelease
    from service.settings import load_settings

    settings = load_settings()
    records = Records.of(settings)
    follower, kept = (
        Follower(records.engine, examine=Examination(settings, records.images)),
        kept_releases(settings.data_dir),
    )
    catalogue = ReleaseCatalogue(open_store(settings.data_dir), kept, follower, "cpu", records.engine)

    def release_of(answered: Answered) -> LiveRelease | None:
        try:
            return catalogue.release_of(answered)
        except (Problem, ValueError):  # the release is gone, or its edits do not fit it
            return None

    done, left = rewrite(records, release_of)
    records.close()
    typer.echo(f"{done} answers were compacted; {left} were left as they are, because their release is not here")
    if done:
        typer.echo("`segsort database vacuum` gives the space back to the disk")


@app.command("vacuum")
def vacuum_() -> None:
    """Write the database file again without unused space. It is locked meanwhile: stop the service before."""
    from service.records.database import Records
    from service.records.vacuum import vacuum
    from service.settings import load_settings

    records = Records.of(load_settings())
    before = records.room.figures.unused
    vacuum(records.engine)
    records.close()
    typer.echo(f"done; {before} bytes were unused")
