"""The command `segsort`: one sub-command for each thing that can be done."""

import sys

import typer

from index_builder.build_commands import build, evaluate, train
from index_builder.regions.regions_commands import app as regions_app
from index_builder.report.report_commands import report
from model_store.release_commands import app as releases_app
from service.commands import segment, serve, snapshot
from service.keys_commands import app as keys_app

cli = typer.Typer(
    help="Image segmentation that can be argued with.", no_args_is_help=True, pretty_exceptions_enable=False
)
for command in (serve, segment, train, build, evaluate, report):
    cli.command()(command)
releases_app.command()(snapshot)  # it reads the database of edits, which the store does not know
cli.add_typer(releases_app, name="releases")
cli.add_typer(regions_app, name="regions")
cli.add_typer(keys_app, name="keys")


def app() -> None:
    """Run the command; a fault of what was given becomes one line on standard error and exit status 2."""
    try:
        cli()
    except ValueError as error:
        print(f"segsort: {error}", file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    app()
