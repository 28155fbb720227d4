"""The lag of a scale-down."""

import pytest

from tests.unit.step_lag_cases import RUNNING_1, every_second, interval, lag, phase, replicas

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
    # The other one, which may have gone last as well, was STOPPING with the decision.
    assert interval(phase(report, "stop")) == (0.0, 2.0, 3.1)


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
    assert "the target did not fall: 1 RUNNING before, target 1" in report.reason


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


@pytest.mark.parametrize(
    ("later", "settled"),
    [
        ({}, None),
        # The one in its place runs at 26 s.
        ({26: (1, {"d": "RUNNING"})}, (15.0, 15.55, 16.1)),
    ],
)
def test_a_way_down_has_settled_once_the_replicas_that_stay_are_running(later, settled):
    lost = {22: (1, {"d": "STARTING"})} | later
    report = lag(every_second(FOUR_TO_ONE | lost), levels="40->5")

    assert interval(report.total_s) == (11.0, 11.55, 12.1)
    if settled is None:
        assert (report.settled_s.value, report.settled_s.lo) == (None, 20.0)
        assert report.reason == "0 RUNNING at the end of the hold, target 1"
    else:
        assert interval(report.settled_s) == settled
        assert report.reason is None


def test_a_way_down_that_went_well_settles_with_its_total():
    report = lag(every_second(FOUR_TO_ONE), levels="40->5")

    assert report.settled_s == report.total_s


def test_one_replica_that_a_way_down_left_is_told_of_in_the_singular():
    """The target goes to 0 at 14 s and back at 16 s, when one replica is there still."""
    seen = {0: (1, RUNNING_1), 14: (0, RUNNING_1), 16: (1, RUNNING_1)}

    report = lag(every_second(seen), levels="40->5")

    assert report.reason == "given up after 5.6 s at 1 replica, target 0"
