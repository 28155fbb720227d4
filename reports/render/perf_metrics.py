"""The figures of a report as the JSON that Ray's release tests write and their tooling reads.

Names of latency and throughput are those of ray-project/ray, release/serve_tests/workloads; figures
of deployments are named as in gates.
"""

import json
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from reports.model.intervals import Stat
from reports.model.load import LoadReport, LoadStepReport
from reports.model.report import Report
from reports.model.steps import DeploymentReport

_LATENCIES: Final = ("p50", "p95", "p99")
_STATS: Final = ("p50", "p95", "max")
_TIMES: Final = ("total_s", "decide_s", "excess_s")


class PerfMetric(msgspec.Struct, frozen=True):
    """One figure. Of THROUGHPUT more is better, of LATENCY less; latencies are in ms, lags in s."""

    perf_metric_name: str
    perf_metric_value: float
    perf_metric_type: Literal["THROUGHPUT", "LATENCY"]


def render_perf_metrics(report: Report) -> bytes:
    """`report`'s figures as JSON in UTF-8: `perf_metrics`, and facts about the run beside them.

    What was not measured has no entry, nor has a value that is not above 0 (an excess may be below):
    Ray's tooling divides every value by that of another run.
    """
    load = report.load
    content = {
        "success": "1" if report.verdict == "pass" else "0",
        "verdict": report.verdict,
        "reasons": report.reasons,
        "warnings": report.warnings,
        "run": report.run.name,
        "ray_version": report.run.versions.ray,
        "scalelag_version": report.run.versions.scalelag,
        "total_requests": load.planned,
        "failed_requests": load.failed,
        "not_sent_requests": load.not_sent,
        "error_ratio": load.error_ratio,
        "censored_steps": sum(
            one.scale_up.censored + one.scale_down.censored for one in report.deployments.values()
        ),
        "perf_metrics": [
            msgspec.to_builtins(metric)
            for metric in _metrics(report)
            if metric.perf_metric_value > 0
        ],
    }
    return json.dumps(content, indent=2).encode() + b"\n"


def _metrics(report: Report) -> Iterator[PerfMetric]:
    yield from _of_load("", "avg_rps", report.load)
    for step in report.load.steps:
        # Ray's tests count stages from 1.
        stage = f"stage_{step.index + 1}_"
        yield from _of_load(stage, f"{stage}rps", step)
    for key, deployment in report.deployments.items():
        yield from _of_deployment(key, deployment)


def _of_load(prefix: str, rate: str, load: LoadReport | LoadStepReport) -> Iterator[PerfMetric]:
    for quantile in _LATENCIES:
        value: float | None = getattr(load, f"latency_{quantile}_ms")
        if value is not None:
            yield PerfMetric(f"{prefix}{quantile}_latency", value, "LATENCY")
    if load.completed_rps is not None:
        yield PerfMetric(rate, load.completed_rps, "THROUGHPUT")


def _of_deployment(key: str, deployment: DeploymentReport) -> Iterator[PerfMetric]:
    parts = {"scale_up": deployment.scale_up, "scale_down": deployment.scale_down}
    for part, of in parts.items():
        for time in _TIMES:
            found: Stat | None = getattr(of, time)
            for stat in _STATS:
                span = found and getattr(found, stat)
                if span is not None and span.value is not None:
                    name = f"{key}:{part}.{time}.{stat}"
                    yield PerfMetric(name, span.value, "LATENCY")
