"""Our options in Locust's parser, and so on its web form."""

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from locust.argument_parser import LocustArgumentParser

from scalelag.errors import UsageError
from scalelag.options.catalog import OPTIONS, default_of
from scalelag.options.option import Option, parse_option, refuse_empty
from scalelag.plugin.parent import SECRET_VARIABLES


def add_options(parser: LocustArgumentParser) -> None:
    """Add our options to Locust's parser, each with the default that the locustfile gave it.

    Ends the process with 2 if a locustfile adds an option of the same name, before or after.
    """
    for option in OPTIONS:
        extra: dict[str, Any] = {"help": option.help, "include_in_web_ui": option.in_web}
        if option.type == "flag":
            extra |= {"action": "store_true"}
        elif option.type == "list":
            extra |= {"action": "append", "type": _argparse_type(option, str)}
        elif option.type == "choice":
            extra |= {"choices": list(option.choices)}
        else:
            base = {"text": str, "int": int, "float": float}[option.type]
            extra |= {"type": _argparse_type(option, base)}
        if option.flag in SECRET_VARIABLES:
            extra |= {"env_var": SECRET_VARIABLES[option.flag]}
        default = [] if option.type == "list" else default_of(option.dest)
        try:
            parser.add_argument(option.flag, default=default, **extra)
        except argparse.ArgumentError:
            _refuse(parser, option.flag)
    _guard(parser)


def _guard(parser: LocustArgumentParser) -> None:
    """Have options of ours added by nobody else: Locust would log a traceback, and go on without."""
    add, ours = parser.add_argument, {option.flag for option in OPTIONS}

    def checked(*names: Any, **named: Any) -> argparse.Action:  # noqa: ANN401  argparse's own
        for name in ours.intersection(names):
            _refuse(parser, name)
        return add(*names, **named)

    parser.add_argument = checked


def _refuse(parser: LocustArgumentParser, flag: str) -> NoReturn:
    parser.exit(
        UsageError.exit_code,
        f"scalelag: the locustfile adds the option {flag}, which scalelag has as well. Give it "
        "another name.\n",
    )


def _argparse_type(option: Option, base: type) -> Callable[[str], Any]:
    def convert(text: str) -> Any:  # noqa: ANN401  any option's value
        try:
            refuse_empty(option, text)
            value = base(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix(f"{option.flag}: ")) from None
        except ValueError:
            raise argparse.ArgumentTypeError(f'"{text}" is not a number') from None
        if text == "":
            return None
        try:
            parse_option(option, value)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix(f"{option.flag}: ")) from None
        return value

    convert.__name__ = base.__name__
    return convert
