"""Chart of Serve's controller: its loop, and the delay of its event loop."""

from collections.abc import Callable, Sequence

from reports.model.charts import Charts
from reports.model.controller import ControllerPoint
from reports.model.report import Report
from reports.render.html.axes import (
    axis,
    chart_marks,
    line_over_time,
    marked_steps,
    time_plot,
)
from reports.render.html.figure import Figure, Key, rounded
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
    marked = chart_marks(charts, marked_steps(report))
    times_s = rounded(tuple(point.at_s for point in points))
    words = controller_words(report.controller)
    return Figure(
        id="controller",
        title="Controller",
        unit="ms",
        sentence=f"{words[:1].upper()}{words[1:]}.",
        height_px=_HEIGHT_PX,
        plot=time_plot(
            [
                line_over_time(name, shade, times_s, _values_ms(points, value), "%{y} ms")
                for shade, name, value in _LINES
            ],
            _HEIGHT_PX,
            charts.end_s,
            axis(nticks=4),
            marked,
        ),
        keys=tuple(Key(shade, name, "line") for shade, name, _ in _LINES),
        table=_table(points),
        linked=True,
    )


def _values_ms(
    points: Sequence[ControllerPoint], value: Callable[[ControllerPoint], float | None]
) -> list[float | None]:
    return rounded(tuple(_in_ms(value(point)) for point in points), 1)


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
