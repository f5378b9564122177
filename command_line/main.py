"""The command `segsort` and its subcommands.

Starting it imports typer and the command modules only. Each command imports what it runs inside its own function, so
that `segsort --help` answers at once.
"""

import sys
from typing import Annotated

import typer

from command_line.adapt_command import adapt
from index_builder.build_commands import build, evaluate, train
from index_builder.regions_commands import app as regions_app
from index_builder.report_commands import report
from index_builder.teach_commands import new
from model_store.release_commands import app as releases_app
from service.commands import keys, segment, serve, snapshot

cli = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    """Print the version of the installed package and exit."""
    if not wanted:
        return
    from importlib.metadata import version

    print(f"segsort {version('segsort')}")
    raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Segment images, explain every label by labelled examples, and fix wrong labels while the service runs."""


for command in (serve, new, build, adapt, segment, evaluate, train, report):
    cli.command()(command)
releases_app.command()(snapshot)  # defined in service: it reads the database of edits, which model_store cannot import
cli.add_typer(releases_app, name="releases")
cli.add_typer(regions_app, name="regions")
cli.add_typer(keys, name="keys")


def app() -> None:
    """Run the command. Invalid input is reported as one line on standard error with exit status 2."""
    try:
        cli()
    except ValueError as error:
        print(f"segsort: {error}", file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    app()
