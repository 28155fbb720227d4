"""Gaps of the probe through which logs tell what a deployment did.

A gap is cut into the stored demo: its polls go, and what changed meanwhile is as wide as that. The demo
without a gap is the truth. Its load rises at 10 s and falls at 30 s; the target rises at 13.1 s, and
four replicas run from 15.9 s; it falls at 36.3 s, and one is left at 37.5 s.
"""

from collections.abc import Sequence
from typing import get_args

import msgspec
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from reports.analysis.analyse import analyse
from reports.model.report import Report
from reports.model.steps import StepReport
from reports.render.tables.elasticity import following_texts
from scalelag.record.evidence_rows import LogEvent, LogKind
from scalelag.record.run_dir import RecordedRun
from tests.support.poorer import (
    OF_DECISIONS,
    OF_STARTS,
    OF_STOPS,
    with_gap,
    without_lines,
)
from tests.support.stored_runs import recorded

KEY = "default/Sleeper"
DOWN = (29.0, 38.0)
WHOLE_HOLD = (28.0, 50.0)
NEAR_S = 0.03
ALL = frozenset(get_args(LogKind))


def cut(run: RecordedRun, from_s: float, to_s: float) -> RecordedRun:
    """The run with a gap of the probe between two seconds of the plan."""
    return with_gap(run, run.info.zero_s + from_s, run.info.zero_s + to_s)


def report_of(run: RecordedRun) -> Report:
    return analyse(run).report


def step(report: Report, index: int) -> StepReport:
    return report.deployments[KEY].steps[index]


def over(report: Report) -> tuple[float | None, float, float | None]:
    span = report.deployments[KEY].elasticity.over_replica_s
    assert span is not None
    return (span.value, span.lo, span.hi)


def gap_warning(report: Report) -> str:
    (found,) = [text for text in report.warnings if "the probe saw nothing" in text]
    return found


@pytest.fixture(scope="module")
def truth() -> Report:
    return report_of(recorded("demo"))


@pytest.mark.parametrize("gap", [DOWN, WHOLE_HOLD, (11.0, 14.5), (11.0, 18.0)])
def test_spare_replicas_in_a_gap_are_counted_by_the_log(truth: Report, gap: tuple[float, float]):
    report = report_of(cut(recorded("demo"), *gap))
    found, whole = (one.deployments[KEY] for one in (report, truth))

    assert over(report) == pytest.approx(over(truth), abs=NEAR_S)
    assert found.elasticity.unwatched_s == pytest.approx(0, abs=1e-6)
    assert found.elasticity.replica_hours == whole.elasticity.replica_hours
    assert found.running_over_target.mean == pytest.approx(whole.running_over_target.mean, abs=0.01)
    assert gap_warning(report).endswith(": what changed in between is told by logs")
    assert report.probe.gaps == 1


def test_a_step_whose_hold_nobody_saw_has_the_lag_of_the_log(truth: Report):
    found, whole = (step(r, 2) for r in (report_of(cut(recorded("demo"), *WHOLE_HOLD)), truth))

    assert found.total_s is not None
    assert found.total_s.value == pytest.approx(whole.total_s.value, abs=NEAR_S)
    assert [(p.name, p.source) for p in found.phases] == [(p.name, p.source) for p in whole.phases]
    assert all((p.lo or 0) >= 0 for p in found.phases)
    assert found.settled_s is not None
    assert found.settled_s.value == pytest.approx(whole.settled_s.value, abs=NEAR_S)


def test_a_gap_beyond_the_end_of_a_hold_leaves_its_lag(truth: Report):
    """Without the log its replicas were seen neither at the end of the hold nor before."""
    found = step(report_of(cut(recorded("demo"), 15.0, 33.0)), 1)

    assert not found.censored
    assert found.total_s == step(truth, 1).total_s


@pytest.mark.parametrize(
    "missing", [ALL, {"downscaling"}, {"stopping"}, {"stopped"}, OF_DECISIONS, OF_STOPS]
)
def test_a_log_that_does_not_tell_all_leaves_the_gap(missing: frozenset[str]):
    report = report_of(without_lines(cut(recorded("demo"), *DOWN), missing))
    found = report.deployments[KEY].elasticity

    assert found.unwatched_s == pytest.approx(9.17, abs=0.1)
    assert gap_warning(report).endswith("is known only to that width")


def test_without_its_log_a_gap_has_bounds(truth: Report):
    """Four replicas were allowed in the 9.2 s, so between none and all of them may have run."""
    run = without_lines(cut(recorded("demo"), *DOWN), ALL)
    whole = truth.deployments[KEY].elasticity

    found = report_of(run).deployments[KEY].elasticity
    spare, hours = found.unseen_over_replica_s, found.unseen_replica_hours

    assert found.unseen_s == found.unwatched_s
    assert spare is not None
    assert hours is not None
    assert spare.lo <= over(truth)[1] <= over(truth)[2] <= spare.upper
    assert found.replica_hours.lo + hours.lo <= whole.replica_hours.lo
    assert whole.replica_hours.upper <= found.replica_hours.upper + hours.upper
    assert (hours.lo, hours.upper) == pytest.approx((0, 4 * found.unseen_s / 3600))
    (text,) = (t for t in following_texts(report_of(run).deployments[KEY]) if "nobody saw" in t)
    assert f": 0.0 to {spare.upper:.1f} replica-seconds to spare and 0.000 to " in text


def test_a_run_without_a_gap_has_no_bounds_of_one(truth: Report):
    found = truth.deployments[KEY].elasticity

    assert (found.unseen_s, found.unseen_over_replica_s, found.unseen_replica_hours) == (None,) * 3


@pytest.mark.parametrize("missing", [OF_STARTS, OF_STOPS, {"started"}, {"stopped"}])
def test_without_lines_of_a_kind_replicas_may_have_come_and_gone_in_the_gap(
    missing: frozenset[str],
):
    """Between 9.3 and 20.6 s the target swings from 8 to 1 and back: polls around show the same."""
    swinging = cut(recorded("causes/swing-factors-2"), 9.28, 20.6)

    whole, poorer = (report_of(without_lines(swinging, kinds)) for kinds in ((), missing))

    assert gap_warning(whole).endswith("is told by logs")
    assert gap_warning(poorer).endswith("is known only to that width")


def test_a_controller_that_started_anew_in_a_gap_leaves_it():
    run = cut(recorded("demo"), *DOWN)
    started = LogEvent("controller_started", run.info.zero_s + 33, 0.01, "n", "Controller starting")

    report = report_of(msgspec.structs.replace(run, events=(*run.events, started)))

    assert (report.deployments[KEY].elasticity.unwatched_s or 0) > 9


def lines_of(run: RecordedRun, *moved: tuple[str, float]) -> Sequence[LogEvent]:
    """Lines on a replica that came and went, and on the decisions on it."""
    node = next(e.node for e in run.events if e.kind == "downscaling")
    numbers = {"upscaling": (4, 5), "downscaling": (5, 4)}
    return [
        LogEvent(
            kind,
            run.info.zero_s + at_s,
            0.005,
            node,
            kind,
            KEY,
            None if kind in numbers else "fleeting",
            *numbers.get(kind, (None, None)),
        )
        for kind, at_s in moved
    ]


def test_a_replica_that_came_and_went_within_a_gap_is_counted(truth: Report):
    run = cut(recorded("demo"), 20.0, 29.0)
    told = lines_of(
        run,
        ("upscaling", 21.0),
        ("starting", 21.1),
        ("started", 22.0),
        ("downscaling", 26.0),
        ("stopping", 26.1),
        ("stopped", 27.0),
    )

    events = sorted([*run.events, *told], key=lambda event: event.at_s)
    report = report_of(msgspec.structs.replace(run, events=tuple(events)))

    known = report.deployments[KEY]
    assert known.replicas.max == 5
    assert known.elasticity.replica_hours.value == pytest.approx(
        truth.deployments[KEY].elasticity.replica_hours.value + 4.1 / 3600, abs=1e-5
    )
    assert [(m.before, m.after) for m in step(report, 1).movements] == [(5, 4)]


def test_lines_of_a_decision_that_polls_deny_leave_the_gap():
    """The log has one decision up, and the poll after the gap shows the target of before it."""
    run = cut(recorded("demo"), 20.0, 29.0)

    report = report_of(
        msgspec.structs.replace(run, events=(*run.events, *lines_of(run, ("upscaling", 21.0))))
    )

    assert (report.deployments[KEY].elasticity.unwatched_s or 0) > 9


@settings(max_examples=25, deadline=None)
@given(from_s=st.floats(1, 60), length_s=st.floats(0.6, 40))
@example(from_s=15.9, length_s=20.4)
def test_wherever_the_gap_is_the_truth_lies_within_the_bounds(
    truth: Report, from_s: float, length_s: float
):
    assume(from_s + length_s < 75)

    report = report_of(cut(recorded("demo"), from_s, from_s + length_s))

    for index in (1, 2):
        found, whole = step(report, index).total_s, step(truth, index).total_s
        assert found is None or found.lo - NEAR_S <= whole.lo
        assert found is None or found.hi is None or whole.hi <= found.hi + NEAR_S
        phases = [p for p in step(report, index).phases if p.part_of == "total"]
        assert all(p.lo is None or 0 <= p.lo <= (p.value or p.lo) for p in phases)
