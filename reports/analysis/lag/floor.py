"""Floor of a step: the lag that its configuration alone makes unavoidable (docs/metrics.md#floor)."""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from reports.analysis.lag.policy import Policy
from reports.analysis.lag.timeline import ReplicaLife
from reports.analysis.load.open_requests import OpenRequests
from reports.model.controller import DEFAULT_LOOP_S
from reports.model.intervals import Span, between
from reports.model.steps import DelayReport, FloorReport, Phase

BACKLOG_BIN_S = 0.25
LEAST_BACKLOG_S = 1.0
_EVER_S = 86400.0
# Intervals count as equally exact if their widths differ by this factor and a poll at most.
_AS_EXACT = 2.0
_POLL_S = 0.2


class StartUp(msgspec.Struct, frozen=True):
    """Fastest `allocate` and `initialize` of any replica seen in the run.

    `is_joined`: some were seen by polling alone. Their `initialize` includes the time until the
    replica was marked RUNNING, and may itself have taken no time.
    """

    allocate: Span
    initialize: Span
    is_joined: bool = False

    @property
    def span(self) -> Span:
        """Both together."""
        one, other = self.allocate, self.initialize
        value = (one.value or 0.0) + (other.value or 0.0)
        return Span(value, one.lo + other.lo, one.upper + other.upper)


class Ongoing(msgspec.Struct, frozen=True):
    """Mean open requests before a step, and after it until the decision or for one look-back.

    `backlog_s`: after a step down, older requests called for all replicas that long. "Before" and
    "after" then refer to its end. `young`: no requests were known before the step, so the average
    covers only those since.
    """

    before: float
    after: float
    backlog_s: float = 0.0
    young: bool = False


def fastest_start(lives: Iterable[ReplicaLife]) -> StartUp | None:
    """The fastest of each part of a start; None if no replica was seen to start."""
    allocations: list[Span] = []
    initializations: list[Span] = []
    is_joined = False
    for life in lives:
        begun = life.entered or life.allocated
        done = life.initialized or life.running
        if begun and done and np.isfinite((life.begun.lo_s, begun.lo_s, done.lo_s)).all():
            allocations.append(between(life.begun, begun))
            told = between(begun, done)
            if life.initialized is None:
                is_joined, told = True, Span(told.value, 0.0, told.hi)
            initializations.append(told)
    if not allocations:
        return None
    return StartUp(_least(allocations), _least(initializations), is_joined)


def _least(spans: Sequence[Span]) -> Span:
    """The least of several spans; its value is the least of those that are about equally exact.

    A start that nobody watched may have been shorter than all others, and tells no more than that.
    """
    lo, hi = min(span.lo for span in spans), min(span.upper for span in spans)
    exact_s = min(span.upper - span.lo for span in spans)
    told = [s.value or 0.0 for s in spans if s.upper - s.lo <= _AS_EXACT * exact_s + _POLL_S]
    return Span(min(*told, hi), lo, hi)


def ongoing_around(
    requests: OpenRequests, begun_s: float, hold_s: float, decide: Phase | None, policy: Policy
) -> Ongoing:
    """Open requests around a step that began at `begun_s`, Unix seconds.

    Values that may belong to either side of the step are left out.
    """
    window_s = min(policy.look_back_period_s, hold_s)
    if decide is not None and decide.value:
        window_s = min(window_s, decide.value)
    until_s, from_s = begun_s - requests.blur_s, begun_s + requests.blur_s
    before = requests.mean(until_s - policy.look_back_period_s, until_s)
    after = requests.mean(from_s, from_s + window_s)
    young = not before and not requests.mean(until_s - _EVER_S, until_s)
    return Ongoing(before or 0.0, after or 0.0, young=young)


def backlog_s(requests: OpenRequests, begun_s: float, most_s: float, enough: float) -> float:
    """Seconds after a step down in which more than `enough` requests were open without a break.

    Less than a second counts as none, since requests end and others come. The backlog was over by
    `most_s`.
    """
    edges_s = np.arange(begun_s + requests.blur_s, begun_s + most_s, BACKLOG_BIN_S)
    if edges_s.size < 2:
        return 0.0
    over = np.flatnonzero(~(requests.means(edges_s) > enough))
    lasted_s = BACKLOG_BIN_S * float(over[0] if over.size else edges_s.size - 1)
    return min(most_s, lasted_s + requests.blur_s) if lasted_s >= LEAST_BACKLOG_S else 0.0


def wanted_before(policy: Policy, replicas: int, ongoing: Ongoing, *, up: bool) -> bool:
    """Return True if more (or fewer) than `replicas` were wanted already before the step."""
    each = policy.target_ongoing_requests
    if up:
        return ongoing.before > replicas * each
    return ongoing.before < enough_for_fewer(policy, replicas)


class Crossing(msgspec.Struct, frozen=True):
    """Least and most time, in seconds, that the aggregate takes to cross a threshold."""

    least_s: float
    most_s: float


def crossing(policy: Policy, enough: float, ongoing: Ongoing) -> Crossing | None:
    """Time until the aggregate of ongoing requests crosses `enough`; None if it never does.

    A mean over a full look-back L takes exactly `L |X - Q0| / |Q1 - Q0|`. A younger series takes at
    most `u = L |X - Q0| / |Q1 - X|`. Without earlier values, as at the beginning of the load, the
    mean may cross at once (docs/metrics.md#floor; docs/decisions/0004). The maximum crosses at once
    on the way up and after L on the way down, the minimum the other way round.
    """
    rises = ongoing.after > ongoing.before
    if (ongoing.after <= enough) if rises else (ongoing.after > enough):
        return None
    if (ongoing.before >= enough) if rises else (ongoing.before <= enough):
        return Crossing(0.0, 0.0)
    look_back_s = policy.look_back_period_s
    if policy.aggregation != "mean":
        at_once = rises == (policy.aggregation == "max")
        return Crossing(0.0, 0.0) if at_once else Crossing(look_back_s, look_back_s)
    way, beyond = abs(enough - ongoing.before), abs(ongoing.after - enough)
    return Crossing(
        0.0 if ongoing.young else look_back_s * way / abs(ongoing.after - ongoing.before),
        min(look_back_s, look_back_s * way / beyond) if beyond else look_back_s,
    )


def floor_up(
    policy: Policy,
    replicas: int,
    ongoing: Ongoing | None,
    start: StartUp | None,
    loop_s: float | None = None,
    settled: int | None = None,
    seen: int | None = None,
) -> FloorReport:
    """Floor of a scale-up from `replicas` to `settled`: `u + U + 3 c + fastest start`.

    From zero the first replicas come without U. Ray decides on further ones once one of these is
    RUNNING, so U, the loop and a start then count again. They also count again for each decision
    that a factor below 1 adds, but for no more decisions than were `seen`. With `settled` None the
    first decision is enough.

    `ongoing` is None if the deployment's open requests are not known. Detection then counts as
    zero, so that the result is still a lower bound. Without a `start` a step has no floor.
    """
    loop = loop_s or DEFAULT_LOOP_S
    enough = replicas * policy.target_ongoing_requests
    u = crossing(policy, enough, ongoing) if ongoing else None
    delays = policy.delays(replicas, settled or replicas + 1, seen)
    delay_s = sum(delays)
    rounds = max(1, len(delays) + (0 if replicas else 1))
    one = start.span if start else Span(0.0, 0.0, 0.0)
    starts = Span(rounds * (one.value or 0.0), rounds * one.lo, rounds * one.upper)
    start_s = starts.value or 0.0
    push_s = max(policy.metrics_interval_s, u.most_s if u else 0.0)
    return FloorReport(
        detect_s=u.least_s if u else 0.0,
        delay_s=delay_s,
        loop_s=3 * rounds * loop,
        replica_s=start_s,
        replica=starts,
        starts=rounds,
        worst_s=policy.sample_s + rounds * (push_s + 4 * loop) + delay_s + start_s,
        push_s=policy.metrics_interval_s if policy.default else None,
        average_s=policy.look_back_period_s if policy.default else None,
    )


def enough_for_fewer(policy: Policy, replicas: int) -> float:
    """Open requests for which fewer than `replicas` are enough."""
    return max(replicas - policy.scaling.gang_size, 0) * policy.target_ongoing_requests


def floor_down(
    policy: Policy,
    replicas: int,
    settled: int,
    ongoing: Ongoing | None,
    loop_s: float | None = None,
    seen: int | None = None,
) -> FloorReport:
    """Floor of a scale-down from `replicas` to `settled`: its delay, the loop, the shortest drain.

    The delay begins once one replica (or one gang) fewer is enough, which is not before the backlog
    is gone. The way to 0 stops at 1, and the last replica has a delay of its own. A factor below 1
    asks for several decisions, each with its delay, but for no more than were `seen`.
    """
    loop = loop_s or DEFAULT_LOOP_S
    enough = enough_for_fewer(policy, replicas)
    u = crossing(policy, enough, ongoing) if ongoing else None
    delay_s = sum(policy.delays(replicas, settled, seen))
    backlog_s = ongoing.backlog_s if ongoing else 0.0
    wait_s = policy.shortest_drain_s
    push_s = max(policy.metrics_interval_s, u.most_s if u else 0.0)
    return FloorReport(
        detect_s=u.least_s if u else 0.0,
        delay_s=delay_s,
        loop_s=2 * loop,
        replica_s=wait_s,
        worst_s=backlog_s
        + policy.sample_s
        + push_s
        + policy.look_back_period_s
        + delay_s
        + 4 * loop
        + wait_s,
        push_s=policy.metrics_interval_s if policy.default else None,
        average_s=policy.look_back_period_s if policy.default else None,
        backlog_s=backlog_s,
    )


def delay_report(
    waited: Span | None,
    policy: Policy,
    floor: FloorReport,
    loop_s: float | None,
    delay_s: float | None = None,
) -> DelayReport | None:
    """A configured delay, and the effective one, measured at its decision.

    `waited` ends with that decision. It begins when the decision became possible: at the step, or
    on the way up from zero with the first RUNNING replica. The autoscaler knew within `r + max(p,
    u)` of that moment, which bounds the delay on both sides. `delay_s` is the configured delay of
    that decision, by default the floor's whole delay. None if no decision was measured, or no delay
    applies.
    """
    configured_s = floor.delay_s if delay_s is None else delay_s
    if waited is None or waited.hi is None or not configured_s:
        return None
    known_s = policy.sample_s + max(policy.metrics_interval_s, floor.detect_s)
    lo = max(0.0, waited.lo - floor.backlog_s - known_s)
    hi = max(lo, waited.hi - floor.backlog_s)
    return DelayReport(
        configured_s=configured_s,
        effective_s=Span((lo + hi) / 2, lo, hi),
        loop_s=loop_s,
        in_turns=policy.delays_in_turns,
    )
