"""Command `segsort report`: write a page of results."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of training runs and evaluations.")] = [],
    out: Annotated[
        Path | None,
        typer.Option(help="Page to write, such as docs/results.md. Plots go to the folder of the same name beside it."),
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(help="Name or path of the release that segments example images. Default: the bundled release."),
    ] = None,
    claims: Annotated[
        Path | None,
        typer.Option(help="Folder of benchmarks.street_scores: write the short page of headline tables instead."),
    ] = None,
    note: Annotated[str, typer.Option(help="A paragraph for the top of the page.")] = "",
    images: Annotated[bool, typer.Option(help="Include example images.")] = True,
    pictures: Annotated[bool, typer.Option(hidden=True, help="Earlier name of --images.")] = True,
    collect: Annotated[
        Path | None,
        typer.Option(help="First copy the runs' small files to this folder, and write the page from them."),
    ] = None,
) -> None:
    """Write a page of tables, plots and images from the JSON files of runs. No number is typed by hand."""
    from index_builder.report import collect as copy
    from index_builder.report import write_headlines, write_page

    if claims is not None:
        if out is None or runs or collect is not None:
            raise ValueError("--claims writes a page of its own: give --out PAGE.md, and neither runs nor --collect")
        write_headlines(claims, out, release)
        typer.echo(str(out))
        return
    if not runs:
        raise ValueError("there are no runs; give their folders, or that of benchmarks.street_scores with --claims")
    if out is None and collect is None:
        raise ValueError("there is nothing to write; give --out PAGE.md, --collect FOLDER, or both")
    folders = copy(runs, collect) if collect is not None else list(runs)
    if out is not None:
        write_page(folders, out, release, note, images and pictures)
    typer.echo(str(out or collect))
