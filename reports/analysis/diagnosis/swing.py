"""A target that swings under constant load, and the setting that causes it (docs/diagnosis.md).

The target is what counts, so that a swing of replicas that are still STARTING is seen as well.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec
import numpy as np

from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.lag.movements import Movement, movements_within
from reports.analysis.lag.policy import Policy
from scalelag.wording import count

_LEAST_MOVEMENTS = 3
_LEAST_OF_ONE = 4
_BIG = 0.5
_LOAD_SHARE = 1.25
_LEAST_SAMPLE_S = 0.05


class Swing(msgspec.Struct, frozen=True):
    """A target that went up and down again between `low` and `high`, from `from_s` to `to_s`.

    Unix seconds. `period_s` is the mean time of a cycle, which has two turns.
    """

    from_s: float
    to_s: float
    low: int
    high: int
    turns: int
    period_s: float


class Remedy(msgspec.Struct, frozen=True):
    """Why the target swings, and the settings with the value that ends it; `now` is theirs."""

    why: str
    now: dict[str, float]
    value: float

    @property
    def change(self) -> str:
        """`Lower a from 2 to 1`, for one setting or several that get the same value."""
        verb = "Lower" if self.value < max(self.now.values()) else "Raise"
        names = " and ".join(f"{name} from {old:g}" for name, old in self.now.items())
        return f"{verb} {names} to {self.value:g}"


def swing_of(facts: StepFacts) -> Swing | None:
    """The swing of the target in the part of the hold in which the load is constant; else None.

    Going to a new level with one overshoot is no swing. Two movements in turn must be at least half
    as large as the largest after the first one; movements of one replica must be three.
    """
    from_s = _steady_from_s(facts)
    if from_s is None:
        return None
    movements = movements_within(facts.timeline.decisions, from_s, facts.ended_s)
    if any(poll.foreign for poll in facts.timeline.polls_within(from_s, facts.ended_s)):
        return None
    sizes = [abs(movement.after - movement.before) for movement in movements]
    largest = max(sizes[1:], default=0)
    big = [size for size in sizes[1:] if size >= _BIG * largest]
    least = (_LEAST_OF_ONE if largest == 1 else _LEAST_MOVEMENTS) - 1
    return _measured(movements) if len(big) >= least else None


def _steady_from_s(facts: StepFacts) -> float | None:
    """Moment from which the load of the hold is constant; None if it never is.

    For a trace it is not known.
    """
    info, step = facts.run.info, facts.step
    if info.trace is not None or step.to_level <= 0:
        return None
    ramps = [s.end_s for s in info.plan.stages if s.start_level != s.end_level]
    ended = [end_s for end_s in ramps if step.at_s < end_s]
    ended = [end_s for end_s in ended if _begins_before(facts, end_s)]
    from_s = info.zero_s + max(ended) if ended else facts.begun_s
    return from_s if from_s < facts.ended_s else None


def _begins_before(facts: StepFacts, end_s: float) -> bool:
    """Return True if the stage that ends at `end_s` begins within the hold."""
    stage = next(s for s in facts.run.info.plan.stages if s.end_s == end_s)
    return facts.run.info.zero_s + stage.at_s < facts.ended_s


def _measured(movements: Sequence[Movement]) -> Swing:
    begun = [movement.first.mid_s for movement in movements]
    halves = [after - before for before, after in pairwise(begun)]
    levels = [movement.after for movement in movements]
    return Swing(
        from_s=begun[0],
        to_s=movements[-1].last.mid_s,
        low=min(levels),
        high=max(levels),
        turns=len(movements) - 1,
        period_s=2 * sum(halves) / len(halves),
    )


def remedy_of(facts: StepFacts, swing: Swing, policy: Policy) -> Remedy | None:
    """The setting behind a swing: a factor, a target that replicas cannot keep, or a delay.

    A factor above 1 overshoots the wanted number. If requests pile up at the low number and are few
    at the high one, the target is more than a replica serves. The load then answers the replicas,
    and the loop of look-back, delays and start-up never ends. Otherwise the open requests swing by
    themselves, and a delay as long as their swing bridges it. None if they are known not to swing:
    then something other than the settings moved the target.
    """
    factors = {
        "upscaling_factor": policy.upscaling_factor,
        "downscaling_factor": policy.downscaling_factor,
    }
    above = {name: factor for name, factor in factors.items() if factor > 1.0}
    if above:
        return Remedy(_gain_words(policy, above), above, 1.0)
    if remedy := _by_load(facts, swing, policy):
        return remedy
    return None if _is_steady(facts, swing, policy) else _by_delay(swing, policy)


def _is_steady(facts: StepFacts, swing: Swing, policy: Policy) -> bool:
    """Return True if the open requests ask for the same number of replicas throughout a swing."""
    given = facts.requests.given
    if given is None:
        return False
    from_s = swing.from_s - policy.look_back_period_s
    edges_s = np.arange(from_s, swing.to_s, max(policy.sample_s, _LEAST_SAMPLE_S))
    if edges_s.size < 2:
        return False
    opened = given.means(edges_s)
    wanted = np.ceil(opened[np.isfinite(opened)] / policy.target_ongoing_requests)
    return wanted.size > 0 and bool(wanted.min() == wanted.max())


def _gain_words(policy: Policy, above: Mapping[str, float]) -> str:
    named = " and ".join(f"{name} {factor:g}" for name, factor in above.items())
    gain = max(above.values()) / policy.target_ongoing_requests
    return (
        f"with {named} the target overshoots by that factor: one open request moves "
        f"{count(gain, 'replica')} (factor / target_ongoing_requests)"
    )


def _by_load(facts: StepFacts, swing: Swing, policy: Policy) -> Remedy | None:
    """A lower target, if the requests open at the high number of replicas ask for the low one."""
    high = _open_while(facts, swing, swing.high)
    low = _open_while(facts, swing, swing.low)
    if not high or not low or low < _LOAD_SHARE * high or policy.demand_of(high) >= swing.high:
        return None
    value = _two_digits(high / swing.high)
    loop_s = round_s(facts, policy)
    return Remedy(
        f"with {swing.high} RUNNING {high:.1f} requests are open, with {swing.low} {low:.1f}: at "
        f"target_ongoing_requests {policy.target_ongoing_requests:g} too few replicas are wanted as "
        f"soon as there are enough (look-back, delays and start-up take {loop_s:.1f} s a round)",
        {"target_ongoing_requests": policy.target_ongoing_requests},
        value,
    )


def round_s(facts: StepFacts, policy: Policy) -> float:
    """Seconds that look-back, both delays and a start-up take one after another."""
    start_s = facts.floor.replica_s if facts.floor and facts.step.direction == "up" else 0.0
    delays_s = policy.upscale_delay_s + policy.downscale_delay_s
    return 2 * policy.look_back_period_s + delays_s + start_s


def _open_while(facts: StepFacts, swing: Swing, running: int) -> float | None:
    """Mean number of open requests in the polls of a swing with `running` RUNNING; None if unknown."""
    if facts.concurrency is None or len(facts.run.info.target.watched) > 1:
        return None
    polls = facts.timeline.polls_within(swing.from_s, facts.ended_s)
    spans = [
        (one.received_s, other.received_s)
        for one, other in pairwise(polls)
        if one.running == other.running == running
    ]
    counted = [(facts.concurrency.mean(*span) or 0.0) * (span[1] - span[0]) for span in spans]
    lasted_s = sum(to_s - from_s for from_s, to_s in spans)
    return sum(counted) / lasted_s if lasted_s else None


def _by_delay(swing: Swing, policy: Policy) -> Remedy:
    value = float(math.ceil(swing.period_s))
    now = policy.downscale_delay_s
    look_back_s = policy.look_back_period_s
    longer_s = float(math.ceil(max(swing.period_s, 2 * look_back_s)))
    if value <= now:
        return Remedy(
            "the open requests swing by more than one replica's worth",
            {"look_back_period_s": look_back_s},
            longer_s,
        )
    return Remedy(
        f"the open requests swing faster than downscale_delay_s {now:g} waits, by more than one "
        f"replica's worth (one moves {policy.upscaling_factor / policy.target_ongoing_requests:g})",
        {"downscale_delay_s": now},
        value,
    )


def _two_digits(value: float) -> float:
    """Round down to two significant digits."""
    scale = 10 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.floor(value / scale) * scale:.6g}")
