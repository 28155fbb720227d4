"""The Ray dashboard over HTTP: requests with token auth, TLS verification and time-outs."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urljoin, urlsplit

import msgspec
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError
from urllib3.util import Retry

from probes.bounded import TooLargeError, body_in_time, pieces_in_time
from scalelag.errors import RetryAdvice, TargetError
from scalelag.foreign import encodable_json
from scalelag.record.rows import NO_ANSWER_IN_TIME
from scalelag.record.secrets import hide_url_secrets

APPLICATIONS_PATH = "/api/serve/applications/"
VERSION_PATH = "/api/version"
CLUSTER_STATUS_PATH = "/api/cluster_status?format=1"
NODES_PATH = "/nodes?view=summary"

_REFUSALS = (401, 403, 404)

_CONNECT_TIMEOUT_S = 3.0
_READ_TIMEOUT_S = 5.0
_WHOLE = 4.0  # times that a whole answer may take as long as a piece of it
_STREAM_S = 60.0
_LARGEST_BYTES = 64 << 20  # 100,000 replicas are 50 MB
_SHORTEST_SECRET = 6  # of shorter values any text is full
_MOST_READ = 10_000
_MOST_READ_BYTES = 1 << 16


class DashboardError(TargetError):
    """The dashboard gave no usable answer. `reason` is short; `status` is 0 if none came."""

    def __init__(self, message: str, reason: str, status: int = 0) -> None:
        never = status in _REFUSALS or 300 <= status < 400
        super().__init__(message, retry=RetryAdvice.NEVER if never else RetryAdvice.WAIT)
        self.reason = reason
        self.status = status


class Reply(msgspec.Struct, frozen=True):
    """A 200 answer: its body, and the Unix times of sending and receiving."""

    body: bytes
    sent_s: float
    received_s: float


TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def token_from_environment(environ: Mapping[str, str]) -> str | None:
    """Ray's auth token from RAY_AUTH_TOKEN, or from the file that RAY_AUTH_TOKEN_PATH names.

    None if neither is set. Raises TargetError if the file cannot be read, or the token cannot be sent.
    """
    token = environ.get("RAY_AUTH_TOKEN", "").strip()
    if token:
        return _sendable(token, "RAY_AUTH_TOKEN")
    path = environ.get("RAY_AUTH_TOKEN_PATH", "").strip()
    if not path:
        return None
    try:
        token = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(
            f"RAY_AUTH_TOKEN_PATH names {path}, which cannot be read: {error}.",
            retry=RetryAdvice.NEVER,
        ) from error
    return _sendable(token, f"RAY_AUTH_TOKEN_PATH names {path}, which") if token else None


def _sendable(token: str, where: str) -> str:
    """Return the token. Raises TargetError, which does not show it, if no header can have it."""
    if not token.isprintable():  # a client's own error would show it
        raise TargetError(
            f"{where} holds more than a token: a line break or another control character is in it.",
            retry=RetryAdvice.NEVER,
        )
    return token


def silence_unverified() -> None:
    """Silence urllib3's warning at each request without a certificate check (`--insecure`)."""
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)


class _OnceMore(Retry):
    """Retries once if the connection was lost, but not if the answer timed out."""

    def increment(self, *args: Any, **named: Any) -> Retry:  # noqa: ANN401  urllib3's own
        """Return the retries that are left; raises the error if there are none."""
        error = named.get("error")
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(*args, **named)


class _Access(AuthBase):
    """Sends headers, the user of the URL and the token, and keeps a .netrc from replacing them.

    With both a user and a token, the user's is for the gateway in front of the dashboard; Ray takes the
    token from `X-Ray-Authorization` then (`http_token_authentication.py`).
    """

    def __init__(self, token: str | None, user: str | None, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)
        if user is not None:
            self._headers["Authorization"] = basic_authorization(user)
        if token:
            name = "Authorization" if user is None else "X-Ray-Authorization"
            self._headers.setdefault(name, f"Bearer {token}")

        sent = {part for value in self._headers.values() for part in _parts(value)}
        if user is not None:
            sent |= {user, user.partition(":")[2]}  # a server knows them decoded
        self._secrets = sorted(_written(sent), key=len, reverse=True)

    def hidden(self, text: str) -> str:
        """Return `text`, which may be an echo of a request, without what is sent along."""
        for secret in self._secrets:
            text = text.replace(secret, "(hidden)")
        return text

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As UTF-8, like those of requests: http.client refuses what Latin-1 does not have.
        sent: Any = {name: value.encode() for name, value in self._headers.items()}
        request.headers.update(sent)
        return request


def basic_authorization(user: str) -> str:
    """Return the value of an Authorization header for `NAME:PASSWORD`."""
    return f"Basic {b64encode(user.encode()).decode()}"


def _parts(value: str) -> Iterator[str]:
    """Parts of a header's value that are secrets alone: `TOKEN` of `Bearer TOKEN`, `a=TOKEN; b`."""
    yield value
    yield value.partition(" ")[2]
    for word in re.split(r"[;,\s]+", value):
        yield from (word, word.partition("=")[2])


def _written(secrets: Iterable[str]) -> Iterator[str]:
    """Each secret in the ways in which an answer may write it."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            in_quotes = (repr(secret), ascii(secret), json.dumps(secret))
            yield from (secret, escape(secret), *(text[1:-1] for text in in_quotes))
            yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
            yield msgspec.json.encode(secret).decode()[1:-1]


def split_user(url: str) -> tuple[str, str | None]:
    """Return `url` without a user and password, and those as `NAME:PASSWORD`, decoded."""
    parts = urlsplit(url)
    user, at, address = parts.netloc.rpartition("@")
    if not at:
        return url, None
    name, _, password = user.partition(":")
    return parts._replace(netloc=address).geturl(), f"{unquote(name)}:{unquote(password)}"


class DirectSession(requests.Session):
    """Asks without the proxies of the environment, which the load does not use either.

    It follows a redirect of a GET to the same host only: no other host sees what is sent.
    """

    def merge_environment_settings(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401  requests' own
        """Settings of the environment, such as the CA bundle, without its proxies."""
        return super().merge_environment_settings(*arguments, **named) | {"proxies": {}}

    def rebuild_proxies(self, *_arguments: Any, **_named: Any) -> Any:  # noqa: ANN401  requests' own
        """Proxies of a redirect: none."""
        return {}

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """URL to go on to; None if the answer is to be taken as it is.

        The body of an answer that is gone on from, which may have no end, is not read.
        """
        target = super().get_redirect_target(resp)
        if target is None or resp.request.method != "GET":
            return None
        other = urlsplit(urljoin(resp.url, target)).hostname
        if other != urlsplit(resp.url).hostname:
            return None
        resp.close()
        return target


class Dashboard:
    """HTTP client of the Ray dashboard at `url`; one request at a time, not for several threads."""

    def __init__(
        self,
        url: str,
        now: Callable[[], float],
        token: str | None = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002  the type of requests' own parameter
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Connect when it is first asked. A user and password in `url` are sent, and not kept in it."""
        bare, user = split_user(url)
        self.url = bare.rstrip("/")
        self._now = now
        self._session = DirectSession()
        self._access = self._session.auth = _Access(token, user, headers or {})
        self._verify = verify
        if verify is False:
            silence_unverified()
        # The server may close an idle connection just as we use it: one retry. An answer is never
        # asked for again: the probe needs each as it is.
        adapter = HTTPAdapter(
            max_retries=_OnceMore(total=1, connect=0, read=1, redirect=0, status=0)
        )
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def get(self, path: str, read_timeout_s: float = _READ_TIMEOUT_S) -> Reply:
        """GET `path`. Raises DashboardError for anything but a 200."""
        return self._ask("GET", path, None, read_timeout_s)

    def put(self, path: str, body: object, read_timeout_s: float = 30.0) -> Reply:
        """PUT `body` as JSON to `path`. Raises DashboardError for anything but a 200."""
        return self._ask("PUT", path, body, read_timeout_s)

    def post(self, path: str, body: object, read_timeout_s: float = 30.0) -> Reply:
        """POST `body` as JSON to `path`. Raises DashboardError for anything but a 200."""
        return self._ask("POST", path, body, read_timeout_s)

    def delete(self, path: str, read_timeout_s: float = 30.0) -> Reply:
        """DELETE `path`. Raises DashboardError for anything but a 200."""
        return self._ask("DELETE", path, None, read_timeout_s)

    @contextmanager
    def stream(
        self, path: str, read_timeout_s: float = _READ_TIMEOUT_S, within_s: float = _STREAM_S
    ) -> Generator[Iterator[bytes]]:
        """GET `path`, and yield the body piece by piece; pieces that are not taken are not fetched.

        Raises DashboardError for anything but a 200, and if the answer breaks off or takes longer than
        `within_s`.
        """
        try:
            answer = self._session.get(
                self.url + path,
                stream=True,
                timeout=(_CONNECT_TIMEOUT_S, read_timeout_s),
                verify=self._verify,
            )
            # Leaving a half-read answer closes the connection: else the rest would begin the next.
            with answer:
                if answer.status_code != 200:
                    raise self._refusal(path, answer)
                yield self._pieces(path, answer, within_s)
        except _NO_ANSWER as error:
            raise self._no_answer("GET", path, error) from error

    def _pieces(self, path: str, answer: requests.Response, within_s: float) -> Iterator[bytes]:
        try:
            yield from pieces_in_time(answer, self._now, within_s)
        except (requests.RequestException, HTTPError) as error:
            raise self._no_answer("GET", path, error) from error

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _ask(self, method: str, path: str, body: object, read_timeout_s: float) -> Reply:
        sent_s = self._now()
        try:
            answer = self._session.request(
                method,
                self.url + path,
                json=body,
                stream=True,
                timeout=(_CONNECT_TIMEOUT_S, read_timeout_s),
                # Not set on the session, where REQUESTS_CA_BUNDLE would take precedence.
                verify=self._verify,
            )
            with answer:
                if answer.status_code != 200:
                    raise self._refusal(path, answer)
                came = body_in_time(answer, self._now, _WHOLE * read_timeout_s, _LARGEST_BYTES)
            received_s = self._now()
        except _NO_ANSWER as error:
            raise self._no_answer(method, path, error) from error
        return Reply(encodable_json(came), sent_s, received_s)

    def _no_answer(self, method: str, path: str, error: Exception) -> DashboardError:
        reason = self._access.hidden(_reason(error))
        hint = "Check that it is running and that --dashboard is right."
        if reason == "certificate not trusted":
            hint = "Name its CA with --dashboard-ca FILE, or accept any with --insecure."
        elif not isinstance(error, requests.RequestException | HTTPError | ValueError):
            hint = "Check --dashboard-ca, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE."
        return DashboardError(f"{method} {self.url}{path}: {reason}. {hint}", reason)

    def _refusal(self, path: str, answer: requests.Response) -> DashboardError:
        status = answer.status_code
        if status == 401:
            why = "the dashboard requires a token. Set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        elif status == 403:
            why = "the dashboard does not accept the token in RAY_AUTH_TOKEN (or _PATH)"
        elif status == 404:
            why = "no such page: is this a Ray dashboard (2.10 or later) with Serve installed?"
        elif answer.is_redirect:
            why = (
                f"a redirect to {_address(answer)}, which is not followed: it is another "
                "host, or would send on what is meant for this one. If it is the dashboard, name it "
                "with --dashboard"
            )
        else:
            said = hide_url_secrets(self._access.hidden(self._said(answer)))
            why = said[:200] or "no text in the answer"
        return DashboardError(
            f"{self.url}{path} answered {status}: {why}", f"HTTP {status}", status
        )

    def _said(self, answer: requests.Response) -> str:
        """Return the beginning of an error's text; how much of it is sent is not ours to say."""
        said = bytearray()
        with suppress(requests.RequestException, HTTPError):
            for piece in pieces_in_time(answer, self._now, _READ_TIMEOUT_S):
                said += piece
                if len(said) >= _MOST_READ_BYTES:
                    break
        return said.decode(errors="replace").strip()[:_MOST_READ]


def _address(answer: requests.Response) -> str:
    """Place that a redirect names, without a query or credentials."""
    parts = urlsplit(urljoin(answer.url, answer.headers["location"]))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _reason(error: Exception) -> str:
    """Reason for a missing answer, in words that are the same each time."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    text = str(error)
    if "Connection refused" in text:
        return "connection refused"
    if "NameResolution" in text:
        return "the host's name is unknown"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "connection lost"
    return f"{type(error).__name__}: {text[:200]}"


# OSError: also a file of certificates that is gone, and errors of requests.
_NO_ANSWER = (OSError, ValueError, HTTPError)
# The first match counts; subclasses stand before their bases.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (requests.exceptions.SSLError, "certificate not trusted"),
    (requests.exceptions.ConnectTimeout, f"no connection within {_CONNECT_TIMEOUT_S:.0f} s"),
    (requests.exceptions.Timeout, NO_ANSWER_IN_TIME),
    (ReadTimeoutError, NO_ANSWER_IN_TIME),
    (ProtocolError, "the answer broke off"),
    (TooLargeError, f"an answer of more than {_LARGEST_BYTES >> 20} MB"),
)
