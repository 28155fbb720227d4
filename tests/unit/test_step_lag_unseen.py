"""The lag of a step whose hold ends too early, that was not seen, or whose controller restarts."""

from tests.unit.step_lag_cases import (
    ONE_TO_FOUR,
    RUNNING_1,
    PollView,
    every_second,
    interval,
    lag,
    phase,
    replicas,
)


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
    assert "the target did not rise" in report.reason


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

    assert report.total_s is not None
    assert report.total_s.lo == 6.0
    assert report.reason == "target 2 not reached when last seen, 6.0 s after the step: 1 RUNNING"


def test_a_last_poll_shortly_before_the_end_of_the_hold_is_its_end():
    seen = every_second(
        {0: (1, RUNNING_1), 12: (2, replicas(a="STARTING@"))}, without=range(29, 99)
    )

    report = lag(seen, until_s=29.9)

    assert report.reason == "target 2 not reached within the hold: 1 RUNNING"


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
    # Any of the others may have been the last: one had its node a poll earlier.
    assert interval(phase(report, "initialize")) == (0.0, 0.0, 7.1)


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
