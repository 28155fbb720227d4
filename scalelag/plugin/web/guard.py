"""The door of Locust's page: requests of other web pages, and of names that are not its own, stay out.

Locust allows every web page to read its answers (flask_cors), and asks nobody who sends a form.
"""

import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from locust.web import WebUI

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""An application of WSGI."""

LARGEST_BODY_BYTES = 1 << 20
"""Most bytes of a form: reading it holds up the load, some 10 ms a MiB of one field."""

NAMES_VARIABLE = "SCALELAG_PAGE_NAMES"
"""Names in the environment, separated by commas, by which the page may be asked for besides its own."""

_OWN_SITES = ("same-origin", "none")
_ACTS = ("/stop", "/stats/reset")  # a GET was enough for them in earlier versions of Locust
_CORS = "access-control-"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}
_FORBIDDEN = "403 Forbidden"


def close_door(web_ui: WebUI, environ: Mapping[str, str]) -> None:
    """Have every address of the page answer its own pages only.

    It answers to addresses, `localhost`, this machine's names and those of `NAMES_VARIABLE`; behind a
    login to any name, since another name has no cookie of it.
    """
    app: Any = web_ui.app
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    names = None if web_ui.web_login else own_names(web_ui.host or "", environ)
    app.wsgi_app = Door(app.wsgi_app, names)


def own_names(host: str, environ: Mapping[str, str]) -> frozenset[str]:
    """Return the names of what listens at `host`, beside addresses and `localhost`."""
    given = environ.get(NAMES_VARIABLE, "").split(",")
    own = (host, socket.gethostname(), socket.getfqdn(), *given)
    return frozenset(name.strip().lower() for name in own)


class Door:
    """An application of WSGI before another; `names` are its own, None if any name will do."""

    def __init__(self, inner: App, names: frozenset[str] | None) -> None:
        self._inner = inner
        self._names = names

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request, or refuse it with 403."""
        refusal = refused(environ, self._names)
        if refusal is None:
            return self._inner(environ, partial(_start, start_response))
        start_response(
            _FORBIDDEN, [("Content-Type", "text/plain; charset=utf-8"), *_HEADERS.items()]
        )
        return [f"{refusal}\n".encode()]


def refused(environ: Mapping[str, Any], names: frozenset[str] | None) -> str | None:
    """Return why a request is not answered; None if it is. `environ` is that of WSGI."""
    host = str(environ.get("HTTP_HOST", ""))
    if names is not None and not _is_own(_name_of(host), names):
        # A name that somebody else points at this machine would make their page one of ours.
        return (
            "This page answers to addresses, localhost and the name of its machine. For another name, "
            f"start it with {NAMES_VARIABLE}=NAME in its environment."
        )
    return _strange(environ, host)


def _strange(environ: Mapping[str, Any], host: str) -> str | None:
    """Return why a request is not one of our own pages', as far as a browser says so."""
    reason = "This page answers its own requests only, and no other web page's."
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        is_link = (
            environ.get("REQUEST_METHOD") == "GET"
            and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
            and environ.get("HTTP_SEC_FETCH_DEST") == "document"
            and not str(environ.get("PATH_INFO", "")).endswith(_ACTS)
        )
        return None if site in _OWN_SITES or is_link else reason
    origin = environ.get("HTTP_ORIGIN")
    return None if origin is None or origin.partition("://")[2] == host else reason


def _is_own(name: str, names: frozenset[str]) -> bool:
    if name in names or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return not name  # only a client that is no browser names none
    return True


def _name_of(host: str) -> str:
    """Return the name in a Host header, in small letters and without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return host


def _start(
    start_response: Callable[..., Any], status: str, headers: list[tuple[str, str]], *more: object
) -> Any:  # noqa: ANN401  as WSGI has it
    """Begin an answer with our headers, and without leave for other pages to read it."""
    kept = [(name, value) for name, value in headers if not name.lower().startswith(_CORS)]
    there = {name.lower() for name, _ in kept}
    ours = [(name, value) for name, value in _HEADERS.items() if name.lower() not in there]
    return start_response(status, [*kept, *ours], *more)
