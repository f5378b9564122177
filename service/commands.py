"""Commands of the online side: serve, segment, releases snapshot, keys."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from service.answering.engine import Engine

keys = typer.Typer(help="API keys of the service.", no_args_is_help=True)
Images = Annotated[list[Path], typer.Argument(help="Image files.")]


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
    release: Annotated[str | None, typer.Option(help="Name or path of a release. Default: the active release.")] = None,
) -> None:
    """Segment images without a server. Writes an overlay, a label map, JSON and a sheet of exemplars per image."""
    import json

    from service.answering.engine import Engine
    from service.problems import Problem
    from service.records.database import Records
    from service.settings import load_settings

    settings = load_settings(release=release)
    engine = Engine(settings, Records("sqlite://"))
    bodies: list[dict[str, Any]] = []
    failed = False
    for file, stem in zip(images, _stems(images), strict=True):
        try:
            bodies.append({"image": str(file), **_segment_one(engine, file, None if as_json else out / stem)})
        except (OSError, Problem) as error:
            failed = True
            print(f"{file}: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps(bodies))
    raise typer.Exit(1 if failed else 0)


def _stems(images: Sequence[Path]) -> list[str]:
    """Return one unique output name per image: its file name without suffix, numbered if several share it."""
    stems: list[str] = []
    for file in images:
        stem, number = file.stem, 1
        while stem in stems:
            number += 1
            stem = f"{file.stem}-{number}"
        stems.append(stem)
    return stems


def _segment_one(engine: "Engine", file: Path, out: Path | None) -> dict[str, Any]:
    """Segment one file. With `out`, also write `out`.overlay.png, .labels.png, .json and .exemplars.png.

    Raises:
        OSError: if the file cannot be read or an output cannot be written.
        Problem: if the file is not an image that the service accepts.
    """
    import json

    import numpy as np

    from segsort.masks import decode_rle
    from service.answering.limits import SegmentRequest
    from service.images.decode import decode
    from service.images.drawing import contact_sheet, label_map_png, overlay

    content = file.read_bytes()
    answer = engine.segment(content, SegmentRequest())
    body: dict[str, Any] = answer.body
    if out is None:
        return body
    image = decode(content, engine.settings.max_pixels)
    release, classes = engine.served.release, engine.served.release.card.classes
    size = (int(body["height"]), int(body["width"]))
    labels = np.zeros(size, dtype=np.int32)
    for n, entry in enumerate(body["segments"]):
        labels[decode_rle(entry["mask"]["counts"], size)] = n
    out.parent.mkdir(parents=True, exist_ok=True)
    overlay(image, answer.class_map, labels, classes).save(f"{out}.overlay.png")
    Path(f"{out}.labels.png").write_bytes(label_map_png(answer.class_map, classes))
    Path(f"{out}.json").write_text(json.dumps(body))
    contact_sheet(image, labels, body, release, release.rows).save(f"{out}.exemplars.png")
    print(f"{file}: {len(body['segments'])} segments, {out}.*", file=sys.stderr)
    return body


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
