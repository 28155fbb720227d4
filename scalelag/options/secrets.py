"""Secrets in what is put on record: found by the names of parameters, fields and arguments."""

import re
from urllib.parse import unquote

HIDDEN = "(not recorded)"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORDS = frozenset(
    {
        *("key", "sig", "signature", "hmac", "sas", "sid", "session", "jwt", "bearer", "assertion"),
        *("auth", "oauth", "authorization", "authorisation", "authentication", "cookie", "cookies"),
        *("pass", "pwd", "passphrase", "passcode", "otp", "totp", "creds", "verifier"),
    }
)
_SECRET_ENDINGS = (
    *("token", "secret", "password", "passwd", "credential", "credentials", "sessionid", "sessid"),
    *("apikey", "accesskey", "secretkey", "privatekey", "authkey", "signingkey", "passkey"),
)
_ORDINARY_WORDS = frozenset(
    {
        *("max", "min", "num", "count", "total", "limit", "per", "budget", "type"),
        *("stop", "eos", "bos", "pad"),
    }
)
"""Words beside which a token, key or session is a figure or a setting: `max_token=5`."""

_FILLED = rf"\{{\{{.*?\}}\}}|{re.escape(HIDDEN)}"
_PIECES = re.compile(rf"((?:{_FILLED}|[^&#\s])+)")
_NAME = re.compile(r"(?:^|[?;])([^=?;]*)=")
_HARMLESS = re.compile(rf"(?:{_FILLED})+")
_MOST_ENCODINGS = 3
_USER = re.compile(r"(?<=://)[^/?#&\s]*@")
_ENCODED_USER = re.compile(r"(%3a%2f%2f)(?:(?!%2f|%3f|%23)[^/?#&\s])*%40", re.IGNORECASE)
_SECRET_FIELD = re.compile(
    r'("(?:[^"]*(?:passw|pwd|secret|api_?-?key|access_?key|private_?key|auth_?token|access_?token'
    r'|bearer|authori[sz]ation|credential)[^"]*|token|jwt)"\s*:\s*)"(?!\{\{)(?:[^"\\]|\\.)*"',
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Return whether a parameter or argument is named like a secret: `api_key`, `X-Amz-Signature`."""
    words = [word.lower() for word in _WORD.findall(name)]
    secret = any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS) for word in words)
    return secret and not _ORDINARY_WORDS.intersection(words)


def hide_url_secrets(text: str) -> str:
    """Return `text` without secrets in the URLs and paths of it, for the record.

    These are the values of parameters that are named like secrets, in query and fragment; `code` beside
    `state`, as logins pass it; users and passwords; and URLs in parameters that have such in them.
    Values that a template fills in stay.
    """
    return _hidden(text, encodings=_MOST_ENCODINGS)


def _hidden(text: str, *, encodings: int) -> str:
    """Return `text` without secrets, also in values that are encoded up to `encodings` times."""
    text = _ENCODED_USER.sub(r"\1", _USER.sub("", text))
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
        name, value = unquote(one[1]), piece[one.end() :]
        if is_secret_name(name) or (login and name.lower() == "code"):
            return piece if _HARMLESS.fullmatch(value) else piece[: one.end()] + HIDDEN
    if found and _has_secret(piece[found[0].end() :], encodings):
        return piece[: found[0].end()] + HIDDEN
    return piece


def _has_secret(value: str, encodings: int) -> bool:
    """Return True if there is a secret in a value, decoded up to `encodings` times."""
    for _ in range(encodings):
        value = unquote(value)
        if _hidden(value, encodings=0) != value:
            return True
    return False


def hide_body_secrets(body: str) -> str:
    """Return the JSON `body` without texts of fields that are named like secrets, for the record."""
    return _SECRET_FIELD.sub(rf'\1"{HIDDEN}"', body)


def hide_argument(text: str) -> str:
    """Return `KEY=VALUE` fit for the record: without the value if the key is named like a secret."""
    key, equals, _ = text.partition("=")
    return f"{key}={HIDDEN}" if equals and is_secret_name(key) else text
