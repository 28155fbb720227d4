"""Lag of one load step: scripted polls with a known answer, and random timelines with known truth.

Both go through the real parser and the real tracker, as a run's rows do.
"""

import re
from collections.abc import Mapping

import pytest

from reports.analysis.lag.step_lag import StepLag, step_lag
from reports.model.intervals import Span
from scalelag.plan.stages import LoadStep
from tests.unit.step_lag_cases import (
    ONE_TO_FOUR,
    RUNNING_1,
    PollView,
    deployment_json,
    every_second,
    interval,
    lag,
    phase,
    replicas,
    rows_of,
    timeline_of,
)


def test_a_scale_up_takes_from_the_step_until_the_target_is_running():
    report = lag(every_second(ONE_TO_FOUR))

    assert interval(report.total_s) == (9.0, 9.55, 10.1)
    assert report.reason is None
    assert not report.censored


def test_the_phases_of_a_scale_up_are_those_of_the_last_replica_needed():
    report = lag(every_second(ONE_TO_FOUR))

    assert report.critical_replica == "b"
    assert interval(phase(report, "decide")) == (4.0, 4.55, 5.1)
    assert interval(phase(report, "create")) == (0.0, 0.0, 1.1)
    assert interval(phase(report, "allocate")) == (0.9, 2.0, 3.1)
    assert interval(phase(report, "initialize")) == (1.9, 3.0, 4.1)
    assert report.unattributed_s == pytest.approx(0.0, abs=1e-6)


def test_phases_that_polling_cannot_see_are_null_with_a_reason():
    report = lag(every_second(ONE_TO_FOUR))

    for name in ("mark_running", "route"):
        unseen = phase(report, name)
        assert (unseen.value, unseen.lo, unseen.hi, unseen.source) == (None, None, None, None)
        assert unseen.reason


def test_measured_phases_say_that_they_come_from_polling():
    report = lag(every_second(ONE_TO_FOUR))

    assert [phase(report, name).source for name in ("decide", "create", "allocate")] == ["poll"] * 3


def test_a_step_reports_replicas_and_targets_before_and_after():
    report = lag(every_second(ONE_TO_FOUR))

    assert (report.replicas_before, report.replicas_after) == (1, 4)
    assert (report.target_before, report.target_after) == (1, 4)
    assert report.direction == "up"


def test_times_are_counted_from_the_plans_start():
    rows = rows_of(
        [
            (1000 + s.sent_s, 1000.1 + s.sent_s, {"Model": deployment_json(s.target, s.replicas)})
            for s in every_second(ONE_TO_FOUR)
        ]
    )

    report = step_lag(LoadStep(1, 10.0, 30.0, 5, 40), 1000.0, timeline_of(rows))

    assert interval(report.total_s) == (9.0, 9.55, 10.1)


def test_the_decision_that_counts_is_the_one_that_created_the_last_replica():
    report = lag(
        every_second(
            {
                0: (1, RUNNING_1),
                12: (2, replicas(a="STARTING@")),
                14: (2, replicas(a="RUNNING")),
                18: (4, replicas(a="RUNNING", b="STARTING@", c="STARTING@")),
                21: (4, replicas(a="RUNNING", b="RUNNING", c="STARTING@")),
                22: (4, replicas(a="RUNNING", b="RUNNING", c="RUNNING")),
            }
        )
    )

    assert report.critical_replica == "c"
    assert interval(report.total_s) == (11.0, 11.55, 12.1)
    assert interval(phase(report, "decide")) == (7.0, 7.55, 8.1)
    assert interval(phase(report, "initialize")) == (2.9, 4.0, 5.1)


def test_the_decision_that_counts_is_an_earlier_one_where_its_replica_was_the_last():
    report = lag(
        every_second(
            {
                0: (1, RUNNING_1),
                12: (2, replicas(a="STARTING")),
                18: (4, replicas(a="STARTING", b="STARTING@", c="STARTING@")),
                21: (4, replicas(a="STARTING@", b="RUNNING", c="RUNNING")),
                22: (4, replicas(a="RUNNING", b="RUNNING", c="RUNNING")),
            }
        )
    )

    assert report.critical_replica == "a"
    assert interval(phase(report, "decide")) == (1.0, 1.55, 2.1)
    assert interval(phase(report, "allocate")) == (7.9, 9.0, 10.1)


def test_replicas_first_seen_running_share_one_interval():
    report = lag(
        every_second({0: (1, RUNNING_1), 15: (4, replicas(a="RUNNING", b="RUNNING", c="RUNNING"))})
    )

    assert interval(report.total_s) == (4.0, 4.55, 5.1)
    assert interval(phase(report, "decide")) == (4.0, 4.55, 5.1)
    for name in ("create", "allocate", "initialize"):
        assert interval(phase(report, name)) == (0.0, 0.0, 1.1)
    assert report.unattributed_s == pytest.approx(0.0, abs=1e-6)


def test_of_replicas_that_ran_in_one_poll_the_latest_along_its_way_is_critical():
    report = lag(
        every_second(
            {
                0: (1, RUNNING_1),
                15: (3, replicas(a="STARTING", b="STARTING")),
                17: (3, replicas(a="STARTING@", b="STARTING")),
                18: (3, replicas(a="STARTING@", b="STARTING@")),
                20: (3, replicas(a="RUNNING", b="RUNNING")),
            }
        )
    )

    assert report.critical_replica == "b"


def test_the_first_movement_answers_the_step_whatever_happens_afterwards():
    report = lag(
        every_second(
            {
                0: (1, RUNNING_1),
                12: (3, replicas(a="STARTING@", b="STARTING@")),
                14: (3, replicas(a="RUNNING", b="STARTING@")),
                16: (3, replicas(a="RUNNING", b="RUNNING")),
                20: (2, replicas(a="RUNNING", b="STOPPING@")),
                22: (2, replicas(a="RUNNING")),
            }
        )
    )

    assert report.target_after == 2
    assert report.critical_replica == "b"
    assert interval(report.total_s) == (5.0, 5.55, 6.1)
    assert interval(report.settled_s) == (11.0, 11.55, 12.1)
    (down,) = report.movements
    assert (down.index, down.direction, down.before, down.after) == (2, "down", 3, 2)
    assert interval(down.decided) == (9.0, 9.55, 10.1)
    assert interval(down.total_s) == (0.9, 2.0, 3.1)
    assert report.reversals == 1


def test_a_step_that_needed_no_new_replica_has_no_lag_and_says_why():
    report = lag(every_second({0: (2, replicas(a="RUNNING"))}))

    assert report.total_s is None
    assert report.phases == ()
    assert not report.censored
    assert report.reason is not None
    assert "the target did not rise: 2 RUNNING before, target 2" in report.reason


def test_a_movement_that_turned_before_its_level_was_reached_was_given_up():
    report = lag(
        every_second(
            {0: (1, RUNNING_1), 12: (5, replicas(a="STARTING")), 14: (1, RUNNING_1)},
        )
    )

    assert report.censored
    assert report.total_s.lo == pytest.approx(3.0)
    assert report.reason == "given up after 3.6 s at 1 RUNNING, target 5"
    assert interval(phase(report, "decide")) == (1.0, 1.55, 2.1)
    assert phase(report, "allocate").value is None


def polls_of(changes: Mapping[float, tuple[int, int, int]], until_s: float) -> list[PollView]:
    """A poll each 0.2 s of (target, RUNNING, STOPPING), as `changes` said last."""
    seen = []
    for number in range(round(until_s / 0.2)):
        at_s = number * 0.2
        target, running, stopping = changes[max(c for c in changes if c <= at_s)]
        shown = {f"r{i}": "RUNNING" for i in range(running)}
        shown |= {f"s{i}": "STOPPING@" for i in range(stopping)}
        seen.append(PollView(at_s, target, shown))
    return seen


def holds(span: Span | None, truth_s: float) -> bool:
    return span is not None and span.hi is not None and span.lo <= truth_s <= span.hi


def test_the_swinging_autoscaler_of_the_definition():
    changes = {
        0.0: (1, 1, 0),
        23.8: (4, 1, 0),
        28.8: (4, 4, 0),
        39.1: (1, 1, 3),
        41.0: (1, 1, 0),
        44.2: (4, 1, 0),
        51.0: (4, 4, 0),
    }

    report = lag(polls_of(changes, 60.2), at_s=20.0, until_s=60.0)

    assert holds(report.total_s, 8.8)
    assert holds(report.settled_s, 31.0)
    assert report.reversals == 2
    assert [(m.direction, m.before, m.after) for m in report.movements] == [
        ("down", 4, 1),
        ("up", 1, 4),
    ]
    assert holds(report.movements[1].total_s, 51.0 - 44.2)


def test_a_movement_just_before_the_step_of_the_definition():
    changes = {0.0: (4, 4, 0), 59.7: (1, 1, 3), 61.9: (1, 1, 0)}

    report = lag(polls_of(changes, 90.0), at_s=60.0, until_s=90.0, levels="45->8")

    assert report.total_s is None
    assert report.movements == ()
    assert report.reason is not None
    assert re.fullmatch(
        r"already under way, decided 0\.[2-4] s before: from 4 to 1 replica", report.reason
    )


def test_a_target_that_thrashes_among_starting_replicas_has_all_its_movements():
    targets = [1, 3, 4, 3, 4, 3, 5, 4, 3, 5]
    changes = {0.0: (1, 1, 0)} | {
        10.6 + 4.0 * number: (target, 1, 0) for number, target in enumerate(targets[1:])
    }

    report = lag(polls_of(changes, 60.2), at_s=10.0, until_s=60.0)

    assert report.reversals == 6
    assert len(report.movements) == 6
    assert report.censored
    assert holds(phase_span(report, "decide"), 0.6)
    assert report.reason is not None
    assert report.reason.startswith("given up after")


def phase_span(report: StepLag, name: str) -> Span:
    found = phase(report, name)
    assert found.lo is not None
    return Span(found.value, found.lo, found.hi)


def test_a_poll_that_spans_the_step_leaves_decide_without_a_lower_bound():
    changes = {
        0.0: (1, RUNNING_1),
        10: (2, replicas(a="STARTING@")),
        13: (2, replicas(a="RUNNING")),
    }

    report = lag(every_second(changes), at_s=9.5)

    assert interval(phase(report, "decide"))[0] == 0.0
    assert report.total_s is not None
    # Sent at 9 s, half a second before the step.
    assert report.reason == (
        "its decision may have come up to 0.50 s before the step: polls are not that exact"
    )


def test_a_further_movement_at_the_edge_says_so():
    changes = {
        0.0: (1, RUNNING_1),
        10: (2, replicas(a="STARTING@")),
        13: (2, replicas(a="RUNNING")),
        20: (1, RUNNING_1),
    }

    report = lag(every_second(changes), at_s=9.5, levels="40->5")

    (row,) = report.movements
    assert (row.direction, row.reason) == (
        "up",
        "its decision may have come up to 0.50 s before the step: polls are not that exact",
    )
    assert report.reason is None


def test_a_level_that_was_there_before_the_decision_is_reached_by_it_and_not_sooner():
    three = {f"r{i}": "RUNNING" for i in range(3)}
    changes = {
        0: (3, three),
        14: (3, dict.fromkeys(three, "RECOVERING")),
        15: (1, three),
        16: (3, three),
    }

    report = lag(every_second(changes), levels="40->5")

    (up,) = report.movements
    assert up.total_s is not None
    assert (up.before, up.after, up.total_s.lo, up.total_s.value) == (1, 3, 0.0, 0.0)
    # Decided between 15 and 16.1 s: it cannot have settled before.
    assert report.settled_s is not None
    assert interval(report.settled_s) == (5.0, 5.55, 6.1)


def test_replicas_that_recover_at_the_end_of_the_hold_are_counted_as_there():
    three = {f"r{i}": "RUNNING" for i in range(3)}
    changes = {0: (3, three), 29: (3, dict.fromkeys(three, "RECOVERING"))}

    report = lag(every_second(changes))

    assert (report.replicas_before, report.replicas_after) == (3, 3)


def test_a_step_from_zero_replicas():
    report = lag(
        every_second(
            {
                0: (0, {}),
                12: (1, {"a": "STARTING"}),
                15: (2, {"a": "STARTING@", "b": "STARTING@"}),
                18: (2, {"a": "RUNNING", "b": "STARTING@"}),
                19: (2, {"a": "RUNNING", "b": "RUNNING"}),
            }
        )
    )

    assert (report.replicas_before, report.replicas_after) == (0, 2)
    assert report.critical_replica == "b"
    assert interval(report.total_s) == (8.0, 8.55, 9.1)
    assert interval(phase(report, "decide")) == (4.0, 4.55, 5.1)


def test_a_movement_decided_before_the_step_is_not_its_own():
    report = lag(
        every_second(
            {
                0: (1, RUNNING_1),
                9: (2, replicas(a="STARTING")),
                13: (2, replicas(a="STARTING@")),
                16: (2, replicas(a="RUNNING")),
            }
        )
    )

    assert report.total_s is None
    assert report.reason == "already under way, decided 1.4 s before: from 1 to 2 replicas"
    assert report.phases == ()


def test_what_a_poll_under_way_at_the_step_shows_first_may_have_come_at_the_step():
    # Sent at 9.95 s, received at 10.05 s.
    seen = [
        PollView(8.0, 1, RUNNING_1),
        PollView(9.0, 1, RUNNING_1),
        PollView(9.95, 2, replicas(a="RUNNING")),
        PollView(11.0, 2, replicas(a="RUNNING")),
    ]

    report = lag(seen, until_s=12.0)

    assert interval(report.total_s) == (0.0, 0.025, 0.05)
