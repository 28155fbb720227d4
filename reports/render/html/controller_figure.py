"""Chart of Serve's controller: its loop, and the delay of its event loop."""

from collections.abc import Callable
from typing import Any

from reports.model.charts import Charts
from reports.model.controller import ControllerPoint
from reports.model.report import Report
from reports.render.html.axes import axis, chart_marks, layout, marked_steps, time_axis
from reports.render.html.figure import Figure, Key, color, rounded
from reports.render.tables.controller import controller_words
from reports.render.tables.table import Cell, Column, Table
from reports.render.text import NOT_MEASURED

_HEIGHT_PX = 180
_LINES: tuple[tuple[str, str, Callable[[ControllerPoint], float | None]], ...] = (
    ("decide", "control loop, mean of Serve's window", lambda point: point.loop_s),
    ("allocate", "delay of the event loop", lambda point: point.event_loop_delay_s),
)


def controller_figure(report: Report, charts: Charts) -> Figure | None:
    """Return the chart; None if Serve does not tell the controller's health."""
    points = charts.controller
    if not points:
        return None
    shapes, labels = chart_marks(charts, marked_steps(report))
    times_s = rounded(tuple(point.at_s for point in points))
    return Figure(
        id="controller",
        title="Controller",
        unit="ms",
        sentence=f"{controller_words(report.controller).capitalize()}.",
        height_px=_HEIGHT_PX,
        plot={
            "data": [_line(times_s, points, *line) for line in _LINES],
            "layout": layout(
                _HEIGHT_PX,
                xaxis=time_axis(charts.end_s),
                yaxis=axis(nticks=4),
                shapes=shapes,
                annotations=labels,
                hovermode="x unified",
            ),
        },
        keys=tuple(Key(shade, name, "line") for shade, name, _ in _LINES),
        table=_table(points),
        linked=True,
    )


def _line(
    times_s: list[Any],
    points: tuple[ControllerPoint, ...],
    shade: str,
    name: str,
    value: Callable[[ControllerPoint], float | None],
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": times_s,
        "y": rounded(tuple(_in_ms(value(point)) for point in points), 1),
        "line": {"color": color(shade), "width": 1.5},
        "hovertemplate": "%{y} ms",
    }


def _in_ms(value_s: float | None) -> float | None:
    return None if value_s is None else 1000 * value_s


def _table(points: tuple[ControllerPoint, ...]) -> Table:
    columns = ("at s", "loop ms", "event loop delay ms", "memory MB")
    rows = tuple(
        (
            f"{point.at_s:.1f}",
            _shown(_in_ms(point.loop_s)),
            _shown(_in_ms(point.event_loop_delay_s)),
            _shown(point.memory_mb),
        )
        for point in points
    )
    return Table("The controller, a row a poll that is drawn", tuple(map(Column, columns)), rows)


def _shown(value: float | None) -> Cell:
    return NOT_MEASURED if value is None else f"{value:.1f}"
