"""What values of options are refused for, one by one."""

from collections.abc import Callable

import msgspec

from scalelag.errors import UsageError


def at_least(low: float, unit: str) -> Callable[[float], None]:
    """A check that refuses what is below `low`, infinite, or not a number; `unit` is said."""

    def check(value: float) -> None:
        if not low <= value < float("inf"):
            raise UsageError(f"{value:g}: it takes {low:g} or more {unit}".rstrip())

    return check


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
