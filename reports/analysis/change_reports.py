"""Changes during a run as rows of the report, and the warnings that go with them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from reports.analysis.lag.changed_timeline import bounded
from reports.analysis.lag.changes import Absence, Changes, Update
from reports.model.changes import ChangeKind, ChangeReport
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import scaling_of
from scalelag.record.rows import (
    CapacityChange,
    ConfigChange,
    DeploymentKey,
    NeighbourChange,
    Poll,
)
from scalelag.record.run_dir import RecordedRun
from scalelag.wording import count

_CAPACITY = ("target_capacity",)


def change_reports(
    run: RecordedRun, changes: Mapping[DeploymentKey, Changes]
) -> tuple[ChangeReport, ...]:
    """All changes during the run, by time."""
    at = _Clock(run.info.zero_s)
    found: list[ChangeReport] = []
    for key, own in changes.items():
        found += _configs(at, key, own, run.polls)
        found += [_update(at, key, update) for update in own.updates if not update.told]
        for absence in own.absences:
            found += _absence(at, key, absence)
    found += [_neighbour(at, row) for row in run.neighbours]
    found += [_capacity(at, row) for row in run.capacities]
    return tuple(sorted(found, key=lambda change: (change.at_s, change.deployment or "")))


class _Clock:
    """Makes rows with times after the plan's start."""

    def __init__(self, zero_s: float) -> None:
        self._zero_s = zero_s

    def row(
        self, lo_s: float, hi_s: float, kind: ChangeKind, deployment: str | None, what: str
    ) -> ChangeReport:
        lo_s = lo_s if math.isfinite(lo_s) else hi_s
        zero_s = self._zero_s
        middle_s = (lo_s + hi_s) / 2
        return ChangeReport(middle_s - zero_s, lo_s - zero_s, hi_s - zero_s, kind, deployment, what)


def _configs(
    at: _Clock, key: DeploymentKey, own: Changes, polls: Sequence[Poll]
) -> Iterator[ChangeReport]:
    before = own.deployed
    for row in own.configs:
        if row.changed != _CAPACITY:
            what = f"{_differences(before, row)}{_moved(key, row, polls)}"
            yield at.row(row.lo_s, row.hi_s, "config", key, what)
        before = row.info


def _differences(before: DeploymentInfo | None, row: ConfigChange) -> str:
    """`upscale_delay_s 1 -> 8, user_config changed`: with values if they are numbers."""
    old, new = _settings(before or DeploymentInfo()), _settings(row.info)
    if before is not None and bool(before.autoscaling) != bool(row.info.autoscaling):
        return _turned(row.info)
    differing = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    texts = [f"{name} {_value(old.get(name))} -> {_value(new.get(name))}" for name in differing]
    others = set(row.changed) - set(differing) - set(_CAPACITY)
    if set(differing) & set(row.info.autoscaling or {}):
        others -= {"autoscaling_config"}
    return ", ".join([*texts, *(f"{name} changed" for name in sorted(others))])


def _turned(info: DeploymentInfo) -> str:
    scaling = scaling_of(info)
    if scaling.autoscales:
        most = "any number" if scaling.most is None else count(scaling.most, "replica")
        return f"autoscaling on, {scaling.least} to {most}"
    return f"autoscaling off, num_replicas {scaling.least}"


def _settings(info: DeploymentInfo) -> dict[str, object]:
    """Settings that are one value, by name."""
    found = {**info.config, **(info.autoscaling or {}), "app_policy": info.app_policy}
    return {name: value for name, value in found.items() if isinstance(value, int | float | str)}


def _value(value: object) -> str:
    if value is None:
        return "not set"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if is_number else str(value)


def _moved(key: DeploymentKey, row: ConfigChange, polls: Sequence[Poll]) -> str:
    """Target after the change, at the poll that showed it."""
    seen = [poll for poll in polls if key in poll.deployments]
    for old, new in pairwise(seen):
        before, after = old.deployments[key].target, new.deployments[key].target
        if new.received_s == row.hi_s and before is not None and before != after:
            if bounded(before, row.info) == after:
                return f" (this moved the target {before} -> {after}, not the autoscaler)"
            return ""
    return ""


def _update(at: _Clock, key: DeploymentKey, update: Update) -> ChangeReport:
    number = len(update.replaced)
    replaced = f"{count(number, 'replica was', 'replicas were')} replaced"
    if update.taken_away:
        replaced += f" and {update.taken_away} more of the old one went"
    what = f"a new version came, {replaced}"
    if update.from_start:
        what = "a new version was coming when watching began"
    if update.over is None:
        what += ", not over when watching ended"
    else:
        ended = "over" if update.failed is None else f"failed ({update.failed})"
        if update.cut is not None:
            ended = f"not over when {update.cut}"
        what += f", {ended} after {update.over.mid_s - update.begun.mid_s:.1f} s"
    return at.row(update.begun.lo_s, update.begun.hi_s, "update", key, what)


def _absence(at: _Clock, key: DeploymentKey, absence: Absence) -> Iterator[ChangeReport]:
    gone, back = absence.gone, absence.back
    if not absence.from_start:
        yield at.row(gone.lo_s, gone.hi_s, "deleted", key, "deleted")
    elif back is None:
        yield at.row(gone.lo_s, gone.hi_s, "deleted", key, "gone before watching began")
    if back is not None:
        ready = absence.ready_s - back.mid_s
        what = "deployed" if absence.from_start else "deployed again"
        if absence.never_ready:
            what += ", not ready when it was deleted"
        elif math.isfinite(ready):
            what += f", ready after {ready:.1f} s"
        else:
            what += ", not ready when watching ended"
        yield at.row(back.lo_s, back.hi_s, "deployed", key, what)


def _neighbour(at: _Clock, row: NeighbourChange) -> ChangeReport:
    kind: ChangeKind = "deployed" if row.present else "deleted"
    return at.row(row.lo_s, row.hi_s, kind, row.deployment, f"{kind}; it is not watched")


def _capacity(at: _Clock, row: CapacityChange) -> ChangeReport:
    before, after = (_value(value) for value in (row.before, row.after))
    return at.row(row.lo_s, row.hi_s, "capacity", None, f"target_capacity {before} -> {after}")


_VERBS: dict[ChangeKind, str] = {
    "config": "its configuration changed",
    "update": "a new version came",
    "deleted": "it was deleted",
    "deployed": "it was deployed",
    "capacity": "Serve's target_capacity changed",
}


def change_warnings(found: Sequence[ChangeReport]) -> list[str]:
    """One sentence a deployment on what changed during the run, and what that means."""
    by_deployment: dict[str | None, list[ChangeReport]] = {}
    for change in found:
        by_deployment.setdefault(change.deployment, []).append(change)
    return [_warning(key, own) for key, own in by_deployment.items()]


def _warning(key: str | None, own: Sequence[ChangeReport]) -> str:
    told = ", ".join(f"{_VERBS[change.kind]} at {change.at_s:.1f} s" for change in own[:_MOST_TOLD])
    more = f" and {count(len(own) - _MOST_TOLD, 'change')} more" if len(own) > _MOST_TOLD else ""
    whose = "" if key is None else f"{key}: "
    return (
        f"{whose}{told}{more}: a step is measured by what was in force when it began, and has no floor "
        "where that changed before its answer"
    )


_MOST_TOLD = 5
