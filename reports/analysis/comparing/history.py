"""One metric over several runs."""

from collections.abc import Mapping, Sequence

import msgspec

from reports.analysis import metrics
from reports.model.intervals import Span
from reports.model.report import Report
from scalelag.errors import UsageError


class TrendPoint(msgspec.Struct, frozen=True):
    """The metric in one run; `span` is None for `reason`. `started_s` is None if unknown."""

    run: str
    started_s: float | None = None
    span: Span | None = None
    reason: str | None = None


def trend(name: str, runs: Mapping[str, Report | str]) -> tuple[TrendPoint, ...]:
    """Value of `[DEPLOYMENT:]METRIC` in each run; the highest if the name stands for several.

    A text in place of a report is the reason why there is none. Raises UsageError for a metric that no
    report has, and for a deployment that is in none of them.
    """
    wanted = metrics.parse_metric(name)
    _check_deployment(wanted, [found for found in runs.values() if isinstance(found, Report)])
    points = (_point(run, found, wanted) for run, found in runs.items())
    return tuple(sorted(points, key=lambda point: (point.started_s or 0.0, point.run)))


def _check_deployment(wanted: metrics.MetricName, reports: Sequence[Report]) -> None:
    there = sorted({key for report in reports for key in report.deployments})
    name = wanted.deployment
    if name is None or not there or any(metrics.is_named(key, name) for key in there):
        return
    raise UsageError(f"none of these runs has a deployment {name}; they have {', '.join(there)}.")


def _point(run: str, found: Report | str, wanted: metrics.MetricName) -> TrendPoint:
    if isinstance(found, str):
        return TrendPoint(run, reason=found)
    renamed = {"requests": "load", "event": "events"}
    of_run = {name: getattr(found, renamed.get(name, name)) for name in metrics.RUN_PARTS}
    spans = [
        one.span
        for one in metrics.select(wanted, found.deployments, of_run)
        if one.span is not None
    ]
    if not spans:
        return TrendPoint(run, found.run.started_s, reason="not measured")
    return TrendPoint(run, found.run.started_s, max(spans, key=lambda span: (span.upper, span.lo)))
