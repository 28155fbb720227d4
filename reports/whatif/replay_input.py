"""Input of a replay, from the record of a run: the replaying process reads no record."""

from collections.abc import Iterator

import numpy as np

from reports.analysis.lag.control_loop import loop_interval
from reports.analysis.lag.floor import fastest_start
from reports.analysis.lag.policy import Policy, policy_of, why_no_policy
from reports.analysis.lag.timeline import Timeline, build_timeline
from reports.analysis.load.concurrency import Concurrency
from reports.model.controller import DEFAULT_LOOP_S
from reports.whatif.replay import EPS_S, ReplayInput, ReplayTimes
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun

_PHASES = 4


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
    while at_s <= times.to_s + EPS_S:
        yield at_s
        at_s += policy.sample_s
