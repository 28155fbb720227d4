"""The lag of random timelines with known truth."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import cycle
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reports.analysis.lag.step_lag import StepLag, step_lag
from scalelag.plan.stages import LoadStep
from scalelag.record.rows import Row
from tests.unit.step_lag_cases import deployment_json, phase, rows_of, timeline_of

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
    tied = [r for r in truth.new if _seen_together(truth, r, critical)]
    names = ("decide", "create", "allocate", "initialize")
    for number, name in enumerate(names):
        # The step itself is a point; each breakpoint is as wide as one poll period and round trip.
        ends = [(r[number + 1], r[number] if number else BEGUN_S) for r in tied]
        widths = [truth.width_s(then) + (truth.width_s(at) if number else 0.0) for then, at in ends]
        # Polling cannot tell which of several that it saw run at once was the last of them.
        lengths = [then - at for then, at in ends]
        spread = max(lengths) - min(lengths)
        allowed = widths[0] if len(tied) == 1 else spread + 2 * max(widths)
        found = phase(report, name)
        assert found.hi - found.lo <= allowed + 1e-9, name


def _seen_together(truth: Truth, one: TrueReplica, other: TrueReplica) -> bool:
    """Return True if the same poll first showed both RUNNING."""
    first = [
        bisect_left(truth.polls, replica.running_s, key=lambda poll: poll.snapshot_s)
        for replica in (one, other)
    ]
    return first[0] == first[1]


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
