"""Draws the README's pictures from a recorded run: `python docs/picture.py RUN`.

docs/report.svg is the report in a terminal, docs/report.png the top of its page in Chromium, which
is looked for on the PATH. Those of the README are of tests/golden/stored/demo.
"""

import os
import re
import shutil
import sys
import tempfile
from io import StringIO
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI

from reports.analysis.analyse import analyse
from reports.analysis.gates import parse_gates
from reports.model.charts import Analysis
from reports.render.html.report_page import render_html
from reports.render.terminal.report import render_terminal
from scalelag.record.run_dir import load_run

# Gates that this run keeps: the first picture of the README shows a run that passed.
GATES = (
    "scale_up.total_s.max <= 20",
    "scale_down.total_s.max <= 20",
    "requests.error_ratio <= 0.001",
)
WIDTH = 118
PAGE_PX = {"width": 1000, "height": 1000}
LAST_CHART = "#plot-deployment-1-lives"
DOCS = Path(__file__).parent


def main() -> None:
    """Draw both."""
    run = Path(sys.argv[1])
    recorded = load_run(run)
    gates = parse_gates(GATES)
    analysis = analyse(recorded, gates)
    draw_terminal(analysis, f"runs/{run.name}")
    draw_page(render_html(analysis))


def draw_terminal(analysis: Analysis, record: str) -> None:
    """Write the report as a terminal shows it."""
    console = Console(
        record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    render_terminal(analysis, console, record)
    svg = console.export_svg(title="scalelag run", theme=MONOKAI)
    # rich names fonts on a server: the picture should ask nobody for anything.
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg)
    (DOCS / "report.svg").write_text(svg, encoding="utf-8")


def draw_page(page: bytes) -> None:
    """Write the top of the page, in light."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium was not found: apt-get install chromium")
    # Chromium refuses to sandbox what root runs.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.NamedTemporaryFile(suffix=".html") as file, sync_playwright() as playwright:
        file.write(page)
        file.flush()
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        tab = browser.new_page(viewport=PAGE_PX, color_scheme="light")
        tab.goto(Path(file.name).as_uri())
        tab.wait_for_selector("html[data-drawn=yes]")
        last = tab.locator(LAST_CHART).bounding_box()
        height_px = last["y"] + last["height"] + 20 if last else PAGE_PX["height"]
        clip = {"x": 0, "y": 0, "width": PAGE_PX["width"], "height": height_px}
        tab.screenshot(path=DOCS / "report.png", full_page=True, clip=clip)
        browser.close()


if __name__ == "__main__":
    main()
