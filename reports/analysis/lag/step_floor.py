"""Floor of one step, and its `decide` split by the delay (docs/metrics.md#floor)."""

from collections.abc import Sequence

import msgspec
import numpy as np

from reports.analysis.lag.floor import (
    Ongoing,
    StartUp,
    backlog_s,
    delay_report,
    enough_for_fewer,
    floor_down,
    floor_up,
    ongoing_around,
    wanted_before,
)
from reports.analysis.lag.phases import decisions_of, split_decide
from reports.analysis.lag.policy import EXTERNAL, Policy
from reports.analysis.lag.step_lag import StepLag
from reports.analysis.lag.timeline import Timeline
from reports.analysis.load.open_requests import OpenRequests
from reports.model.controller import DEFAULT_LOOP_S
from reports.model.intervals import Span, between, longer_than, point
from reports.model.steps import DelayReport, FloorReport, Phase
from scalelag.plan.stages import LoadStep
from scalelag.ray_versions import POLICY_OF_YOUR_OWN_TIMED, named

_WANTED_BEFORE = "decided sooner than the delay after the step: it was wanted before"
_NOT_TIMED = f"its delays apply to such a policy since {named(POLICY_OF_YOUR_OWN_TIMED)} only"
_UNSEEN_DRAIN = (
    "an ingress in HAProxy mode (RAY_SERVE_ENABLE_HA_PROXY) drains for 30 s, which cannot be seen from "
    "outside: if it is on, 30 s of the drain are no excess"
)
_PROXY_DRAIN_S = 28.0
_LOOPS_DOWN = 2
_BIN_S = 0.25
# A step's requests take a moment until they are open. Load that takes longer than this rose slowly.
_LATE_LOAD_S = 1.0
_HOW_MANY = "polling cannot tell one decision from several between two polls"
_NOT_BEYOND = (
    "its open requests are not known to have been beyond the target all the time until the decision: "
    "when the delay began is not known"
)
_NO_START = "no start-up of a replica was measured in this run, which is a part of it"
_JOINED = (
    "without the log of a replica the fastest start-up includes what it took to mark it RUNNING: so "
    "much of it may be excess"
)
_NOT_FIRST = "the target moved the other way first: the delay counts from an unknown moment"


class ScalingSetup(msgspec.Struct, frozen=True):
    """Facts that the floors of all steps of a deployment depend on.

    `policy` is None if the number of replicas is fixed. `open_requests` are those at the
    deployment, None if not known. `may_hide_drain`: it may be the ingress of a Ray with HAProxy
    mode (2.55). `is_external`: an external scaler decides.
    """

    timeline: Timeline
    policy: Policy | None
    open_requests: OpenRequests | None
    start: StartUp | None
    loop_s: float | None
    may_hide_drain: bool = False
    is_external: bool = False


class StepFloor(msgspec.Struct, frozen=True):
    """Floor and delay of one step; `floor` is None for `reason`, or if the step has no lag.

    If there is a floor, `reason` says what may be missing from it. `phases` are those of the lag,
    with `decide` in its parts.
    """

    phases: tuple[Phase, ...]
    floor: FloorReport | None = None
    delay: DelayReport | None = None
    reason: str | None = None
    wanted_before: bool = False

    def excess(self, total_s: Span | None) -> Span | None:
        """Total beyond the floor, with the uncertainty of both, or censored; None if not known."""
        floor = self.floor
        if floor is None or total_s is None:
            return None
        if total_s.value is None or total_s.hi is None:
            return longer_than(total_s.lo - floor.most_s)
        return Span(
            total_s.value - floor.total_s, total_s.lo - floor.most_s, total_s.hi - floor.least_s
        )


def step_floor(setup: ScalingSetup, step: LoadStep, lag: StepLag, begun_s: float) -> StepFloor:
    """Floor of `step`, which began at `begun_s` Unix seconds and was answered with `lag`."""
    policy = setup.policy
    if lag.total_s is None or (policy is None and not setup.is_external):
        return StepFloor(lag.phases)
    if policy is None:
        return StepFloor(split_decide(lag.phases, None, EXTERNAL), reason=EXTERNAL)
    if not policy.timed:
        reason = f"{policy.whose}; {_NOT_TIMED}" if policy.scaling.own_policy else policy.whose
        return StepFloor(split_decide(lag.phases, None, reason or ""), reason=reason)
    if lag.answer is not None and any(row.index == 1 for row in lag.movements):
        return StepFloor(split_decide(lag.phases, None, _NOT_FIRST), reason=_NOT_FIRST)
    decided = decisions_of(lag.answer, lag.phase("decide"), begun_s)
    delays = _delays(policy, lag)
    ongoing = _ongoing(setup, policy, lag, begun_s, step.hold_s)
    floor = _floor(setup, policy, lag, ongoing)
    waited = _waited(setup, policy, lag, decided, begun_s)
    delay_s = delays[0] if delays else 0.0
    wanted = _wanted_before(lag, policy, ongoing)
    # If more was wanted before the step, it is not known when the delay began.
    delay = None if wanted else delay_report(waited, policy, floor, setup.loop_s, delay_s)
    first = decided[0] if decided and waited else None
    unsure = _is_stretched(delay) and not _stayed_beyond(setup, policy, lag, begun_s, first)
    if _came_sooner(lag, decided, delay_s, floor.loop_s if wanted else 0.0):
        phases = split_decide(lag.phases, None, _WANTED_BEFORE)
        return StepFloor(phases, reason=_WANTED_BEFORE, wanted_before=True)
    lacking = lag.direction == "up" and setup.start is None
    in_all_s = _delay_in_all(lag, delays, len(decided))
    if _may_be_more(lag, decided, delays):
        in_all_s = None
    return StepFloor(
        phases=split_decide(lag.phases, in_all_s, _HOW_MANY),
        floor=None if lacking else floor,
        delay=None if unsure else delay,
        reason=(_NO_START if lacking else None)
        or _unseen_drain(setup, policy, lag)
        or _joined(setup, lag)
        or _backlog(floor)
        or (_NOT_BEYOND if unsure else None),
    )


def _is_stretched(delay: DelayReport | None) -> bool:
    return delay is not None and delay.effective_s.lo > delay.configured_s


def _stayed_beyond(
    setup: ScalingSetup, policy: Policy, lag: StepLag, begun_s: float, first: Span | None
) -> bool:
    """Return True if more were wanted all the time until a decision, once the autoscaler knew of it.

    A delay starts over whenever the average falls back. Only for an up step of Ray's own policy is
    it known whether it did; if requests are unknown there, the answer is False.
    """
    if lag.direction != "up" or not policy.default or not lag.replicas_before or first is None:
        return True
    decided_s = first.lo
    from_s = policy.sample_s + policy.metrics_interval_s + policy.look_back_period_s
    if setup.open_requests is None:
        return False
    parts = max(1, round((decided_s - from_s) / max(policy.look_back_period_s, 1.0)))
    if decided_s <= from_s:
        return True
    means = setup.open_requests.means(np.linspace(begun_s + from_s, begun_s + decided_s, parts + 1))
    return bool((means > _begun_with(lag) * policy.target_ongoing_requests).all())


def _ongoing(
    setup: ScalingSetup, policy: Policy, lag: StepLag, begun_s: float, hold_s: float
) -> Ongoing | None:
    """Open requests around the step, or around the end of its backlog; None if not known.

    Only for Ray's own policy is the number known from which on it wants more, or fewer.
    """
    requests, decide = setup.open_requests, lag.phase("decide")
    if requests is None or not policy.default:
        return None
    around = ongoing_around(requests, begun_s, hold_s, decide, policy)
    delays = _delays(policy, lag)
    enough = enough_for_fewer(policy, _begun_with(lag))
    if lag.direction == "up" or around.before <= enough or decide is None or decide.lo is None:
        return around
    # The decision proves that the backlog was over one delay before, though more may be on record.
    most_s = decide.lo - (delays[0] if delays else 0.0) - _LOOPS_DOWN * DEFAULT_LOOP_S
    lasted_s = backlog_s(requests, begun_s, most_s, enough)
    if not lasted_s:
        return around
    later = ongoing_around(requests, begun_s + lasted_s, hold_s - lasted_s, decide, policy)
    return msgspec.structs.replace(later, backlog_s=lasted_s)


def _delays(policy: Policy, lag: StepLag) -> tuple[float, ...]:
    return policy.delays(_begun_with(lag), lag.level or 0, _seen(lag))


def _begun_with(lag: StepLag) -> int:
    """Number that its first decision starts from: the target, though not all of it may be RUNNING."""
    if lag.answer is None or _from_none(lag):
        return lag.replicas_before or 0
    return lag.answer.before or lag.replicas_before or 0


def _seen(lag: StepLag) -> int | None:
    """Number of decisions that answered the step; None if none was seen."""
    return len(lag.answer.decisions) if lag.answer else None


def _from_none(lag: StepLag) -> bool:
    """Return True if its first decision came at zero replicas, and so without a delay."""
    return lag.direction == "up" and not lag.replicas_before


def _delay_in_all(lag: StepLag, delays: Sequence[float], decisions: int) -> float:
    """Sum of the delays of `decisions`; each one beyond `delays` waits for the first of them."""
    free = 1 if _from_none(lag) else 0
    besides = max(0, decisions - free - len(delays))
    return sum(delays) + (besides * delays[0] if delays else 0.0)


def _may_be_more(lag: StepLag, decided: Sequence[Span], delays: Sequence[float]) -> bool:
    """Return True if one decision in polling may be several, each with its delay.

    It is also True if polling cannot tell which of several decisions ended `decide`.
    """
    decide = lag.phase("decide")
    least_s = decide.lo if decide else None
    if least_s is not None and len(decided) > 1 and decided[-1].lo > least_s + DEFAULT_LOOP_S:
        return True
    seen = lag.answer.decisions[: len(decided)] if lag.answer else ()
    return any(
        one.perhaps_several and one.at.hi_s - one.at.lo_s >= delay_s
        for one in seen
        for delay_s in delays[:1]
        if delay_s
    )


def _waited(
    setup: ScalingSetup, policy: Policy, lag: StepLag, decided: Sequence[Span], begun_s: float
) -> Span | None:
    """Time until the decision that a delay held up, from its first possible moment; None if unseen."""
    if not _from_none(lag):
        return _once_wanted(setup, policy, lag, decided[0], begun_s) if decided else None
    running = [
        r.running for r in setup.timeline.replicas if r.running and r.running.mid_s > begun_s
    ]
    first = min(running, key=lambda instant: instant.mid_s, default=None)
    if len(decided) < 2 or first is None:
        return None
    until = decided[1]
    ran = between(point(begun_s), first)
    if until.hi is None or ran.hi is None or until.value is None or ran.value is None:
        return None
    parts = (until.value - ran.value, until.lo - ran.hi, until.hi - ran.lo)
    return Span(*(max(0.0, part) for part in parts))


def _once_wanted(
    setup: ScalingSetup, policy: Policy, lag: StepLag, decided: Span, begun_s: float
) -> Span:
    """`decided`, its lower bound counted from when enough requests were open to want more.

    With a ramp, or sparse arrivals, that may be long after the step began. An average over a
    look-back may rise that much later still.
    """
    requests = setup.open_requests
    if lag.direction != "up" or not policy.default or requests is None:
        return decided
    edges_s = np.arange(begun_s, begun_s + decided.lo, _BIN_S)
    if edges_s.size < 2:
        return decided
    enough = _begun_with(lag) * policy.target_ongoing_requests
    many = np.flatnonzero(requests.means(edges_s) > enough)
    later_s = _BIN_S * float(many[0]) if many.size else 0.0
    if later_s < _LATE_LOAD_S:
        return decided
    lo = decided.lo - later_s - policy.look_back_period_s
    return msgspec.structs.replace(decided, lo=max(0.0, lo))


def _joined(setup: ScalingSetup, lag: StepLag) -> str | None:
    return _JOINED if lag.direction == "up" and setup.start and setup.start.is_joined else None


def _backlog(floor: FloorReport) -> str | None:
    if not floor.backlog_s:
        return None
    return f"for {floor.backlog_s:.1f} s requests from before it still asked for every replica"


def _unseen_drain(setup: ScalingSetup, policy: Policy, lag: StepLag) -> str | None:
    """Return the likely reason of a long drain, if the draining period of proxies is unknown."""
    drain = lag.phase("drain")
    if lag.direction != "down" or drain is None or policy.least_drain_s is not None:
        return None
    is_long = drain.value is not None and drain.value >= _PROXY_DRAIN_S
    return _UNSEEN_DRAIN if is_long and setup.may_hide_drain else None


def _floor(
    setup: ScalingSetup, policy: Policy, lag: StepLag, ongoing: Ongoing | None
) -> FloorReport:
    before = _begun_with(lag)
    if lag.direction == "up":
        return floor_up(policy, before, ongoing, setup.start, setup.loop_s, lag.level, _seen(lag))
    return floor_down(policy, before, lag.level or 0, ongoing, setup.loop_s, _seen(lag))


def _wanted_before(lag: StepLag, policy: Policy, ongoing: Ongoing | None) -> bool:
    up = lag.direction == "up"
    return ongoing is not None and wanted_before(policy, _begun_with(lag), ongoing, up=up)


def _came_sooner(lag: StepLag, decided: Sequence[Span], delay_s: float, loop_s: float) -> bool:
    """Return True if the first decision came sooner after the step than its delay allows.

    The delay was then running before the step, so its length is unknown. `loop_s` is the floor's
    time of the control loop, if more was wanted already.
    """
    if _from_none(lag):
        return False
    decide = lag.phase("decide")
    lo = decided[0].lo if decided else decide and decide.lo
    hi = decided[0].upper if decided else decide and decide.hi
    allowed_s = delay_s + loop_s if loop_s else 0.0
    return (hi is not None and hi < delay_s) or (lo is not None and lo < allowed_s)
