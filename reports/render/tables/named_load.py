"""Tables of requests by name and by application: of the whole run, and of each step."""

from collections.abc import Mapping

from reports.model.load import LoadReport, NameReport, StreamReport
from reports.render.tables.load import COUNTS, counts, quantiles, times
from reports.render.tables.table import Column, Table, rest_of
from reports.render.text import NOT_MEASURED, milliseconds, rate, shortened_names
from scalelag.wording import count

MOST_NAMES = 100
MOST_ROWS = 200
_LONGEST_NAME = 120
_RATES = (
    Column("offered", group="requests/s", alone="offered rps"),
    Column("completed", group="requests/s", alone="completed rps"),
)


def named_tables(
    load: LoadReport, most: int = MOST_NAMES, most_rows: int = MOST_ROWS
) -> list[Table]:
    """Requests by name and by application, of the run and of each step.

    Tables of the run have up to `most` rows, those of steps up to `most_rows`. There is none if all
    requests have one name, and none by application where the record tells of no more than one.
    """
    tables: list[Table] = []
    for what, whole, in_steps in (
        ("name", load.names, {step.index: step.names for step in load.steps}),
        ("application", load.applications, {step.index: step.applications for step in load.steps}),
    ):
        if len(whole) > 1:
            tables.append(_of_run(what, whole, most))
        if sum(map(bool, in_steps.values())) > 1:
            tables.append(_of_steps(what, in_steps, most_rows))
    return tables


def _of_run(what: str, reports: Mapping[str, NameReport], most: int) -> Table:
    has_streams = any(part.stream for part in reports.values())
    columns = (
        Column(what, "foreign", key=True),
        Column("requests"),
        Column("completed/s"),
        *COUNTS,
        *quantiles(("p50", "p95", "p99", "max"), "latency ms", "max"),
        *quantiles(("p50", "p99"), "service ms", "p50", "p99"),
        *(quantiles(("p50", "p99"), "first token ms") if has_streams else ()),
    )
    names = shortened_names(list(reports)[:most], _LONGEST_NAME)
    rows = tuple(
        (
            name,
            f"{part.planned:,}",
            NOT_MEASURED if part.completed_rps is None else rate(part.completed_rps),
            *counts(part),
            *times(part),
            *(_first_tokens(part.stream) if has_streams else ()),
        )
        for name, part in zip(names, reports.values(), strict=False)
    )
    left = list(reports.values())[most:]
    requests = count(sum(part.planned for part in left), "request")
    note = f"and {count(len(left), f'other {what}')} ({requests}): see report.json" if left else ""
    return Table(f"Requests by {what}", columns, rows, note)


def _of_steps(what: str, in_steps: Mapping[int, Mapping[str, NameReport]], most: int) -> Table:
    """Each name of each step, with the rates in it."""
    columns = (
        Column("step", "words", key=True),
        Column(what, "foreign", key=True),
        *_RATES,
        *COUNTS,
        *quantiles(("p50", "p95", "p99", "max"), "latency ms", "max"),
        *quantiles(("p50", "p99"), "service ms", "p50", "p99"),
    )
    parts = [(i, name, part) for i, names in in_steps.items() for name, part in names.items()]
    shown = shortened_names([name for _, name, _ in parts], _LONGEST_NAME)
    rows = [
        (str(index), name, *_rates(part), *counts(part), *times(part))
        for name, (index, _, part) in zip(shown, parts, strict=True)
    ]
    return Table(
        f"Requests by step and {what}", columns, tuple(rows[:most]), rest_of(len(rows), most)
    )


def _rates(part: NameReport) -> tuple[str, ...]:
    rates = (part.offered_rps, part.completed_rps)
    return tuple(NOT_MEASURED if rps is None else rate(rps) for rps in rates)


def _first_tokens(stream: StreamReport | None) -> tuple[str, str]:
    if stream is None:
        return NOT_MEASURED, NOT_MEASURED
    return milliseconds(stream.first_token_p50_ms), milliseconds(stream.first_token_p99_ms)
