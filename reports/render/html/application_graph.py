"""An application as a small graph: boxes and arrows that the template draws as SVG."""

from collections.abc import Mapping, Sequence

import msgspec

from reports.model.application import ApplicationNode, ApplicationReport
from reports.model.report import Report
from reports.render.tables.applications import (
    application_lines,
    replicas_text,
    short_name,
)
from reports.render.text import percent, shortened_name
from scalelag.foreign import sanitized

_MOST_BOXES = 40
_WIDTH, _HEIGHT = 210, 62
_GAP_X, _GAP_Y = 24, 44
_MARGIN = 4
_LONGEST = 24


class Box(msgspec.Struct, frozen=True):
    """A deployment, at `x` and `y`; `name` is cut to what fits, `title` is whole."""

    x: int
    y: int
    name: str
    title: str
    about: str
    slots: str
    is_limit: bool


class Arrow(msgspec.Struct, frozen=True):
    """A call, from the lower edge of one box to the upper edge of another."""

    x1: float
    y1: float
    x2: float
    y2: float


class Graph(msgspec.Struct, frozen=True):
    """A graph with its size in pixels; `text` says the same in words."""

    id: str
    name: str
    text: tuple[str, ...]
    width: int
    height: int
    box_width: int
    box_height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def application_graphs(report: Report) -> list[Graph]:
    """Graphs of the applications of several deployments; of a very large one only the text."""
    several = [(name, app) for name, app in report.applications.items() if len(app.deployments) > 1]
    return [graph_of(number, name, app) for number, (name, app) in enumerate(several, start=1)]


def graph_of(number: int, name: str, app: ApplicationReport) -> Graph:
    """Graph of one application; `number` sets it apart from others on the page."""
    nodes = {node.deployment: node for node in app.deployments}
    rows = _rows(app, nodes) if len(nodes) <= _MOST_BOXES else []
    widest = max((len(row) for row in rows), default=0)
    places = {
        key: (_x(column, len(row), widest), _MARGIN + line * (_HEIGHT + _GAP_Y))
        for line, row in enumerate(rows)
        for column, key in enumerate(row)
    }
    return Graph(
        id=f"application-{number}",
        name=sanitized(name),
        text=tuple(application_lines(name, app)),
        width=2 * _MARGIN + widest * (_WIDTH + _GAP_X) - _GAP_X if rows else 0,
        height=2 * _MARGIN + len(rows) * (_HEIGHT + _GAP_Y) - _GAP_Y if rows else 0,
        box_width=_WIDTH,
        box_height=_HEIGHT,
        boxes=tuple(_box(name, nodes[key], x, y) for key, (x, y) in places.items()),
        arrows=tuple(_arrows(nodes, places)),
    )


def _x(column: int, of: int, widest: int) -> int:
    """Place in a row that stands in the middle."""
    return _MARGIN + (2 * column + widest - of) * (_WIDTH + _GAP_X) // 2


def _rows(app: ApplicationReport, nodes: Mapping[str, ApplicationNode]) -> list[list[str]]:
    """Deployments by the number of calls that lie between the ingress and them, at the least."""
    called = {key for node in nodes.values() for key in node.calls}
    row = [app.ingress] if app.ingress in nodes else [key for key in nodes if key not in called]
    rows: list[list[str]] = []
    told: set[str] = set()
    while row:
        rows.append([key for key in row if key is not None])
        told.update(rows[-1])
        below = dict.fromkeys(key for one in rows[-1] for key in nodes[one].calls)
        row = [key for key in below if key in nodes and key not in told]
    rest = [key for key in nodes if key not in told]
    return [*rows, rest] if rest else rows


def _box(name: str, node: ApplicationNode, x: int, y: int) -> Box:
    title = short_name(node.deployment, name)
    used = node.slots_used
    return Box(
        x=x,
        y=y,
        name=title if len(title) <= _LONGEST else shortened_name(title, _LONGEST - 3),
        title=title,
        about=replicas_text(node),
        slots="" if used is None else f"{percent(used)} of its slots in use at most",
        is_limit=node.is_limit,
    )


def _arrows(
    nodes: Mapping[str, ApplicationNode], places: Mapping[str, tuple[int, int]]
) -> Sequence[Arrow]:
    return [
        Arrow(
            places[key][0] + _WIDTH / 2,
            places[key][1] + _HEIGHT,
            places[to][0] + _WIDTH / 2,
            places[to][1],
        )
        for key in places
        for to in nodes[key].calls
        if to in places and places[to][1] > places[key][1]
    ]
