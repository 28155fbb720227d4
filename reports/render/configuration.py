"""What is wrong with the configuration, for the terminal."""

from rich.console import Console
from rich.text import Text

from reports.model.report import Report
from reports.render.terminal.layout import emit, hanging
from reports.render.text import plain


def print_configuration(console: Console, report: Report) -> None:
    """Print each finding with the rule that it broke; nothing where there is none."""
    if not report.lint:
        return
    console.print()
    emit(console, Text("Configuration", style="bold"))
    for finding in report.lint:
        line = Text(plain(finding.line), overflow="fold")
        line.append(f"  [{finding.rule}]", style="dim")
        emit(console, hanging(Text("-"), line))
