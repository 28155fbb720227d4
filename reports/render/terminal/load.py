"""Requests, their latency and their errors, for the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from reports.model.load import LoadReport, LoadWorkerReport
from reports.model.report import RunSummary
from reports.render.tables.load import (
    error_table,
    exception_table,
    goodput_table,
    load_table,
    stream_table,
)
from reports.render.tables.named_load import named_tables
from reports.render.tables.prompts import prompt_table, session_table
from reports.render.tables.table import Table
from reports.render.terminal.layout import emit, flow, room
from reports.render.terminal.tables import print_table
from scalelag.foreign import sanitized
from scalelag.wording import count

_MOST_NAMES = 10
_MOST_ROWS = 24
_MOST_ERRORS = 5


def print_load(console: Console, run: RunSummary, load: LoadReport) -> None:
    """Print the requests of each step and of the whole run, by name, and the errors."""
    plan = f"{sanitized(run.steps)}{f' x {run.repeat}' if run.repeat > 1 else ''}"
    title = Text(f"Load: {plan}", style="bold")
    emit(console, flow([title, _loop(run)], room(console), "  "))
    print_table(console, load_table(load))
    if len(load.workers) > 1:
        emit(console, flow(_about_workers(load.workers), room(console)))
    for table in (
        goodput_table(load),
        stream_table(load),
        prompt_table(load),
        session_table(load),
        *named_tables(load, _MOST_NAMES, _MOST_ROWS),
        error_table(load, _MOST_ERRORS),
        exception_table(load, _MOST_ERRORS),
    ):
        _print_more(console, table)


def _print_more(console: Console, table: Table | None) -> None:
    if table is not None:
        console.print()
        print_table(console, table)


def _about_workers(workers: Sequence[LoadWorkerReport]) -> list[str]:
    hosts = len({worker.host for worker in workers})
    unsure_s = max(worker.error_s + worker.drift_s for worker in workers)
    lost = sum(worker.lost_at_s is not None for worker in workers)
    return [
        f"{count(len(workers), 'load process', 'load processes')} on {count(hosts, 'machine')}",
        f"their clocks known to ±{1000 * unsure_s:.1f} ms",
        *([f"{lost} lost: see the warnings"] if lost else []),
    ]


def _loop(run: RunSummary) -> str:
    if run.unit == "users":
        return "(closed loop)"
    return f"(open loop, {sanitized(run.arrivals)} arrivals)"
