"""URLs of clusters: checked, and made fit for records."""

import re
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from scalelag.errors import UsageError
from scalelag.foreign import shortened

_SCHEME = re.compile(r"https?://")
_WORD = re.compile(r"[^\s'\"<>]+")


def check_url(text: str) -> str:
    """Return `text` if it is the URL of a server. Raises UsageError if it is not."""
    parts = urlsplit("")
    try:
        parts = urlsplit(text)
        _check_port(parts.netloc)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        # A "/", "?" or "#" in a password ends the address for every reader of URLs.
        fits = fits and not ("@" in text and "@" not in parts.netloc)
        fits = fits and not set(text) & set(" \t\r\n\0")
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(f'"{shortened(_without_user(text))}" is not a URL; write {_wanted(text)}')
    if parts.query or parts.fragment:
        raise UsageError(
            f'"{_without_user(text.partition("?")[0].partition("#")[0])}" is followed by a query or a '
            "fragment: leave it out. A token for the dashboard goes into RAY_AUTH_TOKEN or "
            "--dashboard-header, and the query of requests into --path"
        )
    return text


def _check_port(netloc: str) -> None:
    """Raise UsageError for a number that is no port; anything else that is wrong is found later."""
    host, _, port = netloc.rpartition("@")[2].rpartition(":")
    if host and port.isdecimal() and not 0 < int(port) < 2**16:
        raise UsageError(f'"{host}:{port}": {port} is no port; ports are 1 to 65535')


def _without_user(text: str) -> str:
    """Return what may be shown of a text that is no URL: its scheme, and all after the last "@"."""
    scheme = _SCHEME.match(text)
    return (scheme.group() if scheme else "") + text.rpartition("@")[2] if "@" in text else text


def _wanted(text: str) -> str:
    if "@" not in text:
        return "http://HOST:PORT"
    return (
        "http://USER:PASSWORD@HOST:PORT, with %2F for / in user and password, %23 for # and so on"
    )


def hide_credentials(text: str) -> str:
    """Return `text` without users and passwords in URLs; a password may have an "@" in it."""
    return _WORD.sub(_without_users, text) if "@" in text else text


def _without_users(word: re.Match[str]) -> str:
    """Return a word without what stands between its first `://` and its last "@"."""
    before, begins, rest = word[0].partition("://")
    return before + begins + rest.rpartition("@")[2]


_PORTS = {"http": 80, "https": 443}
_LOOPBACK = "127.0.0.1"


def same_server(one: str, other: str) -> bool:
    """Return True if both URLs name one server: `localhost` and `127.0.0.1` do."""
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, int | None, str]:
    """Host as an address where that needs no question to a name server, port and path."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    with suppress(ValueError):
        address = ip_address(host)
        host = _LOOPBACK if address.is_loopback or address.is_unspecified else str(address)
    host = _LOOPBACK if host == "localhost" or host.endswith(".localhost") else host
    try:
        port = parts.port
    except ValueError:
        port = None
    return host, port or _PORTS.get(parts.scheme), parts.path.rstrip("/")


def without_credentials(url: str) -> str:
    """`url` without user name and password, fit for records and reports."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host).geturl()
