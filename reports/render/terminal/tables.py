"""What was sent, what came back, and how fast, for the terminal."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.text import Text

from reports.model.load import LoadReport, LoadWorkerReport
from reports.model.report import RunSummary
from reports.render.name_table import print_names
from reports.render.stream_table import print_streams
from reports.render.terminal.layout import (
    emit,
    first_fitting,
    flow,
    hanging,
    lines_of,
    room,
    table_of,
)
from reports.render.text import count, load_change, milliseconds, rate, sanitized, shortened

_STEP, _AT, _LOAD = "\nstep", "\nat", "load\n"
_COUNTS = ("offered\nrps", "completed\nrps", "\nfailed", "not\nsent")
_TIMES = ("latency\np50", "\np95", "\np99", "\nmax", "service\np50", "\np99 ")
_IN_LINES = {_TIMES[5]: "service p99"}
_WORDS = frozenset({"step"})
_MOST_ERRORS = 5


def print_load(console: Console, run: RunSummary, load: LoadReport) -> None:
    """Print the requests of each step and of the whole run, and the errors."""
    plan = f"{sanitized(run.steps)}{f' x {run.repeat}' if run.repeat > 1 else ''}"
    title = Text(f"Load: {plan}", style="bold")
    about = "ms; latency from the intended start, service from the send"
    emit(console, flow([title, _loop(run), about], room(console), "  "))
    emit(console, _table(console, load))
    if len(load.workers) > 1:
        emit(console, flow(_about_workers(load.workers), room(console)))
    print_streams(console, load)
    print_names(console, load.names)
    _print_errors(console, load)


def _about_workers(workers: Sequence[LoadWorkerReport]) -> list[str]:
    hosts = len({worker.host for worker in workers})
    unsure_s = max(worker.error_s + worker.drift_s for worker in workers)
    lost = sum(worker.lost_at_s is not None for worker in workers)
    return [
        f"{len(workers)} load processes on {count(hosts, 'machine')}",
        f"their clocks known to ±{1000 * unsure_s:.1f} ms",
        *([f"{lost} lost: see the warnings"] if lost else []),
    ]


def _table(console: Console, load: LoadReport) -> RenderableType:
    """One table; where that is too wide, one of requests and one of times; else step by step."""
    cells = _cells(load)
    everything = tuple(cells)
    without_load = tuple(header for header in everything if not header.startswith(_LOAD))
    requests = tuple(header for header in everything if header not in _TIMES)
    times = (_STEP, _AT, *_TIMES)
    layouts = (
        lambda: table_of(everything, cells, _WORDS),
        lambda: table_of(without_load, cells, _WORDS),
        lambda: Group(table_of(requests, cells, _WORDS), "", table_of(times, cells, _WORDS)),
    )
    return first_fitting(console, layouts) or lines_of(cells, _IN_LINES, room(console))


def _cells(load: LoadReport) -> dict[str, list[str]]:
    """Cells by header: one for each step, and the last for the whole run."""
    steps = load.steps
    parts = (*steps, load)
    unit = steps[0].unit if steps else ""
    return {
        _STEP: [*(str(step.index) for step in steps), "all"],
        _AT: [*(f"{step.at_s:.1f}" for step in steps), ""],
        _LOAD + unit: [*(load_change(step.from_level, step.to_level) for step in steps), ""],
        _COUNTS[0]: [*(rate(step.offered_rps) for step in steps), ""],
        _COUNTS[1]: [*(rate(step.completed_rps) for step in steps), ""],
        _COUNTS[2]: [f"{part.failed:,}" for part in parts],
        _COUNTS[3]: [f"{part.not_sent:,}" for part in parts],
        _TIMES[0]: [milliseconds(part.latency_p50_ms) for part in parts],
        _TIMES[1]: [milliseconds(part.latency_p95_ms) for part in parts],
        _TIMES[2]: [milliseconds(part.latency_p99_ms) for part in parts],
        _TIMES[3]: [milliseconds(part.latency_max_ms) for part in parts],
        _TIMES[4]: [milliseconds(part.service_p50_ms) for part in parts],
        _TIMES[5]: [milliseconds(part.service_p99_ms) for part in parts],
    }


def _print_errors(console: Console, load: LoadReport) -> None:
    if not load.errors:
        return
    console.print()
    emit(console, Text("Errors, by kind", style="bold"))
    kinds = list(load.errors.items())
    width = max(len(f"{times:,}") for times in load.errors.values())
    for message, times in kinds[:_MOST_ERRORS]:
        head = Text(f"{times:>{width},} x")
        emit(console, hanging(head, Text(shortened(message), overflow="fold")))
    if rest := kinds[_MOST_ERRORS:]:
        requests = count(sum(times for _, times in rest), "request")
        emit(console, Text(f"and {count(len(rest), 'other kind')} ({requests}): see report.json"))


def _loop(run: RunSummary) -> str:
    if run.unit == "users":
        return "(closed loop)"
    return f"(open loop, {sanitized(run.arrivals)} arrivals)"
