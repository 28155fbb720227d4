"""Chart series of a run, thinned to what one page can hold."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from reports.analysis.charts.load_bins import load_bins
from reports.analysis.charts.replica_curves import (
    decision_marks,
    replica_bars,
    replica_curve,
    some_bars,
)
from reports.analysis.controller import controller_points
from reports.analysis.lag.hidden import hidden_windows
from reports.analysis.lag.timeline import Timeline
from reports.analysis.restarts import logged_start
from reports.model.charts import Band, Charts, DeploymentCharts
from reports.model.report import Report
from reports.model.steps import DeploymentReport
from scalelag.record.rows import ControllerRestart, DeploymentKey
from scalelag.record.run_dir import RecordedRun
from scalelag.wording import count

MOST_DEPLOYMENTS = 12
MOST_CHANGES = 900
MOST_BANDS = 40


def chart_series(
    run: RecordedRun, report: Report, timelines: Mapping[DeploymentKey, Timeline]
) -> Charts:
    """Chart series of `run`; `report` and `timelines` are its analysis so far."""
    zero_s, end_s = run.info.zero_s, max(1.0, report.run.duration_s)
    load = load_bins(run.requests, zero_s, end_s)
    shown = scaling(report)[:MOST_DEPLOYMENTS]
    notes: list[str] = []
    if load.bin_s > 1:
        notes.append(f"load and latency are drawn in bins of {load.bin_s:g} s")
    if left_out := len(scaling(report)) - len(shown):
        notes.append(f"{count(left_out, 'more scaling deployment')} not drawn")
    deployments: dict[str, DeploymentCharts] = {}
    for key in shown:
        deployments[key], thinned = _deployment(
            run, key, timelines[key], report.deployments[key], end_s, MOST_CHANGES // len(shown)
        )
        notes += [f"{key}: {text}" for text in thinned]
    return Charts(
        end_s=end_s,
        load=load,
        deployments=deployments,
        undrawn=left_out,
        unseen=unseen_bands(run),
        restarts=restart_bands(run, timelines),
        changes=change_bands(report),
        thinned=tuple(notes),
        saturated=saturated_bands(report),
        controller=controller_points(run),
    )


def unseen_bands(run: RecordedRun) -> tuple[Band, ...]:
    """Stretches in which all, or one, was not seen, the shortest first; of very many the longest."""
    zero_s = run.info.zero_s
    unseen = [
        Band(max(0.0, gap.from_s - zero_s), gap.to_s - zero_s, gap.reason)
        for gap in run.gaps
        if gap.to_s > zero_s
    ]
    unseen += [
        Band(max(0.0, window.from_s - zero_s), window.to_s - zero_s, f"Serve did not show {key}")
        for key in run.info.target.watched
        for window in hidden_windows(key, run.polls)
        if window.to_s > zero_s
    ]
    return tuple(sorted(unseen, key=_width_s)[-MOST_BANDS:])


def restart_bands(
    run: RecordedRun, timelines: Mapping[DeploymentKey, Timeline]
) -> tuple[Band, ...]:
    """Restarts of the Serve controller, by its log or between two polls; of very many the first."""
    off = {clock for timeline in timelines.values() for clock in timeline.off}
    return tuple(_restart_band(run, row, off) for row in run.restarts[:MOST_BANDS])


def _restart_band(run: RecordedRun, row: ControllerRestart, off: AbstractSet[str]) -> Band:
    at, zero_s = logged_start(row, run.events, off), run.info.zero_s
    if at is None:
        return Band(row.lo_s - zero_s, row.hi_s - zero_s, "the Serve controller restarted")
    lo_s, hi_s = at.lo_s - at.skew_s - zero_s, at.hi_s + at.skew_s - zero_s
    return Band(lo_s, hi_s, "the Serve controller restarted, by its log")


def saturated_bands(report: Report) -> tuple[Band, ...]:
    """Times in which the target was saturated; of very many the longest."""
    bands = [
        Band(
            one.at_s,
            one.until_s,
            f"saturated: {count(one.not_sent, 'request was', 'requests were')} not sent",
        )
        for one in report.load.saturated
    ]
    return tuple(sorted(bands, key=_width_s)[-MOST_BANDS:])


def change_bands(report: Report) -> tuple[Band, ...]:
    """Events, and changes during the run, each between two polls; of very many the first."""
    events = [
        Band(
            one.at_s,
            one.at_s if one.ended_s is None else one.ended_s,
            f"event {one.index}: {one.what}",
        )
        for one in report.events
        if one.error is None
    ]
    changes = [
        Band(
            one.lo_s,
            one.hi_s,
            f"{one.deployment}: {one.what}" if one.deployment else one.what,
            one.deployment,
        )
        for one in report.changes
    ]
    return tuple([*events, *changes][:MOST_BANDS])


def scaling(report: Report) -> list[str]:
    """Deployments that can scale or did; those that did come first."""
    changed = {
        key: deployment.replicas.min != deployment.replicas.max
        for key, deployment in report.deployments.items()
    }
    able = [
        key
        for key, deployment in report.deployments.items()
        if deployment.autoscaling is not None or changed[key]
    ]
    return sorted(able, key=lambda key: not changed[key])


def _width_s(band: Band) -> float:
    return band.to_s - band.from_s


def _deployment(
    run: RecordedRun,
    key: DeploymentKey,
    timeline: Timeline,
    report: DeploymentReport,
    end_s: float,
    most: int,
) -> tuple[DeploymentCharts, list[str]]:
    """Return the charts of `key`, `most` changes of each kind, and what was left out of them."""
    zero_s = run.info.zero_s
    curve, is_thinned = replica_curve(key, run.polls, zero_s, most)
    every_bar = replica_bars(timeline, _critical(report), _log_files(run), zero_s, end_s)
    bars = some_bars(every_bar, most)
    every_decision = decision_marks(timeline, zero_s)
    decisions = every_decision[:most]
    notes = ["of its replica counts only the extremes are drawn"] if is_thinned else []
    notes += _left_out("replicas", bars, every_bar)
    notes += _left_out("decisions", decisions, every_decision)
    return DeploymentCharts(curve, tuple(bars), tuple(decisions)), notes


def _log_files(run: RecordedRun) -> dict[str, str]:
    """Log files by replica."""
    return {row.replica: row.log_file for row in run.transitions if row.log_file is not None}


def _critical(deployment: DeploymentReport) -> dict[str, list[int]]:
    """Numbers of the steps by their critical replica."""
    found: dict[str, list[int]] = {}
    for step in deployment.steps:
        if step.critical_replica is not None:
            found.setdefault(step.critical_replica, []).append(step.index)
    return found


def _left_out(what: str, shown: Sequence[object], everything: Sequence[object]) -> list[str]:
    if len(shown) == len(everything):
        return []
    return [f"{len(shown):,} of {len(everything):,} {what} are drawn"]
