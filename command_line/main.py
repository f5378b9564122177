"""The command `segsort` and its subcommands.

Starting it imports typer and the command modules only. Each command imports what it runs inside its own function, so
that `segsort --help` answers at once.
"""

import sys
from typing import Annotated

import typer

from command_line.adapt_command import adapt
from command_line.carry_command import carry
from command_line.segment_command import segment
from index_builder.build_commands import build
from index_builder.evaluate_commands import evaluate
from index_builder.quantise_commands import quantise
from index_builder.regions_commands import app as regions_app
from index_builder.report_commands import report
from index_builder.teach_commands import new
from index_builder.train_commands import train
from model_store.release_commands import app as releases_app
from service.commands import kept, keys, serve, snapshot
from service.image_commands import app as images_app
from service.storage_commands import app as database_app
from service.verifying.commands import recover, verify

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


for command in (serve, new, build, quantise, adapt, segment, evaluate, train, report, verify, recover):
    cli.command()(command)
for of_releases in (snapshot, carry, kept):  # in service: they read the database, which model_store cannot import
    releases_app.command()(of_releases)
cli.add_typer(releases_app, name="releases")
cli.add_typer(regions_app, name="regions")
cli.add_typer(keys, name="keys")
cli.add_typer(database_app, name="database")
cli.add_typer(images_app, name="images")


def app() -> None:
    """Run the command. Invalid input, and PyTorch where it is missing, is reported as one line, with exit status 2."""
    try:
        cli()
    except ValueError as error:
        print(f"segsort: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        print("segsort: this command needs PyTorch, which is not installed: pip install torch", file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    app()
