"""Applications as a whole: who calls whom, and which deployment limits the others."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from reports.analysis.lag.changes import Changes
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.timeline import Timeline
from reports.analysis.seen.slots import FULL, most_slots_used
from reports.model.application import ApplicationNode, ApplicationReport
from reports.model.intervals import Window
from reports.model.steps import DeploymentReport
from scalelag.plan.stages import LoadStep
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import slots_of
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun


def application_reports(
    run: RecordedRun,
    timelines: Mapping[DeploymentKey, Timeline],
    steps: Sequence[LoadStep],
    deployments: Mapping[DeploymentKey, DeploymentReport],
    changes: Mapping[DeploymentKey, Changes],
) -> dict[str, ApplicationReport]:
    """Return the tested applications by name; none for records that do not tell.

    A deployment is full if all its slots were in use through the last quarter of a step. It is also
    full if its bounds held up a step, its own or one of a deployment that it calls. The limit is
    the full one that calls no other full one, however far behind.
    """
    zero_s = run.info.zero_s
    bounded = set(_at_their_bounds(deployments))
    holds = [Window(zero_s + step.at_s, zero_s + step.hold_until_s) for step in steps]
    return {
        name: _report(run, app, timelines, holds, bounded, changes)
        for name, app in run.info.target.applications.items()
    }


def _report(
    run: RecordedRun,
    app: ApplicationInfo,
    timelines: Mapping[DeploymentKey, Timeline],
    holds: Sequence[Window],
    bounded: Collection[DeploymentKey],
    changes: Mapping[DeploymentKey, Changes],
) -> ApplicationReport:
    used = {
        key: _slots_used(run, key, timelines.get(key), holds, changes.get(key))
        for key in app.deployments
    }
    full = {
        key
        for key, share in used.items()
        if (share is not None and share >= FULL) or key in bounded
    }
    limits = full if app.reason else {key for key in full if not full & set(behind(app, key))}
    infos = run.info.target.deployments | {
        key: info for key, one in changes.items() if (info := one.info_at(math.inf))
    }
    return ApplicationReport(
        deployments=tuple(
            _node(infos.get(key), app, key, share, is_limit=key in limits)
            for key, share in used.items()
        ),
        route_prefix=app.route_prefix,
        ingress=app.ingress,
        reason=app.reason,
    )


def _slots_used(
    run: RecordedRun,
    key: DeploymentKey,
    timeline: Timeline | None,
    holds: Sequence[Window],
    changes: Changes | None,
) -> float | None:
    if timeline is None or changes is None:
        return None

    def slots_at(at_s: float) -> int | None:
        return slots_of(changes.info_at(at_s))

    return most_slots_used(run, key, timeline, slots_at, holds)


def _node(
    info: DeploymentInfo | None,
    app: ApplicationInfo,
    key: DeploymentKey,
    slots_used: float | None,
    *,
    is_limit: bool,
) -> ApplicationNode:
    policy = policy_of(info)
    known = info.target_replicas or info.config.get("num_replicas") if info else None
    fixed = known if policy is None and info and not info.external_scaler else None
    return ApplicationNode(
        deployment=key,
        calls=app.calls.get(key, ()),
        fixed_replicas=fixed if isinstance(fixed, int) else None,
        min_replicas=policy.min_replicas if policy else None,
        max_replicas=policy.max_replicas if policy else None,
        slots=slots_of(info),
        slots_used=slots_used,
        is_limit=is_limit,
    )


def _at_their_bounds(
    deployments: Mapping[DeploymentKey, DeploymentReport],
) -> Iterator[DeploymentKey]:
    """Deployments whose bounds delayed a step, their own or one of a deployment behind them."""
    for key, report in deployments.items():
        for step in report.steps:
            yield from (f.deployment or key for f in step.findings if f.cause == "bounds")


def behind(app: ApplicationInfo, key: DeploymentKey) -> Collection[DeploymentKey]:
    """Deployments that `key` calls, and those that these call, and so on; without `key` itself."""
    return {one for one in _reached(app, key, set()) if one != key}


def _reached(
    app: ApplicationInfo, key: DeploymentKey, known: set[DeploymentKey]
) -> Iterator[DeploymentKey]:
    for called in app.calls.get(key, ()):
        if called not in known:
            known.add(called)
            yield called
            yield from _reached(app, called, known)
