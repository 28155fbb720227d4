"""`report.html`: the report of one run as a page."""

from collections.abc import Sequence
from typing import Any

import msgspec
from jinja2 import Template

from reports.model.charts import Analysis, Charts
from reports.model.formats import Details
from reports.model.report import Report
from reports.model.steps import DeploymentReport
from reports.render.html.application_graph import application_graphs
from reports.render.html.axes import views
from reports.render.html.cause_parts import cause_parts, causes_left_out
from reports.render.html.controller_figure import controller_figure
from reports.render.html.figure import Figure
from reports.render.html.lag_figure import lag_figure
from reports.render.html.load_figures import latency_figure, load_figure
from reports.render.html.replica_figures import lives_figure, replica_links, replicas_figure
from reports.render.html.seen_figure import seen_figure
from reports.render.html.shell import Script, environment, shell
from reports.render.html.summary_parts import facts, tiles
from reports.render.html.tune_page import tune_part
from reports.render.tables.answers import answers
from reports.render.tables.changes import change_table
from reports.render.tables.deployments import deployment_table, detailed, left_out
from reports.render.tables.elasticity import following_texts
from reports.render.tables.events import event_table, starts_table
from reports.render.tables.gates import gate_table
from reports.render.tables.lag import (
    UNCERTAIN,
    bounds,
    idle_reasons,
    idle_steps,
    lag_tables,
    not_measured,
    remarks,
)
from reports.render.tables.load import (
    error_table,
    exception_table,
    goodput_table,
    load_table,
    stream_table,
    worker_table,
)
from reports.render.tables.named_load import named_tables
from reports.render.tables.notes import findings, warnings
from reports.render.tables.prompts import prompt_table, session_table
from reports.render.tables.table import Table
from reports.render.tables.try_out import tries
from reports.render.text import NO_GATES, reasons_of, verdict_words
from scalelag.foreign import sanitized
from scalelag.wording import count

_MOST_NOTES = 100


class DeploymentPart(msgspec.Struct, frozen=True):
    """One deployment on a page; `notes` are (step, remark), `links` ids by a replica's name."""

    key: str
    id: str
    bounds: str
    tables: tuple[Table, ...]
    notes: tuple[tuple[str, str], ...]
    idle: str
    following: tuple[str, ...]
    figures: tuple[Figure, ...]
    links: dict[str, str]


def render_html(
    analysis: Analysis,
    plotly: Script | None = None,
    *,
    record: str = "",
    details: Details = Details.MOVED,
) -> bytes:
    """The page in UTF-8. `record` is the run directory as the reader would type it.

    `plotly` is put in place of plotly.js, which makes 4.8 MB of the page.
    """
    report, charts = analysis.report, analysis.charts
    parts = [
        _deployment_part(number, key, report, charts)
        for number, key in enumerate(detailed(report, details), start=1)
    ]
    run_figures = _figures_of_run(report, charts)
    tune = tune_part(analysis.tune)
    figures = [*run_figures, *(figure for part in parts for figure in part.figures)]
    page = _template().render(
        title=f"{report.verdict.upper()}: {sanitized(report.run.name)}",
        **shell([*figures, *([tune["figure"]] if tune else [])], plotly),
        **_head(report),
        **_marks(report, charts),
        load_figures=run_figures,
        **_deployments(report, parts, details),
        load_table=load_table(report.load),
        more_tables=_more_tables(report),
        **_findings(report),
        **_about(analysis, record),
        tries=tries(report, record),
        **_beside(report),
        tune=tune,
    )
    return page.encode()


def _figures_of_run(report: Report, charts: Charts) -> list[Figure]:
    controller = controller_figure(report, charts)
    always = [load_figure(report, charts), latency_figure(report, charts)]
    return [*always, controller] if controller else always


def _template() -> Template:
    return environment().get_template("report.html.j2")


def _head(report: Report) -> dict[str, Any]:
    """The verdict, the answer in one sentence a step, the gates."""
    found, others = answers(report)
    return {
        "report": report,
        "name": sanitized(report.run.name),
        "judged": verdict_words(report),
        "reasons": reasons_of(report),
        "answers": found,
        "more_answers": f"and {count(others, 'more step')}: see Scale lag" if others else "",
        "gates": gate_table(report.gates),
        "no_gates": NO_GATES,
        "tiles": tiles(report),
    }


def _deployments(
    report: Report, parts: Sequence[DeploymentPart], details: Details
) -> dict[str, Any]:
    """The deployments: all in one table, those with details in `parts`, and their applications."""
    return {
        "deployments": parts,
        "summary": deployment_table(report),
        "applications": application_graphs(report),
        "summary_links": {part.key: f"{part.id}-lag" for part in parts},
        "left_out": left_out(report, detailed(report, details)),
        "uncertain": UNCERTAIN,
    }


def _marks(report: Report, charts: Charts) -> dict[str, Any]:
    """The marks that charts have, the steps to look at, and the curves that were thinned."""
    return {
        "views": views(report, charts.end_s),
        "thinned": [sanitized(text) for text in charts.thinned],
        "unseen": bool(charts.unseen),
        "saturated": bool(charts.saturated),
        "restarts": bool(charts.restarts),
        "change_marks": bool(charts.changes),
    }


def _more_tables(report: Report) -> list[Table]:
    load = report.load
    found = (
        *(goodput_table(load), stream_table(load), prompt_table(load), session_table(load)),
        *named_tables(load),
        *(worker_table(load), error_table(load), exception_table(load)),
    )
    return [table for table in found if table is not None]


def _beside(report: Report) -> dict[str, Any]:
    """Tables of what happened beside the load: events, and what others changed."""
    return {
        "changes": change_table(report.changes),
        "events": event_table(report.events),
        "starts": starts_table(report.events),
    }


def _findings(report: Report) -> dict[str, Any]:
    """Causes, findings on the configuration, warnings."""
    lint, warned = findings(report), warnings(report)
    return {
        "causes": cause_parts(report),
        "causes_left_out": _more(causes_left_out(report)),
        "lint": lint[:_MOST_NOTES],
        "lint_left_out": _more(len(lint) - _MOST_NOTES),
        "warnings": warned[:_MOST_NOTES],
        "warnings_left_out": _more(len(warned) - _MOST_NOTES),
    }


def _about(analysis: Analysis, record: str) -> dict[str, Any]:
    report = analysis.report
    return {
        "facts": facts(report, analysis.origin, record),
        "command": sanitized(analysis.origin.command or ""),
        "not_measured": not_measured(report),
        "unmeasured": [
            (sanitized(name), sanitized(why)) for name, why in report.not_measured.items()
        ],
    }


def _more(number: int) -> str:
    return f"and {number:,} more: see report.json" if number > 0 else ""


def _deployment_part(number: int, key: str, report: Report, charts: Charts) -> DeploymentPart:
    deployment, id_ = report.deployments[key], f"deployment-{number}"
    idle = idle_steps(deployment.steps)
    own = charts.deployments.get(key)
    return DeploymentPart(
        key=sanitized(key),
        id=id_,
        bounds=bounds(deployment),
        tables=tuple(lag_tables(deployment, len(report.deployments))),
        notes=tuple(remarks(deployment)[:_MOST_NOTES]),
        idle=idle_reasons(idle) if idle or not deployment.steps else "",
        following=tuple(following_texts(deployment)),
        figures=tuple(_figures(key, id_, deployment, charts)),
        links=replica_links(id_, own) if own else {},
    )


def _figures(key: str, id_: str, deployment: DeploymentReport, charts: Charts) -> list[Figure]:
    found: list[Figure] = []
    own = charts.deployments.get(key)
    if own is not None and own.curve.times_s:
        found.append(replicas_figure(key, id_, deployment, charts))
    if (seen := seen_figure(key, id_, deployment, charts)) is not None:
        found.append(seen)
    if own is not None and own.bars:
        found.append(lives_figure(key, id_, deployment, charts))
    if (budget := lag_figure(id_, deployment)) is not None:
        found.append(budget)
    return found
