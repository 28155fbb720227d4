"""Steps down that the target never answered, though a decision was due."""

import numpy as np

from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.lag.policy import Policy

_MARGIN_S = 1.0
_BIN_S = 0.25


def overdue_replicas(facts: StepFacts) -> int | None:
    """Replicas that were wanted long before the hold's end, fewer than the target; else None.

    The open requests asked for fewer all that time, which was longer than the settings explain.
    Nothing but the autoscaler moved replicas in it.
    """
    policy, target = facts.final_policy, facts.lag.target_after
    if facts.step.direction != "down" or not facts.lag.unmoved or target is None:
        return None
    if policy is None or not policy.default or policy != facts.policy:
        return None
    wanted = _wanted_all_along(facts, policy, target) if target > policy.min_replicas else None
    return wanted if wanted is not None and wanted < target else None


def _wanted_all_along(facts: StepFacts, policy: Policy, target: int) -> int | None:
    """Most replicas wanted in the time until a decision was due; None if not known."""
    delay_s = policy.delays(target, policy.min_replicas)[0]
    from_s = facts.ended_s - (delay_s + facts.noticed_s + _MARGIN_S)
    polls = facts.timeline.polls_within(from_s, facts.ended_s)
    moved = any(poll.foreign or poll.target != target for poll in polls)
    given = facts.requests.given
    if from_s < facts.begun_s or moved or given is None:
        return None
    means = given.means(np.arange(from_s, facts.ended_s, _BIN_S))
    return int(policy.bounded_demand(means).max()) if np.isfinite(means).all() else None
