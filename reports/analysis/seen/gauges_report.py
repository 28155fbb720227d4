"""Report on Serve's gauges of one deployment (docs/metrics.md#what-the-autoscaler-saw)."""

from collections.abc import Sequence

from reports.analysis.lag.policy import Policy, why_no_policy
from reports.analysis.seen.blind import blind_s
from reports.analysis.seen.requests_at import RequestsAt, unseen_reason
from reports.analysis.seen.series import total_series
from reports.model.intervals import Window
from reports.model.seen import SeenPoint, SeenReport
from scalelag.ray_versions import AUTOSCALING_GAUGES, is_before, lacking
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun
from scalelag.record.seen_rows import DeploymentGauges, SeenRow

MOST_POINTS = 300
_INSTANT_S = 0.5
_NO_TOTAL = "this Ray does not export what the policy is given (serve_autoscaling_total_requests)"


def seen_report(
    run: RecordedRun,
    key: DeploymentKey,
    requests: RequestsAt,
    policy: Policy | None,
    resting: Sequence[Window] = (),
) -> SeenReport:
    """Return what the gauges of `key` showed from the plan's start until the watching ended.

    No replica of it ran in the times of `resting`.
    """
    rows = [row for row in run.seen if key in row.deployments]
    if not rows:
        return SeenReport(reason=unseen_reason(run))
    loaded = loaded_window(run)
    total = total_series(run.seen, key)
    blind = None
    if policy and total.readings:
        blind = blind_s(total, requests, policy, loaded, resting)
    return SeenReport(
        source=rows[-1].source,
        age_s=max(row.age_s for row in rows),
        ongoing=_points(rows, key, requests, run.info.zero_s),
        covered_ratio=total.covered_ratio(loaded.from_s, loaded.to_s) if policy else None,
        blind_s=blind,
        served=_served(rows, key, run.info.zero_s),
        reason=_reason(run, key, policy, blind, has_total=bool(total.readings)),
    )


def loaded_window(run: RecordedRun) -> Window:
    """Return the time from the plan's start to the end of the load."""
    planned_s = run.info.zero_s + run.info.plan.duration_s
    return Window(run.info.zero_s, min(planned_s, run.info.load_ended_s or planned_s))


def _reason(
    run: RecordedRun,
    key: DeploymentKey,
    policy: Policy | None,
    blind: float | None,
    *,
    has_total: bool,
) -> str | None:
    if policy is None:
        why = why_no_policy(run.info.target.deployments.get(key))
        return f"{why}: no policy is given anything"
    if not has_total:
        ray = run.info.versions.ray
        if is_before(ray, AUTOSCALING_GAUGES):
            return lacking(ray, "what its policy is given", AUTOSCALING_GAUGES)
        failed = any(row.reason for row in run.seen)
        return unseen_reason(run) if failed else _NO_TOTAL
    return None if blind is not None else "what was open at it is not known"


def _served(rows: Sequence[SeenRow], key: DeploymentKey, zero_s: float) -> float | None:
    """Requests answered since the last reading before the plan's start.

    A replica that goes takes its count with it, so only increases count.
    """
    counts = [
        (row.sent_s, served) for row in rows if (served := row.deployments[key].served) is not None
    ]
    before = [count for sent_s, count in counts if sent_s <= zero_s]
    after = [count for sent_s, count in counts if sent_s > zero_s]
    if not after:
        return None
    known, added = (before or after)[-1 if before else 0], 0.0
    for count in after:
        added += max(0.0, count - known)
        known = count
    return added


def _points(
    rows: Sequence[SeenRow], key: DeploymentKey, requests: RequestsAt, zero_s: float
) -> tuple[SeenPoint, ...]:
    """A point for each reading; of very many every second, third, ..., always with the last."""
    every = -(-len(rows) // MOST_POINTS)
    return tuple(
        _point(row, row.deployments[key], requests, zero_s) for row in reversed(rows[::-1][::every])
    )


def _point(
    row: SeenRow, gauges: DeploymentGauges, requests: RequestsAt, zero_s: float
) -> SeenPoint:
    at_s = row.sent_s - row.age_s / 2
    client = requests.client and requests.client.mean(at_s - _INSTANT_S, at_s + _INSTANT_S)
    return SeenPoint(
        at_s=at_s - zero_s,
        total=gauges.total,
        queued=gauges.queued,
        running=gauges.running,
        desired=gauges.desired,
        target=gauges.target,
        client=client,
    )
