"""Stalls of the Serve controller, and nodes that dropped out, during a step."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.lag.control_loop import LoopMark, loop_marks
from reports.model.causes import Evidence
from reports.model.controller import DEFAULT_LOOP_S
from reports.model.intervals import Window, covered_s
from scalelag.record.evidence_rows import NOT_THE_CONTROLLERS
from scalelag.record.rows import Gap
from scalelag.wording import count

# On a busy machine single turns of the loop take several times as long, and answers a second more.
_LATE_ANSWER_S = 1.5
_MARK_S = 1.5
_WINDOW_S = 2.0
_PACE_RATIO = 0.25
# On a busy machine the loop turns a quarter less often for seconds on end. A controller that stood
# still for half of a gap made about half of its turns.
_AT_WORK_RATIO = 0.55
_DECISION_S = 1.0
_EDGE_S = 1.0
_EDGE_RATIO = 0.25
_TOGETHER = 2
CAME_BACK = "ended and came back"


class Stall(msgspec.Struct, frozen=True):
    """A time in which the controller answered nothing, or turned its loop far too seldom."""

    from_s: float
    to_s: float
    text: str

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return self.to_s - self.from_s

    @property
    def window(self) -> Window:
        """Its window of time."""
        return Window(self.from_s, self.to_s)


def stalls(facts: StepFacts) -> list[Stall]:
    """Stalls in order of time: no answer, or under a quarter of the usual turns."""
    silent = [*_late_answers(facts), *_gaps(facts)]
    unanswered = [stall.window for stall in silent]
    slow = [s for s in _slow_turns(facts) if covered_s(s.window, unanswered) < s.seconds / 2]
    return sorted([*silent, *slow], key=lambda stall: stall.from_s)


def _late_answers(facts: StepFacts) -> Iterator[Stall]:
    own = [(gap.from_s, gap.to_s) for gap in facts.run.gaps if gap.of_the_probe]
    for poll in facts.run.polls:
        seconds = poll.received_s - poll.sent_s - covered_s((poll.sent_s, poll.received_s), own)
        if seconds >= _LATE_ANSWER_S and _overlaps(facts, poll.sent_s, poll.received_s):
            text = f"answered after {seconds:.1f} s"
            yield _stall(facts, poll.sent_s, poll.received_s, text)


def _gaps(facts: StepFacts) -> Iterator[Stall]:
    """Gaps of the probe, without those in which the log or loop of the controller shows it at work.

    In those, only the dashboard or the probe was away.
    """
    for gap in facts.run.gaps:
        if gap.of_the_probe:
            continue
        if (away := _away_within(facts, gap)) is not None:
            if _overlaps(facts, *away):
                wrote = f"it wrote nothing for {away.to_s - away.from_s:.1f} s, then that it starts"
                yield _stall(facts, *away, f"{CAME_BACK}: {wrote}")
            continue
        if _worked_within(facts, gap) or _turned_through(facts, gap) or gap.to_s <= gap.from_s:
            continue
        if _overlaps(facts, gap.from_s, gap.to_s):
            text = f"gave no usable answer for {gap.to_s - gap.from_s:.1f} s ({gap.reason})"
            yield _stall(facts, gap.from_s, gap.to_s, text)


def _away_within(facts: StepFacts, gap: Gap) -> Window | None:
    """Part of a gap in which there was no controller: until its log says that it starts."""
    own = [
        event
        for event in facts.run.events
        if event.kind not in NOT_THE_CONTROLLERS and gap.from_s < event.at_s < gap.to_s
    ]
    started = [event.at_s for event in own if event.kind == "controller_started"]
    if not started:
        return None
    last_s = max((event.at_s for event in own if event.at_s < started[0]), default=gap.from_s)
    return Window(last_s, started[0])


def _worked_within(facts: StepFacts, gap: Gap) -> bool:
    """Return True if the controller wrote a line well inside the gap.

    Near the edges it may have worked just before, or just after, it stood still.
    """
    edge_s = min(_EDGE_S, _EDGE_RATIO * (gap.to_s - gap.from_s))
    return any(
        gap.from_s + edge_s < event.at_s < gap.to_s - edge_s
        for event in facts.run.events
        if event.kind not in NOT_THE_CONTROLLERS
    )


def _turned_through(facts: StepFacts, gap: Gap) -> bool:
    """Return True if the loop's count rose through the gap at more than half of its usual pace."""
    marks, middle_s = loop_marks(facts.run.polls), (gap.from_s + gap.to_s) / 2
    before = next((mark for mark in reversed(marks) if mark.at_s < middle_s), None)
    after = next((mark for mark in marks if mark.at_s >= middle_s), None)
    if before is None or after is None or before.start != after.start:
        return False
    usual = (after.at_s - before.at_s) / (facts.loop_s or DEFAULT_LOOP_S)
    return after.turns - before.turns >= _AT_WORK_RATIO * usual


def _overlaps(facts: StepFacts, from_s: float, to_s: float) -> bool:
    return from_s < facts.by_s and to_s > facts.begun_s


def _stall(facts: StepFacts, from_s: float, to_s: float, text: str) -> Stall:
    return Stall(max(from_s, facts.begun_s), min(to_s, facts.by_s), text)


def _slow_turns(facts: StepFacts) -> Iterator[Stall]:
    """Stretches, each 2 s and more, in which the loop had under a quarter of its turns."""
    marks = [mark for mark in loop_marks(facts.run.polls) if facts.within(mark.at_s)]
    stretch: tuple[LoopMark, LoopMark] | None = None
    for first, then in _slow_windows(marks, facts.loop_s or DEFAULT_LOOP_S):
        if stretch is not None and first.at_s <= stretch[1].at_s:
            stretch = (stretch[0], then)
        else:
            if stretch is not None:
                yield _turned(*stretch)
            stretch = (first, then)
    if stretch is not None:
        yield _turned(*stretch)


def _slow_windows(marks: Sequence[LoopMark], pace_s: float) -> Iterator[tuple[LoopMark, LoopMark]]:
    for place, first in enumerate(marks):
        later = (m for m in marks[place + 1 :] if m.at_s - first.at_s >= _WINDOW_S)
        then = next(later, None)
        if then is None or then.start != first.start:
            continue
        if (then.turns - first.turns) * pace_s < _PACE_RATIO * (then.at_s - first.at_s):
            yield first, then


def _turned(first: LoopMark, then: LoopMark) -> Stall:
    turns, seconds = then.turns - first.turns, then.at_s - first.at_s
    return Stall(
        first.at_s, then.at_s, f"turned its loop {count(turns, 'time')} in {seconds:.1f} s"
    )


class MarkWait(msgspec.Struct, frozen=True):
    """A replica that had initialised, and was not RUNNING yet.

    Its reconfigure, if it has a user_config, and its first health check come in between. `stood`:
    the controller stood still in that time; otherwise the replica waited for one of these.
    """

    replica: str
    from_s: float
    to_s: float
    stood: bool

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return self.to_s - self.from_s


def mark_wait(facts: StepFacts) -> MarkWait | None:
    """Wait of the critical replica after it had initialised; None for less than 1.5 s."""
    life = facts.critical()
    if life is None or life.initialized is None or life.initialized.mid_s >= facts.by_s:
        return None
    from_s = life.initialized.mid_s
    to_s = min(life.running.mid_s, facts.by_s) if life.running else facts.by_s
    stood_s = covered_s((from_s, to_s), [stall.window for stall in stalls(facts)])
    if to_s - from_s < _MARK_S:
        return None
    return MarkWait(life.replica, from_s, to_s, stood_s >= (to_s - from_s) / 2)


class LostNode(msgspec.Struct, frozen=True):
    """A node that dropped out: the latest time at which it did, and the evidence."""

    node: str
    at_s: float
    shown: tuple[Evidence, ...]


def lost_nodes(facts: StepFacts) -> list[LostNode]:
    """Nodes that dropped out. Two of three must show it: proxy, replicas, and Ray's node count."""
    proxies, replicas = _lost_proxies(facts), _replicas_given_up(facts)
    fewer = _fewer_nodes(facts)
    lost: list[LostNode] = []
    for node in proxies.keys() | replicas.keys():
        shown = [shown for shown in (proxies.get(node), replicas.get(node), fewer) if shown]
        if len(shown) >= _TOGETHER:
            at_s = min(evidence.at_s or 0.0 for evidence in shown) + facts.run.info.zero_s
            lost.append(LostNode(node, at_s, tuple(shown)))
    return lost


def _lost_proxies(facts: StepFacts) -> dict[str, Evidence]:
    """Serve's proxies that were HEALTHY and did not become so again."""
    lost: dict[str, Evidence] = {}
    for row in facts.run.proxies:
        if row.from_state == "HEALTHY" and facts.within(row.hi_s):
            state = row.to_state or "listed no more"
            text = f"Serve's proxy on node {row.node[:8]} went from HEALTHY to {state}"
            lost[row.node] = Evidence(text, facts.at(row.hi_s), row.node)
        elif row.to_state == "HEALTHY":
            lost.pop(row.node, None)
    return lost


def _replicas_given_up(facts: StepFacts) -> dict[str, Evidence]:
    """Nodes all of whose RUNNING replicas were given up, without a decision to have fewer."""
    fewer = [d.at.mid_s for d in facts.decisions(up=False)]
    running: Counter[str] = Counter()
    given_up: dict[str, list[float]] = {}
    for life in facts.timeline.replicas:
        if not life.node or not life.running or life.running.lo_s > facts.by_s or life.replaced:
            continue
        stopping = life.stopping
        if stopping is None or stopping.mid_s > facts.by_s:
            running[life.node] += 1
        elif facts.within(stopping.mid_s) and all(
            abs(at_s - stopping.mid_s) > _DECISION_S for at_s in fewer
        ):
            given_up.setdefault(life.node, []).append(stopping.mid_s)
    return {
        node: Evidence(
            f"all replicas of node {node[:8]} ({len(times)}) were given up",
            facts.at(min(times)),
            node,
        )
        for node, times in given_up.items()
        if not running[node]
    }


def _fewer_nodes(facts: StepFacts) -> Evidence | None:
    """Evidence that Ray's cluster status counted fewer nodes than before."""
    for earlier, later in pairwise(facts.run.snapshots):
        had, has = sum(earlier.active.values()), sum(later.active.values())
        if has < had and facts.within(later.received_s):
            failed = [name for name in later.failed if name not in earlier.failed]
            named = f"; failed: {failed[0]}" if failed else ""
            text = f"Ray's cluster status went from {had} active nodes to {has}{named}"
            return Evidence(text, facts.at(later.received_s))
    return None
