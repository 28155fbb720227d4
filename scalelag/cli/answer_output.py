"""Output of a simulation's answer: to the terminal, standard output or a file."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from reports.model.formats import ComparisonFormat
from scalelag.record.run_dir import write_file

_FILE_WIDTH = 120


class Renderers(NamedTuple):
    """Renderers of one answer, by format; `page` is the file of its page if none is named."""

    terminal: Callable[[Console], None]
    html: Callable[[], bytes]
    json: Callable[[], bytes]
    markdown: Callable[[], bytes]
    page: Path


def write_answer(
    renderers: Renderers, output_format: ComparisonFormat, output: Path | None
) -> None:
    """Print the answer, or write it to `output`; a page always goes to a file, whose name is said."""
    if output_format is ComparisonFormat.TERMINAL:
        if output is None:
            renderers.terminal(Console())
            return
        with output.open("w", encoding="utf-8") as file:
            renderers.terminal(Console(file=file, width=_FILE_WIDTH))
        return
    rendered = _rendered(renderers, output_format)
    if output is None and output_format is ComparisonFormat.HTML:
        output = renderers.page
        print(output)
    if output is None:
        sys.stdout.write(rendered.decode())
    else:
        write_file(output, rendered)


def _rendered(renderers: Renderers, output_format: ComparisonFormat) -> bytes:
    if output_format is ComparisonFormat.HTML:
        return renderers.html()
    return renderers.json() if output_format is ComparisonFormat.JSON else renderers.markdown()
