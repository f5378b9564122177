"""Commands of the online side: serve, segment, releases snapshot, keys."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

keys = typer.Typer(help="API keys of the service.", no_args_is_help=True)
Images = Annotated[list[Path], typer.Argument(help="Image files, or folders of images.")]


def serve(
    release: Annotated[str | None, typer.Option(help="Name or path of a release. Default: the active release.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Serve segmentation over HTTP."""
    import gc

    import torch

    from service.app import create_app
    from service.http.keys import read_access
    from service.logs import set_up_logs
    from service.server import Server
    from service.settings import load_settings

    settings = load_settings(release=release, host=host, port=port)
    print(f"segsort: {read_access(settings).describe(settings)}", file=sys.stderr)
    set_up_logs(settings.log_format)
    torch.set_num_threads(1)  # torch does only small operations here, where more threads cost more than they save
    app = create_app(settings)
    gc.collect()
    gc.freeze()  # objects of the start live as long as the process; the collector skips them from here on
    gc.set_threshold(20_000, 10, 10)  # an answer makes some thousand objects without cycles; collect less often
    server = Server(app, settings)
    server.run()
    if not server.started:
        raise typer.Exit(3)


def snapshot(
    name: Annotated[
        str | None, typer.Argument(help="Name of the new release. Default: the old name and the number of the edit.")
    ] = None,
    release: Annotated[str | None, typer.Option(help="Name or path of a release. Default: the active release.")] = None,
) -> None:
    """Write a release with all its edits as a new release. The served release does not change."""
    from service.editing.snapshot import write_snapshot
    from service.settings import load_settings

    written = write_snapshot(load_settings(release=release), name)
    print(
        f"{written.card.name}: {len(written.exemplars)} exemplars of {len(written.card.classes)} classes at "
        f"{written.path}; run `segsort releases activate {written.card.name}` to serve it from the next start on"
    )


def segment(
    images: Images,
    out: Annotated[Path, typer.Option(help="Output folder for images and JSON.")] = Path("segments"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document on standard output; write no files.")
    ] = False,
    export: Annotated[
        str | None,
        typer.Option(
            help="Write only labels, in this format: coco, png, color-png, yolo, geojson, label-studio, cvat, labelme "
            "or csv."
        ),
    ] = None,
    with_images: Annotated[
        bool, typer.Option("--with-images", help="With --export: copy the images beside their labels.")
    ] = False,
    release: Annotated[str | None, typer.Option(help="Name or path of a release. Default: the active release.")] = None,
) -> None:
    """Segment images without a server. Writes an overlay, a label map, JSON and a sheet of exemplars per image.

    Exit status 1: an image could not be segmented; the others are written.
    """
    import json

    from service.answering.engine import Engine
    from service.answering.files import exported, found_images, output_names, segment_file
    from service.problems import Problem
    from service.records.database import Records
    from service.settings import load_settings

    if as_json and export is not None:
        raise ValueError("--json prints answers and --export writes files; give one of the two")
    files = found_images(images)
    settings = load_settings(release=release)
    engine = Engine(settings, Records("sqlite://"))
    failures: list[Path] = []

    def failed(file: Path, error: Exception) -> None:
        failures.append(file)
        print(f"{file}: {error}", file=sys.stderr)

    if export is not None:
        print(exported(engine, files, export, out, with_images, failed), file=sys.stderr)
        raise typer.Exit(1 if failures else 0)
    bodies: list[dict[str, Any]] = []
    for file, stem in zip(files, output_names(files), strict=True):
        try:
            bodies.append({"image": str(file), **segment_file(engine, file, None if as_json else out / stem)})
        except (OSError, Problem) as error:
            failed(file, error)
    if as_json:
        print(json.dumps(bodies))
    raise typer.Exit(1 if failures else 0)


class _Role(StrEnum):
    reader = "reader"
    curator = "curator"


@keys.callback()
def _keep_group() -> None:
    """Keep `new` a subcommand: typer would merge a group's only command into the group."""


@keys.command("new")
def new_key(
    name: Annotated[str, typer.Argument(help="Owner of the key; edits are signed with this name.")],
    role: Annotated[_Role, typer.Option(help="reader: segment and read; curator: edit as well.")],
) -> None:
    """Create a key. The key goes to standard error, once; the line that the service needs goes to standard output.

    `segsort keys new NAME --role curator >> keys.txt` shows the key and appends its line to the file that
    SEGSORT_API_KEYS_FILE names.
    """
    from service.http.keys import new_key as make_key

    secret, key = make_key(name, role.value)
    print(f"Key of {name}. It is shown only once. Send it as Authorization: Bearer KEY:", file=sys.stderr)
    print(secret, file=sys.stderr)
    print("Line for SEGSORT_API_KEYS_FILE, or entry of SEGSORT_API_KEYS:", file=sys.stderr, flush=True)
    print(key.line)
