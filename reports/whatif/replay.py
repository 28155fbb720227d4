"""The decisions that Ray's policy takes on recorded open requests, without a model of queues.

Where the recorded autoscaler decided otherwise, it saw other numbers than the load had open.
"""

from collections import deque
from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from reports.analysis.lag.control_loop import loop_interval
from reports.analysis.lag.floor import fastest_start
from reports.analysis.lag.policy import DEFAULT_LOOP_S, Policy, policy_of, why_no_policy
from reports.analysis.lag.timeline import Timeline, build_timeline
from reports.analysis.load.concurrency import Concurrency
from reports.whatif.autoscaler import Autoscaler, HandleReport, Series
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun

_HANDLE = "proxy"
_EPS_S = 1e-9
_PHASES = 4


class ReplayedDecision(msgspec.Struct, frozen=True):
    """A change of the target at `at_s`, Unix seconds."""

    at_s: float
    before: int
    after: int


class ReplayTimes(msgspec.Struct, frozen=True):
    """Span of a replay in Unix seconds, its loop, and the delays that the policy cannot see.

    `push_at_s` is a moment at which the handle pushes; a record does not tell it, so that a replay is
    repeated with several. `start_s` is how long a new replica takes to RUNNING.
    """

    from_s: float
    to_s: float
    push_at_s: float
    start_s: float
    loop_s: float = DEFAULT_LOOP_S


class Replay(msgspec.Struct, frozen=True):
    """Decisions on the recorded load, once for each phase of the handle's pushes; or the reason."""

    phases: tuple[tuple[ReplayedDecision, ...], ...] = ()
    reason: str | None = None


class ReplayInput(msgspec.Struct, frozen=True):
    """All that a replay needs of a run, so that another process makes it without the record.

    `open_requests` are the numbers of open requests at the `moments_s` (Unix seconds, ascending) of
    all samples.
    """

    key: DeploymentKey
    described: DeploymentInfo
    policy: Policy
    target: int
    times: tuple[ReplayTimes, ...]
    moments_s: tuple[float, ...]
    open_requests: tuple[int, ...]


def replay_input(run: RecordedRun, key: DeploymentKey, opened: Concurrency) -> ReplayInput | str:
    """Return what a replay of all requests of the run needs, or the reason for none.

    `opened` are the open requests, all of which must be for the deployment `key`: several that are
    watched are such a reason.
    """
    described = run.info.target.deployments.get(key)
    policy = policy_of(described, run.info.versions.ray)
    if policy is None or described is None:
        return why_no_policy(described)
    if policy.whose is not None:
        return policy.whose
    if len(run.info.target.watched) > 1:
        return "several deployments are watched, and not all requests are for this one"
    timeline = build_timeline(key, run.polls, run.transitions, run.events, run.info.clock)
    targets = [poll.target for poll in timeline.polls if poll.target is not None]
    if not targets or not run.requests.count:
        return "the record holds no target or no requests"
    if not policy.sample_s > 0:
        return "its metrics_interval_s or look_back_period_s is not above 0"
    times = _times(run, timeline, policy)
    moments_s = sorted({at_s for one in times for at_s in _sampled_s(one, policy)})
    counts = opened.at(np.array(moments_s))
    return ReplayInput(
        key, described, policy, targets[0], times, tuple(moments_s), tuple(counts.tolist())
    )


def _times(run: RecordedRun, timeline: Timeline, policy: Policy) -> tuple[ReplayTimes, ...]:
    """Times of a replay for each phase of the handle's pushes."""
    start = fastest_start(timeline.replicas)
    first_s, last_s = timeline.polls[0].received_s, timeline.polls[-1].received_s
    step_s = policy.metrics_interval_s / _PHASES
    return tuple(
        ReplayTimes(
            from_s=first_s,
            to_s=last_s,
            push_at_s=first_s + number * step_s,
            start_s=start.span.value or 0.0 if start else 0.0,
            loop_s=loop_interval(run.polls) or DEFAULT_LOOP_S,
        )
        for number in range(_PHASES)
    )


def _sampled_s(times: ReplayTimes, policy: Policy) -> Iterator[float]:
    """Moments at which a replay samples the open requests, summed up as it does."""
    at_s = times.push_at_s
    while at_s <= times.to_s + _EPS_S:
        yield at_s
        at_s += policy.sample_s


def replay(given: ReplayInput, autoscaler: Callable[[], Autoscaler]) -> Replay:
    """Return the decisions of a new `autoscaler` for each phase."""
    opened = dict(zip(given.moments_s, given.open_requests, strict=True))
    return Replay(
        tuple(
            replay_decisions(
                given.key, autoscaler(), given.policy, given.target, opened.__getitem__, one
            )
            for one in given.times
        )
    )


def replay_decisions(
    key: DeploymentKey,
    autoscaler: Autoscaler,
    policy: Policy,
    target: int,
    open_requests: Callable[[float], float],
    times: ReplayTimes,
) -> tuple[ReplayedDecision, ...]:
    """Decisions of `autoscaler` from a first `target` on, given the `open_requests` at a moment.

    RUNNING follows its own target, `times.start_s` later on the way up.
    """
    samples: deque[tuple[float, float]] = deque()
    running, starting = target, deque[tuple[float, int]]()
    next_sample_s = next_push_s = times.push_at_s
    found: list[ReplayedDecision] = []
    now_s = times.from_s
    while now_s <= times.to_s:
        while next_sample_s <= now_s + _EPS_S:
            samples.append((next_sample_s, open_requests(next_sample_s)))
            next_sample_s += policy.sample_s
        if next_push_s <= now_s + _EPS_S:
            _push(key, autoscaler, samples, now_s - policy.look_back_period_s, now_s)
            next_push_s += policy.metrics_interval_s
        while starting and starting[0][0] <= now_s:
            running = min(max(running, starting.popleft()[1]), target)
        autoscaler.set_running(key, [f"r{number}" for number in range(running)])
        wanted = autoscaler.decide(now_s, {key: target})[key]
        if wanted != target:
            found.append(ReplayedDecision(now_s, target, wanted))
            target, running = wanted, min(running, wanted)
            starting.append((now_s + times.start_s, wanted))
        now_s += times.loop_s
    return tuple(found)


def _push(
    key: DeploymentKey,
    autoscaler: Autoscaler,
    samples: deque[tuple[float, float]],
    since_s: float,
    now_s: float,
) -> None:
    """Push the samples of the look-back, as `RouterMetricsManager` keeps them."""
    while samples and samples[0][0] < since_s:
        samples.popleft()
    if samples:
        at_s, values = zip(*samples, strict=True)
        autoscaler.report(HandleReport(key, _HANDLE, now_s, Series(at_s, values), {}))
