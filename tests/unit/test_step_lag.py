"""Lag of one load step: scripted polls with a known answer, and random timelines with known truth.

Both go through the real parser and the real tracker, as a run's rows do.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from reports.analysis.lag.step_lag import StepLag, step_lag
from reports.analysis.lag.timeline import Timeline, build_timeline
from reports.model.intervals import Span
from reports.model.steps import Phase
from scalelag.plan.stages import LoadStep
from scalelag.record.rows import Poll, Row, Transition

KEY = "app/Model"
ROUND_TRIP_S = 0.1

Replicas = Mapping[str, str]
"""State of each replica; "STARTING@" and the like are allocated, RUNNING always is."""


class PollView(NamedTuple):
    """State of the deployment at one poll of the dashboard."""

    sent_s: float
    target: int | None
    replicas: Replicas


def replica_json(replica: str, state: str) -> dict[str, str]:
    found = {"replica_id": replica, "state": state.rstrip("@")}
    return found if state in ("STARTING", "RECOVERING") else found | {"node_id": "node-1"}


def deployment_json(target: int | None, replicas: Replicas) -> dict[str, object]:
    found: dict[str, object] = {"replicas": [replica_json(*item) for item in replicas.items()]}
    return found if target is None else found | {"target_num_replicas": target}


def rows_of(
    polls: Sequence[tuple[float, float, dict[str, dict[str, object]]]],
) -> list[Row]:
    """Rows of polls given as (sent, received, deployments of "app")."""
    tracker = ReplicaTracker()
    rows: list[Row] = []
    for sent_s, received_s, deployments in polls:
        body = msgspec.json.encode({"applications": {"app": {"deployments": deployments}}})
        rows += tracker.rows(parse_payload(body), sent_s, received_s)
    return rows


def timeline_of(rows: Sequence[Row], key: str = KEY) -> Timeline:
    return build_timeline(
        key,
        [row for row in rows if isinstance(row, Poll)],
        [row for row in rows if isinstance(row, Transition)],
    )


def lag(
    seen: Sequence[PollView], at_s: float = 10.0, until_s: float = 30.0, levels: str = "5->40"
) -> StepLag:
    """The step from `at_s` to `until_s` as answered in polls of 0.1 s each."""
    before, after = (float(level) for level in levels.split("->"))
    rows = rows_of(
        [
            (s.sent_s, s.sent_s + ROUND_TRIP_S, {"Model": deployment_json(s.target, s.replicas)})
            for s in seen
        ]
    )
    return step_lag(LoadStep(1, at_s, until_s, before, after), 0.0, timeline_of(rows))


def every_second(
    changes: Mapping[float, tuple[int | None, Replicas]],
    from_s: int = 8,
    until_s: int = 31,
    without: Sequence[int] = (),
) -> list[PollView]:
    """A poll each second: at each what `changes` said last. None is sent in the seconds `without`."""
    return [
        PollView(t, *changes[max(c for c in changes if c <= t)])
        for t in range(from_s, until_s)
        if t not in without
    ]


def phase(report: StepLag, name: str) -> Phase:
    return next(phase for phase in report.phases if phase.name == name)


def interval(figure: Phase | object) -> tuple[float, float, float]:
    """(lo, value, hi), rounded to a nanosecond."""
    return tuple(round(getattr(figure, name), 9) for name in ("lo", "value", "hi"))  # type: ignore[return-value]


RUNNING_1 = {"r0": "RUNNING"}


def replicas(**states: str) -> Replicas:
    return {"r0": "RUNNING", **states}


# --- up --------------------------------------------------------------------------------------

# The step is at 10 s. The target is 4 from 15 s on, when three replicas are listed; b, the last to
# run, gets its node by 17 s and is RUNNING at 20 s.
ONE_TO_FOUR = {
    0: (1, RUNNING_1),
    15: (4, replicas(a="STARTING", b="STARTING", c="STARTING")),
    16: (4, replicas(a="STARTING@", b="STARTING", c="STARTING@")),
    17: (4, replicas(a="STARTING@", b="STARTING@", c="STARTING@")),
    19: (4, replicas(a="RUNNING", b="STARTING@", c="RUNNING")),
    20: (4, replicas(a="RUNNING", b="RUNNING", c="RUNNING")),
}


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
    assert "no new replica was needed: 2 RUNNING before, target 2" in report.reason


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
        r"already under way, decided 0\.[2-4] s before: from 4 to 1 replicas", report.reason
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


def test_a_controller_that_restarts_at_the_step_down_takes_no_replica_away():
    three = {f"r{i}": "RUNNING" for i in range(3)}
    changes = {
        0: (3, three),
        10: (3, dict.fromkeys(three, "RECOVERING")),
        12: (3, three),
        15: (1, three),
        16: (1, {"r0": "RUNNING", "r1": "STOPPING@", "r2": "STOPPING@"}),
        18: (1, RUNNING_1),
    }

    report = lag(every_second(changes), at_s=10.5, levels="40->5")

    assert report.replicas_before == 3
    assert report.total_s is not None
    assert report.total_s.value is not None


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


# --- holds that end too early ----------------------------------------------------------------


def test_a_target_that_is_not_reached_within_the_hold_is_censored():
    report = lag(every_second(ONE_TO_FOUR), until_s=18.5)

    assert report.censored
    assert report.total_s is not None
    assert (report.total_s.lo, report.total_s.value, report.total_s.hi) == (8.5, None, None)
    assert report.reason is not None
    assert "target 4 not reached within the hold: 1 RUNNING" in report.reason
    assert report.unattributed_s is None


def test_a_censored_step_still_has_the_phases_that_were_over():
    report = lag(every_second(ONE_TO_FOUR), until_s=18.5)

    assert report.critical_replica == "b"
    assert interval(phase(report, "decide")) == (4.0, 4.55, 5.1)
    assert interval(phase(report, "allocate")) == (0.9, 2.0, 3.1)
    assert phase(report, "initialize").value is None
    assert phase(report, "initialize").reason == "not over by the end of the hold"


def test_the_critical_replica_of_a_censored_step_is_the_one_that_got_the_least_far():
    report = lag(every_second(ONE_TO_FOUR), until_s=16.5)

    assert report.critical_replica == "b"
    assert phase(report, "allocate").value is None


def test_what_is_seen_only_after_the_hold_is_not_over_within_it():
    report = lag(every_second(ONE_TO_FOUR), until_s=20.05)

    assert report.censored
    assert phase(report, "initialize").value is None


def test_a_step_whose_only_decision_comes_after_the_hold_needed_no_replica_in_it():
    report = lag(every_second(ONE_TO_FOUR), until_s=14.5)

    assert report.total_s is None
    assert report.reason is not None
    assert "no new replica was needed" in report.reason


def test_a_replica_that_was_given_up_is_not_what_a_censored_step_waits_for():
    # a fails without ever having got a node; c, which replaces it, is still waiting for one.
    report = lag(
        every_second(
            {
                0: (1, RUNNING_1),
                12: (3, replicas(a="STARTING", b="STARTING")),
                14: (3, replicas(a="STOPPING", b="STARTING@")),
                16: (3, replicas(b="STARTING@", c="STARTING")),
            }
        )
    )

    assert report.censored
    assert report.critical_replica == "c"


def test_a_target_reached_while_the_probe_was_blind_at_the_end_is_not_called_later_than_the_hold():
    # Nothing was seen from 16 s on, so a may have been RUNNING right after: 6 s after the step.
    seen = every_second(
        {0: (1, RUNNING_1), 12: (2, replicas(a="STARTING@"))}, without=range(17, 99)
    )

    report = lag(seen, until_s=30.0)

    assert report.total_s is None or report.total_s.lo <= 6.0


# --- what was not seen -----------------------------------------------------------------------


def test_a_step_during_which_the_probe_was_blind_has_no_lag():
    report = lag(every_second(ONE_TO_FOUR, without=range(10, 25)), until_s=24.0)

    assert report.total_s is None
    assert report.reason == "the probe saw nothing of this deployment during the step"


def test_a_deployment_that_was_never_seen_has_no_lag():
    report = lag([])

    assert report.total_s is None
    assert (report.replicas_before, report.target_after) == (None, None)
    assert report.reason == "the probe saw nothing of this deployment during the step"


def test_a_ray_that_does_not_tell_the_target_has_no_lag():
    seen = [PollView(s.sent_s, None, s.replicas) for s in every_second(ONE_TO_FOUR)]

    report = lag(seen)

    assert report.total_s is None
    assert report.reason is not None
    assert "2.10" in report.reason
    assert (report.replicas_before, report.replicas_after) == (1, 4)


def test_a_load_that_did_not_change_has_no_lag():
    report = lag(every_second(ONE_TO_FOUR), levels="0->0")

    assert report.total_s is None
    assert report.reason == "the load did not change"


def test_a_gap_widens_what_happened_in_it():
    report = lag(every_second(ONE_TO_FOUR, without=(17, 18, 19, 20, 21)))

    # Between the polls sent at 16 s and 22 s b got its node and ran.
    assert interval(report.total_s) == (6.0, 9.05, 12.1)
    assert interval(phase(report, "decide")) == (4.0, 4.55, 5.1)
    assert interval(phase(report, "initialize")) == (0.0, 0.0, 6.1)


def test_a_decision_made_before_watching_began_is_said_to_be_under_way():
    # The first poll, after the step, shows the target of 2 already.
    report = lag(
        every_second(
            {0: (2, replicas(a="STARTING@")), 15: (2, replicas(a="RUNNING"))},
            from_s=11,
        )
    )

    assert report.total_s is None
    assert report.reason == ("already under way before the probe's first poll: 1 RUNNING, target 2")


# --- a controller that restarts --------------------------------------------------------------


def test_recovering_replicas_do_not_count_as_running():
    report = lag(
        every_second(
            {
                0: (1, RUNNING_1),
                12: (3, replicas(a="STARTING@", b="STARTING@")),
                14: (3, replicas(a="RUNNING", b="STARTING@")),
                15: (3, {"r0": "RECOVERING", "a": "RECOVERING", "b": "RECOVERING"}),
                18: (3, replicas(a="RUNNING", b="RUNNING")),
            }
        )
    )

    assert interval(report.total_s) == (7.0, 7.55, 8.1)


def test_a_replica_that_recovers_is_not_the_last_one_to_run():
    # b, the new one, is RUNNING at 17 s; a, which ran before the restart, is back only at 18 s.
    report = lag(
        every_second(
            {
                0: (1, RUNNING_1),
                12: (3, replicas(a="STARTING@", b="STARTING@")),
                14: (3, replicas(a="RUNNING", b="STARTING@")),
                15: (3, {"r0": "RUNNING", "a": "RECOVERING", "b": "STARTING@"}),
                17: (3, {"r0": "RUNNING", "a": "RECOVERING", "b": "RUNNING"}),
                18: (3, replicas(a="RUNNING", b="RUNNING")),
            }
        )
    )

    assert report.critical_replica in ("b", None)


def test_replicas_that_only_recover_are_no_scale_up():
    # The controller restarted at 9 s with two replicas; none was created, both are back at 13 s.
    report = lag(
        every_second(
            {
                0: (2, replicas(a="RUNNING")),
                9: (2, {"r0": "RECOVERING", "a": "RECOVERING"}),
                13: (2, replicas(a="RUNNING")),
            }
        )
    )

    assert report.total_s is None
    assert report.reason


# --- down ------------------------------------------------------------------------------------

FOUR = replicas(a="RUNNING", b="RUNNING", c="RUNNING")
FOUR_TO_ONE = {
    0: (4, FOUR),
    14: (1, FOUR),
    15: (1, replicas(a="STOPPING@", b="STOPPING@", c="RUNNING")),
    16: (1, replicas(a="STOPPING@", b="STOPPING@", c="STOPPING@")),
    18: (1, replicas(b="STOPPING@", c="STOPPING@")),
    20: (1, replicas(c="STOPPING@")),
    22: (1, RUNNING_1),
}


def test_a_scale_down_takes_until_the_last_removed_replica_is_gone():
    report = lag(every_second(FOUR_TO_ONE), levels="40->5")

    assert report.direction == "down"
    assert report.critical_replica == "c"
    assert interval(report.total_s) == (11.0, 11.55, 12.1)
    assert interval(phase(report, "decide")) == (3.0, 3.55, 4.1)
    assert interval(phase(report, "stop")) == (0.9, 2.0, 3.1)
    assert interval(phase(report, "drain")) == (4.9, 6.0, 7.1)
    assert report.unattributed_s == pytest.approx(0.0, abs=1e-6)


def test_a_scale_down_whose_stopping_was_never_seen():
    report = lag(every_second({0: (2, replicas(a="RUNNING")), 14: (1, RUNNING_1)}), levels="40->5")

    assert interval(report.total_s) == (3.0, 3.55, 4.1)
    assert interval(phase(report, "decide")) == (3.0, 3.55, 4.1)
    assert interval(phase(report, "stop")) == (0.0, 0.0, 1.1)
    assert interval(phase(report, "drain")) == (0.0, 0.0, 1.1)


def test_of_replicas_that_went_in_one_poll_the_last_to_stop_is_critical():
    report = lag(
        every_second(
            {
                0: (3, replicas(a="RUNNING", b="RUNNING")),
                14: (1, replicas(a="RUNNING", b="STOPPING@")),
                16: (1, replicas(a="STOPPING@", b="STOPPING@")),
                18: (1, RUNNING_1),
            }
        ),
        levels="40->5",
    )

    assert report.critical_replica == "a"
    assert interval(phase(report, "stop")) == (0.9, 2.0, 3.1)


def test_a_scale_down_to_zero():
    report = lag(
        every_second({0: (1, RUNNING_1), 14: (0, {"r0": "STOPPING@"}), 16: (0, {})}),
        levels="40->0",
    )

    assert report.critical_replica == "r0"
    assert interval(report.total_s) == (5.0, 5.55, 6.1)
    assert (report.replicas_before, report.replicas_after) == (1, 0)


def test_a_scale_down_that_is_not_over_by_the_end_of_the_hold_is_censored():
    report = lag(every_second(FOUR_TO_ONE), levels="40->5", until_s=19.0)

    assert report.censored
    assert report.total_s is not None
    assert (report.total_s.lo, report.total_s.hi) == (9.0, None)
    assert report.critical_replica == "c"
    assert report.reason == "3 replicas at the end of the hold, target 1"
    assert interval(phase(report, "stop")) == (0.9, 2.0, 3.1)
    assert phase(report, "drain").value is None


def test_a_step_down_that_removes_nothing_has_no_lag():
    report = lag(every_second({0: (1, RUNNING_1)}), levels="40->5")

    assert report.total_s is None
    assert report.reason is not None
    assert "no replica was to go: 1 RUNNING before, target 1" in report.reason


def test_the_scale_down_of_the_step_before_is_not_mistaken_for_a_decision_of_this_one():
    report = lag(
        every_second(
            {
                0: (3, replicas(a="RUNNING", b="RUNNING")),
                9: (2, replicas(a="RUNNING", b="STOPPING@")),
                11: (2, replicas(a="RUNNING")),
                15: (1, replicas(a="STOPPING@")),
                17: (1, RUNNING_1),
            }
        ),
        levels="40->5",
    )

    assert report.critical_replica == "a"
    assert interval(phase(report, "decide")) == (4.0, 4.55, 5.1)
    assert interval(report.total_s) == (6.0, 6.55, 7.1)


# --- random timelines with known truth -------------------------------------------------------

BEGUN_S = 10.0


class TrueReplica(NamedTuple):
    """Times at which a replica really changed its state."""

    name: str
    decided_s: float
    created_s: float
    allocated_s: float
    running_s: float

    def state_at(self, t_s: float) -> str | None:
        if t_s < self.created_s:
            return None
        if t_s < self.allocated_s:
            return "STARTING"
        return "STARTING@" if t_s < self.running_s else "RUNNING"


class TruePoll(NamedTuple):
    sent_s: float
    snapshot_s: float
    received_s: float


class Truth(NamedTuple):
    """A deployment that scales up in one decision or more, and the polls that watch it."""

    old: int
    new: tuple[TrueReplica, ...]
    polls: tuple[TruePoll, ...]

    @property
    def reached_s(self) -> float:
        return max(replica.running_s for replica in self.new)

    @property
    def until_s(self) -> float:
        return self.polls[-1].received_s

    def seen_at(self, t_s: float) -> tuple[int, dict[str, str]]:
        shown = {f"old{i}": "RUNNING" for i in range(self.old)}
        for replica in self.new:
            state = replica.state_at(t_s)
            if state is not None:
                shown[replica.name] = state
        return self.old + sum(replica.decided_s <= t_s for replica in self.new), shown

    def width_s(self, t_s: float) -> float:
        """From the send time of the last poll before `t_s` to the receive time of the first after."""
        after = bisect_left(self.polls, t_s, key=lambda poll: poll.snapshot_s)
        return self.polls[after].received_s - self.polls[after - 1].sent_s


DURATIONS = st.one_of(st.just(0.0), st.floats(0.0, 6.0))
# Round trip, the share of it at which the answer was made, and the pause until the next poll: a
# few of them, taken in turn until all is over.
PACES = st.lists(
    st.tuples(st.floats(0.001, 0.4), st.floats(0.0, 1.0), st.floats(0.1, 1.5)),
    min_size=1,
    max_size=6,
)


def watch(paces: Sequence[tuple[float, float, float]], over_s: float) -> tuple[TruePoll, ...]:
    """Polls from well before the step until one that shows the state after `over_s`."""
    polls: list[TruePoll] = []
    sent_s = BEGUN_S - 5.0
    for round_trip_s, share, pause_s in cycle(paces):
        received_s = sent_s + round_trip_s
        polls.append(TruePoll(sent_s, sent_s + share * round_trip_s, received_s))
        if polls[-1].snapshot_s >= over_s:
            break
        sent_s = received_s + pause_s
    return tuple(polls)


@st.composite
def truths(draw: st.DrawFn, most_decisions: int = 1) -> Truth:
    """A scale-up; where it takes several decisions each creates its replicas at once, as Ray does."""
    old = draw(st.integers(0, 2))
    # After the step: a decision made before it is the earlier step's.
    decided_s = BEGUN_S + draw(st.floats(0.001, 6.0))
    new: list[TrueReplica] = []
    decisions = draw(st.integers(1, most_decisions))
    for _ in range(decisions):
        for _ in range(draw(st.integers(1, 3))):
            created_s = decided_s + (draw(DURATIONS) if decisions == 1 else 0.0)
            allocated_s = created_s + draw(DURATIONS)
            # Later than the step: replicas that ran before it were not waited for.
            running_s = max(allocated_s + draw(DURATIONS), BEGUN_S + 0.001)
            name = f"new{len(new)}"
            new.append(TrueReplica(name, decided_s, created_s, allocated_s, running_s))
        decided_s += draw(DURATIONS)
    return Truth(old, tuple(new), watch(draw(PACES), max(r.running_s for r in new)))


def rows_of_truth(truth: Truth, zero_s: float = 0.0, scale: float = 1.0) -> list[Row]:
    return rows_of(
        [
            (
                zero_s + scale * poll.sent_s,
                zero_s + scale * poll.received_s,
                {"Model": deployment_json(*truth.seen_at(poll.snapshot_s))},
            )
            for poll in truth.polls
        ]
    )


def report_of(truth: Truth, zero_s: float = 0.0, scale: float = 1.0) -> StepLag:
    step = LoadStep(1, scale * BEGUN_S, scale * truth.until_s, 5, 40)
    return step_lag(step, zero_s, timeline_of(rows_of_truth(truth, zero_s, scale)))


def breakpoints(replica: TrueReplica) -> list[float]:
    """Decision, creation, allocation, RUNNING; what was before the step counts as the step."""
    return [max(t, BEGUN_S) for t in replica[1:]]


PROPERTY = settings(max_examples=150, deadline=None)


@PROPERTY
@given(truths(most_decisions=3))
def test_the_total_contains_the_truth(truth: Truth):
    report = report_of(truth)

    assert report.total_s is not None
    assert report.total_s.hi is not None
    true_total_s = truth.reached_s - BEGUN_S
    assert report.total_s.lo - 1e-9 <= true_total_s <= report.total_s.hi + 1e-9
    assert report.total_s.hi - report.total_s.lo <= truth.width_s(truth.reached_s) + 1e-9


@PROPERTY
@given(truths(most_decisions=3))
def test_each_phase_contains_the_truth_of_the_critical_replica(truth: Truth):
    report = report_of(truth)

    critical = next(r for r in truth.new if r.name == report.critical_replica)
    times = [BEGUN_S, *breakpoints(critical)]
    names = ("decide", "create", "allocate", "initialize")
    for name, begun_s, ended_s in zip(names, times, times[1:], strict=False):
        found = phase(report, name)
        assert found.lo is not None
        assert found.hi is not None
        assert found.lo - 1e-9 <= ended_s - begun_s <= found.hi + 1e-9, name
        assert found.lo <= found.value <= found.hi


# The second decision falls right behind the answer that showed the first one carried out.
CLOSE_DECISIONS = Truth(
    old=0,
    new=(
        TrueReplica("new0", 10.0, 10.0, 10.0, 10.001),
        TrueReplica("new1", 11.0, 11.0, 11.0, 11.0),
    ),
    polls=tuple(
        TruePoll(sent_s, sent_s, received_s)
        for sent_s, received_s in ((9.0, 9.125), (10.4, 10.8), (11.05, 11.17))
    ),
)


@PROPERTY
@example(CLOSE_DECISIONS)
@given(truths(most_decisions=3))
def test_no_phase_is_wider_than_the_polls_round_its_ends(truth: Truth):
    report = report_of(truth)

    critical = next(r for r in truth.new if r.name == report.critical_replica)
    # The step itself is a point; each breakpoint is as wide as one poll period and round trip.
    widths = [0.0, *(truth.width_s(t) for t in critical[1:])]
    names = ("decide", "create", "allocate", "initialize")
    for name, first, then in zip(names, widths, widths[1:], strict=False):
        found = phase(report, name)
        assert found.hi - found.lo <= first + then + 1e-9, name


@PROPERTY
@given(truths())
def test_the_critical_replica_was_the_last_to_run_as_far_as_polling_can_tell(truth: Truth):
    report = report_of(truth)

    def first_seen_running(replica: TrueReplica) -> int:
        return bisect_left(truth.polls, replica.running_s, key=lambda poll: poll.snapshot_s)

    last = max(first_seen_running(replica) for replica in truth.new)
    critical = next(r for r in truth.new if r.name == report.critical_replica)
    assert first_seen_running(critical) == last


@PROPERTY
@given(truths(most_decisions=3))
def test_phases_and_what_is_unattributed_add_up_to_the_total(truth: Truth):
    report = report_of(truth, zero_s=1_795_371_900.0)

    measured = [found.value for found in report.phases if found.value is not None]
    assert len(measured) == 4
    assert report.total_s is not None
    assert report.unattributed_s is not None
    assert sum(measured) + report.unattributed_s == pytest.approx(report.total_s.value, abs=1e-6)
    assert report.unattributed_s == pytest.approx(0.0, abs=1e-5)


def all_figures(report: StepLag) -> list[float]:
    spans = [report.total_s, *(found for found in report.phases if found.value is not None)]
    return [getattr(span, name) for span in spans for name in ("lo", "value", "hi")]


@PROPERTY
@given(truths())
def test_twice_as_slow_in_everything_is_twice_the_lag(truth: Truth):
    once, twice = report_of(truth), report_of(truth, scale=2.0)

    assert twice.critical_replica == once.critical_replica
    assert all_figures(twice) == pytest.approx([2 * x for x in all_figures(once)], abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(truths(), truths(), st.booleans())
def test_the_order_of_deployments_changes_nothing(truth: Truth, other: Truth, flip: bool):
    polls = truth.polls

    def report(names: Sequence[str]) -> StepLag:
        rows = rows_of(
            [
                (
                    poll.sent_s,
                    poll.received_s,
                    {
                        name: deployment_json(
                            *(truth if name == "Model" else other).seen_at(poll.snapshot_s)
                        )
                        for name in (reversed(names) if flip and i % 2 else names)
                    },
                )
                for i, poll in enumerate(polls)
            ]
        )
        return step_lag(LoadStep(1, BEGUN_S, truth.until_s, 5, 40), 0.0, timeline_of(rows))

    assert report(["Model", "Other"]) == report(["Other", "Model"]) == report_of(truth)


@PROPERTY
@given(truths(), st.floats(0.05, 1.0))
def test_a_shorter_hold_is_reached_or_censored_but_never_wrong(truth: Truth, share: float):
    until_s = BEGUN_S + share * (truth.until_s - BEGUN_S)
    timeline = timeline_of(rows_of_truth(truth))

    report = step_lag(LoadStep(1, BEGUN_S, until_s, 5, 40), 0.0, timeline)

    if report.total_s is None:
        assert report.reason
        return
    true_total_s = truth.reached_s - BEGUN_S
    if report.censored:
        # Polling cannot see the end of the hold sharper than its own period.
        last = max(poll.sent_s for poll in truth.polls if poll.received_s <= until_s)
        assert report.total_s.lo <= until_s - BEGUN_S + 1e-9
        assert truth.reached_s >= last
    else:
        assert report.total_s.lo - 1e-9 <= true_total_s <= report.total_s.hi + 1e-9
        assert truth.reached_s <= until_s


class TrueRemoval(NamedTuple):
    name: str
    stopping_s: float
    gone_s: float


@st.composite
def removals(draw: st.DrawFn) -> tuple[float, list[TrueRemoval], tuple[TruePoll, ...]]:
    # After the step: a decision made before it is the earlier step's.
    decided_s = BEGUN_S + draw(st.floats(0.001, 6.0))
    removed: list[TrueRemoval] = []
    for i in range(draw(st.integers(1, 3))):
        stopping_s = decided_s + draw(DURATIONS)
        removed.append(TrueRemoval(f"r{i}", stopping_s, stopping_s + 0.001 + draw(DURATIONS)))
    return decided_s, removed, watch(draw(PACES), max(r.gone_s for r in removed))


@PROPERTY
@given(removals())
def test_a_scale_down_contains_the_truth(
    scene: tuple[float, list[TrueRemoval], tuple[TruePoll, ...]],
):
    decided_s, removed, polls = scene

    def shown(t_s: float) -> dict[str, object]:
        states = {"stays": "RUNNING"} | {
            r.name: "RUNNING" if t_s < r.stopping_s else "STOPPING@"
            for r in removed
            if t_s < r.gone_s
        }
        return deployment_json(1 if t_s >= decided_s else 1 + len(removed), states)

    rows = rows_of([(p.sent_s, p.received_s, {"Model": shown(p.snapshot_s)}) for p in polls])
    step = LoadStep(1, BEGUN_S, polls[-1].received_s, 40, 5)
    report = step_lag(step, 0.0, timeline_of(rows))

    critical = next(r for r in removed if r.name == report.critical_replica)
    times = [BEGUN_S, decided_s, critical.stopping_s, critical.gone_s]
    for name, begun_s, ended_s in zip(("decide", "stop", "drain"), times, times[1:], strict=False):
        found = phase(report, name)
        assert found.lo - 1e-9 <= ended_s - begun_s <= found.hi + 1e-9, name
    last_s = max(r.gone_s for r in removed)
    assert report.total_s.lo - 1e-9 <= last_s - BEGUN_S <= report.total_s.hi + 1e-9
    assert report.unattributed_s == pytest.approx(0.0, abs=1e-6)
