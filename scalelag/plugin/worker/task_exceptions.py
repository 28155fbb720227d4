"""Exceptions in the tasks of users, counted by kind in every process that has users."""

import traceback
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

from scalelag.cluster.urls import hide_credentials
from scalelag.foreign import encodable
from scalelag.record.run_info import TaskException
from scalelag.record.secrets import hide_url_secrets, start_to_read

_MOST_KINDS = 100
_MAX_LENGTH = 300
_OTHERS = TaskException("(others)", None, 0)


class TaskExceptions:
    """Counts what Locust's `user_error` event tells."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str | None]] = Counter()

    def on_user_error(
        self,
        exception: BaseException,
        tb: TracebackType | None = None,
        **_rest: Any,  # noqa: ANN401  what else Locust passes
    ) -> None:
        """Count one exception, by the last line of its traceback and the place."""
        where = _place(tb)
        kind = (encodable(_last_line(exception)), where and encodable(where))
        if kind not in self._counts and len(self._counts) >= _MOST_KINDS:
            kind = (_OTHERS.text, _OTHERS.where)
        self._counts[kind] += 1

    def take(self) -> tuple[TaskException, ...]:
        """Return all since the last call."""
        counts, self._counts = self._counts, Counter()
        return tuple(TaskException(text, where, count) for (text, where), count in counts.items())


def is_in_on_stop(exception: BaseException) -> bool:
    """Return whether it was raised in the `on_stop` of a user or of its tasks."""
    frames = traceback.walk_tb(exception.__traceback__)
    return any(frame.f_code.co_name == "on_stop" for frame, _ in frames)


def _last_line(exception: BaseException) -> str:
    """Last line of the traceback, without what could be a secret in a URL."""
    lines = "".join(traceback.format_exception_only(exception)).strip().splitlines()
    text = lines[-1].strip() if lines else type(exception).__name__
    read = hide_credentials(start_to_read(text, _MAX_LENGTH))
    return hide_url_secrets(read)[:_MAX_LENGTH]


def _place(tb: TracebackType | None) -> str | None:
    """File, line and function in which it was raised; no folders of this machine."""
    frames = traceback.extract_tb(tb)
    if not frames:
        return None
    last = frames[-1]
    return f"{Path(last.filename).name}:{last.lineno} in {last.name}"


def merged(
    one: tuple[TaskException, ...], other: tuple[TaskException, ...]
) -> tuple[TaskException, ...]:
    """Both, each kind once, in the order in which they came."""
    counts = Counter[tuple[str, str | None]]()
    for kind in (*one, *other):
        counts[kind.text, kind.where] += kind.count
    return tuple(TaskException(text, where, count) for (text, where), count in counts.items())
