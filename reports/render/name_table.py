"""Requests by name, such as the models that share one deployment."""

from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.text import Text

from reports.model.load import NameReport
from reports.render.terminal.layout import emit, first_fitting, flow, lines_of, room, table_of
from reports.render.text import count, milliseconds, shortened

_SHOWN = 10
_SHARE_OF_NAMES = 4
_NAME = "\nname"
_COUNTS = ("\nrequests", "\nfailed", "not\nsent")
_TIMES = ("latency\np50", "\np95", "\np99", "\nmax", "service\np50", "\np99 ")
_FIRST_TOKEN = ("first token\np50", "\np99  ")
_LEFT_OUT = (_TIMES[1], _TIMES[4], _TIMES[5])
_IN_LINES = {_TIMES[5]: "service p99", _FIRST_TOKEN[1]: "first token p99"}
_WORDS = frozenset({"name"})


def print_names(console: Console, names: Mapping[str, NameReport]) -> None:
    """Print the ten names of most requests, and how many there are besides; nothing for one name."""
    if len(names) <= 1:
        return
    console.print()
    about = "ms; latency from the intended start"
    emit(console, flow([Text("By name", style="bold"), about], room(console), "  "))
    emit(console, _table(console, dict(list(names.items())[:_SHOWN])))
    if rest := list(names.values())[_SHOWN:]:
        requests = count(sum(part.planned for part in rest), "request")
        emit(console, Text(f"and {count(len(rest), 'other name')} ({requests}): see report.json"))


def _table(console: Console, names: Mapping[str, NameReport]) -> RenderableType:
    """One table; where that is too wide, one of less, or two; else name by name."""
    cells = _cells(names, room(console) // _SHARE_OF_NAMES)
    counts = (_NAME, *_COUNTS)
    less = tuple(header for header in cells if header not in (*counts, *_LEFT_OUT))
    layouts = (
        lambda: table_of(tuple(cells), cells, _WORDS),
        lambda: table_of((*counts, *less), cells, _WORDS),
        lambda: Group(table_of(counts, cells, _WORDS), "", table_of((_NAME, *less), cells, _WORDS)),
    )
    return first_fitting(console, layouts) or lines_of(cells, _IN_LINES, room(console))


def _cells(names: Mapping[str, NameReport], length: int) -> dict[str, list[str]]:
    """Cells by header, names cut to `length`; those of first tokens only where there are any."""
    parts = list(names.values())
    cells = {
        _NAME: [shortened(name, length) for name in names],
        _COUNTS[0]: [f"{part.planned:,}" for part in parts],
        _COUNTS[1]: [f"{part.failed:,}" for part in parts],
        _COUNTS[2]: [f"{part.not_sent:,}" for part in parts],
        _TIMES[0]: [milliseconds(part.latency_p50_ms) for part in parts],
        _TIMES[1]: [milliseconds(part.latency_p95_ms) for part in parts],
        _TIMES[2]: [milliseconds(part.latency_p99_ms) for part in parts],
        _TIMES[3]: [milliseconds(part.latency_max_ms) for part in parts],
        _TIMES[4]: [milliseconds(part.service_p50_ms) for part in parts],
        _TIMES[5]: [milliseconds(part.service_p99_ms) for part in parts],
    }
    if any(part.stream for part in parts):
        streams = [part.stream for part in parts]
        cells[_FIRST_TOKEN[0]] = [
            milliseconds(s.first_token_p50_ms if s else None) for s in streams
        ]
        cells[_FIRST_TOKEN[1]] = [
            milliseconds(s.first_token_p99_ms if s else None) for s in streams
        ]
    return cells
