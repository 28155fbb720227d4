"""Draws docs/report.svg, the README's picture, from a recorded run: `python docs/picture.py RUN`."""

import re
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from reports.analysis.gates import parse_gate
from reports.analysis.summary import analyse
from reports.render.terminal import render_terminal
from scalelag.record.run_dir import load_run

WIDTH = 118


def main() -> None:
    """Render the report as the terminal shows it, and write it as a picture."""
    run = Path(sys.argv[1])
    recorded = load_run(run)
    gates = [parse_gate(text) for text in recorded.info.options["gate"]]
    console = Console(
        record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    render_terminal(analyse(recorded, gates), console, f"runs/{run.name}")
    svg = console.export_svg(title="scalelag run", theme=MONOKAI)
    # rich names fonts on a server: the picture should ask nobody for anything.
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg)
    Path(__file__).with_name("report.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
