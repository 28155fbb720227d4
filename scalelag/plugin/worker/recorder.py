"""Rows of requests, gathered in every process that sends load; the leader writes them."""

from contextlib import suppress
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Any, NamedTuple

import numpy as np

from scalelag.plugin.worker.messages import RequestRows
from scalelag.plugin.worker.request_errors import error_kind
from scalelag.record.clock import Clock
from scalelag.record.requests_file import ASKED_FIELDS
from scalelag.record.secrets import hide_url_secrets
from scalelag.record.text_codes import TextCodes, parts_of, request_key

_HIGHEST_STATUS = 65535
_NAN = float("nan")
_MOST_TOLD = 2.0**31

# Of a row: intended start, when it was done (monotonic, which is read in a third of the time that
# the run's clock takes), when it was sent, or else milliseconds of service, status, and codes of name
# and error; of a streamed answer: number of its row, and the fields of StreamTimes.
_pack_row = Struct("=ddddiii").pack
_pack_stream = Struct("=IdIddIdddI").pack
_pack_asked = Struct("=IIIIId").pack
_ROW = np.dtype(
    [
        ("intended_s", "f8"),
        ("done_ticks_s", "f8"),
        ("sent_s", "f8"),
        ("service_ms", "f8"),
        ("status", "i4"),
        ("name", "i4"),
        ("error", "i4"),
    ]
)
_STREAM = np.dtype(
    [
        ("row", "u4"),
        ("first_token_s", "f8"),
        ("tokens", "u4"),
        ("token_gap_max_s", "f8"),
        ("last_token_s", "f8"),
        ("timed_tokens", "u4"),
        ("first_text_s", "f8"),
        ("first_reasoning_s", "f8"),
        ("first_tool_call_s", "f8"),
        ("prompt_tokens", "u4"),
    ]
)
_ASKED = np.dtype(
    [
        ("row", "u4"),
        ("asked_prompt_tokens", "u4"),
        ("asked_tokens", "u4"),
        ("session", "u4"),
        ("turn", "u4"),
        ("turn_wait_s", "f8"),
    ]
)
_MOMENTS = (
    *("first_token_s", "last_token_s"),
    *("first_text_s", "first_reasoning_s", "first_tool_call_s"),
)


class StreamTimes(NamedTuple):
    """Times of the tokens of a streamed answer; a user class passes it as `context["stream"]`.

    Moments are Unix seconds on the run's clock, NaN if there was none. `first_token_s` is that of the
    first token of any kind: text, reasoning or tool call, which have moments of their own beside it.
    `tokens` are all that the server counts; `timed_tokens` are those that came from `first_token_s` to
    `last_token_s`, 0 if that is not known. `longest_gap_s` is the longest time between two tokens, NaN
    if fewer came. `prompt_tokens` are those of the prompt as the server counts them, 0 if it does not.
    """

    first_token_s: float
    tokens: int
    longest_gap_s: float
    last_token_s: float = _NAN
    timed_tokens: int = 0
    first_text_s: float = _NAN
    first_reasoning_s: float = _NAN
    first_tool_call_s: float = _NAN
    prompt_tokens: int = 0


class PromptFacts(NamedTuple):
    """Facts of a request whose prompt we made; a user class passes it as `context["asked"]`.

    Tokens of prompt and answer that were asked for, 0 for an answer as long as it likes; number of the
    session, and turn in it, from 1, 0 without one. Its turn came `turn_wait_s` after it was due.
    """

    prompt_tokens: int = 0
    answer_tokens: int = 0
    session: int = 0
    turn: int = 0
    turn_wait_s: float = 0.0


class RequestRecorder:
    """Gathers requests of one process as bytes: half a microsecond each, and no object is kept.

    The context of a request says more of it. That of an arrival has `"arrival"`: its `intended_s`
    and `sent_s` are taken, and its `recorded` set; any other request was meant to start when it did.
    `"stream"` are the StreamTimes of a streamed answer, `"status"` the status of an answer which is
    not HTTP's (200 = answered well), `"asked"` the PromptFacts of a prompt of ours.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ticks = clock.monotonic
        self._names = TextCodes()
        self._name_codes: dict[tuple[str, str], int] = {}
        self._errors = TextCodes()
        self._rows = bytearray()
        self._streams = bytearray()
        self._asked = bytearray()

    def on_request(
        self,
        request_type: str,
        name: str,
        response_time: float,
        exception: BaseException | None = None,
        response: Any = None,  # noqa: ANN401  each of Locust's clients has its own response
        context: Any = None,  # noqa: ANN401  anything a user's code passes
        *,
        start_time: object = None,  # noqa: ARG002  what Locust always passes costs less by name
        url: object = None,  # noqa: ARG002
        response_length: object = None,  # noqa: ARG002
        **_rest: object,
    ) -> None:
        """Record what Locust's `request` event tells. As for Locust, an empty `exception` is none."""
        # `try` is free where it succeeds; isinstance, getattr and dict.get are 20 ns each.
        status = getattr(response, "status_code", 0) or 0
        intended_s = sent_s = _NAN
        if context:
            try:
                arrival = context["arrival"]
                intended_s, sent_s = arrival.intended_s, arrival.sent_s
                arrival.recorded = True
                tells_more = len(context) > 1
            except (KeyError, AttributeError):
                tells_more = True
            except TypeError:  # no dict: something of a user's own
                tells_more = False
            if tells_more:
                status = self._add_more(context, status)
        try:
            code = self._name_codes[request_type, name]
        except (KeyError, TypeError):  # it is new, or no text but a list
            code = self._new_code(request_type, name)
        error = self._errors.code(error_kind(exception)) if exception else -1
        row = (intended_s, self._ticks(), sent_s, response_time or 0.0, status, code, error)
        try:
            self._rows += _pack_row(*row)
        except StructError:
            self._rows += _pack_odd(*row)

    def _add_more(self, context: Any, status: int) -> int:  # noqa: ANN401  anything with keys
        """Keep what the context says beside the arrival; returns its status, or else the one given."""
        self._add_stream(context.get("stream"))
        self._add_asked(context.get("asked"))
        return context.get("status", status)

    def _new_code(self, method: str, name: str) -> int:
        """Code of a method and a name that are new; GET and PUT of one name are two requests."""
        shown = hide_url_secrets(str(name)) if name not in (None, "") else ""
        key = request_key(str(method), shown) if shown else request_key("", str(method))
        before = len(self._names.texts)
        code = self._names.code(key)
        if len(self._names.texts) > before:  # else it is one of the many others
            with suppress(TypeError):
                self._name_codes[method, name] = code
        return code

    def _add_stream(self, times: StreamTimes | None) -> None:
        """Keep the times of the row that comes next."""
        if times is not None:
            self._streams += _pack_stream(len(self._rows) // _ROW.itemsize, *times)

    def _add_asked(self, asked: PromptFacts | None) -> None:
        """Keep what was asked by the row that comes next."""
        if asked is not None:
            self._asked += _pack_asked(len(self._rows) // _ROW.itemsize, *asked)

    def add(
        self,
        *,
        intended_s: float,
        send_lag_s: float,
        latency_s: float,
        status: int,
        name: str,
        error: str | None,
        method: str = "",
        asked: PromptFacts | None = None,
    ) -> None:
        """Record one request; NaN for a lag or latency that it has not."""
        self._add_asked(asked)
        self._rows += _pack_row(
            intended_s,
            intended_s + latency_s - self._clock.zero_s,
            _NAN,
            (latency_s - send_lag_s) * 1000,
            status,
            self._names.code(request_key(method, name)),
            -1 if error is None else self._errors.code(error),
        )

    def add_not_sent(self, intended_s: float, name: str, kind: str) -> None:
        """Record a request that was planned and not sent; `kind` says why (`error_kinds`)."""
        self.add(
            intended_s=intended_s,
            send_lag_s=_NAN,
            latency_s=_NAN,
            status=0,
            name=name,
            error=kind,
        )

    def take(self) -> RequestRows:
        """Return all rows since the last call, and all texts."""
        rows = np.frombuffer(self._rows, _ROW)
        streams = np.frombuffer(self._streams, _STREAM)
        asked = np.frombuffer(self._asked, _ASKED)
        self._rows, self._streams, self._asked = bytearray(), bytearray(), bytearray()
        # As the clock is now: a process learns how far its own is ahead with its share only.
        done_s = rows["done_ticks_s"] + self._clock.zero_s
        sent_s = rows["sent_s"]
        # What came between an answer and its recording is better added to the service than to the
        # lag: no request was sent later than it says.
        told_ms = rows["service_ms"]
        told_s = np.where(np.isfinite(told_ms), np.maximum(told_ms, 0.0), 0.0) / 1000
        service_s = np.where(np.isnan(sent_s), told_s, done_s - sent_s)
        meant_s = rows["intended_s"]
        intended_s = np.where(np.isnan(meant_s), done_s - service_s, meant_s)
        latency_s = done_s - intended_s
        status = rows["status"]
        known = (status >= 0) & (status <= _HIGHEST_STATUS)
        begun_s = intended_s[streams["row"]]
        moments = {name: (streams[name] - begun_s).astype(np.float32) for name in _MOMENTS}
        return RequestRows(
            intended_s=intended_s.tobytes(),
            send_lag_s=np.maximum(latency_s - service_s, 0).astype(np.float32).tobytes(),
            latency_s=latency_s.astype(np.float32).tobytes(),
            status=np.where(known, status, 0).astype(np.uint16).tobytes(),
            name=rows["name"].tobytes(),
            error=rows["error"].tobytes(),
            stream_row=streams["row"].tobytes(),
            tokens=streams["tokens"].tobytes(),
            token_gap_max_s=streams["token_gap_max_s"].astype(np.float32).tobytes(),
            timed_tokens=streams["timed_tokens"].tobytes(),
            prompt_tokens=streams["prompt_tokens"].tobytes(),
            asked_row=asked["row"].tobytes(),
            **{name: asked[name].tobytes() for name in ASKED_FIELDS},
            **{name: moment.tobytes() for name, moment in moments.items()},
            names=tuple(name for _, name in map(parts_of, self._names.texts)),
            methods=tuple(method for method, _ in map(parts_of, self._names.texts)),
            errors=tuple(self._errors.texts),
        )


def _pack_odd(*row: Any) -> bytes:  # noqa: ANN401
    """Pack a row whose milliseconds or status, of a client of a user's own, are no numbers."""
    *moments, service_ms, status, name, error = row
    return _pack_row(*moments, _number(service_ms), int(_number(status)), name, error)


def _number(value: Any) -> float:  # noqa: ANN401  anything a user's code passes
    """Return the number that a client passed as a text, or else 0."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if abs(number) < _MOST_TOLD else 0.0
