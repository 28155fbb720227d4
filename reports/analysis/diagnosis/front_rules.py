"""Signs of a limit before a deployment: a full front (bounds), a blind autoscaler (state_sync)."""

from collections.abc import Iterator, Sequence

from reports.analysis.diagnosis.counts import (
    Count,
    Undercount,
    counts,
    replayed,
    seen_at_end,
    shown_unseen,
    unseen,
)
from reports.analysis.diagnosis.facts import WANTS_MORE, StepFacts
from reports.analysis.diagnosis.failed_requests import is_slowed
from reports.analysis.diagnosis.front import Front
from reports.analysis.diagnosis.rule import Rule, Sign
from reports.analysis.seen.blind import is_blind
from reports.model.causes import Evidence
from reports.model.intervals import Window
from scalelag.record.evidence_rows import LogEvent
from scalelag.wording import count

_FULL = 0.95
_REJECTIONS = 3
_PART = 4
_HALF = 0.5
_JUST_S = 0.001


def front_is_limit(facts: StepFacts) -> Iterator[Sign]:
    """All slots of a front were in use, and the deployment behind it wanted no more replicas.

    More replicas behind it would change nothing.
    """
    window = _end_of_hold(facts)
    behind = _wanted_no_more(facts, window)
    if behind is None or not _others_served(facts):
        return
    for front in facts.fronts:
        shown = _full(facts, front, window)
        if shown:
            yield Sign(facts.begun_s, facts.by_s, (*shown, behind.shown), deployment=front.key)


def fixed_and_full(facts: StepFacts) -> Iterator[Sign]:
    """The same for a deployment that is alone, with a fixed number of replicas."""
    if facts.own is None or facts.policy is not None or facts.final_policy is not None:
        return
    shown = _full(facts, facts.own, _end_of_hold(facts))
    if shown and facts.step.direction == "up" and _grew(facts):
        yield Sign(facts.begun_s, facts.by_s, shown)


def _end_of_hold(facts: StepFacts) -> Window:
    return Window(facts.by_s - (facts.by_s - facts.begun_s) / _PART, facts.by_s)


def _wanted_no_more(facts: StepFacts, window: Window) -> Count | None:
    """Evidence that no more were wanted at the end of the hold: by gauges, else by a late decision."""
    seen = seen_at_end(facts, window)
    if seen is not None:
        return seen if seen.most <= _room(facts) else None
    middle_s = (facts.begun_s + window.to_s) / 2
    found = [
        one for one in (*_before_a_late_one(facts), *counts(facts)) if one.window.to_s > middle_s
    ]
    return found[-1] if found else None


def _before_a_late_one(facts: StepFacts) -> list[Count]:
    """Counts before the only decision for more, if it asked for less than half a replica more.

    By its log line that is noise, and does not refute the earlier counts.
    """
    raised, policy = facts.decisions(up=True), facts.final_policy
    lines = [event for event in facts.events("upscaling") if event.ongoing is not None]
    if len(raised) != 1 or len(lines) != 1 or policy is None:
        return []
    noise = (raised[0].before + _HALF) * policy.target_ongoing_requests
    if (lines[0].ongoing or 0.0) > noise:
        return []
    return counts(facts.until(raised[0].at.lo_s - _JUST_S))


def _room(facts: StepFacts) -> float:
    """Open requests for which the RUNNING replicas are enough, by the policy."""
    policy, running = facts.final_policy, facts.lag.replicas_after
    return (running or 0) * policy.target_ongoing_requests if policy else 0.0


def _others_served(facts: StepFacts) -> bool:
    """Return True if requests cannot be waiting for a deployment beside this one."""
    return all(other.is_served(_end_of_hold(facts), facts.begun_s) for other in facts.beside)


def _full(facts: StepFacts, front: Front, window: Window) -> tuple[Evidence, ...]:
    """Evidence that all slots of `front` were in use and it could not grow; empty otherwise.

    If the number open at it is not known, its own log lines decide.
    """
    slots = front.slots(*window)
    if not slots or front.may_grow(*window):
        return ()
    rejected = [
        event
        for event in facts.run.events
        if event.kind == "at_capacity" and event.deployment == front.key
    ]
    rejected = [event for event in rejected if facts.within(event.at_s)]
    opened = _open_at(facts, front, window)
    rejects = len(rejected) >= _REJECTIONS
    if not rejects if opened is None else opened < (_FULL if rejects else WANTS_MORE) * slots:
        return ()
    running = front.running(*window)
    text = (
        f"{front.key} takes {count(slots, 'request')} at once ({running} RUNNING x "
        f"max_ongoing_requests {front.most_ongoing})"
    )
    if opened is not None:
        where = "the client" if front.is_ingress else "it, by Serve's gauges,"
        text += f", and {opened:,.0f} were open at {where} at the end"
    return (Evidence(text, facts.at(facts.by_s)), *_rejections(facts, front, rejected))


def _open_at(facts: StepFacts, front: Front, window: Window) -> float | None:
    """Mean number of requests open at `front`; one behind another has not all of the client's."""
    if not front.is_ingress:
        return front.open_there(Window(facts.begun_s, facts.by_s), window)
    return facts.concurrency.mean(*window) if facts.concurrency else None


def _rejections(
    facts: StepFacts, front: Front, rejected: Sequence[LogEvent]
) -> tuple[Evidence, ...]:
    if not rejected:
        return ()
    return (facts.quote(rejected[0], f"a replica of {front.key} says so"),)


def _grew(facts: StepFacts) -> bool:
    """Return True if the open requests are not a backlog that is soon gone."""
    now, before = (
        facts.concurrency.mean(until_s - quarter_s, until_s) if facts.concurrency else None
        for quarter_s in [(facts.by_s - facts.begun_s) / _PART]
        for until_s in (facts.by_s, facts.by_s - quarter_s)
    )
    return now is not None and before is not None and now >= _FULL * before


def front_advice(facts: StepFacts, signs: Sequence[Sign]) -> str:
    """Advice: more room in the front itself, and none behind it."""
    front = next((f for f in facts.fronts if f.key == signs[0].deployment), facts.own)
    if front is None:
        return ""
    running = front.running(*_end_of_hold(facts))
    behind = "" if front is facts.own else f"; more replicas of {facts.key} change nothing"
    return (
        f"Raise {front.setting} of {front.key} from {running}, or its max_ongoing_requests from "
        f"{front.most_ongoing} if it only waits{behind}."
    )


def saw_too_little(facts: StepFacts) -> Iterator[Sign]:
    """The autoscaler decided on less than half of the open requests.

    Behind a front only late requests count, since those that the front works on are not open here.
    """
    for found in _hidden_from(facts):
        window = found.count.window
        shown = (shown_unseen(facts, found), replayed(facts, found))
        yield Sign(window.from_s, window.to_s, tuple(one for one in shown if one))


def _hidden_from(facts: StepFacts) -> Iterator[Undercount]:
    """Open requests that the autoscaler did not count, and that no front held back."""
    if any(_full(facts, front, _end_of_hold(facts)) for front in facts.fronts):
        return
    is_behind = facts.info is not None and facts.info.is_ingress is False
    for found in unseen(facts):
        if is_behind and not _is_held_up(facts, found.count.window):
            continue
        if not _is_held_back(facts, found):
            yield found


def was_blind(facts: StepFacts) -> bool:
    """Return True if the autoscaler was blind, so that its count does not tell what was wanted.

    False for a deployment that gets the client's own requests: these tell it.
    """
    return facts.requests.whose != "client" and next(_hidden_from(facts), None) is not None


def _is_held_back(facts: StepFacts, found: Undercount) -> bool:
    """Return True if so few requests can have passed a front that the autoscaler was not blind."""
    policy, window = facts.policy, found.count.window
    passed = min((front.slots(*window) for front in facts.fronts), default=None)
    if policy is None or passed is None:
        return False
    return not is_blind(policy, found.count.most, min(passed, found.open_least))


def _is_held_up(facts: StepFacts, window: Window) -> bool:
    """Return True if requests were late, and each front had all the replicas that it wanted."""
    if not facts.fronts or not _others_served(facts) or not is_slowed(facts, window):
        return False
    return not any(
        front.may_grow(*window)
        and front.policy is not None
        and front.policy.demand_of(_open_at(facts, front, window) or 0.0) > front.running(*window)
        for front in facts.fronts
    )


def blind_advice(facts: StepFacts, _signs: Sequence[Sign]) -> str:
    """Advice: the place at which requests wait without being counted."""
    names = (
        " and ".join(front.key for front in facts.fronts) or "what calls it, or stands before it"
    )
    return (
        f"Look at {names}: its event loop is held up, or requests wait where Serve does not count "
        "them. Move blocking work off the event loop (a def method, asyncio.to_thread), or raise its "
        f"num_replicas; max_replicas of {facts.key} changes nothing."
    )


FRONT = Rule(
    "bounds", (front_is_limit, fixed_and_full), front_advice, makes_late=False, named="a full front"
)
BLIND = Rule(
    "state_sync", (saw_too_little,), blind_advice, makes_late=False, named="a blind autoscaler"
)
