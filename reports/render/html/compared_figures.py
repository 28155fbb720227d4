"""The charts of a comparison over time: load, latency and replicas of base and candidate."""

from collections.abc import Sequence
from typing import Any, Literal

from reports.model.comparison import ComparedLines, Line, Lines, ReplicasName, SideLines
from reports.render.html.axes import Step, axis, marks, time_plot
from reports.render.html.compared_tables import load_table, replica_table
from reports.render.html.figure import Figure, Key, color, rounded
from reports.render.html.load_figures import is_wide, latency_axis, latency_unit
from reports.render.html.replica_figures import replica_axis
from reports.render.text import milliseconds, rate

Side = Literal["base", "candidate"]
_HEIGHT_PX = 240
# Where both run alike, the base is seen on either side of the candidate.
_WIDTHS_PX: dict[Side, float] = {"base": 3.2, "candidate": 1.8}
_TARGET_PX = 1.4


def compared_load(lines: ComparedLines, steps: Sequence[Step]) -> Figure:
    """Requests per second that were offered to the base, and completed by both."""
    hover = "%{y:,.1f}/s"
    offered = _line(lines.base.load["offered_rps"].median, "offered", "offered", hover)
    traces = [{**offered, "fill": "tozeroy", "fillcolor": color("offered-fill")}]
    for side, own in _sides(lines):
        traces += _drawn(side, own.load["completed_rps"], "completed", hover)
    return _figure(
        lines,
        steps,
        traces,
        axis(nticks=5),
        id="load",
        title="Load",
        unit="requests per second",
        sentence=" ".join(_load_told(side, own) for side, own in _sides(lines)),
        keys=(
            Key("offered", "offered to the base"),
            *(Key(side, f"{side}: completed", "line") for side, _ in _sides(lines)),
        ),
        table=load_table(lines),
    )


def compared_latency(lines: ComparedLines, steps: Sequence[Step]) -> Figure:
    """The p95 of latency from the intended start, in milliseconds."""
    drawn: list[tuple[Side, Lines]] = [
        (side, own.load["latency_p95_ms"]) for side, own in _sides(lines)
    ]
    shown = [line for _, own in drawn for line in (own.median, *own.runs)]
    wide = is_wide([value for line in shown for value in line.values])
    traces = [
        trace
        for side, own in drawn
        for trace in _drawn(side, own, "p95", "%{y:,.0f} ms", middles=True)
    ]
    return _figure(
        lines,
        steps,
        traces,
        latency_axis(wide=wide),
        id="latency",
        title="Latency, p95",
        unit=latency_unit(wide=wide),
        sentence=" ".join(_latency_told(side, own.median) for side, own in drawn),
        keys=tuple(Key(side, f"{side}: p95", "line") for side, _ in drawn),
    )


def compared_replicas(key: str, id_: str, lines: ComparedLines, steps: Sequence[Step]) -> Figure:
    """RUNNING replicas and the target of one deployment, on the sides that have it."""
    drawn: list[tuple[Side, dict[ReplicasName, Lines]]] = [
        (side, own.replicas[key]) for side, own in _sides(lines) if key in own.replicas
    ]
    traces: list[dict[str, Any]] = []
    for side, own in drawn:
        target = _line(own["target"].median, f"{side} target", side, "%{y}", _TARGET_PX)
        target["line"]["dash"] = "4px,3px"
        traces += [*_drawn(side, own["running"], "RUNNING", "%{y}"), target]
    counts = [
        value
        for _, own in drawn
        for line in (own["target"].median, own["running"].median, *own["running"].runs)
        for value in line.values
    ]
    return _figure(
        lines,
        steps,
        traces,
        replica_axis(counts),
        id=f"{id_}-replicas",
        title="Replicas",
        unit="RUNNING, and the target",
        sentence=" ".join(_replicas_told(side, own["running"].median) for side, own in drawn),
        keys=(
            *(Key(side, f"{side}: RUNNING", "line") for side, _ in drawn),
            *(Key(side, f"{side}: target", "dashed") for side, _ in drawn),
        ),
        table=replica_table(drawn, len(lines.deployments)),
    )


def _sides(lines: ComparedLines) -> tuple[tuple[Side, SideLines], ...]:
    return ("base", lines.base), ("candidate", lines.candidate)


def _figure(
    lines: ComparedLines,
    steps: Sequence[Step],
    traces: list[dict[str, Any]],
    yaxis: dict[str, Any],
    **more: Any,  # noqa: ANN401  fields of Figure
) -> Figure:
    marked = marks(lines.end_s, steps, lines.unseen, lines.restarts)
    plot = time_plot(traces, _HEIGHT_PX, lines.end_s, yaxis, marked)
    return Figure(height_px=_HEIGHT_PX, plot=plot, linked=True, **more)


def _drawn(
    side: Side, own: Lines, what: str, hover: str, *, middles: bool = False
) -> list[dict[str, Any]]:
    """The runs of a side, thin and in one trace, and their median above them."""
    median = _line(own.median, f"{side} {what}", side, hover, _WIDTHS_PX[side], middles=middles)
    if not own.runs:
        return [median]
    points = [_points(line, middles=middles) for line in own.runs]
    thin = {
        **median,
        "name": f"{side} runs",
        "mode": "lines",
        "x": [x for xs, _ in points for x in (*xs, None)],
        "y": [y for _, ys in points for y in (*ys, None)],
        "line": {**median["line"], "width": 1},
        "opacity": 0.6,
        "hoverinfo": "skip",
    }
    del thin["hovertemplate"]
    return [thin, median]


def _line(
    line: Line,
    name: str,
    line_color: str,
    hover: str,
    width: float = 1.2,
    *,
    middles: bool = False,
) -> dict[str, Any]:
    x, y = _points(line, middles=middles)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(x) == 1 else "lines",
        "name": name,
        "x": x,
        "y": y,
        "line": {
            "color": color(line_color),
            "width": width,
            "shape": "linear" if middles else "hv",
        },
        "connectgaps": False,
        "hovertemplate": hover,
    }


def _points(line: Line, *, middles: bool) -> tuple[list[Any], list[Any]]:
    """Of a stair its edges, the last value until its end; or each value in the middle of its time."""
    if not middles:
        return rounded([*line.times_s, line.end_s]), rounded((*line.values, line.values[-1]))
    ends_s = (*line.times_s[1:], line.end_s)
    middles_s = [(from_s + to_s) / 2 for from_s, to_s in zip(line.times_s, ends_s, strict=True)]
    return rounded(middles_s), rounded(line.values, 1)


def _known(line: Line) -> list[float]:
    return [value for value in line.values if value is not None]


def _load_told(side: Side, own: SideLines) -> str:
    offered, completed = (
        max(_known(own.load[name].median), default=0.0) for name in ("offered_rps", "completed_rps")
    )
    return (
        f"The {side} was offered up to {rate(offered)} requests per second and completed up to "
        f"{rate(completed)}."
    )


def _latency_told(side: Side, line: Line) -> str:
    found = [
        (value, at_s)
        for value, at_s in zip(line.values, line.times_s, strict=True)
        if value is not None
    ]
    if not found:
        return f"No latency was measured of the {side}."
    (most_ms, at_s), (least_ms, _) = max(found), min(found)
    return (
        f"p95 of the {side} lies between {milliseconds(least_ms)} and {milliseconds(most_ms)} ms "
        f"and is highest at about {at_s:.0f} s."
    )


def _replicas_told(side: Side, line: Line) -> str:
    known = _known(line)
    if not known:
        return f"The probe never saw it in the {side}."
    return (
        f"RUNNING replicas of the {side} lie between {min(known):g} and {max(known):g} and end at "
        f"{known[-1]:g}."
    )
