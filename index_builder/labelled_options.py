"""Options of commands that read labelled images: `segsort build`, `segsort evaluate` and `segsort quantise`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Device = Literal["cpu", "cuda"]
Data = Annotated[
    Path | None, typer.Argument(help="Folder or file of labelled images; its format is detected, see --format.")
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        help="Format of the labelled images, such as coco, voc, yolo or folder. Default: the one that is found.",
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        help='JSON file that renames, merges and ignores classes: {"truck": "vehicle", "car": "vehicle", "sky": null}.'
    ),
]
NamedDataset = Annotated[
    str | None, typer.Option(help="Instead of DATA, with --root: streets (painted), camvid or another format.")
]
