"""Steps that the target never answered, up or down: what their figures and gates say."""

import pytest

from reports.analysis.comparing.samples import samples_of_steps
from reports.analysis.gates import judge, parse_gate
from scalelag.record.deployment_info import DeploymentInfo
from tests.unit.changed_runs import KEY, ONE, SETTINGS, UP, report_of, step, with_settings

MORE_WANTED_S = 0.35
"""Time for which each request is open, so that four replicas are wanted."""


def never_up():
    return report_of({-2.0: ONE}, open_for_s=MORE_WANTED_S)


def verdict(gate, **deployments):
    (result,) = judge([parse_gate(gate)], deployments, {})
    return result.verdict


def test_a_step_up_without_a_decision_was_in_decide_all_the_time():
    scale_up = never_up().deployments[KEY].scale_up

    assert (scale_up.decide_s.max.lo, scale_up.decide_s.max.hi) == (40.0, None)
    assert scale_up.allocate_s is None


def test_excess_of_a_step_without_a_decision_counts_from_the_floor_of_what_was_wanted():
    # It comes up for the first step, after 4 s, and is lost before the second one, for good.
    lost = {-2.0: ONE, 4.0: UP[24.0], 6.0: UP[26.0], 15.0: ONE}

    report = report_of(lost, open_for_s=MORE_WANTED_S)

    missed = step(report)
    assert missed.censored
    assert missed.excess.lo == pytest.approx(40.0 - missed.floor.most_s)
    assert report.deployments[KEY].scale_up.excess_s.max.hi is None


def test_a_deployment_that_was_never_scaled_leaves_a_gate_on_excess_open():
    well = report_of(UP).deployments[KEY]

    alone = verdict("scale_up.excess_s.max <= 30", well=well)
    beside = verdict("scale_up.excess_s.max <= 30", well=well, other=never_up().deployments[KEY])

    assert (alone, beside) == ("pass", "inconclusive")


@pytest.mark.parametrize(
    ("open_for_s", "settings", "missed"),
    [
        (0.05, {}, True),
        (0.25, {}, False),  # three replicas are wanted
        (0.05, {"downscale_delay_s": 18.0}, False),  # its decision was not due yet
        (0.05, {"min_replicas": 3}, False),
    ],
)
def test_a_step_down_is_missed_if_fewer_were_wanted_for_longer_than_its_delay(
    open_for_s, settings, missed
):
    own = SETTINGS | settings
    kept = {at_s: with_settings(shown, own) for at_s, shown in UP.items()}

    report = report_of(kept, open_for_s=open_for_s, described=DeploymentInfo(own))

    last = step(report, 2)

    assert (last.direction, last.censored) == ("down", missed)
    if missed:
        assert (last.total_s.lo, last.bounded_phases[0].lo) == (20.0, 20.0)
        assert last.reason.endswith("1 replica would have done for longer than any delay")


def test_compare_ranks_the_decision_of_a_step_without_one_above_all_others():
    figures = samples_of_steps(never_up())

    decided = figures[f"{KEY}:scale_up.decide_s"]
    assert {step: span.lo for step, span in decided.values.items()} == {"0 up": 20.0, "1 up": 40.0}
    assert decided.censored == 2
