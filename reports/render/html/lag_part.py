"""The report of a run in short, as a part of another page: verdict, gates, lag, causes."""

from reports.model.report import Report
from reports.render.html.cause_parts import cause_parts, causes_left_out
from reports.render.html.shell import environment
from reports.render.html.summary_parts import facts, gate_lines, tiles
from reports.render.tables.lag import idle_reasons, idle_steps, remark
from reports.render.tables.load import lag_tables, load_table
from reports.render.text import plain, reasons_of, step_name

_MOST_DEPLOYMENTS = 60
_MOST_NOTES = 40


def render_lag_part(report: Report) -> str:
    """HTML without style or script; everything in it from outside is escaped."""
    shown = list(report.deployments)[:_MOST_DEPLOYMENTS]
    left_out = len(report.deployments) - len(shown)
    return (
        environment()
        .get_template("lag_part.html.j2")
        .render(
            report=report,
            name=plain(report.run.name),
            reasons=reasons_of(report),
            gates=gate_lines(report.gates),
            tiles=tiles(report),
            facts=facts(report),
            deployments=[_deployment(n, key, report) for n, key in enumerate(shown)],
            left_out=f"{left_out:,} more deployments: see report.json" if left_out > 0 else "",
            load_table=load_table(report.load),
            causes=cause_parts(report),
            causes_left_out=max(0, causes_left_out(report)),
            lint=[(finding.rule, plain(finding.line)) for finding in report.lint[:_MOST_NOTES]],
            warnings=[plain(text) for text in report.warnings[:_MOST_NOTES]],
        )
    )


def _deployment(number: int, key: str, report: Report) -> dict[str, object]:
    deployment = report.deployments[key]
    idle = idle_steps(deployment.steps)
    notes = [
        (step_name(step), text)
        for step in deployment.steps
        if step not in idle and (text := remark(step, deployment))
    ]
    return {
        "key": plain(key),
        "id": f"part-{number}",
        "tables": list(lag_tables(deployment, len(report.deployments))),
        "notes": notes[:_MOST_NOTES],
        "idle": idle_reasons(idle) if idle or not deployment.steps else "",
    }
