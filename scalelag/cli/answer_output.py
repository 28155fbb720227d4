"""Output of an answer in the format asked for: to the terminal, standard output or a file."""

import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from rich.console import Console

from reports.model.formats import ComparisonFormat
from scalelag.errors import RecordError, UsageError
from scalelag.foreign import sanitized
from scalelag.record.output_file import check_named, check_writable, write_file, write_named

_FILE_WIDTH = 120

_Answer = TypeVar("_Answer")


class Page(NamedTuple, Generic[_Answer]):
    """Renderer of an answer's page, and the file that it goes to if none is named."""

    render: Callable[[_Answer], bytes]
    file: Path


class Renderers(NamedTuple, Generic[_Answer]):
    """Renderers of one kind of answer, by format."""

    terminal: Callable[[Console, _Answer], None]
    json: Callable[[_Answer], bytes]
    markdown: Callable[[_Answer], bytes]


def check_output(flag: str, path: Path | None) -> None:
    """Raise UsageError if the file that `flag` names cannot be written: known before any work."""
    if path is None:
        return
    try:
        check_named(path)
    except RecordError as error:
        raise UsageError(f"{flag}: {error}") from error


def check_page(page: Page[Any], output_format: ComparisonFormat, output: Path | None) -> None:
    """Raise UsageError if a page that is asked for has no other place than one that takes no file."""
    if output_format is ComparisonFormat.HTML and output is None:
        try:
            check_writable(page.file)
        except RecordError as error:
            raise UsageError(f"--format html without --output: {error}") from error


def write_answer(
    answer: _Answer,
    renderers: Renderers[_Answer],
    output_format: ComparisonFormat,
    output: Path | None,
    page: Page[_Answer] | None = None,
) -> None:
    """Print `answer`, or write it to `output`. A page always goes to a file, whose name is said.

    Raises RecordError if nothing can be written there.
    """
    if output_format is ComparisonFormat.HTML and page is not None:
        rendered = page.render(answer)
        if output is not None:
            write_named(output, rendered)
        else:
            write_file(page.file, rendered)
            print(sanitized(str(page.file)))
    elif output_format is ComparisonFormat.TERMINAL:
        _print(answer, renderers, output)
    else:
        as_json = output_format is ComparisonFormat.JSON
        rendered = (renderers.json if as_json else renderers.markdown)(answer)
        if output is None:
            sys.stdout.write(rendered.decode())
        else:
            write_named(output, rendered)


def _print(answer: _Answer, renderers: Renderers[_Answer], output: Path | None) -> None:
    if output is None:
        renderers.terminal(Console(), answer)
        return
    text = StringIO()
    renderers.terminal(Console(file=text, width=_FILE_WIDTH), answer)
    write_named(output, text.getvalue().encode())
