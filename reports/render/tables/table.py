"""Tables before they are printed: columns, rows and notes, for the terminal, Markdown and HTML."""

from typing import Literal, NamedTuple

import msgspec

from reports.model.intervals import Span
from reports.render.text import NOT_MEASURED, MeasuredText

Kind = Literal["number", "words", "foreign", "code", "badge"]
Room = Literal["always", "below", "listed", "wide"]
Cell = str | MeasuredText


class Column(NamedTuple):
    """A column; those of one `group` in a row share a header, and `alone` names it without one.

    Cells of kind `foreign` and `code` are not our text, those of a `badge` are verdicts. Where a
    table is too wide, it is split: columns of one `part` stay together, and a `key` stands in every
    part. Before that, `wide` columns are dropped, and those `below` are listed under the table; those
    `listed` are long, and stand there on a page in any case.
    """

    name: str
    kind: Kind = "number"
    group: str = ""
    alone: str = ""
    key: bool = False
    strong: bool = False
    part: int = 0
    room: Room = "always"

    @property
    def title(self) -> str:
        """The name where no group stands above it."""
        return self.alone or self.name

    @property
    def left(self) -> bool:
        """True if cells are aligned to the left."""
        return self.kind != "number"

    @property
    def outside(self) -> bool:
        """True if cells are not our text."""
        return self.kind in ("foreign", "code")


class Table(msgspec.Struct, frozen=True):
    """A table with a caption; the first `key` column, or the first of all, names the row.

    `note` says what is left out. Links to rows of a page lead to `row_ids`.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    row_ids: tuple[str, ...] = ()

    @property
    def naming(self) -> int:
        """Place of the column that names the row."""
        return next((place for place, column in enumerate(self.columns) if column.key), 0)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Groups with the number of their columns, from left to right; empty without any group."""
        return groups_of(self.columns)


def groups_of(columns: "tuple[Column, ...] | list[Column]") -> list[tuple[str, int]]:
    """Groups of neighbouring columns with their number; empty without any group."""
    found: list[tuple[str, int]] = []
    for column in columns:
        if found and column.group and found[-1][0] == column.group:
            found[-1] = (column.group, found[-1][1] + 1)
        else:
            found.append((column.group, 1))
    return found if any(name for name, _ in found) else []


def measured_cell(span: Span | None, digits: int) -> Cell:
    """A measured value; `> lo` if it is only known to be above."""
    if span is None:
        return NOT_MEASURED
    if span.value is None:
        return f"> {span.lo:.{digits}f}"
    return MeasuredText(f"{span.value:,.{digits}f}")


def estimated_cell(span: Span | None, digits: int) -> Cell:
    """A simulated value with the interval it is estimated to lie in, if it is one."""
    if span is None or span.value is None or span.lo == span.hi:
        return measured_cell(span, digits)
    high = "..." if span.hi is None else f"{span.hi:,.{digits}f}"
    return MeasuredText(f"{span.value:,.{digits}f}", f"[{span.lo:,.{digits}f}, {high}]")


def rest_of(number: int, most: int) -> str:
    """Note of a table that shows `most` rows of `number`; empty if it shows all."""
    return f"The first {most:,} of {number:,}; report.json has the rest." if number > most else ""
