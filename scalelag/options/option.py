"""An option of a run: its description, and its value from text to type."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import msgspec

from scalelag.errors import UsageError
from scalelag.foreign import shortened

Section = Literal[
    "Load", "Request", "Prompts", "gRPC", "Cluster", "Measurement", "Verdict", "Output"
]
"""Headings under which `--help` and the form list the options."""

_KEPT_VALUES = 256


class Option(msgspec.Struct, frozen=True):
    """Everything that is said about one option.

    `label` is its short name for people. `parse` makes the typed value, or raises UsageError.
    `in_web`: it is a field of the form. `form_rank`: place among the fields that
    the form shows unfolded; None for the others.
    `names`: its value names a file or code of this machine, which the form may use as it was given,
    or leave out, and not change.
    `comparable`: two runs with different values can still be compared.
    `needs`: the option without which it has no meaning, by its `dest`.
    `may_be_empty`: an empty text takes away the default of a locustfile.
    """

    flag: str
    label: str
    section: Section
    help: str
    type: Literal["text", "int", "float", "flag", "list", "choice"] = "text"
    default: str | int | float | bool | None = None
    choices: tuple[str, ...] = ()
    parse: Callable[[Any], Any] | None = None
    in_web: bool = True
    form_rank: int | None = None
    names: Literal["path", "code"] | None = None
    comparable: bool = False
    needs: str | None = None
    may_be_empty: bool = False

    @property
    def dest(self) -> str:
        """Name of the parsed value."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def is_local(self) -> bool:
        """Return whether the value names a file or code of this machine."""
        return self.names is not None

    @property
    def is_path(self) -> bool:
        """Return whether the value is the path of a file or folder of this machine."""
        return self.names == "path"


def parse_option(option: Option, value: Any) -> Any:  # noqa: ANN401  any option's value
    """Return the typed value of one option, or of one item of a list; None stays None.

    Raises UsageError that names the option.
    """
    if isinstance(value, str) and not _is_text(value):
        raise UsageError(f"{option.flag}: {value!r} is no text in UTF-8.")
    if option.choices and value not in option.choices:
        raise UsageError(f"{option.flag} {shortened(value)}: choose {' or '.join(option.choices)}.")
    if option.parse is None or value is None:
        return value
    try:
        return _parsed(option.parse, value)
    except UsageError as error:
        said = str(error).replace(str(value), shortened(str(value)))
        raise UsageError(f"{option.flag}: {said}") from error


def refuse_empty(option: Option, value: Any) -> None:  # noqa: ANN401  any option's value
    """Raise UsageError for a value that is empty, as of a variable without one."""
    if value == "" and not option.may_be_empty:
        raise UsageError(f"{option.flag}: this is empty. Leave the option out, or give it a value.")


def _is_text(value: str) -> bool:
    """Return False for bytes of a command line that are no UTF-8: nothing could be sent or recorded."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


# Locust's parser asks two or three times before a run begins; typed values are frozen.
@lru_cache(maxsize=_KEPT_VALUES, typed=True)
def _parsed(parse: Callable[[Any], Any], value: Any) -> Any:  # noqa: ANN401  any option's value
    return parse(value)
