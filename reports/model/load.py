"""Load as it was offered and answered, per step, name and worker."""

import msgspec

from reports.model.intervals import Span
from reports.model.prompts import PromptReport
from scalelag.plan.stages import Unit

NO_BREACH = "no breach"
"""Reason that a step has no time of recovery: its latency never left the band."""


class StreamReport(msgspec.Struct, frozen=True):
    """Streamed answers, those that broke off among them.

    `first_token`, of any kind, counts from the intended start, over all in which a token came; so do
    the first text, the first reasoning and the first tool call, null if no answer had any.
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
    first_text_p50_ms: float | None = None
    first_text_p99_ms: float | None = None
    first_reasoning_p50_ms: float | None = None
    first_reasoning_p99_ms: float | None = None
    first_tool_call_p50_ms: float | None = None
    first_tool_call_p99_ms: float | None = None


class GoodputReport(msgspec.Struct, frozen=True):
    """Requests that were answered within all limits of `--slo`; null for `reason` if not measured.

    `ratio` is `good` over `planned`, failed and unsent requests among these; `rps` over the time of the
    load. `scaling_s` are the seconds in which replicas followed a step, with the goodput of the
    requests meant to start in them; `otherwise_ratio` is that of all others.
    """

    good: int = 0
    planned: int = 0
    ratio: float | None = None
    rps: float | None = None
    scaling_s: float = 0.0
    while_scaling_ratio: float | None = None
    while_scaling_rps: float | None = None
    otherwise_ratio: float | None = None
    reason: str | None = None


class NotSentReport(msgspec.Struct, frozen=True):
    """Planned requests that were not sent, by reason (docs/metrics.md#saturated-or-late).

    `in_flight_limit`: all `--max-in-flight` requests were open, so the target was saturated. `late`:
    there was room, and the load generator was too slow. `worker_lost`: its process was lost. `turn`:
    the answer before it in its session had not ended when the load was over.
    """

    in_flight_limit: int = 0
    late: int = 0
    worker_lost: int = 0
    turn: int = 0


class SaturationReport(msgspec.Struct, frozen=True):
    """A time of saturation, in seconds after the plan's start, and the requests not sent in it."""

    index: int
    at_s: float
    until_s: float
    not_sent: int


class TaskExceptionReport(msgspec.Struct, frozen=True):
    """A kind of exception in the tasks of users; `text` is the last line of the first traceback."""

    index: int
    text: str
    where: str | None
    count: int


class NameReport(msgspec.Struct, frozen=True):
    """Requests of one name, such as one model's, or for one application.

    Figures are as those of the whole load; rates are over the time of the load.
    """

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
    error_ratio: float | None = None
    offered_rps: float | None = None
    completed_rps: float | None = None


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


class LoadStepReport(msgspec.Struct, frozen=True):
    """Requests whose intended start lies in one load step's hold.

    `recovered_s` is as in the steps of deployments. `names` and `applications` are those of the run,
    with rates over the step; empty if the run has one name, or one application, and without
    those that got no request in the step.
    """

    index: int
    at_s: float
    hold_s: float
    from_level: float
    to_level: float
    unit: Unit
    planned: int
    sent: int
    completed: int
    failed: int
    not_sent: int
    offered_rps: float
    completed_rps: float
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    latency_max_ms: float | None = None
    service_p50_ms: float | None = None
    service_p99_ms: float | None = None
    error_ratio: float | None = None
    stream: StreamReport | None = None
    recovered_s: Span | None = None
    recovered_reason: str | None = None
    not_sent_by: NotSentReport = NotSentReport()
    saturated_s: float = 0.0
    goodput: GoodputReport | None = None
    names: dict[str, NameReport] = {}
    applications: dict[str, NameReport] = {}


class LoadWorkerReport(msgspec.Struct, frozen=True):
    """One load process; `index` is the `worker` of its rows, `sent` and `not_sent` count them.

    `offset_s` is its clock minus the leader's, right to within `error_s` and `drift_s`. Times of
    its loss are seconds after the plan's start; `lost_arrivals` are planned requests that it left
    no row of, None if they were not counted.
    """

    index: int
    host: str
    sent: int
    not_sent: int
    offset_s: float
    error_s: float
    drift_s: float
    lost_at_s: float | None = None
    lost_reason: str | None = None
    back_at_s: float | None = None
    lost_arrivals: int | None = None


class LoadReport(msgspec.Struct, frozen=True):
    """All requests of the run.

    `completed` were answered without an error, `failed` were sent and were not, `not_sent` were
    planned and never sent; `error_ratio` is failed and not sent over planned. Latency counts from
    the intended start, service time from the actual send, over all that were sent. `stream` is None
    where no answer was streamed; `names` begins with the name of most requests. `windows` are
    stretches of 10 s, or longer ones in a long run. `late_ratio` is the share of requests with room
    that the load generator sent late or not at all. `saturated` are the times, `saturated_s` long,
    in which requests were not sent since all others were open. `task_exceptions` are those that the
    tasks of users raised, None if they were not recorded; the most frequent kind comes first.
    `goodput` is that within the `limits` of `--slo`, None without any. `prompts` are those that the run
    made, None if it sent the body of the options as it is. `applications` are those that requests were
    for, if there are several and the record tells. Rates are over the time of the load.
    """

    planned: int
    sent: int
    completed: int
    failed: int
    not_sent: int
    error_ratio: float | None
    errors: dict[str, int]
    on_time_ratio: float | None = None
    send_lag_p50_ms: float | None = None
    send_lag_p99_ms: float | None = None
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    latency_p999_ms: float | None = None
    latency_max_ms: float | None = None
    service_p50_ms: float | None = None
    service_p99_ms: float | None = None
    steps: tuple[LoadStepReport, ...] = ()
    workers: tuple[LoadWorkerReport, ...] = ()
    stream: StreamReport | None = None
    names: dict[str, NameReport] = {}
    windows: tuple[WindowReport, ...] = ()
    not_sent_by: NotSentReport = NotSentReport()
    late_ratio: float | None = None
    task_exceptions: int | None = None
    task_exception_kinds: tuple[TaskExceptionReport, ...] = ()
    saturated_s: float = 0.0
    saturated: tuple[SaturationReport, ...] = ()
    goodput: GoodputReport | None = None
    limits: tuple[str, ...] = ()
    prompts: PromptReport | None = None
    applications: dict[str, NameReport] = {}
    offered_rps: float | None = None
    completed_rps: float | None = None
