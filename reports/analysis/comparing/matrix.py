"""Several builds in a row, each compared with the one before it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median as plain_median

import msgspec

from reports.analysis.comparing.compare import compare
from reports.analysis.comparing.samples import middle_of, samples_of_runs
from reports.model.comparison import Comparison
from reports.model.matrix import (
    MATRIX_SCHEMA_VERSION,
    MatrixEntry,
    MatrixLags,
    MatrixReport,
    MatrixVerdict,
)
from reports.model.report import Report

_UP = ("decide_s", "create_s", "allocate_s", "initialize_s", "mark_running_s")


class EntryRuns(msgspec.Struct, frozen=True):
    """Valid runs of one entry, by their directories, and why others are missing.

    `differences` are those in plan and settings from the entry before, other than the one wanted.
    """

    label: str
    ray: str
    reports: Mapping[str, Report]
    reason: str | None = None
    differences: tuple[str, ...] = ()


def matrix_report(
    entries: Sequence[EntryRuns],
    *,
    plan: str,
    times: int,
    folder: str,
    min_effect: float,
    mains: Sequence[str] = (),
) -> MatrixReport:
    """Figures of each entry, and its comparison with the last one before that has runs.

    Raises UsageError for a main metric that there is not.
    """
    ran = [entry for entry in entries if entry.reports]
    comparisons = tuple(
        compare(
            base.reports,
            candidate.reports,
            min_effect=min_effect,
            differences=candidate.differences,
            labels=(base.label, candidate.label),
            mains=mains,
        )
        for base, candidate in pairwise(ran)
    )
    return MatrixReport(
        schema_version=MATRIX_SCHEMA_VERSION,
        plan=plan,
        times=times,
        folder=folder,
        min_effect=min_effect,
        verdict=_verdict(comparisons),
        entries=tuple(map(_entry, entries)),
        comparisons=comparisons,
    )


def _verdict(comparisons: Sequence[Comparison]) -> MatrixVerdict:
    verdicts = {one.verdict for one in comparisons}
    if "regression" in verdicts:
        return "regression"
    if not verdicts or verdicts & {"cannot be told", "not comparable"}:
        return "cannot be told"
    return "no difference shown"


def _entry(entry: EntryRuns) -> MatrixEntry:
    reports = list(entry.reports.values())
    return MatrixEntry(
        label=entry.label,
        ray=entry.ray,
        runs=tuple(entry.reports),
        reason=entry.reason,
        passed=sum(report.verdict == "pass" for report in reports),
        latency_p99_ms=_middle([report.load.latency_p99_ms for report in reports]),
        error_ratio=_middle([report.load.error_ratio for report in reports]),
        lags=tuple(_lags(entry.reports)),
    )


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return plain_median(known) if known else None


def _lags(reports: Mapping[str, Report]) -> Iterator[MatrixLags]:
    samples = samples_of_runs(reports)
    for key in dict.fromkeys(key for report in reports.values() for key in report.deployments):
        value, above = middle_of(samples.get(f"{key}:scale_up.total_s"))
        phases = {name: middle_of(samples.get(f"{key}:scale_up.{name}"))[0] for name in _UP}
        yield MatrixLags(
            deployment=key,
            total_s=value,
            total_above_s=above,
            **phases,
            floor_s=_middle([_floor_s(report, key) for report in reports.values()]),
            down_s=middle_of(samples.get(f"{key}:scale_down.total_s"))[0],
        )


def _floor_s(report: Report, key: str) -> float | None:
    deployment = report.deployments.get(key)
    steps = deployment.steps if deployment else ()
    return _middle([step.floor_s for step in steps if step.direction == "up"])
