"""The `scalelag` command. Only here are errors printed and turned into exit codes."""

import sys
from collections.abc import Callable
from functools import partial, wraps
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

import scalelag
from scalelag.cli.empty_values import parsed_without_empty
from scalelag.cli.paths import check_paths
from scalelag.cli.run.config_file import parsed_with_file
from scalelag.cli.run.locust_arguments import with_passed_on, with_run_options
from scalelag.cli.run.signals import interruptible
from scalelag.cli.run.signature import run
from scalelag.cli.signature_matrix import matrix
from scalelag.cli.signature_whatif import whatif
from scalelag.cli.signatures import (
    compare,
    doctor,
    export,
    report,
    runs,
    suite,
    trend,
    tune,
)
from scalelag.errors import ScalelagError
from scalelag.foreign import sanitized_lines

_HELP = (
    "A load test for Ray Serve autoscaling. It steps the traffic up and down, and measures how long "
    "your replicas take to follow, and why."
)

app = typer.Typer(
    name="scalelag",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class _SectionedCommand(TyperCommand):
    """A command whose `--help` lists options under headings. Typer does so only with Rich's boxes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  click's
        """Refuse values that are empty, and say of those of a file where they stand."""
        parse = partial(parsed_with_file, parse=super().parse_args)
        return parsed_without_empty(self, ctx, args, parse)

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  click's, not exported
        """Write the options under their headings, in the order of the signature."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            is_argument = parameter.param_type_name == "argument"
            usual = "Arguments" if is_argument else "Options"
            title = getattr(parameter, "rich_help_panel", None) or usual
            if row is not None:
                sections.setdefault(title, []).append(row)
        # What has no heading comes last: `--help` is there for every command.
        for title in sorted(sections, key="Options".__eq__):
            with formatter.section(title):
                formatter.write_dl(sections[title])


def _exiting(command: Callable[..., int]) -> Callable[..., None]:
    """Make the result of `command` the exit code, and print its errors in one line."""

    @wraps(command)
    def exiting(*args: object, **kwargs: object) -> None:
        try:
            with interruptible():
                check_paths([*args, *kwargs.values()])
                code = command(*args, **kwargs)
        except ScalelagError as error:
            print(f"scalelag: {sanitized_lines(str(error))}", file=sys.stderr)
            code = error.exit_code
        raise typer.Exit(code)

    return exiting


class _RunCommand(_SectionedCommand):
    """A command that runs, and passes on to Locust what is Locust's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  click's
        """Take the arguments for Locust as values of one option."""
        return super().parse_args(ctx, with_passed_on(args))


class _SuiteCommand(_SectionedCommand):
    """`scalelag suite`, which passes on to `scalelag run` what is its."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  click's
        """Take the arguments for `scalelag run` as values of one option."""
        return super().parse_args(ctx, with_run_options(args))


for _command in (run, matrix):
    app.command(name=_command.__name__, cls=_RunCommand)(_exiting(_command))
app.command(name=suite.__name__, cls=_SuiteCommand)(_exiting(suite))
for _command in (report, compare, whatif, tune, runs, trend, export, doctor):
    app.command(name=_command.__name__, cls=_SectionedCommand)(_exiting(_command))


def _print_version(value: bool) -> None:  # noqa: FBT001  typer calls it with the option's value
    if value:
        print(f"scalelag {scalelag.__version__}")
        raise typer.Exit


@app.callback(help=_HELP)
def _options(  # pyright: ignore[reportUnusedFunction]  typer calls it
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Take the options of `scalelag` itself."""
