"""Exceptions with the exit code that each of them means.

ScalelagError            1  the tool itself failed (disk full, a bug it could name)
├── RecordError          1  a run directory that cannot be read or written
│   └── NoRunError       2  a path that is no run directory
├── UsageError           2  a plan, gate, option or name that makes no sense
├── TargetError          3  the target is unreachable or not ready
└── InterruptedRunError  130  Ctrl-C, SIGTERM or SIGHUP
"""

from enum import StrEnum
from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Exceptions of a decoder of msgspec: no JSON, another shape, a byte that is no text, too deep."""

EXIT_PASSED = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_TARGET = 3
EXIT_GATE_FAILED = 4
EXIT_INVALID = 5
EXIT_INTERRUPTED = 130


class ScalelagError(Exception):
    """Root of what scalelag raises on purpose; its message says what, where, and what to do."""

    exit_code = EXIT_ERROR


class RecordError(ScalelagError):
    """A run directory that cannot be read or written."""


class NoRunError(RecordError):
    """A path that is no run directory."""

    exit_code = EXIT_USAGE


class UsageError(ScalelagError):
    """A plan, gate, option or name that makes no sense."""

    exit_code = EXIT_USAGE


class RetryAdvice(StrEnum):
    """Advice on an error of the target: what may help against it."""

    WAIT = "wait"
    """Wait: the target may become ready by itself."""
    AGAIN = "again"
    """Waiting is useless; another attempt, which deploys afresh, may succeed."""
    NEVER = "never"
    """Another attempt would fail in the same way, as with a wrong name, token or URL."""


class TargetError(ScalelagError):
    """The target is unreachable, refuses us, or is not ready. `retry` says what may help."""

    exit_code = EXIT_TARGET

    def __init__(self, message: str, *, retry: RetryAdvice = RetryAdvice.WAIT) -> None:
        super().__init__(message)
        self.retry = retry


class InterruptedRunError(ScalelagError):
    """Ctrl-C, SIGTERM or SIGHUP."""

    exit_code = EXIT_INTERRUPTED
