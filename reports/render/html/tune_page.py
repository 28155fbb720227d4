"""`tune.html`: the settings that a search found as a page, and its chart for a run's own page."""

from collections.abc import Iterator, Sequence
from typing import Any

from reports.model.intervals import Span
from reports.model.tune import Candidate, TriedPoint, TuneReport
from reports.render.html.axes import axis, layout
from reports.render.html.figure import Figure, Key, chart_text, color
from reports.render.html.shell import Script, environment, shell
from reports.render.tables.tune import (
    changes_words,
    confirmation_table,
    tune_headline,
    tune_proof,
    tune_result,
    tune_sentences,
    tune_table,
    tune_verdict,
)
from reports.render.tune_yaml import tune_yaml
from scalelag.foreign import sanitized
from scalelag.wording import count

_HEIGHT_PX = 320
_MOST_DRAWN = 400


def render_html_tune(report: TuneReport, plotly: Script | None = None) -> bytes:
    """The page in UTF-8; `plotly` is put in place of plotly.js."""
    part = tune_part(report)
    figures = [part["figure"]] if part else []
    page = (
        environment()
        .get_template("tune.html.j2")
        .render(
            title=f"Tune: {tune_headline(report)}",
            **shell(figures, plotly),
            verdict=tune_verdict(report),
            headline=tune_headline(report),
            run=sanitized(report.run),
            deployment=sanitized(report.deployment),
            proof=tune_proof(report),
            reasons=[
                sanitized(line) for line in (*report.validation.reasons, *report.validation.missing)
            ],
            tune=part,
        )
    )
    return page.encode()


def tune_part(report: TuneReport | None) -> dict[str, Any] | None:
    """The section of a page; None if no search was made, or its proof failed."""
    if report is None or not report.validation.passed:
        return None
    return {
        "headline": tune_headline(report),
        "table": tune_table(report),
        "result": tune_result(report),
        "sentences": tune_sentences(report),
        "figure": pareto_figure(report),
        "confirmed": confirmation_table(report),
        "notes": [sanitized(line) for line in report.notes],
        "yaml": "\n".join(map(sanitized, tune_yaml(report).splitlines())),
    }


def pareto_figure(report: TuneReport) -> Figure:
    """Replica-hours against the time beyond the SLO: all candidates, those found, the run's own."""
    return Figure(
        id="pareto",
        title="Cost against the SLO",
        unit="replica-hours, and seconds beyond the SLO: the lower left is the best",
        sentence=(
            f"{count(len(report.tried), 'candidate')} simulated, {len(report.found)} shown in the "
            "table by their numbers, and the run's own settings."
        ),
        height_px=_HEIGHT_PX,
        plot={
            "data": list(_traces(report)),
            "layout": layout(
                _HEIGHT_PX,
                xaxis=axis(ticksuffix=" h", showline=True, fixedrange=False, nticks=7),
                yaxis=axis(ticksuffix=" s"),
                hovermode="closest",
            ),
        },
        keys=(
            Key("offered", "candidate", "ring"),
            Key("candidate", "found", "dot"),
            Key("base", "the run's own", "diamond"),
        ),
    )


def _traces(report: TuneReport) -> Iterator[dict[str, Any]]:
    tried = report.tried[:: max(1, len(report.tried) // _MOST_DRAWN)]
    yield {
        "type": "scatter",
        "mode": "markers",
        "name": "candidate",
        "x": [round(one.replica_hours, 5) for one in tried],
        "y": [round(one.beyond_slo_s, 2) for one in tried],
        "text": [_told(one) for one in tried],
        "marker": {"color": color("offered"), "size": 7, "symbol": "circle-open"},
        "hovertemplate": "%{text}<extra></extra>",
    }
    yield _points(report.found, "candidate")
    own = Candidate((), report.own, {})
    yield _points([own], "base")


def _points(found: Sequence[Candidate], name: str) -> dict[str, Any]:
    numbered = name == "candidate"
    return {
        "type": "scatter",
        "mode": "markers+text" if numbered else "markers",
        "name": "found" if numbered else "the run's own",
        "x": [_shown(one.figures["replica_hours"].span) for one in found],
        "y": [_shown(one.figures["beyond_slo_s"].span) for one in found],
        "text": [str(number) for number, _ in enumerate(found, start=1)] if numbered else [""],
        "customdata": [chart_text(changes_words(one) or "as in the run") for one in found],
        "textposition": "top right",
        "cliponaxis": False,
        "marker": {
            "color": color(name),
            "size": 10,
            "symbol": "circle" if numbered else "diamond",
        },
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _shown(span: Span | None) -> float | None:
    return None if span is None else round(span.lo if span.value is None else span.value, 5)


def _told(one: TriedPoint) -> str:
    return (
        f"lag {one.lag_s:.1f} s, {one.beyond_slo_s:.1f} s beyond the SLO, "
        f"{count(one.reversals, 'reversal')}, {one.replica_hours:.4f} replica-hours"
    )
