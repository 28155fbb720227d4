"""Movements on random worlds with known truth: swings, thrash among STARTING, lost replicas.

A world has three holds and up to six decisions in each. What happens is worked out by a small model
of Serve that shares no code with the analysis; polls at a random pace and the controller's log of
decisions are all that the analysis is given.
"""

from collections.abc import Sequence
from itertools import count, cycle, pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis.lag.step_lag import StepLag, step_lag
from reports.analysis.lag.timeline import Timeline, build_timeline
from scalelag.plan.stages import LoadStep
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import Poll, Transition
from tests.unit.step_lag_cases import KEY, deployment_json, rows_of

EDGES_S = (10.0, 40.0, 70.0, 100.0)
LEVELS = (5.0, 40.0, 5.0, 40.0)
BRIEF_S = 4.0
"""Longer than any two polls are apart: what lasts this long is seen."""


class Replica(NamedTuple):
    """Moments at which one replica was created, got its node, ran, began to stop and was gone."""

    name: str
    created_s: float
    allocated_s: float
    running_s: float
    stopping_s: float = float("inf")
    gone_s: float = float("inf")

    def state_at(self, t_s: float) -> str | None:
        if not self.created_s <= t_s < self.gone_s:
            return None
        if t_s >= self.stopping_s:
            return "STOPPING@"
        if t_s >= self.running_s:
            return "RUNNING"
        return "STARTING@" if t_s >= self.allocated_s else "STARTING"

    def runs_at(self, t_s: float) -> bool:
        return self.state_at(t_s) == "RUNNING"


class World(NamedTuple):
    decisions: tuple[tuple[float, int, int], ...]
    replicas: tuple[Replica, ...]
    first_target: int

    def running_at(self, t_s: float) -> int:
        return sum(replica.runs_at(t_s) for replica in self.replicas)

    def listed_at(self, t_s: float) -> int:
        return sum(replica.state_at(t_s) is not None for replica in self.replicas)

    def target_at(self, t_s: float) -> int:
        return [self.first_target, *(new for at, _, new in self.decisions if at <= t_s)][-1]

    def moments(self) -> list[float]:
        return sorted({t for r in self.replicas for t in r[1:] if t != float("inf")})


def played(
    first: int, changes: Sequence[tuple[float, int]], losses: Sequence[float], pace: Sequence[float]
) -> World:
    """Model of Serve: it starts what is missing, and first stops those that do not run yet."""
    durations = cycle(pace)
    replicas = [Replica(f"r{i}", -100.0, -100.0, -100.0) for i in range(first)]
    numbers = count(first)
    target, decisions = first, []

    def create(at_s: float) -> Replica:
        allocated_s = at_s + next(durations)
        return Replica(f"r{next(numbers)}", at_s, allocated_s, allocated_s + next(durations))

    events = sorted(
        [(at, "target", new) for at, new in changes] + [(at, "loss", 0) for at in losses]
    )
    for at_s, kind, new in events:
        alive = [i for i, r in enumerate(replicas) if r.stopping_s > at_s and r.gone_s > at_s]
        if kind == "loss":
            up = [i for i in alive if replicas[i].runs_at(at_s)]
            if up:
                replicas[up[0]] = replicas[up[0]]._replace(stopping_s=at_s, gone_s=at_s)
                replicas.append(create(at_s))
            continue
        if new == target:
            continue
        decisions.append((at_s, target, new))
        target = new
        replicas += [create(at_s) for _ in range(new - len(alive))]
        for i in sorted(alive, key=lambda i: (-replicas[i].running_s, i))[
            : max(0, len(alive) - new)
        ]:
            replicas[i] = replicas[i]._replace(stopping_s=at_s, gone_s=at_s + next(durations))
    return World(tuple(decisions), tuple(replicas), first)


CHANGES = st.tuples(st.floats(0.5, 29.5), st.integers(1, 6))


@st.composite
def worlds(draw):
    holds = [
        draw(st.lists(CHANGES, max_size=6, unique_by=lambda change: round(change[0], 1)))
        for _ in EDGES_S[:-1]
    ]
    changes = [
        (edge + at, new) for edge, hold in zip(EDGES_S, holds, strict=False) for at, new in hold
    ]
    losses = draw(st.lists(st.floats(11.0, 99.0), max_size=2))
    pace = draw(st.lists(st.floats(0.05, 6.0), min_size=5, max_size=9))
    polls = draw(
        st.lists(
            st.tuples(st.floats(0.001, 0.4), st.floats(0.0, 1.0), st.floats(0.1, 1.5)),
            min_size=1,
            max_size=6,
        )
    )
    return played(draw(st.integers(1, 4)), changes, losses, pace), polls


def watched(
    world: World, paces: Sequence[tuple[float, float, float]], *, logged: bool = True
) -> Timeline:
    polls, sent_s = [], 2.0
    for round_trip_s, share, pause_s in cycle(paces):
        received_s = sent_s + round_trip_s
        at_s = sent_s + share * round_trip_s
        states = {r.name: state for r in world.replicas if (state := r.state_at(at_s)) is not None}
        polls.append(
            (sent_s, received_s, {"Model": deployment_json(world.target_at(at_s), states)})
        )
        if sent_s > EDGES_S[-1] + 5:
            break
        sent_s = received_s + pause_s
    rows = rows_of(polls)
    events = [
        LogEvent(
            kind="upscaling" if new > old else "downscaling",
            at_s=at_s,
            node="controller",
            raw="",
            skew_s=0.0,
            deployment=KEY,
            before=old,
            after=new,
        )
        for at_s, old, new in (world.decisions if logged else ())
    ]
    return build_timeline(
        KEY,
        [row for row in rows if isinstance(row, Poll)],
        [row for row in rows if isinstance(row, Transition)],
        events,
    )


def true_movements(world: World, begun_s: float, ended_s: float):
    """(direction, from, to, first decision, moment at which it turned or None), in words of 2a."""
    own = [d for d in world.decisions if begun_s < d[0] <= ended_s]
    found: list[list[tuple[float, int, int]]] = []
    for decision in own:
        up = decision[2] > decision[1]
        if found and (found[-1][-1][2] > found[-1][-1][1]) == up:
            found[-1].append(decision)
        else:
            found.append([decision])
    ends = [*(run[0][0] for run in found[1:]), None][: len(found)]
    return [
        ("up" if run[0][2] > run[0][1] else "down", run[0][1], run[-1][2], run[0][0], turned)
        for run, turned in zip(found, ends, strict=True)
    ]


def true_reach(world: World, movement, ended_s: float) -> tuple[float, float] | None:
    """First moment at the level, and the moment until which it held; None if it was not reached."""
    direction, _, level, decided_s, turned_s = movement
    until_s = ended_s if turned_s is None else turned_s
    reached = None
    for t_s in [decided_s, *(t for t in world.moments() if decided_s < t < until_s)]:
        there = _there(world, direction, level, t_s)
        if there and reached is None:
            reached = t_s
        if not there and reached is not None:
            return reached, t_s
    return None if reached is None else (reached, until_s)


def lags(world: World, timeline: Timeline) -> list[tuple[StepLag, float, float]]:
    return [
        (
            step_lag(LoadStep(i, begun_s, ended_s, LEVELS[i], LEVELS[i + 1]), 0.0, timeline),
            begun_s,
            ended_s,
        )
        for i, (begun_s, ended_s) in enumerate(pairwise(EDGES_S))
    ]


WORLDS = settings(max_examples=80, deadline=None)


@WORLDS
@given(worlds())
def test_every_movement_is_given_to_the_step_in_whose_hold_it_was_decided(drawn):
    world, paces = drawn

    for report, begun_s, ended_s in lags(world, watched(world, paces)):
        truth = true_movements(world, begun_s, ended_s)
        rows = [(m.direction, m.before, m.after, m.at_s) for m in report.movements]
        if report.answer is not None:
            answer = report.answer
            rows.append((answer.direction, answer.before, answer.after, answer.first.mid_s))
        assert sorted(rows, key=lambda row: row[3]) == [
            (*movement[:3], pytest.approx(movement[3])) for movement in truth
        ]
        assert report.reversals == max(0, len(truth) - 1)


@WORLDS
@given(worlds())
def test_the_total_contains_the_truth_of_the_first_movement(drawn):
    world, paces = drawn

    for report, begun_s, ended_s in lags(world, watched(world, paces)):
        if report.answer is None:
            continue
        truth = next(m for m in true_movements(world, begun_s, ended_s) if m[0] == report.direction)
        reach = true_reach(world, truth, ended_s)
        assert report.total_s is not None
        if report.total_s.hi is None:
            # Only what did not last could be missed.
            assert reach is None or reach[1] - reach[0] < BRIEF_S
            assert reach is None or report.total_s.lo <= ended_s - begun_s
        else:
            assert reach is not None
            true_s = reach[0] - begun_s
            assert true_s <= report.total_s.hi + 1e-6
            # A level that was lost again between two polls is seen when it was reached for longer.
            if reach[1] - reach[0] >= BRIEF_S:
                assert report.total_s.lo - 1e-6 <= true_s


@WORLDS
@given(worlds())
def test_phases_follow_one_another_and_add_up(drawn):
    world, paces = drawn

    for report, _, _ in lags(world, watched(world, paces)):
        if report.total_s is None or report.total_s.value is None:
            continue
        parts = [p.value for p in report.phases if p.value is not None and p.part_of == "total"]
        assert all(part >= 0 for part in parts)
        assert report.unattributed_s is not None
        assert report.unattributed_s >= -1e-6
        assert sum(parts) + report.unattributed_s == pytest.approx(report.total_s.value, abs=1e-6)


@WORLDS
@given(worlds())
def test_settled_is_when_the_last_target_was_reached_for_good(drawn):
    world, paces = drawn

    for report, begun_s, ended_s in lags(world, watched(world, paces)):
        truth = true_movements(world, begun_s, ended_s)
        if not truth:
            assert report.settled_s is None
        elif report.settled_s is not None and report.settled_s.hi is not None:
            direction, _, level, _, _ = truth[-1]
            settled_s = begun_s + report.settled_s.hi
            after = [t for t in world.moments() if settled_s < t < ended_s - BRIEF_S]
            for t_s in after:
                brief = any(
                    t_s < u < t_s + BRIEF_S and _there(world, direction, level, u)
                    for u in world.moments()
                )
                assert brief or _there(world, direction, level, t_s)


@WORLDS
@given(worlds(), st.booleans())
def test_no_duration_is_negative_and_each_lies_in_its_bounds(drawn, logged):
    world, paces = drawn

    for report, _, _ in lags(world, watched(world, paces, logged=logged)):
        spans = [report.total_s, report.settled_s, *(m.total_s for m in report.movements)]
        spans += [m.decided for m in report.movements]
        for span in spans:
            if span is not None and span.value is not None:
                assert 0.0 <= span.lo <= span.value + 1e-9
                assert span.value <= span.upper + 1e-9


def _there(world: World, direction: str, level: int, t_s: float) -> bool:
    seen = world.running_at(t_s) if direction == "up" else world.listed_at(t_s)
    return seen >= level if direction == "up" else seen <= level
