"""Options of `scalelag run` from a file: `scalelag.toml`, or `[tool.scalelag]` in pyproject.toml."""

import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from scalelag.cli.run.locust_arguments import PASSED_ON, RUN_OPTION
from scalelag.errors import UsageError
from scalelag.options.catalog import OPTIONS
from scalelag.options.option import parse_option
from scalelag.options.toml_file import MIX_KEYS, PROJECT_FILE, nearest, read_table
from scalelag.plan.events import below

_OWN_FILE = "scalelag.toml"
_REQUESTS = "requests"
MAY_BE_EMPTY = frozenset(option.dest for option in OPTIONS if option.may_be_empty) | {
    name.removeprefix("--").replace("-", "_") for name in (PASSED_ON, RUN_OPTION)
}
"""Options for which an empty text is a value, such as an argument that is somebody else's."""
# Relative ones count from the file's folder, so that a run can be started from anywhere.
# What took one value before it could be repeated.
_ONCE_ONE = ("slo",)
_PATHS = frozenset(option.dest for option in OPTIONS if option.is_path) | {
    "app_dir",
    "autoscaling",
    "locustfile",
    "workers_runtime_env",
    "app_requirements",
}


class Kind(Enum):
    """Number of values that an option takes."""

    ONE = "one value"
    SEVERAL = "a list of values"
    FLAG = "true or false"


def read_options(path: Path, kinds: Mapping[str, Kind]) -> dict[str, str | bool | list[str]]:
    """Return the options in a file by their names with underscores, as on the command line.

    `kinds` are the options that exist. Raises UsageError naming the file and the key.
    """
    table = read_table(path)
    if table is None:
        raise UsageError(f"{path} has no [tool.scalelag].")
    options: dict[str, str | bool | list[str]] = {}
    if any(key in table for key in MIX_KEYS):
        if _REQUESTS in table:
            raise UsageError(f"{path}: {_REQUESTS} and [[request]]: give one of the two.")
        # The tables are read with the other options of the run.
        options[_REQUESTS] = str(path)
    for key, value in table.items():
        if key in MIX_KEYS:
            continue
        name = key.replace("-", "_")
        if name not in kinds:
            raise UsageError(f"{path}: {_unknown(key, kinds)}")
        if name in options:
            raise UsageError(f"{path}: {key} is given twice, with - and with _.")
        options[name] = _value(path, key, value, kinds[name])
    return options


def find() -> Path | None:
    """Return the file with options in the current folder, if there is one."""
    for name in (_OWN_FILE, PROJECT_FILE):
        path = Path(name)
        if path.is_file() and read_table(path) is not None:
            return path
    return None


def _unknown(key: str, kinds: Mapping[str, Kind]) -> str:
    names = [*(name.replace("_", "-") for name in kinds), *MIX_KEYS]
    hint = nearest(key.replace("_", "-"), names, "see docs/commands.md for all of them.")
    return f'there is no option "{key}"; {hint}'


def _value(path: Path, key: str, value: object, kind: Kind) -> str | bool | list[str]:
    if kind is Kind.FLAG and isinstance(value, bool):
        return value
    if key in _ONCE_ONE and isinstance(value, str):
        return [value]
    if kind is Kind.SEVERAL and isinstance(value, list):
        return [_text(path, key, one, kind) for one in value]
    if kind is not Kind.ONE:
        raise UsageError(f"{path}: {key} takes {kind.value}.")
    return _text(path, key, value, kind)


def _text(path: Path, key: str, value: object, kind: Kind) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{path}: {key} takes {kind.value}.")
    if "\0" in str(value):
        raise UsageError(f"{path}: {key} has a NUL character in it.")
    if value == "" and key.replace("-", "_") not in MAY_BE_EMPTY:
        raise UsageError(f"{path}: {key} is empty. Take it out, or give it a value.")
    is_file = key == "app" and str(value).endswith((".yaml", ".yml"))
    if is_file or key.replace("-", "_") in _PATHS:
        return str(path.parent / str(value))
    if key == "event":
        return below(str(value), path.parent)
    return str(value)


def _take(context: typer.Context, path: Path | None) -> Path | None:
    """Make the values in the file the defaults of the command's other options."""
    kinds = kinds_of(context.command.params)
    try:
        found = path or find()
        if found is not None:
            context.default_map = dict(read_options(found, kinds))
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error
    if found is not None:
        print(f"scalelag: options of {found}", file=sys.stderr)
    return found


def parsed_with_file(
    ctx: Any,  # noqa: ANN401  typer does not export click's types
    args: list[str],
    parse: Callable[[Any, list[str]], list[str]],
) -> list[str]:
    """Return what `parse` leaves of `args`.

    Raises typer.BadParameter naming the file and the key of a value in it that its option refuses;
    one that the command line overrides is not looked at.
    """
    try:
        left = parse(ctx, args)
    except typer.BadParameter as error:
        param: Any = error.param
        if param is None or not _is_of_file(ctx, param.name):
            raise
        key = param.name.replace("_", "-")
        raise typer.BadParameter(f"{ctx.params['config']}: {key}: {error.message}") from None
    for option in (one for one in OPTIONS if _is_of_file(ctx, one.dest)):
        value = ctx.params[option.dest]
        try:
            for one in value if isinstance(value, list | tuple) else (value,):
                parse_option(option, one)
        except UsageError as error:
            said = str(error).removeprefix("--")
            raise typer.BadParameter(f"{ctx.params['config']}: {said}") from error
    return left


def _is_of_file(ctx: Any, name: str) -> bool:  # noqa: ANN401
    """Return whether the value of a parameter is the one in the file."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "DEFAULT_MAP"


def kinds_of(parameters: Sequence[Any]) -> dict[str, Kind]:
    """Return the kinds of the options that a file may hold, by name, from typer's parameters."""
    return {
        option.name: _kind(option)
        for option in parameters
        if option.param_type_name == "option" and option.name not in ("config", "help")
    }


def _kind(option: Any) -> Kind:  # noqa: ANN401  typer does not export the type of its options
    if option.is_flag:
        return Kind.FLAG
    return Kind.SEVERAL if option.multiple else Kind.ONE


Config = Annotated[
    Path | None,
    typer.Option(
        help=f"File with options. Default: {_OWN_FILE}, or [tool.scalelag] in {PROJECT_FILE}.",
        callback=_take,
        is_eager=True,
    ),
]
