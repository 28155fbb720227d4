"""Messages between the leader of a run and its workers, typed here and encoded only at the edge.

Locust sends a dict as msgpack, or hands it over within the process; bytes stay as they are.
"""

from typing import Any, TypeVar

import msgspec

from scalelag.options.run_options import LoadOptions
from scalelag.record.run_info import TaskException

START_MESSAGE = "scalelag_start"
STAGE_END_MESSAGE = "scalelag_stage_end"
FLUSH_MESSAGE = "scalelag_flush"
HURRY_MESSAGE = "scalelag_hurry"
ROWS_MESSAGE = "scalelag_rows"
PING_MESSAGE = "scalelag_ping"
PONG_MESSAGE = "scalelag_pong"
REFUSAL_MESSAGE = "scalelag_refusal"

_Message = TypeVar("_Message", bound=msgspec.Struct)


class Assignment(msgspec.Struct, frozen=True):
    """A process's share of a run.

    It is number `index` of `count` processes. `zero_s` is the plan's start in Unix seconds;
    `ahead_s` how far the process's clock is ahead.
    """

    run: str
    zero_s: float
    index: int
    count: int
    options: LoadOptions
    ahead_s: float = 0.0


class StageEnd(msgspec.Struct, frozen=True):
    """End of a stage of `run` that has settled, in seconds after the plan's start.

    It comes long enough before that no process has begun to wait for an arrival after it.
    """

    run: str
    stage: int
    at_s: float


class Refusal(msgspec.Struct, frozen=True):
    """Reason why a worker cannot send its share of `run`."""

    run: str
    worker: int
    reason: str


class Ping(msgspec.Struct, frozen=True):
    """Question for a worker's clock; `sent_s` on the leader's."""

    sent_s: float


class Pong(msgspec.Struct, frozen=True):
    """Answer to the ping of `sent_s`; `at_s` on the worker's own clock."""

    sent_s: float
    at_s: float


class RequestRows(msgspec.Struct, frozen=True):
    """Rows of requests as the bytes of each column, and all `names` and `errors` of the process.

    float64: `intended_s`; float32: other times; uint16: `status`; int32: codes in `name` and `error`,
    -1 for no error; uint32: `tokens`, `timed_tokens`, `prompt_tokens`, and `stream_row`, the row of
    each streamed answer. `asked_row` and the columns after it belong to requests with a prompt of ours,
    as in AskedColumns. `methods` are those of the `names`.
    """

    intended_s: bytes
    send_lag_s: bytes
    latency_s: bytes
    status: bytes
    name: bytes
    error: bytes
    stream_row: bytes
    first_token_s: bytes
    tokens: bytes
    token_gap_max_s: bytes
    last_token_s: bytes
    timed_tokens: bytes
    first_text_s: bytes
    first_reasoning_s: bytes
    first_tool_call_s: bytes
    names: tuple[str, ...]
    errors: tuple[str, ...]
    methods: tuple[str, ...] = ()
    prompt_tokens: bytes = b""
    asked_row: bytes = b""
    asked_prompt_tokens: bytes = b""
    asked_tokens: bytes = b""
    session: bytes = b""
    turn: bytes = b""
    turn_wait_s: bytes = b""


class RowsMessage(msgspec.Struct, frozen=True):
    """Rows and exceptions of one worker since its last message; `final` if the load is over.

    `users` are the changes of its number of users: the leader's Unix seconds, and the users then.
    """

    run: str
    worker: int
    final: bool
    rows: RequestRows
    exceptions: tuple[TaskException, ...] = ()
    users: tuple[tuple[float, int], ...] = ()


def encoded(message: msgspec.Struct) -> dict[str, Any]:
    """Return `message` as the data of a message of Locust's."""
    return msgspec.to_builtins(message, builtin_types=(bytes,))


def decoded(message: object, kind: type[_Message]) -> _Message:
    """Return the data of Locust's `message`. Raises ValidationError for that of another version."""
    return msgspec.convert(getattr(message, "data", None), kind)
