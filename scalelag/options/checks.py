"""What values of options make sense: each raises UsageError for what does not."""

import re
from collections.abc import Callable

import msgspec

from reports.render.formats import FILES, Format
from scalelag.errors import UsageError


def at_least(low: float, unit: str) -> Callable[[float], None]:
    """A check that raises UsageError for a number below `low`, or one that is not finite."""

    def check(value: float) -> None:
        if not low <= value < float("inf"):
            raise UsageError(f"{value:g}: it takes {low:g} or more {unit}".rstrip())

    return check


def parse_share(text: str) -> float:
    """Ratio between 0 and 1 from `2%` or `0.02`. Raises UsageError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < value <= 1:
        raise UsageError(f'"{text}": give a share above 0 and up to 1, such as 2% or 0.02')
    return value


def parse_header(text: str) -> tuple[str, str]:
    """Name and value of `Name: value`. Raises UsageError where it is none, or holds a secret."""
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise UsageError(f'"{name}": a header reads "Name: value"')
    if _SECRET_HEADER.search(name) and not VARIABLE.search(value):
        raise UsageError(
            f"the value of {name} looks like a secret, and options are seen by everybody on the "
            f'machine: put it in an environment variable and write "{name}: ${{VARIABLE}}"'
        )
    return name, value


def check_json(text: str) -> None:
    """Raise UsageError where `text` is no JSON."""
    try:
        msgspec.json.decode(text.encode())
    except msgspec.MsgspecError as error:
        raise UsageError(f"it is no JSON: {error}") from error


def check_address(text: str) -> None:
    """Raise UsageError where `text` is not HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(f'"{text}": an address reads HOST:PORT, such as 127.0.0.1:9000')


def parse_report(text: str) -> Format:
    """A format that is left in the run directory. Raises UsageError where there is none such."""
    if text not in FILES:
        raise UsageError(f'"{text}": choose {", ".join(FILES)}')
    return Format(text)


def check_method(text: str) -> None:
    """Raise UsageError where `text` is no full name of a gRPC method."""
    if not re.fullmatch(r"\w+(\.\w+)*/\w+", text):
        raise UsageError(f'"{text}": a method reads package.Service/Method')


_SECRET_HEADER = re.compile(
    r"authori[sz]ation|cookie|token|secret|api-?key|password", re.IGNORECASE
)
VARIABLE = re.compile(r"\$\{(\w+)\}")
