"""What pages are made of: tables and figures, before they are HTML."""

from typing import Any, NamedTuple

import msgspec

from reports.render.text import sanitized

_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"


class Column(NamedTuple):
    """A column; those of one `group` in a row share a header.

    `outside`: its text is not ours. `badge`: its texts are verdicts.
    """

    name: str
    group: str = ""
    words: bool = False
    outside: bool = False
    badge: bool = False


class Table(msgspec.Struct, frozen=True):
    """A table with a caption; the first cell of a row names the row. `note` says what is left out."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The groups with the number of their columns, left to right; without any, nothing."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and column.group and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return found if any(name for name, _ in found) else []


class Key(NamedTuple):
    """What a colour in a figure stands for; `style` is how it is drawn."""

    color: str
    name: str
    style: str = "area"


class Figure(msgspec.Struct, frozen=True):
    """A chart: `plot` is plotly's data and layout, `sentence` says what is to be seen in it.

    `linked` figures share one time axis. Colours in `plot` are names of CSS variables, since they
    depend on light and dark.
    """

    id: str
    title: str
    unit: str
    sentence: str
    height_px: int
    plot: dict[str, Any]
    keys: tuple[Key, ...] = ()
    table: Table | None = None
    linked: bool = False


def color(name: str) -> str:
    """The CSS variable of that name, which the page's script puts in."""
    return f"var(--{name})"


def chart_text(text: str) -> str:
    """Text from outside for a chart: plotly reads some HTML in texts, and `%{..}` in templates.

    Isolated, so that text of another direction turns nothing around it.
    """
    safe = sanitized(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{_ISOLATE}{safe.replace('%{', '%&#123;')}{_END_OF_ISOLATE}"


def rounded(values: "tuple[float | None, ...] | list[float]", digits: int = 3) -> list[Any]:
    """For a chart: more digits would be read by nobody, and make the page large."""
    return [None if value is None else round(value, digits) for value in values]
