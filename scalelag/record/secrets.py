"""Secrets in what is put on record: found by the names of parameters, fields and arguments."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote

import msgspec

from scalelag.errors import UNREADABLE

HIDDEN = "(not recorded)"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORDS = frozenset(
    {
        *(
            "key",
            "keys",
            "sig",
            "signature",
            "hmac",
            "sas",
            "sid",
            "session",
            "jwt",
            "bearer",
            "assertion",
        ),
        *("auth", "oauth", "authorization", "authorisation", "authentication", "cookie", "cookies"),
        *("pass", "pw", "pwd", "passphrase", "passcode", "otp", "totp", "creds", "verifier"),
    }
)
_SECRET_ENDINGS = (
    *(
        "token",
        "secret",
        "secrets",
        "password",
        "passwords",
        "passwd",
        "credential",
        "credentials",
        "sessionid",
        "sessid",
    ),
    *("apikey", "accesskey", "secretkey", "privatekey", "authkey", "signingkey", "passkey"),
)
_ORDINARY_WORDS = frozenset(
    {
        *("max", "min", "num", "count", "total", "limit", "per", "budget", "type"),
        *("stop", "eos", "bos", "pad"),
    }
)
"""Words beside which a token, key or session is a figure or a setting: `max_token=5`."""

_FILLED = rf"\{{\{{(?:(?!\{{\{{).)*?\}}\}}|{re.escape(HIDDEN)}"
_PIECES = re.compile(rf"((?:{_FILLED}|[^&#\s])+)")
_NAME = re.compile(r"(?:^|[?;])([^=?;]*)=")
_HARMLESS = re.compile(rf"(?:{_FILLED})+")
_MOST_ENCODINGS = 3
_VARIABLES = "env_vars"  # of a `runtime_env`: they hold secrets under any name
_READ_TIMES = 10
# The slashes may be escaped, as some write JSON.
_USER = re.compile(r"(:\\?/\\?/)[^/?#&\s]*@")
# As clients quote a header that they cannot send. A word of prose has neither capitals nor figures.
_AUTHORIZATION = re.compile(
    r"\b((?i:bearer|basic|token) +)(?=[a-z+/.~_-]{0,200}[A-Z0-9=])[\w+/.~=-]{6,}", re.ASCII
)
_ENCODED_USER = re.compile(r"(%3a%2f%2f)(?:(?!%2f|%3f|%23)[^/?#&\s])*%40", re.IGNORECASE)
_STRING = r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)'  # what has no end goes to that of the body
_BODY_PIECES = re.compile(rf'{_FILLED}|{_STRING}|[^\s\[\]{{}}",:]+|.', re.DOTALL)
_PLAIN_VALUES = frozenset({"true", "false", "null", '""'})


def is_secret_name(name: str) -> bool:
    """Return whether a parameter or argument is named like a secret: `api_key`, `X-Amz-Signature`."""
    words = [word.lower() for word in _WORD.findall(name)]
    secret = any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS) for word in words)
    return secret and not _ORDINARY_WORDS.intersection(words)


def start_to_read(text: str, most: int) -> str:
    """Return what of `text` is read if `most` letters of it are shown: secrets left out make room."""
    return text[: most * _READ_TIMES]


def hide_url_secrets(text: str) -> str:
    """Return `text` without secrets in the URLs and paths of it, for the record.

    These are the values of parameters that are named like secrets, in query and fragment; `code` beside
    `state`, as logins pass it; users and passwords; what follows `Bearer`, `Basic` or `Token`; and URLs
    in parameters that have such in them.
    Values that a template fills in stay.
    """
    return _hidden(text, encodings=_MOST_ENCODINGS)


def _hidden(text: str, *, encodings: int) -> str:
    """Return `text` without secrets, also in values that are encoded up to `encodings` times."""
    text = _ENCODED_USER.sub(r"\1", _USER.sub(r"\1", text))
    text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", text)
    if "=" not in text:
        return text
    pieces = _PIECES.split(text)
    names = {name.lower() for piece in pieces for name in _NAME.findall(piece)}
    login = names >= {"code", "state"}
    for number in range(1, len(pieces), 2):
        begun = pieces[number - 1].endswith(("&", "#"))
        pieces[number] = _shown(pieces[number], login=login, begun=begun, encodings=encodings)
    return "".join(pieces)


def _shown(piece: str, *, login: bool, begun: bool, encodings: int) -> str:
    """Return what lies between two `&`, without the secrets in it; `begun`: its first name is one."""
    found = [one for one in _NAME.finditer(piece) if begun or one.start() > 0 or one[0][0] in "?;"]
    for one in found:
        name = unquote(one[1])
        if is_secret_name(name) or (login and name.lower() == "code"):
            is_harmless = _HARMLESS.fullmatch(piece, one.end())
            return piece if is_harmless else piece[: one.end()] + HIDDEN
    if found and _has_secret(piece[found[0].end() :], encodings):
        return piece[: found[0].end()] + HIDDEN
    return piece


def _has_secret(value: str, encodings: int) -> bool:
    """Return True if there is a secret in a value, decoded up to `encodings` times."""
    for _ in range(encodings):
        value = unquote(value)
        if _hidden(value, encodings=0) != value:
            return True
        if '"' in value and hide_body_secrets(value) != value:
            return True
    return False


def hide_body_secrets(body: str) -> str:
    """Return the JSON `body` without values of fields that are named like secrets, for the record.

    Of its other texts only the secrets in URLs, and in JSON, are left out. It may be a template: what
    that fills in stays.
    """
    pieces: list[str] = _BODY_PIECES.findall(body)
    shown: list[str] = []
    name, before, at = "", "", 0  # the last two pieces that are no spaces
    while at < len(pieces):
        piece = pieces[at]
        end = at + 1
        if piece.isspace():
            shown.append(piece)
        elif before == ":" and is_secret_name(_decoded(name)):
            end = _end_of_value(pieces, at)
            value = "".join(pieces[at:end])
            shown.append(value if _is_harmless(value) else f'"{HIDDEN}"')
            name, before = "", value
        else:
            shown.append(_text_shown(piece))
            name, before = before, piece
        at = end
    return "".join(shown)


def _end_of_value(pieces: Sequence[str], at: int) -> int:
    """Return where the value that begins at `at` has ended."""
    depth = 0
    for number in range(at, len(pieces)):
        piece = pieces[number]
        if depth == 0 and number > at and (piece in (",", "]", "}") or piece.isspace()):
            return number
        depth += (piece in ("[", "{")) - (piece in ("]", "}"))
    return len(pieces)


def _is_harmless(value: str) -> bool:
    """Return whether a value tells nothing, or is filled in from elsewhere."""
    return value in _PLAIN_VALUES or _HARMLESS.fullmatch(value.strip('"')) is not None


def _text_shown(piece: str) -> str:
    """Return a piece of JSON without the secrets in its URLs, and in JSON that is its text."""
    if not piece.startswith('"'):
        return piece
    text = _decoded(piece)
    shown = hide_url_secrets(text)
    if '"' in shown and len(text) < len(piece):  # a lone quotation mark is no text
        shown = hide_body_secrets(shown)
    if shown == text:
        return piece
    return shown if text == piece else msgspec.json.encode(shown).decode()


def _decoded(piece: str) -> str:
    """Return the text of a string in JSON; what is none as it is."""
    try:
        return msgspec.json.decode(piece, type=str)
    except UNREADABLE:
        return piece


def without_secrets(value: Any) -> Any:  # noqa: ANN401  as JSON has it
    """Return settings of a cluster without the secrets in them, for the record.

    These are values of fields that are named like secrets, of all `env_vars`, and those in URLs.
    Numbers stay.
    """
    if isinstance(value, str):
        return hide_url_secrets(value)
    if isinstance(value, list | tuple):
        return [without_secrets(one) for one in cast("Sequence[Any]", value)]
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: _setting_shown(name, one) for name, one in fields.items()}
    return value


def _setting_shown(name: str, value: Any) -> Any:  # noqa: ANN401  as JSON has it
    if name == _VARIABLES and isinstance(value, dict):
        return dict.fromkeys(cast("dict[str, Any]", value), HIDDEN)
    tells = isinstance(value, str | list | tuple | dict) and value
    return HIDDEN if tells and is_secret_name(name) else without_secrets(value)


HIDERS: Mapping[str, Callable[[str], str]] = {
    "path": hide_url_secrets,
    "json_body": hide_body_secrets,
}
"""Functions that leave the secrets out of an option's value, by its `dest`."""


def hide_argument(text: str) -> str:
    """Return `KEY=VALUE` fit for the record: without the value if the key is named like a secret."""
    key, equals, _ = text.partition("=")
    return f"{key}={HIDDEN}" if equals and is_secret_name(key) else text
