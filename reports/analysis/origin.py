"""The command that makes a run again, and what its options say about the requests."""

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from reports.model.charts import RunOrigin
from scalelag.record.run_info import RunInfo
from scalelag.wording import brief

_SECRET = re.compile(r"authori[sz]ation|cookie|token|secret|api-?key|password", re.IGNORECASE)
_HIDDEN = "<secret>"
_ATTACHED = "locustfiles/attached.py"
_DEFAULT = "locustfiles/stepped.py"


def run_origin(info: RunInfo) -> RunOrigin:
    """Origin of a run, from its recorded options."""
    options = info.options
    return RunOrigin(
        command=shlex.join(_arguments(info)) if options else None,
        path=_text(options.get("path")),
        method=_text(options.get("method")),
        locustfile=", ".join(_locustfiles(info)) or None,
        user_classes=info.user_classes,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _locustfiles(info: RunInfo) -> list[str]:
    """Locustfiles of the run, without the one that only attaches the plugin to others."""
    return [file for file in info.locustfiles if file != _ATTACHED]


def _arguments(info: RunInfo) -> Iterator[str]:
    """Every option as it was in effect; the embedded cluster is the default target."""
    yield from ("scalelag", "run")
    if not info.target.embedded:
        yield from ("--host", _without_user(info.target.host))
    files = _locustfiles(info)
    if files != [_DEFAULT]:
        yield from _option("locustfile", files)
    for name, value in _launched(info).items():
        yield from _option(name, value)
    for name, value in info.options.items():
        if info.target.embedded and name in ("dashboard", "grpc_host"):
            continue
        yield from _option(name, value)


def _launched(info: RunInfo) -> dict[str, object]:
    """Options of `scalelag run` alone; of a Locust started directly, its number of processes."""
    if info.launched or info.workers <= 1:
        return info.launched
    return {"processes": info.workers}


def _option(name: str, value: object) -> Iterator[str]:
    flag = f"--{name.replace('_', '-')}"
    if value is None or value is False:
        return
    if value is True:
        yield flag
    elif isinstance(value, list | tuple):
        for one in cast("Sequence[object]", value):
            yield from (flag, _shown(name, str(one)))
    elif value != "":
        yield from (flag, _shown(name, brief(value)))


def _shown(name: str, text: str) -> str:
    """An option's value, without the secrets that a header or an address may hold."""
    head, _, value = text.partition(":")
    if name == "header" and value and _SECRET.search(head):
        return f"{head}: {_HIDDEN}"
    return _without_user(text) if "://" in text else text


def _without_user(url: str) -> str:
    """`url` without the user and the password that may stand in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
