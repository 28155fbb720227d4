"""Parsers of single values: each returns the typed value, or raises UsageError."""

import re
from collections.abc import Callable

import msgspec

from reports.model.formats import FILES, Format
from scalelag.cluster.listening import ListenAddress
from scalelag.errors import UNREADABLE, UsageError
from scalelag.record.secrets import hide_url_secrets

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VARIABLE = re.compile(r"\$\{(\w+)\}")
# They would contradict the body that is sent with them, or have the server wait for one.
_SET_BY_US = ("content-length", "transfer-encoding", "expect")
NOT_IN_PATHS = re.compile(r"[\x00-\x20\x7f#]")
"""Characters that no path may have; those beyond ASCII are encoded when it is sent."""
# Also `h:80/x`, which would be taken for a folder of that name.
_WITH_SERVER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[\w.-]+:\d+(/|$)|\[[\da-fA-F:.]+\]")
_SECRET_HEADER = re.compile(
    r"authori[sz]ation|cookie|token|secret|api-?key|password", re.IGNORECASE
)

_LARGEST = 2**53


def at_least(low: float, unit: str) -> Callable[[float], float]:
    """Return a parser of numbers that refuses those below `low`, and those that nothing counts to."""

    def parse(value: float) -> float:
        if isinstance(value, int) and abs(value) > _LARGEST:
            # It may be too large for a float, and so to be shown.
            raise UsageError("a number with more digits than any run needs")
        if not low <= value < float("inf"):
            raise UsageError(f"{value:g}: give {low:g} or more {unit}".rstrip())
        if value > _LARGEST:
            raise UsageError(f"{float(value):g}: that is more than any run needs")
        return value

    return parse


def parse_share(text: str) -> float:
    """Return the ratio of `2%` or `0.02`, above 0 and at most 1."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < value <= 1:
        raise UsageError(f'"{text}": give a share above 0 and up to 1, such as 2% or 0.02')
    return value


def parse_header(text: str) -> tuple[str, str]:
    """Return name and value of `Name: value`. Raises UsageError also if the value is a secret."""
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _HEADER_NAME.fullmatch(name):
        first, *more = name.split() or [""]
        shown = f"{first} .." if more else first  # what follows may be the value, and a secret
        raise UsageError(f'"{shown}": a header reads "Name: value"')
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
        raise UsageError(f"the value of {name} has a line break or another control character")
    if name.lower() in _SET_BY_US:
        raise UsageError(f"{name} goes with the body, and is set by scalelag: leave it out")
    if "${" in VARIABLE.sub("", value):
        raise UsageError(
            f"the value of {name} has a ${{ that begins no name of a variable, such as ${{TOKEN}}: "
            "letters, digits and _"
        )
    if _SECRET_HEADER.search(name) and not VARIABLE.search(value):
        raise UsageError(
            f"the value of {name} looks like a secret, and options are seen by everybody on the "
            f'machine: put it in an environment variable and write "{name}: ${{VARIABLE}}"'
        )
    return name, value


def public_header(text: str) -> str:
    """Header as it is put on record: the names of variables, and nothing that could be a secret."""
    name, value = parse_header(text)
    shown = "".join(
        part if VARIABLE.fullmatch(part) or not part.strip() else "(not recorded)"
        for part in re.split(rf"({VARIABLE.pattern.replace('(', '(?:', 1)})", value)
    )
    return f"{name}: {shown}"


def parse_path(text: str) -> str:
    """Return the path with its leading slash. Raises UsageError for one that cannot be sent."""
    # Spaces of a template are filled in with each row, and checked then.
    bare = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", text, flags=re.DOTALL)
    if _WITH_SERVER.match(text):
        raise UsageError(
            f'"{hide_url_secrets(text)}": a path begins after the server, such as /ask. Give the '
            "server with --host; a path that looks like one begins with /"
        )
    if NOT_IN_PATHS.search(bare):
        raise UsageError(
            f'"{hide_url_secrets(text)}": a path has no spaces, line breaks, control characters or #. '
            "Encode them, such as %20 for a space and %23 for #"
        )
    return text if text.startswith("/") else f"/{text}"


def parse_models(text: str) -> tuple[str, ...]:
    """Return the ids of models in a list with commas; none for an empty text."""
    models = tuple(model.strip() for model in text.split(",")) if text else ()
    if any(not re.fullmatch(r"[!-~]+", model) for model in models):
        raise UsageError(f'"{text}": give model ids, separated by commas')
    return models


def check_json(text: str) -> None:
    """Raise UsageError if `text` is not JSON."""
    try:
        msgspec.json.decode(text.encode())
    except UNREADABLE as error:
        raise UsageError(f"this is not JSON: {error}") from error


def check_address(text: str) -> str:
    """Return `text` if it is HOST:PORT."""
    host, _, port = text.rpartition(":")
    if (
        not host
        or set(host) & set("/@ \t\r\n")
        or not port.isdecimal()
        or not 0 < int(port) < 2**16
    ):
        raise UsageError(f'"{text}": an address reads HOST:PORT, such as 127.0.0.1:9000')
    return text


def parse_listen(text: str) -> ListenAddress | None:
    """Return the address of `[HOST:]PORT`, by default of this machine alone; None for port 0.

    An address of IPv6 stands in brackets.
    """
    host, _, port = text.rpartition(":")
    in_brackets = re.fullmatch(r"\[([0-9a-fA-F:.]+(?:%\w+)?)\]", host)
    host = in_brackets[1] if in_brackets else host
    is_odd = bool(set("/[]") & set(host)) or (":" in host and not in_brackets)
    if not port.isdecimal() or not int(port) < 2**16 or is_odd or text.startswith(":"):
        raise UsageError(
            f'"{text}": give PORT or HOST:PORT, such as 9646, 0.0.0.0:9646 or [::1]:9646'
        )
    return ListenAddress(host or "127.0.0.1", int(port)) if int(port) else None


def parse_report(text: str) -> Format:
    """Return the format of a report that a run can leave in its directory."""
    if text not in FILES:
        raise UsageError(f'"{text}": choose {", ".join(FILES)}')
    return Format(text)


def parse_http_method(text: str) -> str:
    """Return `text` in capitals if it can be a method of HTTP (a token of RFC 9110)."""
    if not _HEADER_NAME.fullmatch(text):
        raise UsageError(f"{text!r}: a method is one word, such as GET or POST")
    return text.upper()


def check_method(text: str) -> str:
    """Return `text` if it is the full name of a gRPC method."""
    if not re.fullmatch(r"\w+(\.\w+)*/\w+", text):
        raise UsageError(f'"{text}": a method reads package.Service/Method')
    return text


def parse_header_name(text: str) -> str:
    """Return `text` if it can be the name of a header."""
    if not _HEADER_NAME.fullmatch(text):
        raise UsageError(f'"{text}": a name of a header has letters, digits and dashes')
    if text.lower() in (*_SET_BY_US, "host", "content-type"):
        raise UsageError(
            f'"{text}": this header says something of each request: choose another name'
        )
    return text
