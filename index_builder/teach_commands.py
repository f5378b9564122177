"""Command `segsort new`: an empty release to teach."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from model_store.store import ReleaseStore


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
    remove_positional_bias: Annotated[
        bool, typer.Option(help="Subtract from a transformers backbone on patches what depends on position only.")
    ] = False,
    description: Annotated[str, typer.Option(help="Description for the release's card.")] = "",
) -> None:
    """Make a release without classes and exemplars. Serve it, mark a few strokes, and it segments your images."""
    from tempfile import TemporaryDirectory

    from index_builder.heads import open_features
    from index_builder.new_release import write_new
    from model_store.store import open_store

    store = open_store()
    out = out or _free_folder(name, store)
    with TemporaryDirectory(prefix="segsort-features-") as folder:
        opened = open_features(
            features, store, Path(folder), working_size, remove_positional_bias=remove_positional_bias
        )
        release = write_new(out, opened, name=name, description=description)
    typer.echo(str(release.path))


def _free_folder(name: str, store: "ReleaseStore") -> Path:
    """The folder of a new release in the data folder.

    Raises:
        ValueError: if the name cannot be that of a folder, or a release has it.
    """
    from model_store.store import data_dir

    if not name or name != Path(name).name or name.startswith("."):
        raise ValueError(f"the name {name!r} cannot be that of a folder; give one without slashes and leading dots")
    for release in store.list():
        if release.name == name:
            raise ValueError(f"a release named {name!r} exists in {release.path}; choose another name")
    return data_dir() / "releases" / name
