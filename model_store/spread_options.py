"""Options of commands that spread their work over processes with Ray: `segsort build` and `segsort segment`."""

from typing import Annotated

import typer

Workers = Annotated[
    int | None, typer.Option(help="With --engine ray: processes that work. Default: one for each core.")
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        help="With --engine ray: a running cluster that this machine is part of, auto or HOST:PORT. Default: one "
        "is started on this machine and ends with the command."
    ),
]
Gpus = Annotated[float, typer.Option(help="With --engine ray: share of a GPU for each worker.")]
SendFiles = Annotated[
    bool,
    typer.Option("--send-files", help="With --ray-address: send images to nodes that cannot read them by path."),
]
