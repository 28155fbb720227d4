"""When the Serve controller stood still, and which nodes dropped out, during a step."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from reports.analysis.facts import StepFacts
from reports.analysis.findings import Evidence
from reports.analysis.policy import DEFAULT_LOOP_S
from scalelag.record.rows import Poll

# A busy machine makes single turns of the loop several times as long, and answers late by a second.
_LATE_ANSWER_S = 1.5
_WINDOW_S = 2.0
_PACE_RATIO = 0.25
_DECISION_S = 1.0
_TOGETHER = 2


class Stall(msgspec.Struct, frozen=True):
    """A time in which the controller answered nothing, or turned its loop far too seldom."""

    from_s: float
    to_s: float
    text: str

    @property
    def seconds(self) -> float:
        """How long."""
        return self.to_s - self.from_s


def stalls(facts: StepFacts) -> list[Stall]:
    """When the controller did not answer, or had under a quarter of its turns, by time."""
    polls = [p for p in facts.run.polls if facts.begun_s <= p.received_s and p.sent_s < facts.by_s]
    found = [
        Stall(
            max(p.sent_s, facts.begun_s),
            min(p.received_s, facts.by_s),
            f"answered after {p.received_s - p.sent_s:.1f} s",
        )
        for p in polls
        if p.received_s - p.sent_s >= _LATE_ANSWER_S
    ]
    found += [
        Stall(
            max(gap.from_s, facts.begun_s),
            min(gap.to_s, facts.by_s),
            f"gave no usable answer for {gap.to_s - gap.from_s:.1f} s ({gap.reason})",
        )
        for gap in facts.run.gaps
        if gap.from_s < facts.by_s and gap.to_s > facts.begun_s and gap.to_s > gap.from_s
    ]
    return _merged([*found, *_slow_turns(facts, polls)])


def _slow_turns(facts: StepFacts, polls: Sequence[Poll]) -> Iterator[Stall]:
    """Stretches of 2 s and more in which the loop had under a quarter of its turns."""
    pace_s = facts.loop_s or DEFAULT_LOOP_S
    marks = [
        (poll.received_s, c.loops, c.start_time_s)
        for poll in polls
        if (c := poll.controller) is not None and c.loops is not None
    ]
    for place, (from_s, loops, start) in enumerate(marks):
        later = (m for m in marks[place + 1 :] if m[0] - from_s >= _WINDOW_S and m[2] == start)
        then = next(later, None)
        if then is None:
            continue
        seconds, turns = then[0] - from_s, then[1] - loops
        if turns * pace_s < _PACE_RATIO * seconds:
            yield Stall(from_s, then[0], f"turned its loop {turns} times in {seconds:.1f} s")


def _merged(found: Sequence[Stall]) -> list[Stall]:
    """Stalls that overlap as one, with the words of the first of them."""
    merged: list[Stall] = []
    for stall in sorted(found, key=lambda s: (s.from_s, -s.to_s)):
        if merged and stall.from_s < merged[-1].to_s:
            last = merged[-1]
            merged[-1] = Stall(last.from_s, max(last.to_s, stall.to_s), last.text)
        else:
            merged.append(stall)
    return merged


class LostNode(msgspec.Struct, frozen=True):
    """A node that dropped out: since when at the latest, and what shows it."""

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
        if not life.node or not life.running or life.running.lo_s > facts.by_s:
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
    """What Ray's cluster status said when it counted fewer nodes than before."""
    for earlier, later in pairwise(facts.run.snapshots):
        had, has = sum(earlier.active.values()), sum(later.active.values())
        if has < had and facts.within(later.received_s):
            failed = [name for name in later.failed if name not in earlier.failed]
            named = f"; failed: {failed[0]}" if failed else ""
            text = f"Ray's cluster status went from {had} active nodes to {has}{named}"
            return Evidence(text, facts.at(later.received_s))
    return None
