"""Elasticity, step responses and flapping of one deployment, from a recorded run."""

from collections.abc import Sequence

import msgspec

from reports.analysis.elasticity.demand import Demand, PolicyFrom, capacity_asked, demand_of
from reports.analysis.elasticity.metrics import elasticity
from reports.analysis.elasticity.step_response import flapping, step_response
from reports.analysis.elasticity.supply import Supply, supply_of, whole_supply_of
from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.policy import Policy, why_no_policy
from reports.analysis.lag.timeline import Timeline
from reports.analysis.load.open_requests import OpenRequests
from reports.model.elasticity import ElasticityReport, FlappingReport, ResponseReport
from reports.model.intervals import Window
from scalelag.plan.stages import LoadStep
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.run_dir import RecordedRun

_UNSEEN = "the probe never saw this deployment"
_NO_LOAD = "the run ended before the first load step, or within the warm-up"


class ElasticityParts(msgspec.Struct, frozen=True):
    """Elasticity and flapping over the whole load, and the response to each step."""

    elasticity: ElasticityReport
    flapping: FlappingReport
    responses: tuple[ResponseReport, ...]


def elasticity_parts(
    run: RecordedRun,
    steps: Sequence[LoadStep],
    timeline: Timeline,
    policy: Policy | None,
    requests: OpenRequests | str,
    later: Sequence[PolicyFrom] = (),
    described: DeploymentInfo | None = None,
    decisions: Sequence[Decision] = (),
) -> ElasticityParts:
    """Parts of one deployment over `steps`, the last of which may be the one to 0 at the plan's end.

    Elasticity and flapping cover the load, from the plan's start to its end, since the time for
    which the scale-down is watched depends on its speed. The response to the step to 0 covers the
    time it was watched. `later` policies replaced `policy` during the run. `requests` are those
    that the policy was given, or the reason why they are not known. `described` is the deployment
    as deployed. `decisions` moved its target within these steps.
    """
    zero_s, capacity_rps = run.info.zero_s, capacity_asked(run.info.options)
    fixed = why_no_policy(described)
    demand = demand_of(run.info.plan, steps, zero_s, policy, requests, capacity_rps, later, fixed)
    supply = supply_of(timeline, run.gaps)
    holds = [Window(zero_s + step.at_s, zero_s + step.hold_until_s) for step in steps]
    responses = tuple(_responses(demand, supply, holds))
    loaded = _loaded(run, holds)
    reason = _UNSEEN if supply is None else None if loaded else _NO_LOAD
    if supply is None or not loaded:
        nothing = ElasticityReport(
            demand_reason=demand if isinstance(demand, str) else None, reason=reason
        )
        return ElasticityParts(nothing, FlappingReport(reason=reason), responses)
    window = Window(loaded[0].from_s, loaded[-1].to_s)
    everything = whole_supply_of(timeline, run.gaps) or supply
    limits = [one.max_replicas for one in (policy, *(one for _, one in later)) if one is not None]
    most = max(*limits, *(poll.running for poll in timeline.polls)) if limits else None
    found = elasticity(demand, supply, window, everything, most)
    return ElasticityParts(found, flapping(supply, loaded, decisions), responses)


def _loaded(run: RecordedRun, holds: Sequence[Window]) -> list[Window]:
    """Parts of `holds` after the warm-up and before the end of the plan, or of the load if sooner."""
    planned_s = run.info.zero_s + run.info.plan.duration_s
    ended_s = min(planned_s, run.info.load_ended_s or planned_s)
    begun_s = run.info.counted_from_s
    cut = [Window(max(hold.from_s, begun_s), min(hold.to_s, ended_s)) for hold in holds]
    return [hold for hold in cut if hold.to_s > hold.from_s]


def _responses(
    demand: Demand | str, supply: Supply | None, holds: Sequence[Window]
) -> list[ResponseReport]:
    """The response to each step, from the demand that the hold before it settled at."""
    if isinstance(demand, str):
        return [ResponseReport(reason=demand)] * len(holds)
    if supply is None:
        return [ResponseReport(reason=_UNSEEN)] * len(holds)
    settled = [demand.settled(hold) for hold in holds]
    return [
        step_response(supply, hold, before, after)
        for hold, before, after in zip(holds, [demand.at_rest, *settled], settled, strict=False)
    ]
