"""The `scalelag` command. Only here are errors printed and turned into exit codes."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated

import typer

import scalelag
from scalelag.cli.compare import compare
from scalelag.cli.doctor import doctor
from scalelag.cli.export import export
from scalelag.cli.report import report
from scalelag.cli.run.command import run
from scalelag.cli.runs import runs, trend
from scalelag.errors import ScalelagError

app = typer.Typer(
    name="scalelag",
    help="Stepped load for Ray Serve: how long until the replicas follow, and where it goes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _exiting(command: Callable[..., int]) -> Callable[..., None]:
    """`command`, its result taken as the exit code, and its errors said in one line."""

    @wraps(command)
    def exiting(*args: object, **kwargs: object) -> None:
        try:
            code = command(*args, **kwargs)
        except ScalelagError as error:
            print(f"scalelag: {error}", file=sys.stderr)
            code = error.exit_code
        raise typer.Exit(code)

    return exiting


for _command in (run, report, compare, runs, trend, export, doctor):
    app.command(name=_command.__name__)(_exiting(_command))


def _print_version(value: bool) -> None:  # noqa: FBT001  typer calls it with the option's value
    if value:
        print(f"scalelag {scalelag.__version__}")
        raise typer.Exit


@app.callback()
def _options(  # pyright: ignore[reportUnusedFunction]  typer calls it
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and end.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Stepped load for Ray Serve: how long until the replicas follow, and where it goes."""
