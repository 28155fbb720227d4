"""One figure over several runs."""

from collections.abc import Mapping

import msgspec

from reports.analysis import figures
from reports.analysis.gates import parse_gate
from reports.analysis.intervals import Span
from reports.analysis.model import Report
from scalelag.errors import UsageError


class TrendPoint(msgspec.Struct, frozen=True):
    """The figure in one run; `span` is None for `reason`. `started_s` is None where unknown."""

    run: str
    started_s: float | None = None
    span: Span | None = None
    reason: str | None = None


def trend(name: str, runs: Mapping[str, Report | str]) -> tuple[TrendPoint, ...]:
    """`[DEPLOYMENT:]FIGURE` of each run, named as in gates; of several the highest.

    A text in place of a report is why there is none. Raises UsageError for a figure that no report has.
    """
    try:
        wanted = parse_gate(f"{name} <= 0")
    except UsageError as error:
        text = str(error).replace(f'the gate "{name} <= 0" names ', "").replace(" <= 0", "")
        raise UsageError(f"trend: {text}") from None
    points = (_point(run, found, wanted.deployment, wanted.metric) for run, found in runs.items())
    return tuple(sorted(points, key=lambda point: (point.started_s or 0.0, point.run)))


def _point(run: str, found: Report | str, deployment: str | None, path: figures.Path) -> TrendPoint:
    if isinstance(found, str):
        return TrendPoint(run, reason=found)
    measured = [one for one in _found(found, deployment, path) if one.span is not None]
    if not measured:
        return TrendPoint(run, found.run.started_s, reason="not measured")
    spans = [one.span for one in measured if one.span is not None]
    return TrendPoint(run, found.run.started_s, max(spans, key=lambda span: (span.upper, span.lo)))


def _found(report: Report, deployment: str | None, path: figures.Path) -> list[figures.Found]:
    if figures.is_of_run(path):
        root = report.load if path[0] == "requests" else getattr(report, path[0])
        return list(figures.figures(root, path[1:]))
    chosen = [
        one
        for key, one in report.deployments.items()
        if deployment in (None, key, key.partition("/")[2])
    ]
    return [found for one in chosen for found in figures.figures(one, path)]
