"""Settings that the advice of a rule asks for, with values, to be tried by simulation."""

import math
from collections.abc import Callable

from reports.analysis.lag.policy import Policy

QUICKEST_PUSH_S = 1.0
"""A delay of 0 asks for the quickest decision there is; a report each second is that."""


def advised_change(rule: str, policy: Policy) -> dict[str, float]:
    """Return settings and values; none for a rule whose advice is on nothing that is simulated."""
    change = _CHANGES.get(rule)
    return change(policy) if change is not None else {}


def delays_of(policy: Policy) -> dict[str, float]:
    """The delays of both directions by their names, in seconds."""
    return {
        "upscale_delay_s": policy.upscale_delay_s,
        "downscale_delay_s": policy.downscale_delay_s,
    }


def delays_that_count(policy: Policy) -> dict[str, float]:
    """The delays in which the look-back still holds what is over.

    A maximum forgets a lull at once and a minimum a burst, so that the delay of the other direction
    alone counts there.
    """
    forgets = {"max": "downscale_delay_s", "min": "upscale_delay_s"}.get(policy.aggregation)
    return {name: s for name, s in delays_of(policy).items() if name != forgets}


def _quicker_push(policy: Policy) -> dict[str, float]:
    delays = (delay_s or QUICKEST_PUSH_S for delay_s in delays_of(policy).values())
    return {"metrics_interval_s": min(delays)}


def _within_look_back(policy: Policy) -> dict[str, float]:
    return {"metrics_interval_s": policy.look_back_period_s / 2}


def _shorter_look_back(policy: Policy) -> dict[str, float]:
    """The look-back of the shortest delay, with a push within it; longer delays if one is 0."""
    delays = delays_that_count(policy)
    least_s = min(delays.values())
    if not least_s:
        look_back_s = policy.look_back_period_s
        return {name: max(s, look_back_s) for name, s in delays.items()}
    push = {"metrics_interval_s": least_s / 2} if policy.metrics_interval_s >= least_s else {}
    return {"look_back_period_s": least_s, **push}


def _room_for_target(policy: Policy) -> dict[str, float]:
    return {"max_ongoing_requests": math.ceil(1.2 * policy.target_ongoing_requests)}


def _no_gain(policy: Policy) -> dict[str, float]:
    factors = {
        "upscaling_factor": policy.upscaling_factor,
        "downscaling_factor": policy.downscaling_factor,
    }
    return {name: 1.0 for name, factor in factors.items() if factor > 1}


_CHANGES: dict[str, Callable[[Policy], dict[str, float]]] = {
    "push-slower-than-delay": _quicker_push,
    "look-back-within-push": _within_look_back,
    "delay-within-look-back": _shorter_look_back,
    "target-above-max-ongoing": _room_for_target,
    "gain-swings": _no_gain,
}
"""Settings that a rule advises, with their values, where a simulation knows them."""
