"""`whatif.html`: a what-if as a page."""

from collections.abc import Mapping
from typing import Any

from reports.model.whatif import Curve, Curves, WhatIfReport
from reports.render.html.axes import layout, marks, time_axis
from reports.render.html.figure import Figure, Key, color
from reports.render.html.replica_figures import replica_axis
from reports.render.html.shell import Script, environment, shell
from reports.render.tables.whatif import (
    check_table,
    headline,
    proof,
    run_table,
    service_words,
    step_table,
)
from scalelag.foreign import sanitized
from scalelag.wording import count

_HEIGHT_PX = 240
_COLORS = {"recorded": "offered", "simulated": "base", "what if": "candidate"}
_WIDTHS_PX = {"recorded": 3.6, "simulated": 2.2, "what if": 1.8}


def render_html_whatif(report: WhatIfReport, plotly: Script | None = None) -> bytes:
    """The page in UTF-8; `plotly` is put in place of plotly.js."""
    figures = [
        _figure(report, "target", "Target", "replicas that the autoscaler wanted"),
        _figure(report, "running", "RUNNING", "replicas that served"),
    ]
    template = environment().get_template("whatif.html.j2")
    passed = report.validation.passed
    page = template.render(
        title=f"What if: {headline(report)}",
        **shell(figures, plotly),
        verdict="pass" if passed else "cannot be told",
        headline=headline(report),
        run=sanitized(report.run),
        deployment=sanitized(report.deployment),
        proof=proof(report),
        reasons=[
            sanitized(line) for line in (*report.validation.reasons, *report.validation.missing)
        ],
        tables=[step_table(report), run_table(report)] if passed else [],
        figures=figures,
        check_table=check_table(report),
        service=service_words(report),
        notes=[sanitized(line) for line in report.notes],
        policy_state=sanitized(report.policy_state or ""),
    )
    return page.encode()


def _courses(report: WhatIfReport) -> Mapping[str, Curves]:
    """Courses that are drawn, by their names; the replay of another load would mislead."""
    found = {
        "recorded": report.recorded,
        "simulated": None if report.load else report.simulated,
        "what if": report.whatif,
    }
    return {name: one for name, one in found.items() if one is not None}


def _figure(report: WhatIfReport, which: str, title: str, unit: str) -> Figure:
    curves = {
        name: one.target if which == "target" else one.running
        for name, one in _courses(report).items()
    }
    end_s = max(curve.at_s[-1] for curve in curves.values())
    shapes, labels = marks(end_s, report.steps)
    drawn = layout(
        _HEIGHT_PX,
        xaxis=time_axis(end_s),
        yaxis=replica_axis([n for curve in curves.values() for n in curve.replicas]),
        shapes=shapes,
        annotations=labels,
        hovermode="x unified",
    )
    return Figure(
        id=which,
        title=title,
        unit=unit,
        sentence=" ".join(_told(name, curve) for name, curve in curves.items()),
        height_px=_HEIGHT_PX,
        plot={"data": [_line(name, one) for name, one in curves.items()], "layout": drawn},
        keys=tuple(Key(_COLORS[name], name, "line") for name in curves),
        linked=True,
    )


def _line(name: str, curve: Curve) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(curve.at_s),
        "y": list(curve.replicas),
        "line": {"color": color(_COLORS[name]), "width": _WIDTHS_PX[name], "shape": "hv"},
        "hovertemplate": "%{y}",
    }


def _told(name: str, curve: Curve) -> str:
    changes = max(0, len(curve.replicas) - 2)
    return (
        f"{name.capitalize()}: {min(curve.replicas)} to {count(max(curve.replicas), 'replica')} in "
        f"{count(changes, 'change')}."
    )
