"""Deaths of replicas that the controller noticed after the requests on them had failed."""

import numpy as np

from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.diagnosis.failed_requests import OVERLOAD, failed_in_hold_s, failures
from reports.analysis.health import is_of_dead

_CHECK_PERIOD_S = 10.0
_SLACK_S = 2.0
_AT_ONCE_S = 2.0


def until_death_was_noticed(facts: StepFacts) -> StepFacts | None:
    """Return the step, its hold extended to the log line on a death; None without such a line.

    The controller checks a replica once in `health_check_period_s`, so it may notice a death that
    much later. The requests at a replica all fail at once when it dies, and not as in an overload.
    """
    failed = failures(facts)
    kinds = [kind for kind in failed.kinds if kind not in OVERLOAD] if failed else []
    failed_s = failed_in_hold_s(facts, kinds)
    if failed is None or 2 * failed_s.size <= failed.count or np.ptp(failed_s) > _AT_ONCE_S:
        return None
    period = facts.config("health_check_period_s", _CHECK_PERIOD_S)
    reach_s = _SLACK_S + (period if isinstance(period, int | float) else _CHECK_PERIOD_S)
    for line in facts.run.events:
        near = line.at_s - reach_s <= failed_s[0] and failed_s[-1] <= line.at_s + _SLACK_S
        if line.deployment == facts.key and near and is_of_dead(line):
            until_s = max(facts.ended_s, line.at_s)
            return facts.with_hold_until(until_s).until(until_s)
    return None
