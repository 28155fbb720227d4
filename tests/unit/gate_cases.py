"""A run with one deployment, and gates that are judged over it."""

from reports.analysis.gates import judge, parse_gate
from reports.model.intervals import Span, Stat
from reports.model.load import LoadReport, StreamReport
from reports.model.report import GateResult, ProbeReport
from reports.model.steps import (
    DeploymentReport,
    Replicas,
    ScaleDown,
    ScaleUp,
)

LOAD = LoadReport(
    planned=1000,
    sent=990,
    completed=980,
    failed=10,
    not_sent=10,
    error_ratio=0.02,
    errors={"x": 10},
    latency_p99_ms=480.0,
    stream=StreamReport(answers=400, tokens=9000, first_token_p99_ms=310.0),
)
PROBE = ProbeReport(polls=500, gaps=2, gap_s=1.5, restarts=0, observer_share=0.009)
OF_RUN = {"requests": LOAD, "load": LOAD, "probe": PROBE, "event": ()}


def span(lo: float, hi: float) -> Span:
    return Span((lo + hi) / 2, lo, hi)


def same(figure: Span) -> Stat:
    return Stat(p50=figure, p95=figure, max=figure)


def deployment(
    total: Span | None = None, replicas: Replicas | None = None, down: Span | None = None
) -> DeploymentReport:
    """A deployment in which every statistic of the lag upwards is `total`, downwards `down`."""
    return DeploymentReport(
        autoscaling=None,
        steps=(),
        scale_up=ScaleUp(steps=1, total_s=same(total)) if total else ScaleUp(),
        scale_down=ScaleDown(steps=1, total_s=same(down)) if down else ScaleDown(),
        replicas=replicas or Replicas(1, 4, 2),
    )


def result(expr: str, **deployments: DeploymentReport) -> GateResult:
    """The gate, judged over `deployments` of application "app"."""
    found = {f"app/{name}": report for name, report in deployments.items()}
    (judged,) = judge([parse_gate(expr)], found, OF_RUN)
    return judged


def verdict(expr: str, **deployments: DeploymentReport) -> str:
    return result(expr, **deployments).verdict
