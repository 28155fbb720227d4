"""A new version that comes while the autoscaler moves the target."""

import pytest

from scalelag.record.evidence_rows import LogEvent
from tests.unit.changed_runs import KEY, ROLLING, UP, UPDATING, ZERO_S, Shown, report_of, told

LESS = ("DOWNSCALING", "AUTOSCALING")
# Three of the old version run. Two new ones come, since the target falls to 2 at 44 s; the second
# of them is RUNNING at 46 s.
ROLLING_DOWN = UP | {
    40.0: Shown(3, {"a": "STOPPING", "b": "RUNNING", "c": "RUNNING", "d": "STARTING"}, *UPDATING),
    42.0: Shown(3, {"d": "RUNNING", "b": "STOPPING", "c": "RUNNING", "e": "STARTING"}, *UPDATING),
    44.0: Shown(2, {"d": "RUNNING", "c": "STOPPING", "e": "STARTING"}, *LESS),
    45.0: Shown(2, {"d": "RUNNING", "e": "STARTING"}, *LESS),
    46.0: Shown(2, {"d": "RUNNING", "e": "RUNNING"}, "HEALTHY", "DOWNSCALE_COMPLETED"),
}


def started(replica, at_s):
    return LogEvent("started", ZERO_S + at_s, 0.001, "n", "started", KEY, replica)


@pytest.mark.parametrize(
    ("events", "over"),
    [((), "6.0"), ((started("d", 41.9), started("e", 45.7)), "5.9")],
)
def test_an_update_goes_on_while_the_autoscaler_lowers_the_target(events, over):
    rows = [
        what for kind, _, what in told(report_of(ROLLING_DOWN, events=events)) if kind == "update"
    ]

    replaced = "2 replicas were replaced and 1 more of the old one went"
    assert rows == [f"a new version came, {replaced}, over after {over} s"]


def test_what_the_autoscaler_asks_for_after_an_update_is_no_part_of_it():
    # HEALTHY was between two polls: a fourth replica is asked for as soon as the other three run.
    three = {"d": "RUNNING", "e": "RUNNING", "f": "RUNNING"}
    four = {**three, "g": "STARTING"}
    report = report_of(ROLLING | {46.0: Shown(4, four, "UPSCALING", "AUTOSCALING")})

    (row,) = [what for kind, _, what in told(report) if kind == "update"]

    assert row == "a new version came, 3 replicas were replaced, over after 6.0 s"
