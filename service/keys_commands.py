"""Commands `segsort keys ...`: create API keys."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

app = typer.Typer(help="API keys of the service.", no_args_is_help=True)


class _Role(StrEnum):
    reader = "reader"
    curator = "curator"


@app.callback()
def _group() -> None:
    """Keep `new` a subcommand: typer would merge a group's only command into the group."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Owner of the key; edits are signed with this name.")],
    role: Annotated[_Role, typer.Option(help="reader: segment and read; curator: edit as well.")],
) -> None:
    """Create a key. The key goes to standard error, once; the line that the service needs goes to standard output.

    `segsort keys new NAME --role curator >> keys.txt` shows the key and appends its line to the file that
    SEGSORT_API_KEYS_FILE names.
    """
    from service.http.keys import new_key

    secret, key = new_key(name, role.value)
    print(f"Key of {name}. It is shown only once. Send it as Authorization: Bearer KEY:", file=sys.stderr)
    print(secret, file=sys.stderr)
    print("Line for SEGSORT_API_KEYS_FILE, or entry of SEGSORT_API_KEYS:", file=sys.stderr, flush=True)
    print(key.line)
