"""Targets that swing, and replicas that stay with nothing open."""

import math
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from reports.analysis.diagnosis.rule import finding_of
from reports.analysis.diagnosis.stay_rules import KEPT, OSCILLATION
from reports.analysis.diagnosis.swing import swing_of
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.timeline import ReplicaPoll, Timeline
from reports.analysis.load.concurrency import Concurrency
from reports.analysis.seen.requests_at import RequestsAt
from reports.model.intervals import Instant
from scalelag.plan.stages import parse_plan
from scalelag.record.run_info import DeploymentInfo
from tests.support.built.step_facts import (
    BEGUN_S,
    ENDED_S,
    SETTINGS,
    decision,
    facts,
    life,
    requests,
)


def levels(path: str) -> list[int]:
    return [int(level) for level in path.split("-")]


def moving(path: str, every_s: float = 3.0, starting: bool = False) -> Timeline:
    """A target that goes along `path`, one decision every so many seconds from 2 s on.

    RUNNING follows at once, or stays at 1 while all others are `starting`.
    """
    numbers = levels(path)
    at_s = [BEGUN_S + 2 + number * every_s for number in range(len(numbers) - 1)]
    decisions = [decision(when, *pair) for when, pair in zip(at_s, pairwise(numbers), strict=True)]
    polls = []
    for when in np.arange(BEGUN_S - 1, ENDED_S, 0.25).tolist():
        target = numbers[sum(moment <= when for moment in at_s)]
        polls.append(ReplicaPoll(when - 0.01, when, 1 if starting else target, target, target))
    return Timeline(tuple(polls), tuple(decisions), ())


def swinging(path: str, every_s: float = 3.0, starting: bool = False, **settings):
    described = DeploymentInfo(
        {**SETTINGS, "max_replicas": 9, "downscale_delay_s": 1.0, **settings}
    )
    made = facts(deployment=described, policy=policy_of(described))
    return msgspec.structs.replace(made, timeline=moving(path, every_s, starting))


@pytest.mark.parametrize(
    ("path", "swings"),
    [
        ("1-4", False),
        ("1-2-3-4", False),
        ("1-8-3", False),  # one overshoot
        ("1-8-2-3", False),  # that settles
        ("1-4-1-4", True),
        ("4-1-4-1", True),
        ("1-3-4-3", False),  # by one replica, twice
        ("1-3-4-3-4", False),
        ("1-3-4-3-4-3", True),
        ("1-3-4-3-4-3-5-4-3-5", True),
    ],
)
def test_a_swing_is_more_than_an_overshoot(path, swings):
    assert (finding_of(OSCILLATION, swinging(path, 2.0)) is not None) == swings


def test_a_swing_among_replicas_that_still_start_counts():
    swing = swing_of(swinging("1-4-1-4-1", starting=True))

    assert (swing.low, swing.high, swing.turns) == (1, 4, 3)
    assert swing.period_s == pytest.approx(6.0)


def test_its_period_is_twice_the_time_between_turns():
    finding = finding_of(OSCILLATION, swinging("1-4-1-4-1", 5.0))

    assert finding.evidence[0].text == (
        "the target turned 3 times between 1 and 4 replicas, one period every 10.0 s, while the "
        "load was constant"
    )
    assert finding.cause == "oscillation"


@pytest.mark.parametrize("plan", ["5rps:10s,5..25rps:30s", "5rps:10s,5..25rps:28s,25rps:2s"])
def test_a_target_may_turn_while_the_load_rises(plan):
    given = swinging("1-4-1-4")
    run = given.run
    info = msgspec.structs.replace(run.info, plan=parse_plan(plan))
    given = msgspec.structs.replace(given, run=msgspec.structs.replace(run, info=info))

    assert swing_of(given) is None


def test_a_factor_above_one_is_named_with_its_gain():
    given = swinging("1-4-1-4", upscaling_factor=2.0, target_ongoing_requests=0.5)

    finding = finding_of(OSCILLATION, given)

    assert "one open request moves 4 replicas" in finding.evidence[1].text
    assert finding.advice == "Lower upscaling_factor from 2 to 1: the swing ends."


def test_both_factors_are_named():
    given = swinging("1-4-1-4", upscaling_factor=2.0, downscaling_factor=3.0)

    assert finding_of(OSCILLATION, given).advice == (
        "Lower upscaling_factor from 2 and downscaling_factor from 3 to 1: the swing ends."
    )


def by_replicas(path: str, few: float, many: float):
    """Open requests that answer the replicas: `few` at the highest number, `many` at others."""
    given = swinging(path)
    high = max(levels(path))
    rows = []
    for poll in given.timeline.polls:
        number = few if poll.running == high else many
        rows += [(poll.received_s, 0.25)] * round(number)
    made = requests()
    rows.sort()
    size = len(rows)
    rest = {"send_lag_s": 0, "status": 0, "name": 0, "error": -1, "worker": 0}
    made = msgspec.structs.replace(
        made,
        intended_s=np.array([row[0] for row in rows]),
        latency_s=np.array([row[1] for row in rows], np.float32),
        **{name: np.full(size, value, getattr(made, name).dtype) for name, value in rest.items()},
    )
    return msgspec.structs.replace(given, requests=RequestsAt(client=Concurrency(made)))


def test_a_load_that_answers_the_replicas_asks_for_a_lower_target():
    finding = finding_of(OSCILLATION, by_replicas("1-4-1-4-1-4-1-4-1-4", few=3, many=30))

    # 3 requests are open at 4 replicas: at 0.75 a replica 4 are wanted there.
    assert finding.advice == "Lower target_ongoing_requests from 2 to 0.75: the swing ends."
    assert "with 4 RUNNING 3.0 requests are open, with 1 30.0" in finding.evidence[1].text


def test_a_load_that_swings_by_itself_asks_for_a_longer_delay():
    finding = finding_of(OSCILLATION, swinging("2-4-2-4-2", 3.2))

    assert finding.advice == "Raise downscale_delay_s from 1 to 7: the swing ends."


def test_a_swing_begins_with_its_step_though_its_first_decision_may_have_come_before():
    given = swinging("1-4-1-4-1", 5.0)
    first, *others = given.timeline.decisions
    first = msgspec.structs.replace(first, at=Instant(BEGUN_S - 2.0, BEGUN_S + 0.5))
    timeline = msgspec.structs.replace(given.timeline, decisions=(first, *others))

    finding = finding_of(OSCILLATION, msgspec.structs.replace(given, timeline=timeline))

    assert finding.from_s == finding.evidence[0].at_s == given.step.at_s


@pytest.mark.parametrize(("rates_rps", "is_found"), [((8.0,), False), ((8.0, 40.0), True)])
def test_a_swing_of_steady_requests_is_not_by_the_settings(rates_rps, is_found):
    """Each request takes 0.2 s: 1.6 are open, which is 1 replica, and in turn 8, which is 4."""
    rows = requests(rate_rps=rates_rps[0], latency_s=0.2)
    if len(rates_rps) > 1:
        rows = requests(rate_rps=rates_rps[1], latency_s=0.2)
        kept = (rows.intended_s % 4 < 2) | (np.arange(rows.count) % 5 == 0)
        rows = rows.chosen(kept)
    opened = Concurrency(rows)
    given = msgspec.structs.replace(
        swinging("1-4-1-4-1-4", 3.0), requests=RequestsAt(opened, opened, "client", opened)
    )

    assert (finding_of(OSCILLATION, given) is not None) == is_found


# Replicas that stay


def idle(running: int, **changed):
    """A step down after which nothing is open, with so many RUNNING all the time."""
    described = changed.pop("described", DeploymentInfo(dict(SETTINGS)))
    polls = tuple(
        ReplicaPoll(at_s - 0.01, at_s, running, running, running)
        for at_s in np.arange(BEGUN_S - 1, ENDED_S, 0.5).tolist()
    )
    given = {
        "direction": "down",
        "total_s": None,
        "replicas_before": running,
        "replicas_after": running,
        "deployment": described,
        "policy": policy_of(described),
        "polls": (),
    }
    made = facts(**{**given, **changed})
    rows = changed.get("requests", requests(rate_rps=0.01))
    return msgspec.structs.replace(
        made,
        timeline=Timeline(polls, (), changed.get("replicas", ())),
        requests=RequestsAt(client=Concurrency(rows)),
    )


def test_a_minimum_of_one_keeps_nothing():
    assert finding_of(KEPT, idle(1)) is None


def test_a_higher_minimum_is_named():
    described = DeploymentInfo({**SETTINGS, "min_replicas": 3})

    finding = finding_of(KEPT, idle(3, described=described))

    assert finding.cause == "kept_replicas"
    assert "min_replicas keeps 3" in finding.evidence[0].text
    assert finding.advice.startswith("Lower min_replicas from 3")


def test_initial_replicas_after_a_target_capacity_are_named():
    described = DeploymentInfo(
        {**SETTINGS, "initial_replicas": 4, "max_replicas": 6},
        target_capacity=100.0,
        capacity_direction="up",
    )

    finding = finding_of(KEPT, idle(4, described=described))

    assert "initial_replicas at target_capacity 100 keeps 4" in finding.evidence[0].text
    assert "initial_replicas from 4" in finding.advice


def test_a_delay_that_is_not_over_is_no_other_cause():
    assert finding_of(KEPT, idle(3)) is None


@pytest.mark.parametrize(("given_up", "found"), [(0, False), (20, True)])
def test_work_that_clients_gave_up_keeps_replicas(given_up, found):
    described = DeploymentInfo({**SETTINGS, "downscale_delay_s": 5.0})
    lost = {"timeout": [BEGUN_S - 10 + n / 10 for n in range(given_up)]} if given_up else None
    rows = requests(rate_rps=0.01, failed=lost)

    finding = finding_of(KEPT, idle(3, described=described, requests=rows))

    assert (finding is not None) == found
    assert finding is None or "given up 20 requests" in finding.evidence[0].text


def test_a_deployment_that_failed_and_has_no_replica_left_is_no_kept_one():
    described = DeploymentInfo({**SETTINGS, "downscale_delay_s": 5.0})

    assert finding_of(KEPT, idle(0, described=described)) is None


@pytest.mark.parametrize(("to_zero_s", "found"), [(5.0, True), (600.0, False)])
def test_the_last_replica_waits_for_a_delay_of_its_own(to_zero_s, found):
    to_zero = {"min_replicas": 0, "downscale_delay_s": 5.0, "downscale_to_zero_delay_s": to_zero_s}
    lost = {"timeout": [BEGUN_S - 10 + n / 10 for n in range(20)]}
    rows = requests(rate_rps=0.01, failed=lost)

    finding = finding_of(
        KEPT, idle(1, described=DeploymentInfo({**SETTINGS, **to_zero}), requests=rows)
    )

    assert (finding is not None) == found
    assert finding is None or finding.evidence[0].text.startswith("1 replica stayed")


@pytest.mark.parametrize(("stayed_s", "found"), [(3.5, False), (12.0, True)])
def test_a_long_request_holds_a_stopped_replica(stayed_s, found):
    stopped_s = BEGUN_S + 3
    gone = life("r2", running=1000.0, stopping=stopped_s)
    gone = msgspec.structs.replace(
        gone,
        gone=msgspec.structs.replace(
            gone.stopping, lo_s=stopped_s + stayed_s, hi_s=stopped_s + stayed_s
        ),
    )
    rows = requests(rate_rps=0.01, latency_s=25.0)

    finding = finding_of(KEPT, idle(2, replicas=(gone,), requests=rows))

    assert (finding is not None) == found
    assert finding is None or "graceful_shutdown_timeout_s from 20" in finding.advice


def test_last_open_is_the_end_of_the_last_request_that_had_begun():
    series = Concurrency(requests(rate_rps=1.0, latency_s=0.5))

    assert series.last_open_s(BEGUN_S + 3.2) == pytest.approx(BEGUN_S + 3.2)
    assert series.last_open_s(BEGUN_S + 3.8) == pytest.approx(BEGUN_S + 3.5)
    assert series.last_open_s(BEGUN_S - 1) == -math.inf


def test_the_least_of_a_window_is_the_least_of_its_parts():
    series = Concurrency(requests(rate_rps=10.0, latency_s=1.0))

    assert series.least(BEGUN_S + 5, BEGUN_S + 15, 1.0) == pytest.approx(10.0, abs=0.5)
    assert series.least(BEGUN_S - 5, BEGUN_S + 15, 1.0) == 0.0
