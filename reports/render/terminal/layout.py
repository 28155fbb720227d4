"""Lines within a console's width: indents, breaks between parts, badges."""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

INDENT = 1
_ASCII = str.maketrans("±·░■┌┐└┘├┤┬┴┼─│", "~-:#+++++++++-|")
_GREEN, _RED, _YELLOW = "bold black on green", "bold white on red", "bold black on yellow"
_BADGES = {
    "pass": _GREEN,
    "fail": _RED,
    "invalid": "bold white on magenta",
    "inconclusive": _YELLOW,
    "regression": _RED,
    "improvement": _GREEN,
    "no difference shown": "bold black on white",
    "slower": "bold red",
    "faster": "bold green",
    "cannot be told": _YELLOW,
    "not comparable": _YELLOW,
}


def badge(verdict: str) -> Text:
    """A verdict in capitals on its colour."""
    return Text.assemble((f" {verdict.upper()} ", _BADGES[verdict]))


def emit(console: Console, renderable: RenderableType, indent: int = INDENT) -> None:
    """Print without trailing blanks, and in ASCII where the console's encoding asks for it."""
    padded = Padding(renderable, (0, 0, 0, indent))
    ascii_only = console.options.ascii_only
    for line in console.render_lines(padded, pad=False):
        segments = [_as_ascii(segment) for segment in line] if ascii_only else line
        console.print(Segments([*_without_trailing_blanks(segments), Segment.line()]), end="")


def _as_ascii(segment: Segment) -> Segment:
    text = segment.text.translate(_ASCII)
    text = "".join(char if char.isascii() else "?" * cell_len(char) for char in text)
    return Segment(text, segment.style, segment.control)


def _without_trailing_blanks(line: Sequence[Segment]) -> list[Segment]:
    kept = list(line)
    while kept and not kept[-1].text.strip() and not (kept[-1].style and kept[-1].style.bgcolor):
        kept.pop()
    if kept and not (kept[-1].style and kept[-1].style.bgcolor):
        kept[-1] = Segment(kept[-1].text.rstrip(), kept[-1].style, kept[-1].control)
    return kept


def room(console: Console, indent: int = INDENT) -> int:
    """Columns right of the indent."""
    return max(1, console.width - indent)


def flow(parts: Iterable[str | Text], width: int, separator: str = " · ") -> Text:
    """`parts` one after another, lines broken between them; only one wider than `width` is cut."""
    lines: list[Text] = []
    for part in parts:
        text = part if isinstance(part, Text) else Text(part)
        if lines and lines[-1].cell_len + len(separator) + text.cell_len <= width:
            lines[-1] = Text.assemble(lines[-1], separator, text)
        else:
            lines.append(text)
    return Text("\n", overflow="fold").join(lines)


def hanging(head: Text, body: RenderableType) -> Table:
    """`body` right of `head`, its further lines too."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(head, body)
    return grid
