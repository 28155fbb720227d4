"""Formats of a report, by name."""

from collections.abc import Callable, Mapping
from io import StringIO
from typing import Final

import msgspec
from rich.console import Console

from reports.model.charts import Analysis
from reports.model.formats import Details, Format
from reports.model.report import Report
from reports.render.csv_steps import render_csv
from reports.render.json_report import render_json
from reports.render.markdown import render_markdown
from reports.render.perf_metrics import render_perf_metrics
from reports.render.terminal.report import render_terminal
from scalelag.errors import EXIT_GATE_FAILED, EXIT_INVALID, EXIT_PASSED


def exit_code(report: Report, *, strict: bool) -> int:
    """0 passed, 4 a gate failed, 5 run invalid, or inconclusive under `strict`."""
    if report.verdict == "invalid":
        return EXIT_INVALID
    if report.verdict == "fail":
        return EXIT_GATE_FAILED
    if report.verdict == "inconclusive" and strict:
        return EXIT_INVALID
    return EXIT_PASSED


_TERMINAL_WIDTH = 120


class Rendering(msgspec.Struct, frozen=True):
    """Input of a renderer: `record` is the path of the run directory, `strict` how it was judged.

    `details` are the deployments of which it shows details.
    """

    analysis: Analysis
    record: str
    strict: bool = False
    details: Details = Details.MOVED


def render(what: Rendering, output_format: Format) -> bytes:
    """The report in that format, in UTF-8."""
    return _RENDERERS[output_format](what)


def _terminal(what: Rendering) -> bytes:
    text = StringIO()
    console = Console(file=text, width=_TERMINAL_WIDTH)
    render_terminal(what.analysis, console, what.record, what.details)
    return text.getvalue().encode()


def _html(what: Rendering) -> bytes:
    # Its templates and their library are loaded by those who want a page.
    from reports.render.html.report_page import render_html

    return render_html(what.analysis, record=what.record, details=what.details)


def _junit(what: Rendering) -> bytes:
    from reports.render.junit import render_junit

    return render_junit(what.analysis.report, strict=what.strict)


_RENDERERS: Final[Mapping[Format, Callable[[Rendering], bytes]]] = {
    Format.TERMINAL: _terminal,
    Format.JSON: lambda what: render_json(what.analysis.report),
    Format.HTML: _html,
    Format.MARKDOWN: lambda what: render_markdown(what.analysis.report, what.record, what.details),
    Format.JUNIT: _junit,
    Format.CSV: lambda what: render_csv(what.analysis.report),
    Format.PERF_METRICS: lambda what: render_perf_metrics(what.analysis.report),
}
