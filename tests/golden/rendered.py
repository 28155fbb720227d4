"""Reports rendered for a test: for a terminal, and as a page without Plotly."""

import io

from rich.console import Console

from reports.model.charts import Analysis
from reports.model.formats import Details
from reports.render.html.shell import script
from reports.render.terminal.report import render_terminal

RECORD = "runs/20261122-174501-sleeper"
PLOTLY = script("/* plotly.js stands here */")
"""Stands where a page has plotly.js, which is large."""


def rendered(
    analysis: Analysis, width: int, encoding: str = "utf-8", details: Details = Details.MOVED
) -> str:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, newline="") as file:
        console = Console(
            width=width, color_system=None, force_terminal=False, file=file, legacy_windows=False
        )
        render_terminal(analysis, console, RECORD, details)
        file.flush()
        return raw.getvalue().decode(encoding)
