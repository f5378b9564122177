"""Commands of the online side: serve, segment, releases snapshot."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Images = Annotated[list[Path], typer.Argument(help="Image files.")]


def serve(
    release: Annotated[str | None, typer.Option(help="Name or path of a release; the active one if left out.")] = None,
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
    torch.set_num_threads(1)  # what torch does here is small; its threads would only wait for each other
    app = create_app(settings)
    gc.collect()
    gc.freeze()  # what is there now stays: the collector need not walk through all of it while requests are answered
    gc.set_threshold(20_000, 10, 10)  # an answer is some thousand objects, none of them in a circle
    server = Server(app, settings)
    server.run()
    if not server.started:
        raise typer.Exit(3)


def snapshot(
    name: Annotated[
        str | None, typer.Argument(help="Name of the new release; that of the old one and the edit.")
    ] = None,
    release: Annotated[str | None, typer.Option(help="Name or path of a release; the active one if left out.")] = None,
) -> None:
    """Write a release, as edits left it, as a new release. The one that is served stays as it is."""
    from service.editing.snapshot import write_snapshot
    from service.settings import load_settings

    written = write_snapshot(load_settings(release=release), name)
    print(
        f"{written.card.name}: {len(written.exemplars)} exemplars of {len(written.card.classes)} classes at "
        f"{written.path}; `segsort releases activate {written.card.name}` serves it from the next start on"
    )


def segment(
    images: Images,
    out: Annotated[Path, typer.Option(help="Folder for the pictures and the JSON.")] = Path("segments"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output, no files.")] = False,
    release: Annotated[str | None, typer.Option(help="Name or path of a release.")] = None,
) -> None:
    """Segment images without a server: overlay, label map, JSON and a sheet of the exemplars of each."""
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


def _stems(images: list[Path]) -> list[str]:
    """Names for what is written: the files' own without their ending, numbered where several share one."""
    stems: list[str] = []
    for file in images:
        stem, number = file.stem, 1
        while stem in stems:
            number += 1
            stem = f"{file.stem}-{number}"
        stems.append(stem)
    return stems


def _segment_one(engine: Any, file: Path, out: Path | None) -> dict[str, Any]:
    """Segment one file and, with `out`, write what a person looks at: `out`.overlay.png and others."""
    import json

    import numpy as np

    from segsort.masks import decode_rle
    from service.answering.engine import Request
    from service.images.decode import decode
    from service.images.drawing import contact_sheet, label_map_png, overlay

    content = file.read_bytes()
    answer = engine.segment(content, Request())
    body: dict[str, Any] = answer.body
    if out is None:
        return body
    image = decode(content, engine.settings.max_pixels)
    release, classes = engine.served.release, engine.served.release.card.classes
    labels = np.zeros(answer.class_map.shape, dtype=np.int32)
    for n, entry in enumerate(body["segments"]):
        labels[decode_rle(entry["mask"]["counts"], labels.shape)] = n
    out.parent.mkdir(parents=True, exist_ok=True)
    overlay(image, answer.class_map, labels, classes).save(f"{out}.overlay.png")
    Path(f"{out}.labels.png").write_bytes(label_map_png(answer.class_map, classes))
    Path(f"{out}.json").write_text(json.dumps(body))
    contact_sheet(image, labels, body, release, release.rows).save(f"{out}.exemplars.png")
    print(f"{file}: {len(body['segments'])} segments, {out}.*", file=sys.stderr)
    return body
