"""Every interval of a poorer record of a run contains the figure of the whole one.

Rows are cut, lines of logs are missing, a clock is off: what is not known is wider, and never wrong.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from reports.analysis.analyse import analyse
from reports.model.elasticity import ResponseReport
from reports.model.intervals import Span
from reports.model.report import Report
from reports.model.steps import Phase, StepReport
from tests.support.poorer import (
    OF_DECISIONS,
    OF_REPLICAS,
    OF_STARTS,
    OF_STOPS,
    with_clock_off,
    with_gap,
    without_lines,
)
from tests.support.stored_runs import recorded

RUNS = (
    "demo",
    "node-started",
    "causes/sleeper",
    "causes/constructor-takes-3",
    "causes/controller-stopped-3",
    "causes/max-2",
)
LINES = (OF_REPLICAS, OF_DECISIONS, OF_STARTS, OF_STOPS)
SLACK_S = 0.02
"""Clocks of logs are known to a few milliseconds, and lines carry whole ones."""

OF_RESPONSE = tuple(
    name
    for name in ResponseReport.__struct_fields__
    if name.endswith("_s") and name != "unwatched_s"
)
Figures = dict[tuple[object, ...], tuple[float, float]]

missing = st.sets(st.sampled_from(LINES)).map(lambda sets: frozenset().union(*sets))
gaps = st.lists(st.tuples(st.floats(0, 1), st.floats(0.4, 6)), max_size=2)


@cache
def whole(name: str) -> Figures:
    """All intervals of the record as it is."""
    return figures(analyse(recorded(name)).report)


def figures(report: Report) -> Figures:
    """All intervals of all steps; without an upper bound, infinite."""
    return {
        (deployment, step.index, *name): (lo, math.inf if hi is None else hi)
        for deployment, one in report.deployments.items()
        for step in one.steps
        for name, lo, hi in _of_step(step)
        if lo is not None
    }


def _with_loop(step: StepReport) -> Span | None:
    """Excess and the turns of the loop: how long those take is estimated from the polls there are."""
    if step.excess is None or step.floor is None:
        return step.excess
    lo_s, hi_s = (
        None if s is None else s + step.floor.loop_s for s in (step.excess.lo, step.excess.hi)
    )
    return structs.replace(step.excess, lo=lo_s, hi=hi_s)


def _of_step(step: StepReport) -> Iterator[tuple[tuple[object, ...], float | None, float | None]]:
    spans: dict[tuple[object, ...], Span | None] = {
        ("total",): step.total_s,
        ("settled",): step.settled_s,
        ("excess",): _with_loop(step),
        **{("response", name): getattr(step.response, name) for name in OF_RESPONSE},
        **{
            ("movement", move.direction, move.before, move.after): move.decided
            for move in step.movements
        },
    }
    yield from ((name, span.lo, span.hi) for name, span in spans.items() if span is not None)
    yield from (((name,), phase.lo, phase.hi) for name, phase in _phases(step))


def _phases(step: StepReport) -> Iterator[tuple[str, Phase]]:
    """Phases that were measured, and `initialize` with the time to mark it RUNNING: polls join them."""
    found = {phase.name: phase for phase in step.phases if phase.value is not None}
    marked, ready = found.get("mark_running"), found.get("initialize")
    if ready is not None and marked is not None:
        lo, hi = (ready.lo or 0.0) + (marked.lo or 0.0), (ready.hi or 0.0) + (marked.hi or 0.0)
        yield "joined", Phase("initialize", lo=lo, hi=hi)
    elif ready is not None and ready.source == "poll":
        yield "joined", found.pop("initialize")
    yield from found.items()


def check(name: str, report: Report) -> None:
    known, found = whole(name), figures(report)
    wrong = {
        figure: (found[figure], known[figure])
        for figure in found.keys() & known.keys()
        if found[figure][0] > known[figure][1] + SLACK_S
        or found[figure][1] < known[figure][0] - SLACK_S
    }

    assert wrong == {}


def poorer(name: str, lines: frozenset[str], unseen: Sequence[tuple[float, float]]) -> Report:
    """Report without some lines, and with gaps: where in the load each begins (0 to 1), and seconds."""
    run = recorded(name)
    made = without_lines(run, lines)
    ended_s = run.info.load_ended_s or run.polls[-1].received_s
    for share, length_s in unseen:
        from_s = run.info.zero_s + share * (ended_s - run.info.zero_s)
        made = with_gap(made, from_s, from_s + length_s)
    return analyse(made).report


quickly = settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", RUNS)
@quickly
@given(lines=missing, unseen=gaps)
def test_what_is_not_on_record_makes_intervals_wider_and_not_wrong(name, lines, unseen):
    check(name, poorer(name, lines, unseen))


def test_a_replica_that_nothing_shows_may_have_been_the_one_that_was_waited_for():
    name = "causes/controller-stopped-3"  # decides for 3 replicas, then for a fourth

    found = poorer(name, OF_STARTS, [(0.625, 5.0), (0.5625, 1.0)])

    check(name, found)
    (deployment,) = found.deployments.values()
    assert deployment.steps[1].critical_replica is None


@pytest.mark.parametrize("name", RUNS)
@quickly
@given(
    off_s=st.floats(0.3, 5).flatmap(lambda s: st.sampled_from([s, -s])),
    kinds=st.sampled_from([frozenset(), OF_REPLICAS]),
)
def test_a_clock_that_polling_contradicts_makes_intervals_wider_and_not_wrong(name, off_s, kinds):
    found = analyse(with_clock_off(recorded(name), off_s, kinds)).report
    assume(any("contradict each other" in warning for warning in found.warnings))

    check(name, found)
