"""The decisions that Ray's policy takes on recorded open requests, without a model of queues.

Where the recorded autoscaler decided otherwise, it saw other numbers than the load had open.
"""

from collections import deque
from collections.abc import Callable

import msgspec
import numpy as np

from reports.analysis.lag.control_loop import loop_interval
from reports.analysis.lag.floor import fastest_start
from reports.analysis.lag.policy import DEFAULT_LOOP_S, Policy, policy_of, why_no_policy
from reports.analysis.lag.timeline import build_timeline
from reports.whatif.autoscaler import Autoscaler, HandleReport, Series
from scalelag.record.requests_file import RequestColumns
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


def replay(run: RecordedRun, key: DeploymentKey, autoscaler: Callable[[], Autoscaler]) -> Replay:
    """Decisions of a new `autoscaler` for each phase, on all requests of the run.

    The requests must all be for the deployment `key`, so it gives a reason where several are watched.
    """
    described = run.info.target.deployments.get(key)
    policy = policy_of(described, run.info.versions.ray)
    if policy is None or described is None:
        return Replay(reason=why_no_policy(described))
    if policy.whose is not None:
        return Replay(reason=policy.whose)
    if len(run.info.target.watched) > 1:
        return Replay(
            reason="several deployments are watched, and not all requests are for this one"
        )
    timeline = build_timeline(key, run.polls, run.transitions, run.events, run.info.clock)
    targets = [poll.target for poll in timeline.polls if poll.target is not None]
    if not targets or not run.requests.count:
        return Replay(reason="the record holds no target or no requests")
    start = fastest_start(timeline.replicas)
    first_s, last_s = timeline.polls[0].received_s, timeline.polls[-1].received_s
    step_s = policy.metrics_interval_s / _PHASES
    times = [
        ReplayTimes(
            from_s=first_s,
            to_s=last_s,
            push_at_s=first_s + number * step_s,
            start_s=start.allocate_s + start.initialize_s if start else 0.0,
            loop_s=loop_interval(run.polls) or DEFAULT_LOOP_S,
        )
        for number in range(_PHASES)
    ]
    open_requests = open_requests_of(run.requests)
    return Replay(
        tuple(
            replay_decisions(key, autoscaler(), policy, targets[0], open_requests, one)
            for one in times
        )
    )


def open_requests_of(rows: RequestColumns) -> Callable[[float], float]:
    """Return the number of open requests, sent and not answered, as a function of Unix seconds."""
    sent = ~rows.not_sent & np.isfinite(rows.latency_s)
    begun_s = np.sort(rows.intended_s[sent] + rows.send_lag_s[sent])
    ended_s = np.sort(rows.intended_s[sent] + rows.latency_s[sent])

    def open_at(at_s: float) -> float:
        begun = np.searchsorted(begun_s, at_s, side="right")
        return float(begun - np.searchsorted(ended_s, at_s, side="right"))

    return open_at


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
