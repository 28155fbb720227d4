"""Streamed answers of each step: their first token, and the time between tokens."""

from rich.console import Console, Group, RenderableType
from rich.text import Text

from reports.model.load import LoadReport
from reports.render.terminal.layout import emit, first_fitting, flow, lines_of, room, table_of
from reports.render.text import NOT_MEASURED, milliseconds, rate

_STEP, _AT = "\nstep", "\nat"
_COUNTS = ("\nanswers", "\ntokens", "\ntokens/s")
_TIMES = (
    "first token\np50",
    "\np95",
    "\np99",
    "\nmax",
    "between\np50",
    "\np99 ",
    "longest\ngap",
)
_IN_LINES = {_TIMES[4]: "between tokens p50", _TIMES[5]: "between tokens p99"}
_WORDS = frozenset({"step"})


def print_streams(console: Console, load: LoadReport) -> None:
    """Print the streams of each step that has any, and of the whole run; nothing without any."""
    if load.stream is None:
        return
    console.print()
    about = (
        "ms; first token from the intended start",
        "between: the mean time between an answer's tokens",
    )
    emit(console, flow([Text("Streams", style="bold"), *about], room(console), "  "))
    emit(console, _table(console, load))


def _table(console: Console, load: LoadReport) -> RenderableType:
    """One table; where that is too wide, one of counts and one of times; else step by step."""
    cells = _cells(load)
    everything = tuple(cells)
    layouts = (
        lambda: table_of(everything, cells, _WORDS),
        lambda: Group(
            table_of((_STEP, _AT, *_COUNTS), cells, _WORDS),
            "",
            table_of((_STEP, _AT, *_TIMES), cells, _WORDS),
        ),
    )
    return first_fitting(console, layouts) or lines_of(cells, _IN_LINES, room(console))


def _cells(load: LoadReport) -> dict[str, list[str]]:
    """Cells by header: one for each step with streams, and the last for the whole run."""
    steps = [step for step in load.steps if step.stream is not None]
    parts = [part.stream for part in (*steps, load) if part.stream is not None]
    return {
        _STEP: [*(str(step.index) for step in steps), "all"],
        _AT: [*(f"{step.at_s:.1f}" for step in steps), ""],
        _COUNTS[0]: [f"{part.answers:,}" for part in parts],
        _COUNTS[1]: [f"{part.tokens:,}" for part in parts],
        _COUNTS[2]: [
            NOT_MEASURED if part.tokens_per_s is None else rate(part.tokens_per_s) for part in parts
        ],
        _TIMES[0]: [milliseconds(part.first_token_p50_ms) for part in parts],
        _TIMES[1]: [milliseconds(part.first_token_p95_ms) for part in parts],
        _TIMES[2]: [milliseconds(part.first_token_p99_ms) for part in parts],
        _TIMES[3]: [milliseconds(part.first_token_max_ms) for part in parts],
        _TIMES[4]: [milliseconds(part.time_between_tokens_p50_ms) for part in parts],
        _TIMES[5]: [milliseconds(part.time_between_tokens_p99_ms) for part in parts],
        _TIMES[6]: [milliseconds(part.token_gap_max_ms) for part in parts],
    }
