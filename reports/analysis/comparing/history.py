"""One metric over several runs."""

from collections.abc import Mapping

from reports.analysis import metrics
from reports.analysis.gate_checks import missing
from reports.analysis.parts import all_parts, parts_of
from reports.model.comparison import TrendPoint
from reports.model.report import Report
from scalelag.errors import UsageError


def trend(name: str, runs: Mapping[str, Report | str]) -> tuple[TrendPoint, ...]:
    """Value of `[DEPLOYMENT:]METRIC` in each run; the highest if the name stands for several.

    A text in place of a report is the reason why there is none. Raises UsageError for a metric that no
    report has, and for a part that is in none of them, such as a deployment or a request.
    """
    wanted = metrics.parse_metric(name)
    parts = [parts_of(found) for found in runs.values() if isinstance(found, Report)]
    for reason in missing(wanted, all_parts(parts, "these runs have")):
        raise UsageError(f"{name} {reason}.")
    points = (_point(run, found, wanted) for run, found in runs.items())
    return tuple(sorted(points, key=lambda point: (point.started_s or 0.0, point.run)))


def _point(run: str, found: Report | str, wanted: metrics.MetricName) -> TrendPoint:
    if isinstance(found, str):
        return TrendPoint(run, reason=found)
    renamed = {"requests": "load", "event": "events"}
    of_run = {name: getattr(found, renamed.get(name, name)) for name in metrics.RUN_PARTS}
    selected = list(metrics.select(wanted, found.deployments, of_run))
    spans = [one.span for one in selected if one.span is not None]
    if not spans:
        why = [one.reason for one in selected if one.reason]
        if not selected:
            why = [f"there is no watched deployment {wanted.deployment or ''}".rstrip()]
        return TrendPoint(run, found.run.started_s, reason=": ".join(["not measured", *why[:1]]))
    return TrendPoint(run, found.run.started_s, max(spans, key=lambda span: (span.upper, span.lo)))
