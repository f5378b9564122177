"""Commands `segsort images ...`: where the content of stored images is, and how to move it."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.records.database import Records

app = typer.Typer(help="Stored images: the database or an object store.", no_args_is_help=True)


class Place(StrEnum):
    """Where the content of images may be."""

    STORE = "store"
    DATABASE = "database"


@app.command()
def check() -> None:
    """Write, read and delete a file in the image store of the settings, and look for one of the images."""
    records = _records()
    records.images.check()
    figures, objects = records.room.figures, records.images.objects
    records.close()
    url = "no image store is set" if objects is None else f"the image store {objects.store.url} can be used"
    typer.echo(f"{url}; bytes of images: {figures.object_bytes} there, {figures.image_bytes} in the database")


@app.command()
def move(
    to: Annotated[Place, typer.Option(help="Where the content goes: `store`, or back to the `database`.")],
) -> None:
    """Move the content of all stored images, also while the service runs. A second call does what is left.

    Exit status 1: some images were not moved; each is named with the reason.
    """
    from service.records.objects.moving import to_database, to_store

    records = _records()
    if records.images.objects is None:
        raise ValueError("SEGSORT_IMAGES_URL is not set; set it to the URL of the store, such as s3://bucket/images")
    records.images.check()
    way = to_store if to is Place.STORE else to_database
    moved = failed = size = 0
    for one in way(records.engine, records.images.objects.store):
        if one.fault is None:
            moved, size = moved + 1, size + one.size
        else:
            failed += 1
            typer.echo(f"image {one.image_id} was not moved: {one.fault}", err=True)
    records.close()
    typer.echo(f"{moved} images ({size} bytes) were moved to the {to.value}; {failed} were not")
    if to is Place.STORE and moved:
        typer.echo("`segsort database vacuum` gives the space of an SQLite file back to the disk at once")
    raise typer.Exit(1 if failed else 0)


def _records() -> "Records":
    from service.records.database import Records
    from service.settings import load_settings

    return Records.of(load_settings())
