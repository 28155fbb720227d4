"""Hand-built analyses: what a renderer gets, with figures chosen to be recognisable, not realistic.

`busy()` has something of everything, `calm()` is a passed demo run, `interrupted()` ended early.
"""

import msgspec

from reports.model.charts import Analysis
from reports.model.intervals import Span, longer_than, stat
from reports.model.load import LoadReport
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
from tests.support.built.drawn import HOSTILE, HOSTILE_KEY, charts, curve
from tests.support.built.loads import EDGES_S, LEVELS, calm_load, load

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


START = step(0, 1, 1, reason="the target did not rise: 1 RUNNING before, target 1 at the end")
END = step(5, 1, 1, reason="the target did not fall: 1 RUNNING before, target 1 at the end")
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
