"""Chart of open requests: those of the client, those at the deployment, those its policy was given."""

from collections.abc import Callable

from reports.model.charts import Charts
from reports.model.seen import SeenPoint
from reports.model.steps import DeploymentReport
from reports.render.html.axes import axis, chart_marks, line_over_time, time_plot
from reports.render.html.figure import Figure, Key, rounded
from reports.render.tables.seen import seen_texts
from reports.render.tables.table import Column, Table
from reports.render.text import NOT_MEASURED

_HEIGHT_PX = 200
_LINES: tuple[tuple[str, str, Callable[[SeenPoint], float | None]], ...] = (
    ("offered", "open at the client", lambda point: point.client),
    ("starting", "at the deployment: queued and running", lambda point: point.open),
    ("completed", "given to its autoscaler", lambda point: point.total),
)


def seen_figure(key: str, id_: str, deployment: DeploymentReport, charts: Charts) -> Figure | None:
    """Return the chart; None if Serve's gauges showed nothing."""
    points = deployment.seen.ongoing
    if not points:
        return None
    known = [line for line in _LINES if any(line[2](point) is not None for point in points)]
    marked = chart_marks(charts, deployment.steps, key)
    times_s = rounded(tuple(point.at_s for point in points))
    return Figure(
        id=f"{id_}-seen",
        title="What the autoscaler saw",
        unit="open requests",
        sentence="; ".join(seen_texts(deployment)) + ".",
        height_px=_HEIGHT_PX,
        plot=time_plot(
            [
                line_over_time(name, shade, times_s, rounded(tuple(map(value, points))), "%{y}")
                for shade, name, value in known
            ],
            _HEIGHT_PX,
            charts.end_s,
            axis(nticks=5),
            marked,
        ),
        keys=tuple(Key(shade, name, "line") for shade, name, _ in known),
        table=_table(points),
        linked=True,
    )


def _table(points: tuple[SeenPoint, ...]) -> Table:
    columns = ("at s", "client", "queued", "running", "given", "wanted replicas")
    rows = tuple(
        (
            f"{point.at_s:.1f}",
            *(
                NOT_MEASURED if value is None else f"{value:.1f}"
                for value in (point.client, point.queued, point.running, point.total, point.desired)
            ),
        )
        for point in points
    )
    return Table("Open requests, a row a reading", tuple(map(Column, columns)), rows)
