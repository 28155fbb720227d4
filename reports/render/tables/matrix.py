"""Tables of a matrix: a row an entry and deployment, and the comparisons of neighbours."""

from collections.abc import Iterator

from reports.model.comparison import Comparison
from reports.model.matrix import MatrixEntry, MatrixLags, MatrixReport
from reports.render.tables.comparison import capped, mains, ratio
from reports.render.tables.table import Cell, Column, Table
from reports.render.text import NOT_MEASURED, percent
from scalelag.foreign import sanitized
from scalelag.wording import count

_UP = "scale-up s"
_HEAD, _TAIL = 150, 300


def headline(report: MatrixReport) -> str:
    """Plan, versions and number of runs, as a sentence without its end."""
    made = sum(len(entry.runs) for entry in report.entries)
    rays = count(len(report.entries), "version", "versions")
    return f"{sanitized(report.plan)} on {rays} of Ray in turn, {count(made, 'run')}"


def entry_table(report: MatrixReport) -> Table:
    """A row an entry and deployment."""
    columns = (
        Column("Ray", "foreign", key=True),
        Column("deployment", "foreign", room="below"),
        Column("runs"),
        Column("total", group=_UP, alone="scale-up s", strong=True),
        Column("decide", group=_UP, alone="decide s"),
        Column("create", group=_UP, alone="create s", room="wide"),
        Column("allocate", group=_UP, alone="allocate s"),
        Column("initialize", group=_UP, alone="initialize s"),
        Column("mark", group=_UP, alone="mark s", room="wide"),
        Column("floor", group=_UP, alone="floor s"),
        Column("scale-down s"),
        Column("p99 ms"),
        Column("errors"),
        Column("passed"),
    )
    rows = [row for entry in report.entries for row in _rows(entry)]
    return capped("Medians over the runs of each version", columns, rows)


def _rows(entry: MatrixEntry) -> Iterator[tuple[Cell, ...]]:
    for lags in entry.lags or (MatrixLags(NOT_MEASURED),):
        yield (
            sanitized(entry.label),
            sanitized(lags.deployment),
            str(len(entry.runs)),
            _total(lags),
            *(_seconds(getattr(lags, name)) for name in _PHASES),
            _seconds(lags.floor_s),
            _seconds(lags.down_s),
            NOT_MEASURED if entry.latency_p99_ms is None else f"{entry.latency_p99_ms:,.0f}",
            NOT_MEASURED if entry.error_ratio is None else percent(entry.error_ratio),
            f"{entry.passed}/{len(entry.runs)}",
        )


_PHASES = ("decide_s", "create_s", "allocate_s", "initialize_s", "mark_running_s")


def _total(lags: MatrixLags) -> str:
    if lags.total_above_s is not None:
        return f"> {lags.total_above_s:.1f}"
    return _seconds(lags.total_s)


def _seconds(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.2f}"


def step_table(report: MatrixReport) -> Table:
    """A row a comparison and main figure."""
    columns = (
        Column("verdict", "badge"),
        Column("Ray", "foreign", key=True),
        Column("against", "foreign"),
        Column("figure", "code"),
        Column("ratio [95 %]"),
        Column("p"),
    )
    rows = [row for one in report.comparisons for row in _compared(one)]
    return capped("Each version against the one before", columns, rows)


def _compared(one: Comparison) -> Iterator[tuple[Cell, ...]]:
    figures = mains(one.figures)
    names = (sanitized(one.candidate_label), sanitized(one.base_label))
    if not figures:
        yield (one.verdict, *names, NOT_MEASURED, NOT_MEASURED, NOT_MEASURED)
    for figure in figures:
        p = NOT_MEASURED if figure.p_adjusted is None else f"{figure.p_adjusted:.4f}"
        yield (figure.verdict, *names, sanitized(figure.figure), ratio(figure), p)


def remarks(report: MatrixReport) -> Iterator[str]:
    """Sentences below the tables: what is missing, what else differs, and what explains."""
    for entry in report.entries:
        if entry.reason:
            yield f"Ray {sanitized(entry.label)}: {_short(sanitized(entry.reason))}"
    for one in report.comparisons:
        name = f"Ray {sanitized(one.candidate_label)} against {sanitized(one.base_label)}"
        if one.reason:
            yield f"{name}: {sanitized(one.reason)}"
        yield from (f"{name} differs: {sanitized(line)}" for line in one.differences)
        yield from (f"{name}: {sanitized(line)}" for line in one.warnings)
        changed = [f for f in one.figures if f.verdict in ("slower", "faster")]
        if changed and not one.reason:
            listed = ", ".join(f"{sanitized(f.figure)} is {f.verdict}" for f in changed[:6])
            yield f"{name}: {listed}"


def _short(reason: str) -> str:
    """`reason` without its middle, if it is long: a traceback says at its end what was wrong."""
    if len(reason) <= _HEAD + _TAIL:
        return reason
    return f"{reason[:_HEAD]} ... {reason[-_TAIL:]}"
