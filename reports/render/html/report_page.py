"""`report.html`: the report of one run as a page."""

import msgspec

from reports.model.charts import Analysis, Charts
from reports.model.report import Report
from reports.model.steps import DeploymentReport
from reports.render.html.axes import views
from reports.render.html.cause_parts import cause_parts, causes_left_out
from reports.render.html.lag_figure import lag_figure
from reports.render.html.load_figures import latency_figure, load_figure
from reports.render.html.replica_figures import lives_figure, replicas_figure
from reports.render.html.shell import Script, environment, shell
from reports.render.html.summary_parts import facts, gate_lines, tiles
from reports.render.tables.elasticity import following_texts
from reports.render.tables.lag import idle_reasons, idle_steps, remark
from reports.render.tables.load import (
    error_table,
    lag_tables,
    load_table,
    name_table,
    stream_table,
    worker_table,
)
from reports.render.tables.table import Figure, Table
from reports.render.terminal.report import not_measured
from reports.render.text import reasons_of, sanitized, step_name

_MOST_NOTES = 100


class DeploymentPart(msgspec.Struct, frozen=True):
    """What a page says of one deployment; `notes` are (step, remark)."""

    key: str
    id: str
    bounds: str
    tables: tuple[Table, ...]
    notes: tuple[tuple[str, str], ...]
    idle: str
    following: tuple[str, ...]
    figures: tuple[Figure, ...]


def render_html(analysis: Analysis, plotly: Script | None = None) -> bytes:
    """The page in UTF-8. `plotly` is put in place of plotly.js, which makes 4.8 MB of it."""
    report, charts = analysis.report, analysis.charts
    parts = [
        _deployment_part(number, key, report, charts)
        for number, key in enumerate(report.deployments, start=1)
    ]
    load_figures = [load_figure(report, charts), latency_figure(report, charts)]
    figures = [*load_figures, *(figure for part in parts for figure in part.figures)]
    tables = (stream_table, name_table, worker_table, error_table)
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            title=f"{report.verdict.upper()}: {sanitized(report.run.name)}",
            **shell(figures, plotly),
            report=report,
            name=sanitized(report.run.name),
            reasons=reasons_of(report),
            gates=gate_lines(report.gates),
            tiles=tiles(report),
            facts=facts(report),
            views=views(report, charts.end_s),
            load_figures=load_figures,
            deployments=parts,
            load_table=load_table(report.load),
            more_tables=[table for build in tables if (table := build(report.load))],
            causes=cause_parts(report),
            causes_left_out=_more(causes_left_out(report)),
            lint_left_out=_more(len(report.lint) - _MOST_NOTES),
            warnings_left_out=_more(len(report.warnings) - _MOST_NOTES),
            lint=[(finding.rule, sanitized(finding.line)) for finding in report.lint[:_MOST_NOTES]],
            warnings=[sanitized(text) for text in report.warnings[:_MOST_NOTES]],
            not_measured=not_measured(report),
            unmeasured=[
                (sanitized(name), sanitized(why)) for name, why in report.not_measured.items()
            ],
            thinned=[sanitized(text) for text in charts.thinned],
            unseen=bool(charts.unseen),
            restarts=bool(charts.restarts),
        )
    )
    return page.encode()


def _more(number: int) -> str:
    return f"and {number:,} more: see report.json" if number > 0 else ""


def _deployment_part(number: int, key: str, report: Report, charts: Charts) -> DeploymentPart:
    deployment, id_ = report.deployments[key], f"deployment-{number}"
    idle = idle_steps(deployment.steps)
    notes = (
        (step_name(step), remark(step, deployment)) for step in deployment.steps if step not in idle
    )
    return DeploymentPart(
        key=sanitized(key),
        id=id_,
        bounds=_bounds(deployment),
        tables=tuple(lag_tables(deployment, len(report.deployments))),
        notes=tuple((name, text) for name, text in notes if text)[:_MOST_NOTES],
        idle=idle_reasons(idle) if idle or not deployment.steps else "",
        following=tuple(following_texts(deployment)),
        figures=tuple(_figures(key, id_, deployment, charts)),
    )


def _figures(key: str, id_: str, deployment: DeploymentReport, charts: Charts) -> list[Figure]:
    found: list[Figure] = []
    own = charts.deployments.get(key)
    if own is not None and own.curve.times_s:
        found.append(replicas_figure(key, id_, deployment, charts))
    if own is not None and own.bars:
        found.append(lives_figure(id_, deployment, own, charts))
    if (budget := lag_figure(id_, deployment)) is not None:
        found.append(budget)
    return found


def _bounds(deployment: DeploymentReport) -> str:
    config = deployment.autoscaling
    if config is None:
        return "does not scale by itself"
    low, high = (config.get(name, "?") for name in ("min_replicas", "max_replicas"))
    return sanitized(f"{low} to {high} replicas")
