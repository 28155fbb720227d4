"""Record and report of a run with a fault: rows that were kept, and words that were said."""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.record.requests_file import RequestColumns
from scalelag.record.run_dir import REPORT_FILE, RecordedRun, load_run
from tools.faults.cases import Case, Loses
from tools.faults.scene import Scene, report_of

_FLUSHED_S: Final = 1.0
"""Rows are on disk within this time."""
_UNDER_WAY_S: Final = 0.01
_LAST_ROWS_S: Final = 1.5
"""Rows that a killed worker had not handed over are of this time at most."""


class Outcome(msgspec.Struct, frozen=True):
    """A fault and its outcome.

    `lost` are requests that were answered, and older than the flush of their rows, without a row.
    """

    fault: str
    done: str
    kept: str
    says: str
    lost: int
    code: int | None
    made_on: str


def outcome_of(case: Case, scene: Scene, at_s: float, code: int, made_on: str) -> Outcome:
    """Read what the run left; the fault began at `at_s`, Unix seconds."""
    output = scene.path / REPORT_FILE
    if not output.exists():
        output = scene.said.with_name(REPORT_FILE)
        report_of(scene.path, output)
    report: dict[str, Any] = json.loads(output.read_bytes())
    run = load_run(scene.path)
    arrived_s = np.sort([one.at_s for one in scene.echo.arrivals()]) if scene.echo else None
    return Outcome(
        fault=case.fault,
        done=case.done,
        kept=", ".join(_kept(run, arrived_s)),
        says="; ".join(_says(report)).replace(f"{scene.path}/", ""),
        lost=_lost(case, run, arrived_s, at_s),
        code=None if case.codes is None else code,
        made_on=made_on,
    )


def problems(case: Case, outcome: Outcome, said: str) -> list[str]:
    """Words that are missing, exit codes that are wrong, and requests that were lost."""
    found = [
        f"{case.fault}: nothing says {word!r}"
        for word in case.words
        if word not in f"{outcome.kept} {outcome.says} {' '.join(said.split())}"
    ]
    if case.codes is not None and outcome.code not in case.codes:
        found.append(f"{case.fault}: exit code {outcome.code}, not {case.codes}")
    if outcome.lost:
        found.append(f"{case.fault}: {outcome.lost} requests are lost")
    return found


def _kept(run: RecordedRun, arrived_s: NDArray[np.float64] | None) -> Iterator[str]:
    rows = run.requests
    sent = int(np.count_nonzero(~rows.not_sent))
    planned = run.info.planned_requests
    yield f"{rows.count:,} rows" + (f" of {planned:,} planned requests" if planned else "")
    if arrived_s is not None:
        yield f"{sent:,} sent and {arrived_s.size:,} arrived"
    for gap in run.gaps:
        yield f"a gap of {gap.to_s - gap.from_s:.1f} s ({gap.reason})"
    if run.restarts:
        yield f"{len(run.restarts)} controller restart"
    without = [row.reason for row in run.seen if row.reason]
    if without:
        yield f"{len(without)} of {len(run.seen)} readings of gauges failed ({without[-1]})"
    yield from run.problems


def _says(report: dict[str, Any]) -> Iterator[str]:
    load = report["load"]
    yield report["verdict"].upper()
    yield from report["reasons"]
    if load["failed"]:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in load["errors"].items())
        yield f"{load['failed']:,} of {load['sent']:,} failed ({kinds})"
    for failure in report["failures"]:
        yield f"cause: {failure['cause']}" if failure["cause"] else "no cause"
    yield from (one for one in report["warnings"] if _is_of_the_fault(one))


def _is_of_the_fault(warning: str) -> bool:
    return any(word in warning for word in ("lost", "restart", "clock", "probe", "killed"))


def _lost(case: Case, run: RecordedRun, arrived_s: NDArray[np.float64] | None, at_s: float) -> int:
    """Number of requests without a row that must have one."""
    if arrived_s is None:
        return max(0, (run.info.planned_requests or 0) - run.requests.count)
    return lost_of(case.loses, run.requests, arrived_s, at_s)


def lost_of(loses: Loses, rows: RequestColumns, arrived_s: NDArray[np.float64], at_s: float) -> int:
    """Number of those that arrived and have no row, of which a fault at `at_s` may cost some."""
    if loses == "nothing":
        return _without_row(rows, arrived_s, 0.0, np.inf)
    lost = _without_row(rows, arrived_s, 0.0, at_s - _LAST_ROWS_S)
    if loses == "last second":
        lost += _without_row(rows, arrived_s, at_s + _FLUSHED_S, np.inf)
    return lost


def _without_row(
    rows: RequestColumns, arrived_s: NDArray[np.float64], from_s: float, to_s: float
) -> int:
    sent_s = (rows.intended_s + rows.send_lag_s)[~rows.not_sent]
    arrived = np.count_nonzero((arrived_s >= from_s) & (arrived_s < to_s))
    # A request may be sent before the edge that it comes behind.
    sent = np.count_nonzero((sent_s >= from_s - _UNDER_WAY_S) & (sent_s < to_s))
    return max(0, int(arrived - sent))
