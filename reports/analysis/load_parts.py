"""Parts of what is reported of the load: streamed answers, and requests of one name."""

import msgspec


class StreamReport(msgspec.Struct, frozen=True):
    """Streamed answers, those that broke off among them.

    `first_token` counts from the intended start, over all in which a token came.
    `time_between_tokens` is each whole answer's mean, `token_gap_max_ms` the longest single gap.
    `tokens_per_s` are the tokens of all answers over the time of the load that asked for them.
    """

    answers: int
    tokens: int
    tokens_per_s: float | None = None
    first_token_p50_ms: float | None = None
    first_token_p95_ms: float | None = None
    first_token_p99_ms: float | None = None
    first_token_max_ms: float | None = None
    time_between_tokens_p50_ms: float | None = None
    time_between_tokens_p99_ms: float | None = None
    token_gap_max_ms: float | None = None


class NameReport(msgspec.Struct, frozen=True):
    """Requests of one name, such as one model's; figures as those of the whole load."""

    planned: int
    sent: int
    failed: int
    not_sent: int
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    latency_max_ms: float | None = None
    service_p50_ms: float | None = None
    service_p99_ms: float | None = None
    stream: StreamReport | None = None


class WindowReport(msgspec.Struct, frozen=True):
    """Requests whose intended start lies in one window of the load; `at_s` counts from its start.

    A p99 over a whole run hides a stall of some seconds: a window, and its maximum, does not.
    """

    index: int
    at_s: float
    seconds: float
    planned: int
    failed: int
    not_sent: int
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    latency_max_ms: float | None = None


class StoppingReport(msgspec.Struct, frozen=True):
    """Requests that were open in the `stopping_s` seconds in which a replica was STOPPING.

    `failed` of them failed, and `slowest_1pct` others are among the slowest 1 % of the run.
    """

    stopping_s: float = 0.0
    requests: int = 0
    failed: int = 0
    slowest_1pct: int = 0
