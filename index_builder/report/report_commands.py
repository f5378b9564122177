"""Command of the page of results: report."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs: recipes, logs, evaluations, sweeps.")],
    out: Annotated[
        Path | None, typer.Option(help="The page to write, such as docs/results.md; plots go into docs/results.")
    ] = None,
    release: Annotated[
        str | None, typer.Option(help="Name or path of the release that paints pictures; else the bundled one.")
    ] = None,
    note: Annotated[str, typer.Option(help="A paragraph to stand above everything.")] = "",
    pictures: Annotated[bool, typer.Option(help="Whether pictures are painted.")] = True,
    collect: Annotated[
        Path | None,
        typer.Option(help="First copy the runs' small files into a folder here; the page is made of those."),
    ] = None,
) -> None:
    """Write a page of tables, plots and pictures from the JSON of runs: no figure is typed by hand."""
    from index_builder.report.page_writer import write_page
    from index_builder.report.run_copy import collect as copy

    if out is None and collect is None:
        raise ValueError("nothing to write; give --out PAGE.md, --collect FOLDER, or both")
    folders = copy(runs, collect) if collect is not None else list(runs)
    if out is not None:
        write_page(folders, out, release, note, pictures)
    typer.echo(str(out or collect))
