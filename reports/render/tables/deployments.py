"""Several deployments: one table with a row each, and those of which details are shown."""

from collections.abc import Mapping

from reports.model.formats import Details
from reports.model.intervals import Stat
from reports.model.report import Report
from reports.model.steps import DeploymentReport, StepReport
from reports.render.tables.lag import needs_nothing
from reports.render.tables.table import Cell, Column, Table, rest_of
from reports.render.text import NOT_MEASURED, MeasuredText, leading_words, seconds
from scalelag.foreign import sanitized
from scalelag.wording import count

FEW = 3
"""Deployments whose details a terminal shows one below the other; those of more share tables."""
_MOST = 250


def deployment_table(report: Report) -> Table | None:
    """A row a deployment; None for one alone."""
    if len(report.deployments) <= 1:
        return None
    columns = (
        Column("deployment", "foreign", key=True),
        Column("answered", group="load steps", alone="steps answered"),
        Column("missed", group="load steps", alone="steps missed"),
        Column("in all", group="load steps", alone="steps in all", room="wide"),
        Column("up", group="worst lag s", alone="worst lag up s", strong=True),
        Column("down", group="worst lag s", alone="worst lag down s", strong=True),
        Column("replicas"),
        Column("bounds", room="wide"),
        Column("findings"),
        Column("cause", "words", room="below"),
    )
    rows = tuple(_row(key, one) for key, one in list(report.deployments.items())[:_MOST])
    caption = "A row a deployment; steps in which no replica had to come or go count only in all"
    return Table(caption, columns, rows, rest_of(len(report.deployments), _MOST))


def _row(key: str, deployment: DeploymentReport) -> tuple[Cell, ...]:
    steps = deployment.steps
    causes = dict.fromkeys(leading_words(s.cause, s.findings) for s in steps if s.cause)
    return (
        sanitized(key),
        str(sum(map(_is_answered, steps))),
        str(sum(map(_is_unanswered, steps))),
        str(len(steps)),
        _worst(deployment.scale_up.total_s),
        _worst(deployment.scale_down.total_s),
        _replicas(deployment),
        _bounds(deployment),
        str(sum(len(_findings(step)) for step in steps)),
        ", ".join(causes) or NOT_MEASURED,
    )


def _worst(stat: Stat | None) -> MeasuredText:
    return seconds(stat.max if stat else None)


def _replicas(deployment: DeploymentReport) -> str:
    low, high = deployment.replicas.min, deployment.replicas.max
    if low is None or high is None:
        return NOT_MEASURED
    return str(low) if low == high else f"{low}..{high}"


def _bounds(deployment: DeploymentReport) -> str:
    config = deployment.autoscaling
    if config is None:
        return NOT_MEASURED
    low, high = (config.get(name, "?") for name in ("min_replicas", "max_replicas"))
    return sanitized(f"{low}..{high}")


def _is_answered(step: StepReport) -> bool:
    return step.total_s is not None and not step.censored


def _is_unanswered(step: StepReport) -> bool:
    """Return True if a step was not over in time, or has no lag for want of watching.

    A deployment that was deleted before it has nothing to answer it with. Replicas that an earlier
    step had asked for may have answered this one as well.
    """
    return not (_is_answered(step) or needs_nothing(step) or step.absent or _has_followed(step))


def _has_followed(step: StepReport) -> bool:
    """Return True if a step without a lag of its own ended with as many replicas as were wanted."""
    is_known = step.total_s is None and step.replicas_after is not None
    return is_known and step.replicas_after == step.target_after


def _findings(step: StepReport) -> list[str]:
    """Causes found other than the configuration."""
    return [f.cause for f in step.findings if f.cause != "configured_delay"]


def detailed(report: Report, details: Details) -> dict[str, DeploymentReport]:
    """Deployments of which details are shown: those that moved, failed to follow or have a finding.

    One alone is always shown, and so is one that scales and of which the requests are not known, if
    some failed without a cause.
    """
    if details is Details.ALL or len(report.deployments) <= 1:
        return dict(report.deployments)
    failed = {gate.deployment for gate in report.gates if gate.verdict == "fail"}
    is_unexplained = any(not failure.findings for failure in report.failures)
    return {
        key: one
        for key, one in report.deployments.items()
        if key in failed
        or _has_moved(one)
        or any(map(_is_notable, one.steps))
        or (is_unexplained and one.autoscaling and one.requests_from is None)
    }


def _has_moved(deployment: DeploymentReport) -> bool:
    return deployment.replicas.min != deployment.replicas.max


def _is_notable(step: StepReport) -> bool:
    return not needs_nothing(step) or bool(step.movements or step.reversals or _findings(step))


def worst_first(deployments: Mapping[str, DeploymentReport]) -> list[str]:
    """Keys of deployments, that with the longest lag first; one that was not over may be longer."""

    def longest_s(key: str) -> float:
        one = deployments[key]
        stats = (one.scale_up.total_s, one.scale_down.total_s)
        return max((stat.max.lo for stat in stats if stat), default=0.0)

    return sorted(deployments, key=longest_s, reverse=True)


def left_out(report: Report, shown: Mapping[str, DeploymentReport]) -> str:
    """Sentence on the deployments without details; empty if none is left out."""
    number = len(report.deployments) - len(shown)
    if not number:
        return ""
    return (
        f"{count(number, 'deployment')} without movement, missed step or finding are left out "
        "below: --details all shows them."
    )
