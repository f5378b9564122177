"""Commands of keys: new."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

app = typer.Typer(help="Keys that callers of the service present.", no_args_is_help=True)


class _Role(StrEnum):
    reader = "reader"
    curator = "curator"


@app.callback()
def _group() -> None:
    """Keep `new` a sub-command although it is the only one."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Whose key it is; edits are signed with this name.")],
    role: Annotated[_Role, typer.Option(help="reader: ask and look; curator: edit too.")],
) -> None:
    """Make a key. It is shown once, on standard error; the line to keep of it goes to standard output.

    So `segsort keys new NAME --role curator >> keys.txt` shows the key and adds what SEGSORT_API_KEYS_FILE needs.
    """
    from service.http.keys import new_key

    secret, key = new_key(name, role.value)
    print(f"The key of {name}, shown this once; present it as Authorization: Bearer KEY:", file=sys.stderr)
    print(secret, file=sys.stderr)
    print("The line of SEGSORT_API_KEYS_FILE or entry of SEGSORT_API_KEYS:", file=sys.stderr, flush=True)
    print(key.line)
