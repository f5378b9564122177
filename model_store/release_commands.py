"""Commands `segsort releases ...`: list, verify and activate releases."""

from typing import Annotated

import typer

app = typer.Typer(help="List, verify and activate releases.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of a stored release.")]
NameOrPath = Annotated[str | None, typer.Argument(help="Name or folder of a release. Default: the active release.")]


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")] = False,
) -> None:
    """List the stored releases."""
    import json

    from rich.console import Console
    from rich.table import Table

    from model_store.store import open_store

    releases = open_store().list()
    if as_json:
        entries = [{**vars(release), "path": str(release.path)} for release in releases]
        typer.echo(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    table = Table("", "name", "created", "description")
    for release in releases:
        mark = "active" if release.active else ""
        table.add_row(mark, release.name, release.created, release.problem or release.description)
    Console().print(table)


@app.command()
def verify(release: NameOrPath = None) -> None:
    """Compare every file of a release with its checksum."""
    from model_store.release import Release
    from model_store.store import open_store

    opened = Release.open(open_store().resolve(release))
    typer.echo(
        f"{opened.card.name} is intact: {opened.index.ntotal} exemplars of {len(opened.card.classes)} classes in "
        f"{len(opened.sources)} images"
    )


@app.command()
def activate(name: Name) -> None:
    """Serve this release from the next start on."""
    from model_store.store import open_store

    open_store().activate(name)
    typer.echo(f"{name} is active")


@app.command()
def rollback() -> None:
    """Serve the previously active release again, from the next start on."""
    from model_store.release import read_card
    from model_store.store import open_store

    typer.echo(f"{read_card(open_store().rollback()).name} is active again")
