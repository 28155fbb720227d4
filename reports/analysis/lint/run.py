"""Settings that a run has shown to be wrong: what it cost is in its rows."""

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.lag.changes import last_infos
from reports.analysis.lag.gap_logs import unseen_windows
from reports.analysis.lag.policy import Policy, policy_of
from reports.analysis.lag.timeline import Timeline
from reports.analysis.lint.config import lint_config
from reports.analysis.load.concurrency import Concurrency
from reports.analysis.seen.routing import perhaps_for
from reports.analysis.simulable import why_not_simulated
from reports.model.intervals import Window
from scalelag.plan.stages import LoadStep
from scalelag.record.application_info import application_name
from scalelag.record.blocks import blocks
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import DeploymentInfo, LintFinding
from scalelag.wording import count

_STAYS_S = 10.0


class Usage(msgspec.Struct, frozen=True):
    """Work of the replicas beyond `min_replicas` in a run.

    `worked_s` are the replica-seconds in which they were RUNNING and in demand. `idle_s` are those
    RUNNING beyond demand after the load had fallen, until it rose again or watching ended. `most`
    were RUNNING at once, `left` still at the end. In `hidden_s` nobody saw how many there were, or
    others than the autoscaler moved them; all in demand then count as at work, and none as idle.
    For `longest_s` the same number of them was idle without a break.
    """

    worked_s: float
    idle_s: float
    most: int
    left: int
    hidden_s: float = 0.0
    longest_s: float = 0.0


def lint_run(
    run: RecordedRun,
    timelines: Mapping[DeploymentKey, Timeline],
    steps: Sequence[LoadStep],
    whole: Concurrency,
) -> tuple[LintFinding, ...]:
    """All findings of a run: on its configuration, what its start recorded, what its rows show.

    A configuration that changed during the run is judged as it was at the end.
    `steps` count from the plan's start; `whole` are the open requests of all.
    """
    target = run.info.target
    deployments = {k: i for k, i in last_infos(run).items() if k in target.watched}
    computed = [*lint_config(deployments), *_drains(deployments, _slowest_s(run, deployments))]
    for key, timeline in timelines.items():
        policy = policy_of(deployments.get(key))
        if policy is not None and policy.default:
            unseen = [*unseen_windows(timeline, run.gaps), *timeline.hidden]
            unseen += timeline.moved_by_others()
            usage = usage_of(policy, timeline, whole, run.info.zero_s, steps, unseen)
            text = usage and _idle(policy, usage)
            computed += [LintFinding(key, "idle-longer-than-worked", text)] if text else []
    known = {(finding.deployment, finding.rule) for finding in computed}
    changed = {row.deployment: target.deployments[row.deployment] for row in run.configs}
    known |= {(finding.deployment, finding.rule) for finding in lint_config(changed)}
    recorded = [f for f in run.info.findings if (f.deployment, f.rule) not in known]
    return tuple(_tried(finding, run) for finding in (*recorded, *computed))


def _tried(finding: LintFinding, run: RecordedRun) -> LintFinding:
    """The finding, without its command if the record cannot be simulated."""
    key = finding.deployment
    if finding.command is None or key is None or why_not_simulated(run, key) is None:
        return finding
    return msgspec.structs.replace(finding, command=None)


def _slowest_s(
    run: RecordedRun, keys: Iterable[DeploymentKey]
) -> dict[DeploymentKey, float | None]:
    """Return for each of `keys` the longest service time of a request for its application."""
    apps = {key: application_name(key, run.info.target.applications) for key in keys}
    slowest_s = {
        app: slowest_service_s(perhaps_for(run.requests, run.info, app))
        for app in dict.fromkeys(apps.values())
    }
    return {key: slowest_s[app] for key, app in apps.items()}


def _drains(
    deployments: Mapping[DeploymentKey, DeploymentInfo],
    slowest: Mapping[DeploymentKey, float | None],
) -> Iterable[LintFinding]:
    """Findings on drains shorter than the slowest request, one for all deployments of a time-out.

    Which deployment of an application a request was in, and for how long, its row does not tell: its
    service time is the most that it can have been in any.
    """
    by_timeout: dict[tuple[float, float], list[DeploymentKey]] = {}
    for key, info in sorted(deployments.items()):
        policy, timeout_s = policy_of(info), info.config.get("graceful_shutdown_timeout_s")
        scales = policy is not None and policy.max_replicas > policy.min_replicas
        if scales and isinstance(timeout_s, int | float):
            slowest_s = slowest.get(key)
            by_timeout.setdefault((float(timeout_s), slowest_s or 0.0), []).append(key)
    for (timeout_s, slowest_s), keys in sorted(by_timeout.items()):
        if slowest_s > timeout_s:
            owner = keys[0] if len(keys) == 1 else None
            of = "" if owner else f" of {', '.join(keys)}"
            text = (
                f"graceful_shutdown_timeout_s {timeout_s:g}{of} is shorter than the slowest "
                f"request, {slowest_s:.1f} s from send to answer (waiting for a replica "
                f"included): a replica that is stopped kills what it still works on after "
                f"{timeout_s:g} s. Set graceful_shutdown_timeout_s to "
                f"{math.ceil(1.2 * slowest_s)} or more."
            )
            yield LintFinding(owner, "drain-shorter-than-requests", text)


def slowest_service_s(rows: RequestColumns) -> float | None:
    """Longest service time of a request that was answered well, in seconds; None if there are none."""
    slowest_s = -math.inf
    for block in blocks(rows.count):
        service_s = rows.latency_s[block] - rows.send_lag_s[block]
        answered = (rows.error[block] < 0) & np.isfinite(service_s)
        slowest_s = max(slowest_s, float(service_s.max(initial=-np.inf, where=answered)))
    return slowest_s if slowest_s > -math.inf else None


def usage_of(
    policy: Policy,
    timeline: Timeline,
    whole: Concurrency,
    zero_s: float,
    steps: Sequence[LoadStep],
    unseen: Sequence[Window] = (),
) -> Usage | None:
    """Use of the replicas beyond the minimum; None if nothing was watched.

    `unseen` are the times in which RUNNING does not show what the autoscaler did.

    In bins of a second. Demand is the policy's, from the mean number of open requests in a bin; in
    an application of several deployments that is the most it can have been in each.
    """
    if not timeline.polls or not steps:
        return None
    seconds = math.ceil(timeline.polls[-1].received_s - zero_s)
    if seconds <= 0:
        return None
    edges_s = np.arange(seconds + 1, dtype=np.float64)
    lowest = policy.min_replicas
    needed = policy.bounded_demand(whole.means(zero_s + edges_s)) - lowest
    mids_s = edges_s[:-1] + np.float64(0.5)
    beyond = np.clip(_running(timeline, zero_s + mids_s) - lowest, 0, None)
    hidden = _within(unseen, zero_s + mids_s)
    worked = np.where(hidden, np.clip(needed, 0, None), np.minimum(beyond, needed))
    idle = np.where(_fallen(steps, mids_s) & ~hidden, np.clip(beyond - needed, 0, None), 0.0)
    return Usage(
        worked_s=float(worked.sum()),
        idle_s=float(idle.sum()),
        longest_s=_longest_s(np.where(idle > 0, beyond, 0)),
        most=int(beyond.max()),
        left=int(beyond[-1]),
        hidden_s=float(hidden.sum()),
    )


def _longest_s(idle: NDArray[np.int64]) -> float:
    """Return for how many seconds on end the same number above 0 was idle."""
    ends = np.flatnonzero(np.diff(idle, prepend=-1, append=-1))
    lengths = np.diff(ends)[idle[ends[:-1]] > 0]
    return float(lengths.max(initial=0))


def _within(windows: Sequence[Window], at_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which moments lie in any of `windows`."""
    found = np.zeros(at_s.size, dtype=np.bool_)
    for from_s, to_s in windows:
        found |= (at_s >= from_s) & (at_s < to_s)
    return found


def _fallen(steps: Sequence[LoadStep], at_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which moments lie after a step down, with none up since."""
    fallen = np.zeros(at_s.size, dtype=np.bool_)
    down = False
    for step in steps:
        down = step.direction == "down" or (down and step.direction == "none")
        if down:
            fallen |= (at_s >= step.at_s) & (at_s < step.hold_until_s)
    return fallen


def _running(timeline: Timeline, at_s: NDArray[np.float64]) -> NDArray[np.int64]:
    received_s = [poll.received_s for poll in timeline.polls]
    place = np.searchsorted(received_s, at_s, side="right") - 1
    running = np.array([poll.running for poll in timeline.polls], dtype=np.int64)
    return running[np.clip(place, 0, None)]


def _idle(policy: Policy, usage: Usage) -> str | None:
    """Text of the finding; None if a shorter delay would go below the look-back.

    So it is if they stayed for much longer than the delay: something else keeps them.
    """
    if usage.idle_s <= usage.worked_s or not usage.most:
        return None
    noticed_s = policy.look_back_period_s + policy.metrics_interval_s
    delay_s = max(policy.downscale_delay_s, policy.downscale_to_zero_delay_s)
    if usage.longest_s > delay_s + noticed_s + policy.shortest_drain_s + _STAYS_S:
        return None
    enough_s = math.ceil(max(policy.look_back_period_s, usage.worked_s / usage.most))
    if enough_s >= policy.downscale_delay_s:
        return None
    least = f"{policy.scaling.least_name} {policy.min_replicas}"
    left = f" ({usage.left} still when watching ended)" if usage.left else ""
    about = "at most " if usage.hidden_s else ""
    were, them = ("was", "it") if usage.most == 1 else ("were", "them")
    return (
        f"up to {count(usage.most, 'replica')} beyond {least} worked for {about}{usage.worked_s:,.0f} "
        f"replica-seconds and {were} idle for {usage.idle_s:,.0f} after the load fell{left}: "
        f"downscale_delay_s {policy.downscale_delay_s:g} keeps {them} for longer than needed."
        f" Set downscale_delay_s to {enough_s}, unless such load comes back sooner."
    )
