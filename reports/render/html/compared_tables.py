"""Tables of a comparison's page: the series of its charts, and the runs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from reports.model.comparison import (
    ComparedLines,
    Comparison,
    Line,
    Lines,
    LoadName,
    ReplicasName,
)
from reports.model.report import Report
from reports.render.tables.comparison import MOST_ROWS, SIDES, capped
from reports.render.tables.table import Column, Table
from reports.render.text import NOT_MEASURED, milliseconds, rate
from scalelag.foreign import sanitized

_MOST_REPLICA_ROWS = 1800
_LOAD: tuple[LoadName, ...] = ("offered_rps", "completed_rps", "latency_p95_ms")


def run_table(found: Comparison, reports: Mapping[str, Report]) -> Table:
    """The runs of both sides."""
    columns = (
        Column("run", "foreign"),
        Column("side", "words"),
        Column("started (UTC)", "words"),
        Column("Ray", "foreign"),
        Column("requests"),
        Column("failed"),
        Column("not sent"),
        Column("p99 ms"),
    )
    rows = [
        _run_row(name, side, reports[name])
        for side, names in zip(SIDES, (found.base, found.candidate), strict=True)
        for name in names
    ]
    return capped("All runs of both sides", columns, rows)


def _run_row(name: str, side: str, report: Report) -> tuple[str, ...]:
    run, load = report.run, report.load
    return (
        sanitized(name),
        side,
        f"{datetime.fromtimestamp(run.started_s, UTC):%Y-%m-%d %H:%M:%S}",
        sanitized(run.versions.ray or NOT_MEASURED),
        f"{load.planned:,}",
        f"{load.failed:,}",
        f"{load.not_sent:,}",
        milliseconds(load.latency_p99_ms),
    )


def load_table(lines: ComparedLines) -> Table:
    """Load and latency of both sides, as drawn."""
    names = ("offered rps", "completed rps", "p95 ms")
    columns = (
        Column("from s"),
        *(Column(name, group=side) for side in SIDES for name in names),
    )
    drawn = [side.load[name].median for side in (lines.base, lines.candidate) for name in _LOAD]
    forms = (rate, rate, milliseconds) * 2
    at_s, values = _sampled(drawn)
    rows = [
        (
            f"{at:g}",
            *(NOT_MEASURED if v is None else form(v) for form, v in zip(forms, row, strict=True)),
        )
        for at, row in zip(at_s, values, strict=True)
    ]
    return capped("Load and latency, the median of the runs of each side", columns, rows)


def replica_table(
    drawn: Sequence[tuple[str, Mapping[ReplicasName, Lines]]], of_deployments: int
) -> Table:
    """RUNNING replicas and target of each side, whenever one of them changed."""
    columns = (
        Column("from s"),
        *(Column(name, group=side) for side, _ in drawn for name in ("RUNNING", "target")),
    )
    lines = [own[name].median for _, own in drawn for name in ("running", "target")]
    rows: list[tuple[str, ...]] = []
    for at_s, row in zip(*_sampled(lines), strict=True):
        cells = tuple(NOT_MEASURED if value is None else f"{value:g}" for value in row)
        if not rows or rows[-1][1:] != cells:
            rows.append((f"{at_s:.2f}", *cells))
    most = min(MOST_ROWS, _MOST_REPLICA_ROWS // of_deployments)
    return capped("Replicas, the median of the runs of each side", columns, rows, most)


def _sampled(lines: Sequence[Line]) -> tuple[list[float], list[list[float | None]]]:
    """Every moment at which one of `lines` changes, and the values of all of them then."""
    at_s = np.unique([one_s for line in lines for one_s in line.times_s])
    columns = [line.at(at_s).tolist() for line in lines]
    rows = [[None if np.isnan(v) else v for v in row] for row in zip(*columns, strict=True)]
    return at_s.tolist(), rows
