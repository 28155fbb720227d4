"""A what-if for the terminal, as Markdown and as JSON."""

import importlib
import json
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from reports.model.whatif import Curve, Curves, WhatIfReport
from reports.render.json_report import as_json
from reports.render.markdown import code, table, text
from reports.render.tables.whatif import (
    check_table,
    headline,
    proof,
    run_table,
    service_words,
    step_table,
)
from reports.render.terminal.chart import stairs, ticks
from reports.render.terminal.layout import INDENT, badge, emit, flow, hanging, room
from reports.render.terminal.tables import print_table
from reports.render.text import level
from scalelag.foreign import sanitized

_HEIGHT = 11
_LEAST_WIDTH = 40
_MARKS = (("recorded", "░", "blue"), ("simulated", "o", "orange"), ("what if", "■", "green"))


def print_whatif(console: Console, report: WhatIfReport) -> None:
    """Print the change, its proof, the figures side by side, and both curves."""
    passed = report.validation.passed
    verdict = badge("pass" if passed else "cannot be told")
    about = (sanitized(report.run), sanitized(report.deployment), headline(report))
    emit(console, hanging(verdict, flow(about, room(console) - verdict.cell_len - 1)))
    emit(console, Text(proof(report)))
    for line in (*report.validation.reasons, *report.validation.missing):
        emit(console, hanging(Text("!", style="bold"), Text(sanitized(line))))
    console.print()
    if not passed:
        print_table(console, check_table(report))
        _print_notes(console, report)
        return
    print_table(console, step_table(report))
    console.print()
    print_table(console, run_table(report))
    _print_chart(console, report, "target")
    _print_chart(console, report, "running")
    console.print()
    _print_notes(console, report)


def _print_notes(console: Console, report: WhatIfReport) -> None:
    for line in (service_words(report), *report.notes):
        emit(console, Text(sanitized(line), style="dim"))
    if report.policy_state:
        emit(console, Text(f"State of the policy at the end: {sanitized(report.policy_state)}"))


def _print_chart(console: Console, report: WhatIfReport, which: str) -> None:
    """Print the target, or RUNNING replicas, of the record, the replay and the what-if."""
    if room(console) < _LEAST_WIDTH:
        emit(console, Text(f"no chart: it needs {_LEAST_WIDTH + INDENT} columns", style="dim"))
        return
    curves = {
        name: _curve(found, which)
        for name, found in zip(
            ("recorded", "simulated", "what if"),
            (report.recorded, report.simulated if not report.load else None, report.whatif),
            strict=True,
        )
        if found is not None
    }
    console.print()
    title = "Target" if which == "target" else "RUNNING replicas"
    emit(console, Text(f"{title}: {sanitized(report.deployment)}", style="bold"))
    legend = [f"{mark} {name}" for name, mark, _ in _MARKS if name in curves]
    emit(console, flow(legend, room(console), "   "))
    try:
        emit(console, _chart(curves, room(console)))
    except ImportError as error:  # plotext draws with a compiled library
        emit(console, Text(f"no chart: {sanitized(str(error))}", style="dim"))


def _curve(curves: Curves, which: str) -> Curve:
    return curves.target if which == "target" else curves.running


def _chart(curves: dict[str, Curve], width: int) -> Text:
    plotext: Any = importlib.import_module("plotext")
    plotext.terminal.limit(width=False, height=False)
    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, _HEIGHT)
    figure.theme("colorless").legend(active=False)
    end_s = max([*(curve.at_s[-1] for curve in curves.values()), 1.0])
    most = max([*(max(curve.replicas) for curve in curves.values()), 1])
    for name, mark, colour in _MARKS:
        if name in curves:
            times_s, values = _points(curves[name], end_s, width, filled=name == "recorded")
            marker = plotext.marker(mark, plotext.pixel(foreground=colour))
            signal = figure.signal(times_s, values, marker=marker, yside="left")
            figure.draw(signal.fillx() if name == "recorded" else signal.lines())
    for axis, side, label, top, shown in (
        ("x", "lower", "seconds", end_s, ticks(end_s, min(10, width // 10))),
        ("y", "left", "replicas", most * 1.2, ticks(most, 5, 1)),
    ):
        figure.label(label, axis, side)
        ruler = figure.ruler(axis, side)
        ruler.ticks(shown, [level(tick) for tick in shown])
        ruler.lim(0, max(top, shown[-1]))
    drawn = Text.from_ansi(figure.build().string().rstrip("\n"))
    figure.clear()
    return drawn


def _points(
    curve: Curve, end_s: float, width: int, *, filled: bool
) -> tuple[list[float], list[float]]:
    """Corners of a line, or points close enough to fill the area below it."""
    if not filled:
        return stairs(curve.at_s, curve.replicas, end_s)
    times_s = [(place + 0.5) * end_s / (2 * width) for place in range(2 * width)]
    return times_s, [float(_at(curve, at_s)) for at_s in times_s]


def _at(curve: Curve, at_s: float) -> int:
    return curve.replicas[max(0, bisect_right(curve.at_s, at_s) - 1)]


def render_json_whatif(report: WhatIfReport) -> bytes:
    """The answer as indented JSON in UTF-8; figures that are not finite are null."""
    return as_json(report)


def whatif_schema() -> bytes:
    """JSON Schema of the answer, as docs/whatif.schema.json holds it."""
    schema = msgspec.json.schema(WhatIfReport)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "scalelag whatif --format json, schema_version 1",
    }
    return json.dumps(head | schema, indent=2, ensure_ascii=False).encode() + b"\n"


def render_markdown_whatif(report: WhatIfReport) -> bytes:
    """The answer as GitHub's Markdown in UTF-8."""
    return ("\n".join(_lines(report)).rstrip() + "\n").encode()


def _lines(report: WhatIfReport) -> Iterator[str]:
    yield f"## What if: {text(headline(report))}"
    yield ""
    yield f"{code(report.deployment)} of {code(report.run)}. {text(proof(report))}"
    yield ""
    for line in (*report.validation.reasons, *report.validation.missing):
        yield f"- {text(line)}"
    tables = [step_table(report), run_table(report)] if report.validation.passed else []
    for made in [*tables, check_table(report)]:
        yield ""
        yield f"{text(made.caption)}:"
        yield ""
        yield from table(made)
    yield ""
    yield text(service_words(report))
    yield from (f"- {text(line)}" for line in report.notes)
    if report.policy_state:
        yield f"- state of the policy at the end: {code(report.policy_state)}"
