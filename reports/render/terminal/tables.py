"""Tables for a terminal: whole if they fit, else with fewer columns, split, or row by row."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.text import Text

from reports.render.tables.table import Cell, Column, Table, groups_of
from reports.render.terminal.layout import badge, emit, flow, hanging, room
from reports.render.text import NOT_MEASURED, MeasuredText, shortened_names

_GAP = "  "
_LEAST_FOLDED = 24
_NAMES_SHARE = 4

Row = Sequence[Cell]


def print_table(console: Console, table: Table, *, caption: bool = True) -> None:
    """Print `table` with its caption and note, by the first layout that fits the console."""
    width = room(console)
    if caption:
        emit(console, Text(table.caption, style="italic"))
    found = next((one for one in _layouts(console, table) if _fits(one.blocks, width)), None)
    if found is None:
        emit(console, Group(*_row_by_row(table, width)))
    else:
        emit(console, Text("\n\n").join([Text("\n").join(lines) for lines in found.blocks]))
        for text in () if found.is_whole else _below(table, width):
            emit(console, text)
    if table.note:
        emit(console, Text(table.note, style="dim"))


Lines = list[Text]


class Layout(NamedTuple):
    """A table in lines: one block, or several if it is split; `is_whole` if it has all columns."""

    blocks: list[Lines]
    is_whole: bool = False


def _layouts(console: Console, table: Table) -> Iterator[Layout]:
    """Layouts, the best first."""
    width = room(console)
    every = list(range(len(table.columns)))
    kept = [place for place in every if table.columns[place].room == "always"]
    for places in (every, kept):
        yield Layout([_grid(table, places, width)], places is every)
        if (folded := _folded(console, table, places, width)) is not None:
            yield Layout([folded], places is every)
    yield Layout([_grid(table, kept, width, stacked=True)])
    parts = sorted({table.columns[place].part for place in kept})
    split = [
        [place for place in kept if table.columns[place].key or table.columns[place].part == part]
        for part in parts
    ]
    for stacked in (False, True):
        yield Layout([_grid(table, places, width, stacked=stacked) for places in split])


def _fits(blocks: Sequence[Lines], width: int) -> bool:
    return all(line.cell_len <= width for lines in blocks for line in lines)


def _grid(table: Table, places: Sequence[int], width: int, *, stacked: bool = False) -> Lines:
    """Header and rows of these columns; margins beside the figures, or below if `stacked`."""
    columns = [table.columns[place] for place in places]
    by_column = [
        _printed(_cut([row[place] for row in table.rows], column, width), column, stacked=stacked)
        for place, column in zip(places, columns, strict=True)
    ]
    widths = [
        max([cell_len(column.name), *(line.cell_len for cell in printed for line in cell)])
        for column, printed in zip(columns, by_column, strict=True)
    ]
    return [*_header(columns, widths), *_body(by_column, columns, widths)]


def _cut(cells: Sequence[Cell], column: Column, width: int) -> Sequence[Cell]:
    """Names, cut to a share of the console: other columns are why a table of names is read."""
    if column.kind == "foreign" and column.key:
        return shortened_names([str(cell) for cell in cells], max(8, width // _NAMES_SHARE))
    return cells


def _printed(cells: Sequence[Cell], column: Column, *, stacked: bool) -> list[Lines]:
    """Lines of each cell."""
    if column.kind == "badge":
        return [[badge(str(cell))] for cell in cells]
    style = "bold" if column.strong else ""
    if stacked:
        return [[Text(part, style) for part in _parts(cell) if part] or [Text()] for cell in cells]
    margin = max((cell_len(_parts(cell)[1]) for cell in cells), default=0)
    return [
        [Text(f"{value} {error:<{margin}}" if margin else value, style)]
        for value, error in map(_parts, cells)
    ]


def _parts(cell: Cell) -> tuple[str, str]:
    return (cell.value, cell.margin) if isinstance(cell, MeasuredText) else (cell, "")


def _header(columns: list[Column], widths: list[int]) -> Iterator[Text]:
    """Names of the columns, and above them those of groups, with a line over all of a group."""
    if groups := groups_of(columns):
        place, texts = 0, list[str]()
        for name, number in groups:
            span = sum(widths[place : place + number]) + len(_GAP) * (number - 1)
            if (lacking := cell_len(name) - span) > 0:
                for i in range(lacking):
                    widths[place + i % number] += 1
                span = cell_len(name)
            line = f" {'─' * (span - cell_len(name) - 1)}" if span > cell_len(name) + 1 else ""
            texts.append(f"{name}{line}".ljust(span) if name else " " * span)
            place += number
        yield Text(_GAP.join(texts).rstrip(), "dim")
    names = [
        _aligned(Text(column.name), column, width)
        for column, width in zip(columns, widths, strict=True)
    ]
    yield _joined(names, "bold")


def _body(
    by_column: Sequence[Sequence[Lines]], columns: Sequence[Column], widths: Sequence[int]
) -> Iterator[Text]:
    for row in zip(*by_column, strict=True):
        for i in range(max(map(len, row))):
            yield _joined(
                [
                    _aligned(cell[i] if i < len(cell) else Text(), column, width)
                    for cell, column, width in zip(row, columns, widths, strict=True)
                ]
            )


def _aligned(text: Text, column: Column, width: int) -> Text:
    pad = " " * (width - text.cell_len)
    return Text.assemble(text, pad) if column.left else Text.assemble(pad, text)


def _joined(cells: Sequence[Text], style: str = "") -> Text:
    text = Text(_GAP, style).join(cells)
    text.stylize(style)
    text.rstrip()
    return text


def _folded(console: Console, table: Table, places: Sequence[int], width: int) -> Lines | None:
    """The table with its last column, of words, folded into what is left of the width."""
    if not places or not table.columns[places[-1]].left:
        return None
    lines = _grid(table, places[:-1], width) if len(places) > 1 else []
    taken = max((line.cell_len for line in lines), default=0) + len(_GAP)
    left = width - taken
    longest = max((cell_len(str(row[places[-1]])) for row in table.rows), default=0)
    if left < _LEAST_FOLDED or longest <= _LEAST_FOLDED or len(lines) != len(table.rows) + 1:
        return None
    texts = [table.columns[places[-1]].name, *(str(row[places[-1]]) for row in table.rows)]
    found: Lines = []
    for i, (line, text) in enumerate(zip(lines, texts, strict=True)):
        for j, part in enumerate(Text(text).wrap(console, left)):
            head = line if j == 0 else Text()
            found.append(Text.assemble(head, " " * (taken - head.cell_len), part))
        if i == 0:
            found[0].stylize("bold")
    return found


def _below(table: Table, width: int) -> Iterator[Text]:
    """Columns without room, each in a line of its own: the rows that have a value."""
    for place, column in enumerate(table.columns):
        named = [f"{row[0]} {row[place]}" for row in table.rows if _is_known(row[place])]
        if column.room in ("below", "listed") and named:
            text = flow([f"{column.title}:", *named], width, _GAP)
            text.stylize("dim")
            yield text


def _row_by_row(table: Table, width: int) -> Iterator[RenderableType]:
    """Rows as lines, each cell with its name, for consoles too narrow for a table."""
    for row in table.rows:
        cells = list(zip(table.columns, row, strict=True))
        named = [
            f"{column.title} {cell}"
            for column, cell in cells
            if column.kind != "badge" and _is_known(cell)
        ]
        heads = [badge(str(cell)) for column, cell in cells if column.kind == "badge"]
        if heads:
            yield hanging(heads[0], flow(named, width - heads[0].cell_len - 1))
        else:
            yield flow(named, width)


def _is_known(cell: Cell) -> bool:
    return str(cell) not in ("", NOT_MEASURED)


def first_fitting(console: Console, tables: Sequence[Table]) -> Table | None:
    """Return the first of `tables` that fits the console whole; None if none does."""
    width = room(console)
    for table in tables:
        if _fits([_grid(table, range(len(table.columns)), width)], width):
            return table
    return None
