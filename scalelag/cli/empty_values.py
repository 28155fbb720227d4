"""Empty values on the command line, as of a variable without a value: none is taken for "not given"."""

from collections.abc import Callable, Iterator
from typing import Any

import typer

from scalelag.cli.run.config_file import MAY_BE_EMPTY

_FILE = "config"
"""Option with the file whose values an empty one takes away."""


def parsed_without_empty(
    command: Any,  # noqa: ANN401  typer does not export click's types
    ctx: Any,  # noqa: ANN401
    args: list[str],
    parse: Callable[[Any, list[str]], list[str]],
) -> list[str]:
    """Return what `parse` leaves of `args`, in which an empty value takes away the file's.

    Raises typer.BadParameter naming the option or argument of any other that is empty.
    """
    empty = list(_empty(command, ctx, list(args)))
    takes_file = any(param.name == _FILE for param in command.params)
    for param in empty:
        if not takes_file or param.name == _FILE or param.param_type_name == "argument":
            raise _refusal(ctx, param)
    try:
        left = parse(ctx, args)
    except typer.BadParameter as error:
        if error.param in empty:  # no number, or no file
            raise _refusal(ctx, error.param) from None
        raise
    for param in empty:
        if param.name not in (ctx.default_map or {}):
            raise _refusal(ctx, param)
        ctx.params[param.name] = None
    return left


def _empty(command: Any, ctx: Any, args: list[str]) -> Iterator[Any]:  # noqa: ANN401
    """Parameters that are given with an empty text, which a path would not show any more."""
    given, _, order = command.make_parser(ctx).parse_args(args=args)
    for param in dict.fromkeys(order):
        value = given.get(param.name)
        values = value if isinstance(value, list | tuple) else (value,)
        if "" in values and param.name not in MAY_BE_EMPTY:
            yield param


def _refusal(ctx: Any, param: Any) -> typer.BadParameter:  # noqa: ANN401
    return typer.BadParameter(
        "this is empty. Leave it out, or give it a value.", ctx=ctx, param=param
    )
