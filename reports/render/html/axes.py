"""Axes and marks of steps that the charts of a page share."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from reports.model.charts import Band, Charts
from reports.model.load import LoadStepReport
from reports.model.report import Report
from reports.model.steps import StepReport
from reports.model.whatif import WhatIfStep
from reports.render.html.figure import color
from reports.render.text import level

LEFT_PX = 66
MARGIN = {"l": LEFT_PX, "r": 12, "t": 26, "b": 30}
_LEAST_SHARE_BETWEEN_LABELS = 0.1
# Of the time axis, on the narrowest page that shows labels in full: see charts.js.
_SHARE_OF_A_CHARACTER = 0.0085
_LEAST_SHARE_BETWEEN_MARKS = 0.02
_MOST_VIEWS = 100
_ARROWS = {"up": "\u2191", "down": "\u2193", "none": "="}
FONT_PX = 12
_FONTS = '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'


Step = LoadStepReport | StepReport | WhatIfStep


class View(msgspec.Struct, frozen=True):
    """A stretch of time to look at: a step with some time before it."""

    name: str
    from_s: float
    to_s: float


def layout(height_px: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401  plotly's own
    """The layout of every chart; colours are names of CSS variables."""
    common = {
        "height": height_px,
        "margin": MARGIN,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONTS, "size": FONT_PX, "color": color("text-soft")},
        "showlegend": False,
        "hoverlabel": {
            "bgcolor": color("surface"),
            "bordercolor": color("line"),
            "font": {"color": color("text"), "size": FONT_PX},
        },
    }
    return {**common, **more}


def time_plot(
    traces: Sequence[dict[str, Any]],
    height_px: int,
    end_s: float,
    yaxis: dict[str, Any],
    marked: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> dict[str, Any]:
    """Plot of a chart over the time of the run, with the shapes and labels of `marks`."""
    shapes, labels = marked
    drawn = layout(
        height_px,
        xaxis=time_axis(end_s),
        yaxis=yaxis,
        shapes=shapes,
        annotations=labels,
        hovermode="x unified",
    )
    return {"data": list(traces), "layout": drawn}


def line_over_time(
    name: str, shade: str, times_s: Sequence[float], values: Sequence[float | None], hover: str
) -> dict[str, Any]:
    """A trace of `values`, which are rounded already, in the colour called `shade`."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(times_s),
        "y": list(values),
        "line": {"color": color(shade), "width": 1.5},
        "hovertemplate": hover,
    }


def axis(**more: Any) -> dict[str, Any]:  # noqa: ANN401  plotly's own
    """An axis of values from 0 on."""
    common = {
        "gridcolor": color("grid"),
        "linecolor": color("line"),
        "zeroline": False,
        "automargin": False,
        "fixedrange": True,
        "rangemode": "tozero",
    }
    return {**common, **more}


def time_axis(end_s: float) -> dict[str, Any]:
    """Seconds from the plan's start to `end_s`, the same for all linked charts."""
    return axis(
        range=[0, round(end_s, 3)],
        fixedrange=False,
        minallowed=0,
        maxallowed=round(end_s, 3),
        ticksuffix=" s",
        tickformat=",",
        showline=True,
        hoverformat=".2f",
        showspikes=False,
        nticks=9,
    )


def marks(
    end_s: float,
    steps: Sequence[Step],
    unseen: Iterable[Band] = (),
    restarts: Iterable[Band] = (),
    saturated: Iterable[Band] = (),
    changes: Iterable[Band] = (),
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Shapes and labels: lines at steps, restarts and changes, bands where nothing was seen or sent.

    Of steps that follow too closely to be told apart, some have no line, or no label.
    """
    marked = _apart(steps, _LEAST_SHARE_BETWEEN_MARKS * end_s)
    shapes = [_line(step.at_s, color("mark"), "dot") for step in marked if step.at_s > 0]
    shapes += [_band(gap.from_s, gap.to_s, "unseen") for gap in unseen]
    shapes += [_band(time.from_s, time.to_s, "saturated") for time in saturated]
    shapes += [_line(row.to_s, color("restart"), "dash") for row in restarts]
    shapes += [_line(row.to_s, color("change"), "dashdot") for row in changes]
    return shapes, list(_labels(end_s, steps))


def chart_marks(
    charts: Charts, steps: Sequence[Step], deployment: str | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Shapes and labels of the charts of one run, or of a deployment of it, with `steps` marked."""
    changes = charts.changes if deployment is None else charts.changes_of(deployment)
    return marks(charts.end_s, steps, charts.unseen, charts.restarts, charts.saturated, changes)


def marked_steps(report: Report) -> Sequence[Step]:
    """Steps to mark in charts of the load: a deployment's have the end of the load among them."""
    of_deployments = [deployment.steps for deployment in report.deployments.values()]
    return of_deployments[0] if of_deployments else report.load.steps


def views(report: Report, end_s: float) -> list[View]:
    """Views of the time axes: each step, from a tenth of its hold before it."""
    return [
        View(
            name=f"step {step.index} at {step.at_s:.1f} s: "
            f"{level(step.from_level)} to {level(step.to_level)} {step.unit}",
            from_s=max(0.0, step.at_s - 0.1 * step.hold_s),
            to_s=min(end_s, step.at_s + step.hold_s),
        )
        for step in report.load.steps[:_MOST_VIEWS]
    ]


def _apart(steps: Sequence[Step], least_s: float) -> Iterator[Step]:
    """The first step, and then each that comes `least_s` after the last of these."""
    free_from_s = float("-inf")
    for step in steps:
        if step.at_s >= free_from_s:
            free_from_s = step.at_s + least_s
            yield step


def _labels(end_s: float, steps: Sequence[Step]) -> Iterator[dict[str, Any]]:
    """Number and levels of a step above its line, if there is room; its `name` is the short form."""
    free_from_s = float("-inf")
    for step in steps:
        short = f"{step.index} {_ARROWS[_direction(step)]}"
        text = f"{short} {level(step.from_level)}\u2192{level(step.to_level)} {step.unit}"
        width_s = len(text) * _SHARE_OF_A_CHARACTER * end_s
        is_last = step.at_s + width_s > end_s
        from_s = step.at_s - width_s if is_last else step.at_s
        if from_s < free_from_s:
            continue
        free_from_s = from_s + max(width_s, _LEAST_SHARE_BETWEEN_LABELS * end_s)
        yield {
            "x": round(step.at_s, 3),
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "xanchor": "right" if is_last else "left",
            "xshift": -2 if is_last else 2,
            "showarrow": False,
            "text": text,
            "name": short,
            "font": {"color": color("mark")},
        }


def _direction(step: Step) -> str:
    if step.to_level == step.from_level:
        return "none"
    return "up" if step.to_level > step.from_level else "down"


def _line(at_s: float, line_color: str, dash: str) -> dict[str, Any]:
    at_s = round(at_s, 3)
    return {
        "type": "line",
        "x0": at_s,
        "x1": at_s,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": line_color, "width": 1, "dash": dash},
        "layer": "above",
    }


def _band(from_s: float, to_s: float, name: str) -> dict[str, Any]:
    return {
        "type": "rect",
        "x0": round(from_s, 3),
        "x1": round(to_s, 3),
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "fillcolor": color(name),
        "line": {"width": 0},
        "layer": "below",
    }
