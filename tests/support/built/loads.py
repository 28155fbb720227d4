"""Reports of the load: one with everything at once, and one in which all went well."""

import msgspec

from reports.model.load import LoadReport, LoadStepReport, NameReport, StreamReport
from tests.support.built.drawn import HOSTILE_KEY

EDGES_S = (0.0, 20.0, 50.0, 80.0, 110.0, 140.0)
LEVELS = (5.0, 40.0, 400.0, 400.0, 5.0, 0.0)


def load_step(
    index: int, completed_rps: float, failed: int = 0, not_sent: int = 0, slow: float = 1.0
) -> LoadStepReport:
    ends_s = EDGES_S[1:]
    planned = round(LEVELS[index] * (ends_s[index] - EDGES_S[index]))
    return LoadStepReport(
        index=index,
        at_s=EDGES_S[index],
        hold_s=ends_s[index] - EDGES_S[index],
        from_level=LEVELS[index - 1] if index else 0.0,
        to_level=LEVELS[index],
        unit="rps",
        planned=planned,
        sent=planned - not_sent,
        completed=planned - not_sent - failed,
        failed=failed,
        not_sent=not_sent,
        offered_rps=LEVELS[index],
        completed_rps=completed_rps,
        latency_p50_ms=50.4 * slow,
        latency_p95_ms=61.3 * slow,
        latency_p99_ms=88.8 * slow,
        latency_max_ms=140.2 * slow,
        service_p50_ms=50.1,
        service_p99_ms=57.7,
        error_ratio=(failed + not_sent) / planned,
    )


def streaming(step: LoadStepReport, slow: float = 1.0) -> LoadStepReport:
    """`step`, half of whose requests were answered token by token."""
    answers = step.sent // 2
    return msgspec.structs.replace(step, stream=stream(answers, step.hold_s, slow))


def stream(answers: int, seconds: float, slow: float = 1.0) -> StreamReport:
    return StreamReport(
        answers=answers,
        tokens=120 * answers,
        tokens_per_s=120 * answers / seconds,
        first_token_p50_ms=31.5 * slow,
        first_token_p95_ms=41.7 * slow,
        first_token_p99_ms=66.6 * slow,
        first_token_max_ms=99.9 * slow,
        time_between_tokens_p50_ms=20.2,
        time_between_tokens_p99_ms=23.4,
        token_gap_max_ms=212.1,
    )


BROKEN_OFF = StreamReport(answers=1, tokens=0, tokens_per_s=0.0)
"""One answer that never began."""


def names() -> dict[str, NameReport]:
    """Models, of which more than are shown; one streams, one was never sent, one means harm."""
    model = NameReport(
        planned=2000,
        sent=1990,
        failed=4,
        not_sent=10,
        latency_p50_ms=212.4,
        latency_p95_ms=4321.0,
        latency_p99_ms=7654.3,
        latency_max_ms=14_021.7,
        service_p50_ms=50.3,
        service_p99_ms=58.8,
        error_ratio=14 / 2000,
        offered_rps=2000 / 140,
        completed_rps=1986 / 140,
    )
    chat = msgspec.structs.replace(
        model, planned=9000, sent=8900, not_sent=100, completed_rps=8896 / 140
    )
    never = NameReport(planned=7, sent=0, failed=0, not_sent=7)
    return {
        "chat": msgspec.structs.replace(chat, stream=stream(8900, 140.0, 50.0)),
        HOSTILE_KEY: model,
        "/v1/models/a-model-with-a-name-that-is-rather-long/infer": model,
        **{f"model-{number}": model for number in range(1, 8)},
        "model-8": never,
        "model-9": never,
    }


def applications() -> dict[str, NameReport]:
    """Two of the names are those of applications."""
    return {app: names()[name] for app, name in (("chat app", "chat"), (HOSTILE_KEY, "model-1"))}


ERRORS = {
    "not_sent": 212,
    "HTTP 503 Service Unavailable": 31,
    "[bold]ConnectionResetError[/bold](104,\n'Connection reset by peer')\x1b[2J": 7,
    "timeout": 4,
    f"HTTP 500 {'Traceback (most recent call last): ' * 20}": 3,
    "HTTP 502": 2,
    "HTTP 504": 1,
}


def load() -> LoadReport:
    return LoadReport(
        planned=25_450,
        sent=25_238,
        completed=25_190,
        failed=48,
        not_sent=212,
        error_ratio=260 / 25_450,
        errors=ERRORS,
        on_time_ratio=0.9916,
        send_lag_p50_ms=0.3,
        send_lag_p99_ms=2.4,
        latency_p50_ms=310.6,
        latency_p95_ms=5123.4,
        latency_p99_ms=8888.8,
        latency_p999_ms=12_000.1,
        latency_max_ms=14_021.7,
        service_p50_ms=50.3,
        service_p99_ms=58.9,
        steps=(
            streaming(load_step(0, 5.0, 0, 0, 1.0)),
            streaming(load_step(1, 39.9, 2, 0, 2.0), 2.0),
            streaming(load_step(2, 301.7, 46, 212, 100.0), 111.1),
            load_step(3, 399.5, 0, 0, 30.0),
            msgspec.structs.replace(load_step(4, 5.0, 0, 0, 1.0), stream=BROKEN_OFF),
        ),
        stream=stream(6545, 140.0, 50.0),
        names=names(),
        applications=applications(),
    )


def calm_load() -> LoadReport:
    down = msgspec.structs.replace(
        load_step(4, 5.0), index=2, at_s=50.0, from_level=40.0, to_level=5.0
    )
    return LoadReport(
        planned=1450,
        sent=1450,
        completed=1450,
        failed=0,
        not_sent=0,
        error_ratio=0.0,
        errors={},
        on_time_ratio=1.0,
        send_lag_p50_ms=0.3,
        send_lag_p99_ms=2.4,
        latency_p50_ms=96.2,
        latency_p95_ms=119.8,
        latency_p99_ms=171.5,
        latency_p999_ms=266.6,
        latency_max_ms=280.4,
        service_p50_ms=50.3,
        service_p99_ms=58.9,
        steps=(load_step(0, 5.0), load_step(1, 40.0, slow=2.0), down),
    )
