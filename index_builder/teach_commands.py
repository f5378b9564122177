"""Command `segsort new`: an empty release to teach."""

from pathlib import Path
from typing import Annotated

import typer


def new(
    name: Annotated[str, typer.Argument(help="Name of the release.")],
    features: Annotated[
        str,
        typer.Option(
            help="What it sees an image with: general, filters, a release by name or path, or a transformers backbone "
            "by hub name or folder, such as facebook/dinov2-small."
        ),
    ] = "general",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the release. Default: its name among the releases of the data folder."),
    ] = None,
    working_size: Annotated[
        int | None, typer.Option(help="Longest side of the network's input, pixels. Default: 512.")
    ] = None,
    description: Annotated[str, typer.Option(help="Description for the release's card.")] = "",
) -> None:
    """Make a release without classes and exemplars. Serve it, mark a few strokes, and it segments your images."""
    from tempfile import TemporaryDirectory

    from index_builder.heads import open_features
    from index_builder.new_release import write_new
    from model_store.store import data_dir, open_store

    with TemporaryDirectory(prefix="segsort-features-") as folder:
        opened = open_features(features, open_store(), Path(folder), working_size)
        release = write_new(out or data_dir() / "releases" / name, opened, name=name, description=description)
    typer.echo(str(release.path))
