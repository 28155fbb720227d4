"""Requests become rows: gathered in every load process, written by the one that leads the run."""

from array import array
from collections import Counter
from collections.abc import Callable
from typing import Any

import gevent
import msgspec
import numpy as np

from scalelag.record.requests_file import NOT_SENT, RequestColumns, RequestWriter

_MAX_TEXTS = 1000
_MAX_ERROR_LENGTH = 200
_OTHERS = "(others)"
UNFINISHED = "unfinished"
"""Error of a request whose answer had not come when the load process stopped waiting."""


class _Codes:
    """Numbers for texts, in the order in which they came up; beyond 1,000 all are one."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self.texts: list[str] = []

    def code(self, text: str) -> int:
        code = self._codes.get(text)
        if code is None:
            if len(self.texts) >= _MAX_TEXTS and text != _OTHERS:
                return self.code(_OTHERS)
            code = self._codes[text] = len(self.texts)
            self.texts.append(text)
        return code


class RequestRecorder:
    """Gathers requests of one process in arrays (255 ns a request; no object is kept)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._names = _Codes()
        self._errors = _Codes()
        self._clear()

    def _clear(self) -> None:
        self._intended = array("d")
        self._send_lag = array("f")
        self._latency = array("f")
        self._status = array("H")
        self._name = array("i")
        self._error = array("i")

    def on_request(
        self,
        request_type: str,
        name: str,
        response_time: float,
        exception: BaseException | None = None,
        response: Any = None,  # noqa: ANN401  each of Locust's clients has its own response
        context: Any = None,  # noqa: ANN401  anything a user's code passes
        **_rest: object,
    ) -> None:
        """Record what Locust's `request` event tells.

        An arrival passes `{"intended_s": due}` as context; any other request was meant to start
        when it did.
        """
        done_s = self._now()
        service_s = (response_time or 0.0) / 1000
        intended_s = context.get("intended_s") if isinstance(context, dict) else None
        if intended_s is None:
            intended_s = done_s - service_s
        latency_s = done_s - intended_s
        self.add(
            intended_s=intended_s,
            send_lag_s=max(0.0, latency_s - service_s),
            latency_s=latency_s,
            status=getattr(response, "status_code", 0) or 0,
            name=name or request_type,
            error=None if exception is None else error_text(exception),
        )

    def add(
        self,
        *,
        intended_s: float,
        send_lag_s: float,
        latency_s: float,
        status: int,
        name: str,
        error: str | None,
    ) -> None:
        """Record one request; NaN for a lag or latency that it has not."""
        self._intended.append(intended_s)
        self._send_lag.append(send_lag_s)
        self._latency.append(latency_s)
        self._status.append(status if 0 <= status <= 65535 else 0)
        self._name.append(self._names.code(name))
        self._error.append(-1 if error is None else self._errors.code(error))

    def add_not_sent(self, intended_s: float, name: str) -> None:
        """Record a request that was planned and could not be sent."""
        nan = float("nan")
        self.add(
            intended_s=intended_s,
            send_lag_s=nan,
            latency_s=nan,
            status=0,
            name=name,
            error=NOT_SENT,
        )

    def take(self) -> dict[str, Any]:
        """Everything since the last call, as a message: bytes of each column, and all texts."""
        message = {
            "intended_s": self._intended.tobytes(),
            "send_lag_s": self._send_lag.tobytes(),
            "latency_s": self._latency.tobytes(),
            "status": self._status.tobytes(),
            "name": self._name.tobytes(),
            "error": self._error.tobytes(),
            "names": self._names.texts,
            "errors": self._errors.texts,
        }
        self._clear()
        return message


def error_text(exception: BaseException) -> str:
    """Short text that is the same for the same kind of failure, so that failures can be counted."""
    status = getattr(getattr(exception, "response", None), "status_code", 0)
    if status:
        return f"HTTP {status}"
    inner = exception
    # geventhttpclient's RetriesExceeded keeps what happened in `original`, not as its cause.
    while isinstance(cause := inner.__cause__ or getattr(inner, "original", None), BaseException):
        inner = cause
    if isinstance(inner, TimeoutError | gevent.Timeout):
        return "timeout"
    if isinstance(inner, ConnectionRefusedError):
        return "connection refused"
    if isinstance(inner, ConnectionResetError | BrokenPipeError):
        return "connection reset"
    text = f"{type(inner).__name__}: {inner}" if str(inner) else type(inner).__name__
    return text[:_MAX_ERROR_LENGTH]


class Counts(msgspec.Struct):
    """Running figures for the live line."""

    rows: int = 0
    failed: int = 0


class RowCollector:
    """Writes the rows of all processes, each under its worker's number."""

    def __init__(self, writer: RequestWriter) -> None:
        self._writer = writer
        self._names = _Codes()
        self._errors = _Codes()
        self.counts = Counts()
        self._rows: Counter[int] = Counter()

    def rows_of(self, worker: int) -> int:
        """How many rows of one process have been written."""
        return self._rows[worker]

    def collect(self, message: dict[str, Any], worker: int) -> None:
        """Write one process's rows. Raises RecordError when the disk does not take them."""
        intended_s = np.frombuffer(message["intended_s"], np.float64)
        if not intended_s.size:
            return
        name_codes = np.array([self._names.code(text) for text in message["names"]], np.int32)
        error_codes = np.array([self._errors.code(text) for text in message["errors"]], np.int32)
        error = np.frombuffer(message["error"], np.int32)
        failed = error >= 0
        global_error = np.full(error.size, -1, np.int32)
        global_error[failed] = error_codes[error[failed]]
        self.counts.rows += int(intended_s.size)
        self._rows[worker] += int(intended_s.size)
        self.counts.failed += int(np.count_nonzero(failed))
        self._writer.append(
            RequestColumns(
                intended_s=intended_s,
                send_lag_s=np.frombuffer(message["send_lag_s"], np.float32),
                latency_s=np.frombuffer(message["latency_s"], np.float32),
                status=np.frombuffer(message["status"], np.uint16),
                name=name_codes[np.frombuffer(message["name"], np.int32)],
                error=global_error,
                worker=np.full(intended_s.size, worker, np.uint16),
                names=tuple(self._names.texts),
                errors=tuple(self._errors.texts),
            )
        )
