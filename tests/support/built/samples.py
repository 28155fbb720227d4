"""Hand-built analyses: what a renderer gets, with figures chosen to be recognisable, not realistic.

`busy()` has something of everything, `calm()` is a passed demo run, `interrupted()` ended early.
"""

import msgspec

from reports.model.charts import Analysis
from reports.model.intervals import Span, longer_than, stat
from reports.model.load import LoadReport, LoadStepReport, NameReport, StreamReport
from reports.model.report import GateResult, ProbeReport, Report, RunSummary
from reports.model.steps import (
    DeploymentReport,
    Phase,
    PhaseName,
    Replicas,
    ScaleDown,
    ScaleUp,
    StepReport,
)
from scalelag.record.run_info import LintFinding, Versions
from tests.support.built.drawn import HOSTILE, charts, curve

HOSTILE_KEY = f"{HOSTILE}/Proxy\x1b[31m\u202e"
EDGES_S = (0.0, 20.0, 50.0, 80.0, 110.0, 140.0)
LEVELS = (5.0, 40.0, 400.0, 400.0, 5.0, 0.0)
OFFERED_END_S, WATCHED_END_S = 140, 170


def span(value: float, margin: float = 0.0) -> Span:
    return Span(value=value, lo=max(0.0, value - margin), hi=value + margin)


def phase(name: PhaseName, value: float, margin: float = 0.0) -> Phase:
    known = span(value, margin)
    return Phase(name=name, value=known.value, lo=known.lo, hi=known.hi, source="poll")


def missing(name: PhaseName, reason: str) -> Phase:
    return Phase(name=name, reason=reason)


NOT_POLLED = (
    missing("mark_running", "polling cannot tell it from initialize"),
    missing("route", "polling does not show requests"),
)


def step(index: int, before: int | None, after: int | None, **fields: object) -> StepReport:
    """The step to `LEVELS[index]`, with the defaults of one that nobody answered."""
    from_level = LEVELS[index - 1] if index else 0.0
    at_s = EDGES_S[index]
    ends_s = [*EDGES_S[1:], float(WATCHED_END_S)]
    known = {
        "index": index,
        "direction": "up" if LEVELS[index] > from_level else "down",
        "at_s": at_s,
        "hold_s": ends_s[index] - at_s,
        "from_level": from_level,
        "to_level": LEVELS[index],
        "unit": "rps",
        "replicas_before": before,
        "replicas_after": after,
        "target_before": before,
        "target_after": after,
    }
    return StepReport(**(known | fields))


START = step(0, 1, 1, reason="no new replica was needed: 1 RUNNING before, target 1 at the end")
END = step(5, 1, 1, reason="no replica was to go: 1 RUNNING before, target 1 at the end")
UP = step(
    1,
    1,
    4,
    total_s=span(9.31, 0.15),
    phases=(
        phase("decide", 5.02, 0.1),
        phase("create", 0.11, 0.1),
        phase("allocate", 2.71),
        phase("initialize", 1.47, 0.2),
        *NOT_POLLED,
    ),
    unattributed_s=0.0,
    critical_replica="g9aifu0c",
)
CENSORED = step(
    2,
    4,
    5,
    target_after=8,
    total_s=longer_than(30.0),
    censored=True,
    reason="target 8 not reached within the hold: 5 RUNNING",
    phases=(
        phase("decide", 4.4, 0.1),
        phase("create", 0.12, 0.11),
        missing("allocate", "not over by the end of the hold"),
        missing("initialize", "its beginning was not seen"),
        *NOT_POLLED,
    ),
    critical_replica="q2w[b]3e4",
)
SAME = step(3, 5, 8, direction="none", reason="the load did not change")
DOWN = step(
    4,
    8,
    1,
    total_s=span(12.66, 0.2),
    phases=(
        phase("decide", 8.3, 0.1),
        missing("stop", "not over by the end of the hold"),
        phase("drain", 2.2, 0.24),
    ),
    unattributed_s=2.16,
    critical_replica="zz81kd0p",
)
UNWATCHED = step(1, None, None, reason="the probe saw nothing of this deployment during the step")


def deployment(*steps: StepReport, low: int | None = 1, high: int = 8, **seen: int):
    config = None if low is None else {"min_replicas": low, "max_replicas": high}
    return DeploymentReport(
        autoscaling=config,
        steps=steps,
        scale_up=ScaleUp(
            total_s=stat([s.total_s for s in steps if s.total_s and s.direction == "up"])
        ),
        scale_down=ScaleDown(
            total_s=stat([s.total_s for s in steps if s.total_s and s.direction == "down"])
        ),
        replicas=Replicas(**seen),
    )


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
    )
    chat = msgspec.structs.replace(model, planned=9000, sent=8900, not_sent=100)
    never = NameReport(planned=7, sent=0, failed=0, not_sent=7)
    return {
        "chat": msgspec.structs.replace(chat, stream=stream(8900, 140.0, 50.0)),
        HOSTILE_KEY: model,
        "/v1/models/a-model-with-a-name-that-is-rather-long/infer": model,
        **{f"model-{number}": model for number in range(1, 8)},
        "model-8": never,
        "model-9": never,
    }


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
    )


def probe(**fields: object) -> ProbeReport:
    known = {
        "polls": 848,
        "gaps": 0,
        "gap_s": 0.0,
        "restarts": 0,
        "interval_s": 0.2,
        "round_trip_p50_ms": 3.1,
        "observer_share": 0.0087,
        "clock_offset_s": 0.002,
        "clock_error_s": 0.001,
    }
    return ProbeReport(**(known | fields))


def run(**fields: object) -> RunSummary:
    known = {
        "name": "sleeper",
        "status": "complete",
        "reason": None,
        "versions": Versions(scalelag="0.1.0", locust="2.44.0", python="3.11.9", ray="2.60.0"),
        "started_s": 1_795_369_501.0,
        "load_s": float(OFFERED_END_S),
        "duration_s": float(WATCHED_END_S),
        "steps": "5rps:20s,40rps:30s,400rps:30s,400rps:30s,5rps:30s",
        "repeat": 1,
        "unit": "rps",
        "arrivals": "constant",
        "seed": 0,
        "host": "http://127.0.0.1:8000",
        "dashboard": "http://127.0.0.1:8265",
        "embedded": True,
        "workers": 1,
    }
    return RunSummary(**(known | fields))


def report(**fields: object) -> Report:
    known = {
        "schema_version": 1,
        "run": run(),
        "verdict": "pass",
        "reasons": (),
        "gates": (),
        "deployments": {},
        "load": load(),
        "probe": probe(),
        "warnings": (),
        "not_measured": {
            "steps.recovered_s": "recovery of latency is not analysed by this version",
            "elasticity": "elasticity is not analysed by this version",
        },
    }
    return Report(**(known | fields))


SCALING = curve(
    (0, 1, 1),
    (25, 1, 3),
    (27, 2, 4),
    (29.3, 4, 4),
    (54.4, 4, 8),
    (60, 5, 8),
    (95, 8, 8),
    (118, 8, 1),
    (122.6, 1, 1),
)


LINT = (
    LintFinding(
        "default/Sleeper",
        "push-slower-than-delay",
        "metrics_interval_s 10 is longer than upscale_delay_s 2: open requests are reported every "
        "10 s, so a change in load is noticed up to 10 s late, and the delay is over before a "
        "second report can confirm the first. Set metrics_interval_s to 2 or less.",
    ),
    LintFinding(
        HOSTILE_KEY,
        "setting-read-nowhere",
        "autoscaling_config.[b]x\x1b[2J is read nowhere: Serve knows no such setting and left it "
        "out. Remove it.",
    ),
    LintFinding(None, "variable-read-nowhere", "RAY_SERVE_NOPE is set and has no effect"),
)


def busy() -> Analysis:
    """Everything at once: each kind of step, of gate, of warning, and names that mean harm."""
    deployments = {
        "default/Sleeper": deployment(START, UP, CENSORED, SAME, DOWN, END, min=1, max=8, final=1),
        HOSTILE_KEY: deployment(START, UNWATCHED, SAME, min=2, max=3, final=2),
        "llm/Model": deployment(START, UP, END, min=1, max=4, final=4),
        "llm/Router": deployment(START, low=None, min=1, max=1, final=1),
        "llm/Cache": deployment(START, min=1, max=1, final=1),
        "llm/Guard": deployment(START, min=1, max=1, final=1),
    }
    gates = (
        GateResult(
            expr="Model:scale_up.total_s.max <= 20",
            verdict="pass",
            value=9.31,
            lo=9.16,
            hi=9.46,
            deployment="llm/Model",
        ),
        GateResult(
            expr="scale_up.total_s.max <= 20",
            verdict="fail",
            lo=30.0,
            deployment="default/Sleeper",
        ),
        GateResult(
            expr="requests.error_ratio <= 0.001",
            verdict="fail",
            value=0.0102161,
            lo=0.0102161,
            hi=0.0102161,
        ),
        GateResult(
            expr="scale_down.drain_s.p95 <= 2.3",
            verdict="inconclusive",
            value=2.2,
            lo=1.96,
            hi=2.44,
            deployment="default/Sleeper",
        ),
        GateResult(
            expr="probe.clock_error_s <= 0.01",
            verdict="inconclusive",
            reason="probe.clock_error_s was not measured in this run",
        ),
    )
    warnings = (
        "the probe saw nothing from 61.2 to 63.9 s (answer [b]503[/b]): known only to that width",
        "212 planned requests were not sent: they count as failed (see --max-in-flight, --processes)",
        f"{HOSTILE_KEY}: the probe never saw this deployment",
    )
    return Analysis(
        report=report(
            run=run(name=HOSTILE),
            verdict="fail",
            gates=gates,
            deployments=deployments,
            probe=probe(gaps=1, gap_s=2.7),
            warnings=warnings,
            lint=LINT,
        ),
        charts=charts(
            dict(zip(EDGES_S, LEVELS, strict=True)),
            WATCHED_END_S,
            gap=True,
            **{
                "default/Sleeper": SCALING,
                HOSTILE_KEY: curve((0, 2, None), (40, 3, None), (140, 2, None)),
                "llm/Model": curve((0, 1, 1), (25, 1, 4), (29.3, 4, 4)),
                "llm/Cache": curve((0, 1, 1)),
                "llm/Guard": curve((0, 1, 1)),
            },
        ),
    )


def calm() -> Analysis:
    """A run of 5, 40 and 5 rps in which all went well."""
    down = msgspec.structs.replace(
        DOWN,
        index=2,
        at_s=50.0,
        from_level=40.0,
        replicas_before=4,
        target_before=4,
        phases=(phase("decide", 8.3, 0.1), phase("stop", 0.11, 0.1), phase("drain", 4.25, 0.2)),
        unattributed_s=0.0,
    )
    end = msgspec.structs.replace(END, index=3, at_s=80.0)
    gate = GateResult(
        expr="scale_up.total_s.max <= 20",
        verdict="pass",
        value=9.31,
        lo=9.16,
        hi=9.46,
        deployment="default/Sleeper",
    )
    return Analysis(
        report=report(
            run=run(duration_s=105.0, load_s=80.0, steps="5rps:20s,40rps:30s,5rps:30s"),
            gates=(gate,),
            deployments={
                "default/Sleeper": deployment(START, UP, down, end, min=1, max=4, final=1)
            },
            load=calm_load(),
        ),
        charts=charts(
            {0: 5.0, 20: 40.0, 50: 5.0, 80: 0.0},
            105,
            **{
                "default/Sleeper": curve(
                    (0, 1, 1),
                    (25, 1, 3),
                    (27, 2, 4),
                    (29.3, 4, 4),
                    (58.3, 4, 1),
                    (62.7, 1, 1),
                    end_s=105.0,
                )
            },
        ),
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


def interrupted() -> Analysis:
    """A run that was stopped before its load began to change, against a cluster of the user's."""
    started = run(
        name="nightly",
        status="interrupted",
        reason="Ctrl-C",
        embedded=False,
        versions=Versions(scalelag="0.1.0", locust="2.44.0", python="3.11.9"),
        duration_s=3.4,
        load_s=3.4,
        repeat=5,
        arrivals="poisson",
    )
    nothing = LoadReport(
        planned=0, sent=0, completed=0, failed=0, not_sent=0, error_ratio=None, errors={}
    )
    return Analysis(
        report=report(
            run=started,
            not_measured={},
            verdict="invalid",
            reasons=("interrupted: Ctrl-C", "no request was recorded"),
            deployments={"default/Sleeper": deployment()},
            load=nothing,
            probe=probe(polls=0, interval_s=None, observer_share=None),
            warnings=("default/Sleeper: the probe never saw this deployment",),
        ),
        charts=charts({}, 0),
    )
