"""Events that meet: a later one heals nothing of an earlier one, and its replicas are its own.

Polls come at whole seconds and are answered 0.2 s later.
"""

import pytest

from reports.analysis.analyse import analyse
from reports.analysis.gates import parse_gate
from scalelag.record.rows import ControllerRestart, StatusChange
from tests.unit.event_cases import FULL, KILLED, bounds, event, recorded
from tests.unit.recorded_runs import KEY, ZERO_S

R, S = "RUNNING", "STARTING"
# a is killed at 20.5 s; d, which replaces it, does not run yet at 25.5 s.
HALF = {23: {"b": R, "c": R, "d": S}}
GONE = HALF | {26: dict.fromkeys("bcd", "STOPPING"), 29: {}}
DELETING = (StatusChange(KEY, ZERO_S + 26.2, "UPDATING", ZERO_S + 25, "DELETING"),)


def to(target):
    return lambda at_s: 3 if at_s < 26 else target


def events(run, *gates):
    report = analyse(run, [parse_gate(text) for text in gates]).report
    return report.events, [gate.verdict for gate in report.gates]


@pytest.mark.parametrize(
    ("states", "later", "target", "statuses"),
    [
        (GONE, event("delete", 25.5, 2, name="app"), 0, DELETING),
        (HALF | {26: {"b": R, "c": R}}, event("scale", 25.5, 2, name=KEY, count=2), 2, ()),
        (HALF | {26: {"b": R}}, event("scale", 25.5, 2, name=KEY, count=1), 1, ()),
    ],
)
def test_a_later_event_that_wants_less_heals_nothing(states, later, target, statuses):
    run = recorded(states, KILLED, later, target=to(target), statuses=statuses)

    (first, _), verdicts = events(run, "event.1.healed_s < 30")

    assert first.healed_s.hi is None
    # Its time ends with the poll that shows the later one, and so do the requests of it: 10 a second.
    assert first.taken_over_s == pytest.approx(26.2 - 20.5)
    assert first.open_requests == pytest.approx(57, abs=2)
    assert first.reason == f"2 of 3 RUNNING when event 2 ({later.text}) took over"
    assert verdicts == ["inconclusive"]


def test_what_was_whole_in_the_poll_that_shows_a_later_event_was_healed():
    states = HALF | {26: {"b": R, "c": R, "d": R, "e": S, "f": S}}
    later = event("scale", 25.5, 2, name=KEY, count=5)

    (first, _), verdicts = events(
        recorded(states, KILLED, later, target=to(5)), "event.1.healed_s < 30"
    )

    assert bounds(first.healed_s) == (4.49, 5.7)
    assert verdicts == ["pass"]


def test_a_deletion_by_others_heals_nothing():
    (first,), _ = events(recorded(GONE, KILLED, target=to(0), statuses=DELETING))

    assert first.healed_s.hi is None
    assert first.reason == "2 of 3 RUNNING when it was deleted"


def test_a_controller_is_not_whole_again_by_a_deletion():
    recovering = dict.fromkeys(FULL, "RECOVERING")
    states = {23: recovering, 26: dict.fromkeys(FULL, "STOPPING"), 29: {}}
    restart = ControllerRestart(ZERO_S + 21, ZERO_S + 23.2)
    later = event("delete", 25.5, 2, name="app")
    run = recorded(
        states,
        event("kill_controller"),
        later,
        target=to(0),
        statuses=DELETING,
        restarts=(restart,),
    )

    (first, _), _ = events(run)

    assert first.healed_s.hi is None
    assert first.reason == "0 of 3 RUNNING when event 2 (delete it) took over"


def test_replicas_that_replace_a_later_loss_are_not_those_of_the_first():
    """b is killed at 26.5 s, and e replaces it: e is RUNNING at 40 s, d since 33 s."""
    states = HALF | {
        27: {"c": R, "d": S, "e": S},
        33: {"c": R, "d": R, "e": S},
        40: {"c": R, "d": R, "e": R},
    }
    later = event("kill_replicas", 26.5, 2, name=KEY, count=1, lost=("b",))

    (first, second), _ = events(recorded(states, KILLED, later))

    # RUNNING is at the target again with e only: the other event kept the first one open.
    assert bounds(first.healed_s) == (18.49, 19.7)
    assert first.reason == "event 2 (kill_replicas it) took replicas before it was over"
    effect = first.deployments[KEY]
    assert (effect.critical_replica, effect.starts.replicas) == ("d", 1)
    # d was listed between the polls of 22 and 23 s, as the loss of a was.
    assert {phase.name: phase.value for phase in first.phases}["create"] == pytest.approx(0.0)
    assert second.deployments[KEY].critical_replica == "e"
    assert (bounds(second.healed_s), second.reason) == ((12.49, 13.7), None)


def test_replicas_that_replace_a_loss_are_not_those_of_a_new_target():
    states = {
        22: FULL | {"d": S, "e": S},
        27: {"b": R, "c": R, "d": S, "e": S, "f": S},
        30: {"b": R, "c": R, "d": R, "e": R, "f": S},
        36: {"b": R, "c": R, "d": R, "e": R, "f": R},
    }
    later = event("kill_replicas", 25.5, 2, name=KEY, count=1, lost=("a",))
    scale = event("scale", name=KEY, count=5)

    (first, _), _ = events(
        recorded(states, scale, later, target=lambda at_s: 3 if at_s < 21 else 5)
    )

    effect = first.deployments[KEY]
    assert (effect.critical_replica, effect.starts.replicas) == ("e", 2)
