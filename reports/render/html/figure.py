"""Charts of pages before they are HTML."""

from typing import Any, NamedTuple

import msgspec

from reports.render.tables.table import Table
from scalelag.foreign import sanitized

_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"


class Key(NamedTuple):
    """An entry of a legend; `style` is how the colour is drawn."""

    color: str
    name: str
    style: str = "area"


class Figure(msgspec.Struct, frozen=True):
    """A chart: `plot` is plotly's data and layout, `sentence` puts it in words.

    `linked` figures share one time axis and one crosshair. Colours in `plot` are names of CSS
    variables, since they depend on light and dark.
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
    """Return the CSS variable of that name, which the page's script puts in."""
    return f"var(--{name})"


def chart_text(text: str) -> str:
    """Text from outside for a chart: plotly reads some HTML in texts, and `%{..}` in templates.

    Isolated, so that text of another direction turns nothing around it.
    """
    safe = sanitized(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{_ISOLATE}{safe.replace('%{', '%&#123;')}{_END_OF_ISOLATE}"


def arrows(text: str) -> str:
    """`text` with `->` as an arrow: a page need not do with ASCII."""
    return text.replace("->", "\u2192")


def rounded(values: "tuple[float | None, ...] | list[float]", digits: int = 3) -> list[Any]:
    """Values for a chart: more digits would be read by nobody, and make the page large."""
    return [None if value is None else round(value, digits) for value in values]
