"""Parts of runs that metrics can name: those in a report, and those that its plan would have had."""

from collections.abc import Iterable
from typing import Any

from reports.analysis.gate_checks import ExpectedParts
from reports.model.report import Report
from scalelag.record.run_info import RunInfo


def parts_of(report: Report) -> ExpectedParts:
    """Return the parts that a report has; None for those that older reports do not tell."""
    load = report.load
    of_deployments = {step.index for one in report.deployments.values() for step in one.steps}
    return ExpectedParts(
        watched=tuple(report.deployments),
        steps=tuple(of_deployments),
        load_steps={step.index: None for step in load.steps},
        requests=tuple(load.names) or None,
        applications=_applications(report) or None,
        events=tuple(event.index for event in report.events),
        workers=tuple(one.index for one in load.workers) or None,
        windows=tuple(one.index for one in load.windows) or None,
        nodes=tuple(report.evidence.node_error_s) or None,
        errors=tuple(load.errors),
    )


def _applications(report: Report) -> tuple[str, ...]:
    """Applications by name; older reports name them in their deployments only, `app/Deployment`."""
    keys = [key.split("/") for key in report.deployments]
    of_keys = ["/".join(key[:end]) for key in keys for end in range(1, len(key))]
    return tuple(dict.fromkeys([*report.applications, *report.load.applications, *of_keys]))


def planned_parts(info: RunInfo) -> ExpectedParts:
    """Return the parts that a run was to have, including those that it did not reach."""
    steps = [step.index for step in info.plan.steps(info.plan.duration_s)]
    return ExpectedParts(
        watched=info.target.watched,
        steps=steps,
        load_steps=dict.fromkeys(steps),
        requests=[request.name for request in info.requests] or None,
        applications=tuple(info.target.applications) or None,
        events=range(1, 1 + len(info.options.get("event") or ())),
        workers=[worker.index for worker in info.load_workers] or None,
    )


def all_parts(found: Iterable[ExpectedParts], whose: str) -> ExpectedParts:
    """Return the parts that any of the runs has; None for parts not known of any."""
    each = list(found)
    known = {
        name: _joined(getattr(one, name) for one in each)
        for name in ExpectedParts.__struct_fields__
        if name not in ("has_limits", "whose")
    }
    return ExpectedParts(**known, whose=whose)


def _joined(several: Iterable[Any]) -> Any:  # noqa: ANN401  a collection, or the names by step
    known = [one for one in several if one is not None]
    if not known:
        return None
    return dict.fromkeys(element for one in known for element in one)
