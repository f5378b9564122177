"""Commands `segsort releases ...`: which releases there are, whether they are whole, which one is active."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from model_store.release import Release, read_card
from model_store.store import open_store

app = typer.Typer(
    help="Which releases there are, whether they are whole, and which one is active.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Name of a release of the store.")]
NameOrPath = Annotated[str | None, typer.Argument(help="Name or folder of a release; the active one if left out.")]


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """List the releases of the store."""
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
    opened = Release.open(open_store().resolve(release))
    typer.echo(
        f"{opened.card.name} is whole: {opened.index.ntotal} exemplars of {len(opened.card.classes)} classes in "
        f"{len(opened.sources)} images"
    )


@app.command()
def activate(name: Name) -> None:
    """Serve this release from the next start on."""
    open_store().activate(name)
    typer.echo(f"{name} is active")


@app.command()
def rollback() -> None:
    """Serve the release that was active before, from the next start on."""
    typer.echo(f"{read_card(open_store().rollback()).name} is active again")
