"""`matrix.html`: the versions of a matrix as a page."""

from typing import Any, Final

from reports.model.matrix import MatrixLags, MatrixReport
from reports.render.html.axes import axis, layout
from reports.render.html.figure import Figure, Key, chart_text, color, rounded
from reports.render.html.shell import Script, environment, shell
from reports.render.tables.matrix import entry_table, headline, remarks, step_table
from scalelag.foreign import sanitized

_ROW_PX = 54
_BESIDE_THE_ROWS_PX = 56
_MOST_FIGURES = 6
_PHASES: Final = ("decide", "create", "allocate", "initialize", "mark_running")

_Rows = list[tuple[str, MatrixLags]]
"""Lags of one deployment, with the label of their entry."""


def render_html_matrix(report: MatrixReport, plotly: Script | None = None) -> bytes:
    """The page in UTF-8; `plotly` is put in place of plotly.js."""
    figures = [
        _figure(place, key, rows)
        for place, (key, rows) in enumerate(list(_by_deployment(report).items())[:_MOST_FIGURES])
    ]
    template = environment().get_template("matrix.html.j2")
    page = template.render(
        title=f"Matrix: {headline(report)}",
        **shell(figures, plotly),
        verdict=report.verdict,
        headline=headline(report),
        entries=entry_table(report),
        steps=step_table(report) if report.comparisons else None,
        figures=figures,
        remarks=list(remarks(report)),
        folder=sanitized(report.folder),
    )
    return page.encode()


def _by_deployment(report: MatrixReport) -> dict[str, _Rows]:
    """Entries with a measured scale-up, by deployment."""
    found: dict[str, _Rows] = {}
    for entry in report.entries:
        for lags in entry.lags:
            if lags.total_s is not None:
                found.setdefault(lags.deployment, []).append((entry.label, lags))
    return found


def _figure(place: int, deployment: str, rows: _Rows) -> Figure:
    height_px = _BESIDE_THE_ROWS_PX + _ROW_PX * len(rows)
    totals = ", ".join(f"{sanitized(label)} {lags.total_s:.1f} s" for label, lags in rows)
    return Figure(
        id=f"phases-{place}",
        title=f"Scale-up of {sanitized(deployment)}",
        unit="phases in seconds, medians over the runs",
        sentence=f"Total: {totals}.",
        height_px=height_px,
        plot={
            "data": [_bars(phase, rows) for phase in _PHASES],
            "layout": layout(
                height_px,
                barmode="stack",
                xaxis=axis(ticksuffix=" s"),
                # Beside the bars a label has room on a phone, too; the first version is on top.
                yaxis=axis(type="category", showline=True, autorange="reversed", automargin=True),
                hovermode="y unified",
            ),
        },
        keys=tuple(Key(phase, phase.replace("_", " ")) for phase in _PHASES),
    )


def _bars(phase: str, rows: _Rows) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": phase.replace("_", " "),
        "x": rounded(tuple(getattr(lags, f"{phase}_s") for _, lags in rows)),
        "y": [chart_text(label).replace(" ", "<br>") for label, _ in rows],
        "marker": {"color": color(phase)},
        "hovertemplate": "%{x:.2f} s",
    }
