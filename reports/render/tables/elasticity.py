"""Elasticity of a deployment in words that every renderer shows."""

from reports.model.elasticity import SAMPLE_S, ElasticityReport, FlappingReport
from reports.model.intervals import Span
from reports.model.load import StoppingReport
from reports.model.steps import DeploymentReport
from reports.render.tables.controller import over_target_texts
from reports.render.tables.seen import seen_texts
from reports.render.text import NOT_MEASURED
from scalelag.foreign import sanitized
from scalelag.wording import count

_LEAST_LEFT_S = 0.05
_AGAINST = {
    "policy": f"the policy's demand in means of {SAMPLE_S:g} s",
    "capacity": "the demand at {:g} rps a replica",
}


def following_texts(deployment: DeploymentReport) -> list[str]:
    """Elasticity, gauges and flapping of a deployment, a few words each; none if none is known."""
    return [
        *_elasticity(deployment.elasticity),
        *over_target_texts(deployment.running_over_target),
        *seen_texts(deployment),
        *trouble_texts(deployment),
    ]


def trouble_texts(deployment: DeploymentReport) -> list[str]:
    """Flapping, and requests that suffered while replicas were stopping; none if all is well."""
    return [
        *_flapping(deployment.flapping),
        *_stopping(deployment.stopping),
    ]


def _elasticity(found: ElasticityReport) -> list[str]:
    if found.reason is not None or found.replica_hours is None:
        return []
    hours = f"{_number(found.replica_hours, 3)} replica-hours"
    if found.demand is None:
        why = f"elasticity not measured: {sanitized(found.demand_reason or 'no demand is known')}"
        return [hours, why, *_unseen(found)]
    return [
        f"against {_AGAINST[found.demand].format(found.capacity_rps)}",
        f"short by {_number(found.theta_u_pct)} %",
        f"over by {_number(found.theta_o_pct)} %",
        f"short for {_number(found.tau_u_pct)} % of the time",
        f"over for {_number(found.tau_o_pct)} %",
        f"{_number(found.over_replica_s)} replica-seconds to spare",
        f"{hours}, {_number(found.replica_hours_over, 3)} of them beyond demand",
        *_judged(found),
        *_unseen(found),
    ]


def _judged(found: ElasticityReport) -> list[str]:
    """The time that is judged by demand, where that is not all of the load."""
    watched_s, left_s = found.watched_s or 0.0, found.unwatched_s or 0.0
    if left_s < _LEAST_LEFT_S:
        return []
    whole_s = watched_s + left_s
    return [
        f"demand judged for {watched_s:.1f} of {whole_s:.1f} s: not in events, updates and gaps"
    ]


def _unseen(found: ElasticityReport) -> list[str]:
    """Bounds of what ran while nobody saw it."""
    if found.unseen_replica_hours is None or (found.unseen_s or 0.0) < _LEAST_LEFT_S:
        return []
    spare = found.unseen_over_replica_s
    to_spare = "" if spare is None else f"{_range(spare, 1)} replica-seconds to spare and "
    ran = f"{_range(found.unseen_replica_hours, 3)} replica-hours"
    return [f"besides, in {found.unseen_s:.1f} s that nobody saw: {to_spare}{ran}"]


def _range(span: Span, digits: int) -> str:
    """The bounds of a value that is not known."""
    return f"{span.lo:.{digits}f} to {span.upper:.{digits}f}"


def _flapping(found: FlappingReport) -> list[str]:
    if not found.direction_reversals:
        return []
    of_running = found.running_reversals or 0
    of = "" if of_running == found.direction_reversals else " of the target"
    shown = "" if not of else f", {of_running or 'none'} of RUNNING replicas"
    often = count(found.direction_reversals, "reversal")
    period = "" if found.period_s is None else f", one every {found.period_s:.0f} s"
    size = "" if found.size_replicas is None else f", by {count(found.size_replicas, 'replica')}"
    return [f"flapping: {often}{of} within load steps{shown}{period}{size}"]


def _stopping(found: StoppingReport) -> list[str]:
    if not found.failed and not found.slowest_1pct:
        return []
    failed = f"{count(found.failed, 'request')} failed"
    slow = f"{found.slowest_1pct:,} were among the slowest 1 %"
    return [f"while replicas were stopping ({found.stopping_s:.1f} s) {failed}, {slow}"]


def _number(span: Span | None, digits: int = 1) -> str:
    """A value, with its bounds if they are a whole unit of its last digit apart."""
    if span is None or span.value is None or span.hi is None:
        return NOT_MEASURED
    value, lo, hi = (f"{number:.{digits}f}" for number in (span.value, span.lo, span.hi))
    return value if span.hi - span.lo < 10**-digits else f"{value} [{lo}, {hi}]"
