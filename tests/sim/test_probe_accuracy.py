"""Against scripted truth: every interval contains it, and is as narrow as polling allows."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from reports.analysis.lag.step_lag import StepLag, step_lag
from reports.analysis.lag.timeline import build_timeline
from reports.model.intervals import Instant
from scalelag.plan.stages import parse_plan
from scalelag.record.row_files import RowWriter
from scalelag.record.rows import Gap, Poll, Row, Transition
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import random_script
from tests.support.standin.script import DeploymentScript, Fault, ReplicaScript, Script, Truth

DURATION_S = 15.0
PLAN = parse_plan("1rps:3s,10rps:6s,1rps:6s")  # the steps of random_script: at 20 and at 60 %
UP, DOWN = 1, 2
HAIR_S = 1e-6
FROM_THE_STEP = ("total", "decide")
"""They begin with the load step, which is known exactly."""

FAULTS = (
    # Around the step up, amid the starts, and around the step down. Each lasts longer than one
    # request takes to fail, so that the probe's one silent second try does not get past it.
    Fault("slow", at_s=2.5, lasts_s=1.0, seconds=0.7),
    Fault("http_status", at_s=4.5, lasts_s=1.0),
    Fault("hang", at_s=8.5, lasts_s=1.6),
)

CHANGES = ("created_s", "allocated_s", "running_s", "stopping_s", "gone_s")

Times = dict[str, tuple[float, float]]
"""Begin and end of each phase, and of the total, in Unix seconds."""


class Observation(NamedTuple):
    """Rows that the probe recorded, and the truth."""

    rows: list[Row]
    truth: Truth
    zero_s: float

    def of(self, kind):
        return [row for row in self.rows if isinstance(row, kind)]


class Case(NamedTuple):
    """One step of one deployment: as reported, and as scripted."""

    key: str
    report: StepLag
    deployment: DeploymentScript

    @property
    def critical(self) -> ReplicaScript:
        """The replica that the report calls critical, as scripted."""
        found = (
            r for r in self.deployment.replicas if r.replica_id == self.report.critical_replica
        )
        return next(found)

    @property
    def times(self) -> Times:
        """The truth about the total and about each phase of the critical replica."""
        return self.times_of(self.critical)

    def times_of(self, replica: ReplicaScript) -> Times:
        """The truth about the total and about each phase of a replica that came or went."""
        if self.report.direction == "up":
            return _times_up(self.deployment, replica)
        return _times_down(self.deployment, replica)

    def ended_together(self, polls: "Polls") -> list[ReplicaScript]:
        """Replicas of which the same poll showed the end first: any may be the critical one."""
        if self.report.direction == "up":
            ends = [
                (r, r.running_s)
                for r in self.deployment.replicas
                if r.created_s >= self.deployment.step_up_s
            ]
        else:
            ends = [(r, r.gone_s) for r in self.deployment.replicas if r.gone_s is not None]
        shown = next(polls.first_after(at_s) for r, at_s in ends if r is self.critical)
        return [r for r, at_s in ends if polls.first_after(at_s) == shown]

    @property
    def intervals(self) -> dict[str, tuple[float | None, float | None]]:
        """Values of the report, by the same names."""
        total = self.report.total_s
        phases = {phase.name: (phase.lo, phase.hi) for phase in self.report.phases}
        measured = {name: phases[name] for name in self.times if name != "total"}
        return measured | {"total": (total.lo, total.hi) if total else (None, None)}


def _times_up(deployment: DeploymentScript, replica: ReplicaScript) -> Times:
    step_s, decided_s = deployment.step_up_s, deployment.targets[1][0]
    last_s = max(r.running_s for r in deployment.replicas if r.created_s >= step_s)
    return {
        "total": (step_s, last_s),
        "decide": (step_s, decided_s),
        "create": (decided_s, replica.created_s),
        "allocate": (replica.created_s, replica.allocated_s),
        "initialize": (replica.allocated_s, replica.running_s),
    }


def _times_down(deployment: DeploymentScript, replica: ReplicaScript) -> Times:
    step_s, decided_s = deployment.step_down_s, deployment.targets[2][0]
    last_s = max(r.gone_s for r in deployment.replicas if r.gone_s is not None)
    return {
        "total": (step_s, last_s),
        "decide": (step_s, decided_s),
        "stop": (decided_s, replica.stopping_s),
        "drain": (replica.stopping_s, replica.gone_s),
    }


class Polls:
    """All good polls, and the instants at which the stand-in looked at its state for each."""

    def __init__(self, polls: Sequence[Poll]) -> None:
        self._polls = polls
        self._looked_s = [poll.controller.timestamp_s for poll in polls]

    def first_after(self, at_s: float) -> int:
        """The first poll that could show what happened at `at_s`."""
        return bisect_left(self._looked_s, at_s)

    def window_s(self, at_s: float) -> float:
        """Poll period plus round trip around `at_s`: all that polling leaves open about it."""
        showing = self.first_after(at_s)
        return self._polls[showing].received_s - self._polls[showing - 1].sent_s

    @property
    def clock_error_s(self) -> float:
        """Largest difference seen between two clocks of one machine; 0 if there was none.

        The stand-in's instant must lie between send and receive. As long as it does, the order of
        things is the same on both clocks, and no tolerance is due.
        """
        early = max(p.sent_s - at for p, at in zip(self._polls, self._looked_s, strict=True))
        late = max(at - p.received_s for p, at in zip(self._polls, self._looked_s, strict=True))
        return max(0.0, early, late)


@pytest.fixture(scope="module")
def hundred(watching, until, tmp_path_factory) -> Observation:
    path = tmp_path_factory.mktemp("hundred") / "replicas.jsonl"
    return _watch(
        random_script(20261122, deployments=100, duration_s=DURATION_S), watching, until, path
    )


@pytest.fixture(scope="module")
def troubled(watching, until, tmp_path_factory) -> Observation:
    path = tmp_path_factory.mktemp("troubled") / "replicas.jsonl"
    script = random_script(4711, deployments=20, duration_s=DURATION_S)
    return _watch(msgspec.structs.replace(script, faults=FAULTS), watching, until, path)


def _watch(script: Script, watching, until, path: Path) -> Observation:
    """Watch a whole script; rows go through a file, as in a run."""
    with running_standin(script) as standin:
        with watching(standin.url, read_timeout_s=0.3) as watch:
            until(lambda: standin.now_s() > DURATION_S + 0.3, DURATION_S + 15)
        truth, zero_s = standin.truth(), standin.zero_s
    writer = RowWriter(path)
    writer.append(watch.rows)
    writer.close()
    lines = path.read_bytes().splitlines()
    return Observation([msgspec.json.decode(line, type=Row) for line in lines], truth, zero_s)


def cases(seen: Observation, index: int) -> Iterator[Case]:
    polls, transitions = seen.of(Poll), seen.of(Transition)
    step = PLAN.steps(DURATION_S)[index]
    for key, deployment in seen.truth.deployments.items():
        timeline = build_timeline(key, polls, transitions)
        yield Case(key, step_lag(step, seen.zero_s, timeline), deployment)


def wrong_intervals(seen: Observation, index: int) -> list[str]:
    """Intervals that miss the truth."""
    slack_s = Polls(seen.of(Poll)).clock_error_s + HAIR_S
    return [
        f"{case.key} {name}: {end_s - begin_s} is not in {case.intervals[name]}"
        for case in cases(seen, index)
        for name, (begin_s, end_s) in case.times.items()
        if not _within(end_s - begin_s, case.intervals[name], slack_s)
    ]


def _within(value: float, interval: tuple[float | None, float | None], slack_s: float) -> bool:
    lo, hi = interval
    return lo is not None and hi is not None and lo - slack_s <= value <= hi + slack_s


def wide_intervals(seen: Observation, index: int) -> list[str]:
    """Intervals that leave more open than the polls around their two ends do.

    Polling cannot tell which of several replicas, of which it saw the end at once, was the last: then
    a phase holds those of all of them.
    """
    polls = Polls(seen.of(Poll))
    wide: list[str] = []
    for case in cases(seen, index):
        tied = [case.times_of(replica) for replica in case.ended_together(polls)]
        for name, (lo, hi) in case.intervals.items():
            lengths_s = [times[name][1] - times[name][0] for times in tied]
            open_s = max(_open_s(polls, name, *times[name]) for times in tied)
            several = len(tied) > 1 and name not in FROM_THE_STEP
            allowed_s = max(lengths_s) - min(lengths_s) + 2 * open_s if several else open_s
            if lo is None or hi is None or hi - lo > allowed_s + HAIR_S:
                wide.append(f"{case.key} {name}: {(lo, hi)} is wider than {allowed_s}")
    return wide


def _open_s(polls: Polls, name: str, begin_s: float, end_s: float) -> float:
    """Time that polling leaves open about a phase of one replica."""
    return polls.window_s(end_s) + (0.0 if name in FROM_THE_STEP else polls.window_s(begin_s))


@pytest.mark.parametrize("index", [UP, DOWN])
def test_every_interval_of_a_hundred_deployments_contains_the_truth(hundred, index):
    found = list(cases(hundred, index))
    measured = [interval for case in found for interval in case.intervals.values()]

    assert len(found) == 100
    assert len(measured) == 100 * (5 if index == UP else 4)
    assert wrong_intervals(hundred, index) == []


@pytest.mark.parametrize("index", [UP, DOWN])
def test_no_interval_is_wider_than_the_polls_around_its_ends(hundred, index):
    assert wide_intervals(hundred, index) == []


@pytest.mark.parametrize("name", ["hundred", "troubled"])
def test_every_change_of_every_replica_lies_between_its_two_polls(name, request):
    """Stricter than durations, where one end can make up for the other."""
    seen: Observation = request.getfixturevalue(name)
    polls = Polls(seen.of(Poll))
    slack_s = polls.clock_error_s + HAIR_S

    checked, wrong = 0, []
    for key, at, truth_s in _changes(seen):
        checked += 1
        within = at.lo_s - slack_s < truth_s <= at.hi_s + slack_s
        if not within or at.hi_s - at.lo_s > polls.window_s(truth_s) + HAIR_S:
            wrong.append(f"{key}: {truth_s} in ({at.lo_s}, {at.hi_s}]")

    assert checked >= 15 * len(seen.truth.deployments)
    assert wrong == []


def _changes(seen: Observation) -> Iterator[tuple[str, Instant, float]]:
    """Each change that was seen, and when it was: of targets and of replicas."""
    began_s = seen.of(Poll)[0].received_s
    for key, deployment in seen.truth.deployments.items():
        timeline = build_timeline(key, seen.of(Poll), seen.of(Transition))
        for decision, (at_s, target) in zip(
            timeline.decisions, deployment.targets[1:], strict=True
        ):
            assert decision.after == target
            yield f"{key} target {target}", decision.at, at_s
        scripted = {replica.replica_id: replica for replica in deployment.replicas}
        assert scripted.keys() == {life.replica for life in timeline.replicas}
        for life in timeline.replicas:
            replica = scripted[life.replica]
            ats = (life.listed, life.allocated, life.running, life.stopping, life.gone)
            for at, name in zip(ats, CHANGES, strict=True):
                truth_s = getattr(replica, name)
                assert (at is None) == (truth_s is None)
                if at is not None and truth_s > began_s:
                    yield f"{key} {life.replica} {name}", at, truth_s


def test_the_clocks_of_probe_and_stand_in_agree(hundred):
    # Else the two tests above would be let off too easily.
    assert Polls(hundred.of(Poll)).clock_error_s < 0.001


@pytest.mark.parametrize("index", [UP, DOWN])
def test_the_critical_replica_is_one_of_those_that_the_last_poll_showed(hundred, index):
    polls = Polls(hundred.of(Poll))

    mistaken = [
        case.key
        for case in cases(hundred, index)
        if polls.first_after(_own_end_s(case)) != polls.first_after(case.times["total"][1])
    ]

    assert mistaken == []


def _own_end_s(case: Case) -> float:
    return case.times["initialize" if case.report.direction == "up" else "drain"][1]


@pytest.mark.parametrize("index", [UP, DOWN])
def test_phases_and_what_is_unattributed_add_up_to_the_total(hundred, index):
    for case in cases(hundred, index):
        phases = [phase.value for phase in case.report.phases if phase.value is not None]

        assert sum(phases) + case.report.unattributed_s == pytest.approx(
            case.report.total_s.value, abs=1e-6
        )


@pytest.mark.parametrize("index", [UP, DOWN])
def test_with_trouble_every_interval_still_contains_the_truth(troubled, index):
    assert len(list(cases(troubled, index))) == 20
    assert wrong_intervals(troubled, index) == []
    assert wide_intervals(troubled, index) == []


def test_trouble_is_recorded_as_gaps_with_their_reasons(troubled):
    gaps = troubled.of(Gap)

    reasons = [gap.reason for gap in gaps]
    assert reasons == ["no answer in time", "HTTP 503", "no answer in time"]
    for gap, fault in zip(gaps, FAULTS, strict=True):
        began_s = troubled.zero_s + fault.start_s
        assert gap.from_s <= began_s + 0.001
        assert gap.to_s >= began_s + fault.lasts_s - 0.001
        assert gap.polls >= 1


def test_after_each_trouble_the_probe_goes_on(troubled):
    sent = [poll.sent_s - troubled.zero_s for poll in troubled.of(Poll)]
    ends = [fault.start_s + fault.lasts_s for fault in FAULTS]

    for begin_s, end_s in zip(ends, [*(f.start_s for f in FAULTS[1:]), DURATION_S], strict=True):
        assert [t for t in sent if begin_s < t < end_s], f"no poll from {begin_s} to {end_s} s"
