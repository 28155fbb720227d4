"""Lists of runs, and one figure over them, for the terminal."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from reports.model.comparison import TrendPoint
from reports.model.intervals import Span
from reports.model.report import Report
from reports.render.tables.table import Column, Table
from reports.render.terminal.layout import emit, hanging
from reports.render.terminal.tables import first_fitting, print_table
from reports.render.text import NOT_MEASURED, milliseconds, percent, shortened
from scalelag.foreign import sanitized

_RUN_COLUMNS = (
    Column("run", "words"),
    Column("verdict", "words"),
    Column("started (UTC)", "words"),
    Column("Ray", "words"),
    Column("s"),
    Column("requests"),
    Column("errors"),
    Column("p99 ms"),
    Column("up s"),
    Column("down s"),
)
_TREND_COLUMNS = (
    Column("run", "words"),
    Column("started (UTC)", "words", room="wide"),
    Column("measured"),
    Column("", "words"),
)
_LONGEST_BAR, _SHORTER_BAR = 40, 12
_FOUR_DIGITS = 9_999.5
"""Rounded to four digits, this and more have an exponent."""


def print_runs(console: Console, runs: Mapping[str, Report | str]) -> None:
    """Print a line for each run; a text in place of a report is why there is none."""
    rows = [_run_row(path, one) for path, one in runs.items() if isinstance(one, Report)]
    if rows:
        print_table(console, Table("Runs", _RUN_COLUMNS, tuple(rows)), caption=False)
        emit(console, Text("up, down: the longest scale lag of any step", style="dim"))
    for path, one in runs.items():
        if isinstance(one, str):
            _print_without(console, path, one)
    if not runs:
        emit(console, Text("no runs"))


def _run_row(path: str, report: Report) -> tuple[str, ...]:
    load = report.load
    deployments = report.deployments.values()
    return (
        sanitized(path),
        report.verdict,
        _when(report.run.started_s),
        sanitized(report.run.versions.ray or NOT_MEASURED),
        f"{report.run.duration_s:,.0f}",
        f"{load.planned:,}",
        NOT_MEASURED if load.error_ratio is None else percent(load.error_ratio),
        milliseconds(load.latency_p99_ms),
        _longest([one.scale_up.total_s.max for one in deployments if one.scale_up.total_s]),
        _longest([one.scale_down.total_s.max for one in deployments if one.scale_down.total_s]),
    )


def _when(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M")


def _longest(spans: Sequence[Span]) -> str:
    if not spans:
        return NOT_MEASURED
    longest = max(spans, key=lambda span: (span.upper, span.lo))
    return f"> {longest.lo:.1f}" if longest.value is None else f"{longest.value:.2f}"


def print_trend(console: Console, name: str, points: Sequence[TrendPoint]) -> None:
    """Print a bar for each run, the oldest first; what lies within the interval is light."""
    emit(console, Text(sanitized(name), style="bold"))
    spans = [point.span for point in points if point.span is not None]
    highest = max((span.lo if span.hi is None else span.hi for span in spans), default=0.0)
    if not points:
        emit(console, Text("no runs"))
        return
    tables = [_trend_table(points, highest, bar) for bar in (_LONGEST_BAR, _SHORTER_BAR, 0)]
    print_table(console, first_fitting(console, tables) or tables[-1], caption=False)
    for point in points:
        if point.span is None:
            _print_without(console, point.run, point.reason or NOT_MEASURED)


def _print_without(console: Console, run: str, reason: str) -> None:
    """Print why a run has no figure."""
    emit(console, hanging(Text("!", style="bold"), Text(f"{sanitized(run)}: {shortened(reason)}")))


def _trend_table(points: Sequence[TrendPoint], highest: float, longest: int) -> Table:
    """Runs with bars of at most `longest` characters, or without any."""
    rows = tuple(_trend_row(point, highest, longest) for point in points)
    if longest:
        return Table("Trend", _TREND_COLUMNS, rows)
    return Table("Trend", _TREND_COLUMNS[:-1], tuple(row[:-1] for row in rows))


def _trend_row(point: TrendPoint, highest: float, longest: int) -> tuple[str, ...]:
    when = NOT_MEASURED if point.started_s is None else _when(point.started_s)
    span = point.span
    if span is None:
        return (sanitized(point.run), when, NOT_MEASURED, "")
    upper = span.lo if span.hi is None else span.hi
    if span.value is None:
        figure = f"> {_figure(span.lo)}"
    elif span.lo == span.hi:
        figure = _figure(span.value)
    else:
        figure = f"{_figure(span.value)} [{_figure(span.lo)}, {_figure(upper)}]"
    scale = longest / highest if highest > 0 else 0.0
    sure, all_of_it = round(max(0.0, span.lo) * scale), round(max(0.0, upper) * scale)
    more = ">" if span.hi is None else ""
    return (sanitized(point.run), when, figure, "█" * sure + "░" * (all_of_it - sure) + more)


def _figure(value: float) -> str:
    """A figure with four digits, or the whole number of a larger one: `12,345` requests."""
    return f"{value:,.0f}" if abs(value) >= _FOUR_DIGITS else f"{value:.4g}"
