"""Defaults of our options that a locustfile sets, in the process that has loaded it."""

from typing import TYPE_CHECKING, Any

from scalelag.errors import UsageError
from scalelag.options.catalog import OPTIONS, add_options

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser

_defaults: dict[str, Any] = {o.dest: o.default for o in OPTIONS if o.type != "list"}


def set_defaults(**defaults: Any) -> None:  # noqa: ANN401  any option's value
    """Set them. Raises UsageError where there is no such option, or it is a list."""
    if unknown := sorted(defaults.keys() - _defaults.keys()):
        raise UsageError(f"attach({unknown[0]}=..) in a locustfile: no option that can have one.")
    _defaults.update(defaults)


def default_of(dest: str) -> Any:  # noqa: ANN401  any option's value
    """The default of one option."""
    return _defaults[dest]


def add_options_with_defaults(parser: "LocustArgumentParser") -> None:
    """Add our options to Locust's parser, and so to its web form."""
    add_options(parser)
    parser.set_defaults(**_defaults)
