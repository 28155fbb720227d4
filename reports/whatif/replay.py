"""The decisions that Ray's policy takes on recorded open requests, without a model of queues.

Where the recorded autoscaler decided otherwise, it saw other numbers than the load had open.
"""

from collections import deque
from collections.abc import Callable

import msgspec

from reports.analysis.lag.policy import Policy
from reports.model.controller import DEFAULT_LOOP_S
from reports.whatif.autoscaler import Autoscaler, HandleReport, Series
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.rows import DeploymentKey

_HANDLE = "proxy"
EPS_S = 1e-9


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
        while next_sample_s <= now_s + EPS_S:
            samples.append((next_sample_s, open_requests(next_sample_s)))
            next_sample_s += policy.sample_s
        if next_push_s <= now_s + EPS_S:
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
