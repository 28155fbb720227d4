"""Facts on what the autoscaler counted, compared with the open requests (docs/diagnosis.md#blind).

Ray's own policy is known, so each of its decisions shows how many open requests it had counted. It
is the number in the log; otherwise it is the most that allows this decision.
"""

import msgspec

from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.diagnosis.failed_requests import connection_failures, longest_silence
from reports.analysis.diagnosis.front import held_target
from reports.analysis.diagnosis.outages import stalls
from reports.analysis.diagnosis.replayed import targets_at
from reports.analysis.lag.log_times import Decision
from reports.analysis.lag.policy import Policy
from reports.analysis.seen.blind import blind_windows, is_blind
from reports.analysis.seen.series import GaugeSeries, total_series
from reports.model.causes import Evidence
from reports.model.intervals import Window, covered_s, overlap_s
from scalelag.wording import count

_SAME_LINE_S = 0.05
_HALF = 0.5


class Count(msgspec.Struct, frozen=True):
    """At most `most` open requests were counted on average, throughout a window of Unix seconds.

    `text` is the evidence of it.
    """

    window: Window
    most: float
    shown: Evidence


class Undercount(msgspec.Struct, frozen=True):
    """Requests that the autoscaler did not count: `open_least` were open throughout a count.

    `where` says where they were; `{}` stands for their number.
    """

    count: Count
    open_least: float
    where: str = "at least {} had been open at the client"


def counts(facts: StepFacts) -> list[Count]:
    """Counts that follow from the autoscaler's decisions, or from a decision that it did not make.

    Only for Ray's own policy is it known which count leads to which decision.
    """
    policy = facts.policy
    if policy is None or not policy.default or facts.final_policy != policy:
        return []
    if facts.absence is not None or policy.aggregation == "min":
        return []
    found = [_of_decision(facts, policy, decision) for decision in facts.decisions(up=False)]
    held = _held(facts, policy)
    return [one for one in (*found, held) if one is not None]


def unseen(facts: StepFacts) -> list[Undercount]:
    """Counts of under half of the open requests, for longer than push and look-back, by time.

    Times in which the controller stood still, or requests did not reach Serve, are left out: these
    have causes of their own. Empty if the deployment's open requests are not known.
    """
    policy, concurrency = facts.policy, facts.concurrency
    if policy is None or concurrency is None:
        return []
    found: list[Undercount] = []
    for counted in counts(facts):
        window = counted.window
        if window.to_s - window.from_s <= policy.metrics_interval_s + policy.look_back_period_s:
            continue
        if _is_hidden(facts, window):
            continue
        open_least = concurrency.least(window.from_s, window.to_s, policy.look_back_period_s)
        if open_least is not None and is_blind(policy, counted.most, open_least):
            found.append(Undercount(counted, open_least))
    found += _by_gauges(facts, policy) if policy.default else []
    return sorted(found, key=lambda one: one.count.window.to_s)


def _of_decision(facts: StepFacts, policy: Policy, decision: Decision) -> Count | None:
    """Count of a decision for fewer: throughout the delay, averages over the look-back asked for it.

    With a factor `f`, the policy goes from `a` to `b` replicas if at most `a - (a - b) / f` were
    wanted. Of the time before its last turn it is known only that fewer than `a` were.
    """
    at_s = decision.at.mid_s
    logged = [
        event
        for event in facts.events("downscaling")
        if event.ongoing is not None and abs(event.at_s - at_s) < _SAME_LINE_S
    ]
    replicas = decision.before - (decision.before - decision.after) / policy.downscaling_factor
    most = max(0.0, replicas) * policy.target_ongoing_requests
    counted = f"no more than {_requests(most)}"
    if logged and logged[0].ongoing is not None:
        most = logged[0].ongoing
        counted = _requests(most)
    delay_s = policy.downscale_delay_s
    from_s = at_s - max(delay_s, policy.metrics_interval_s) - policy.look_back_period_s
    if from_s < facts.begun_s:
        return None
    text = (
        f"the autoscaler counted {counted} and went from {decision.before} to "
        f"{count(decision.after, 'replica')}"
    )
    raw = logged[0].raw if logged else None
    return Count(Window(from_s, at_s), most, Evidence(text, facts.at(at_s), raw=raw))


def seen_at_end(facts: StepFacts, window: Window) -> Count | None:
    """Mean of Serve's gauge in the last part of a hold; None without gauges."""
    total = _total(facts)
    mean = total.within(Window(facts.begun_s, facts.by_s)).mean(*window) if total else None
    if mean is None:
        return None
    text = f"the autoscaler counted {mean:.1f} open requests (Serve's gauge) at the end"
    return Count(window, mean, Evidence(text, facts.at(window.to_s)))


def _total(facts: StepFacts) -> GaugeSeries | None:
    """Series of what the policy was given, by Serve's gauges; None if they were not read."""
    total = total_series(facts.run.seen, facts.key)
    return total if total.readings else None


def _by_gauges(facts: StepFacts, policy: Policy) -> list[Undercount]:
    """Windows in which Serve's gauge was under half of what was open at the deployment."""
    total, requests = _total(facts), facts.requests
    if total is None or requests.open is None or requests.open is total:
        return []
    hold = Window(facts.begun_s, facts.by_s)
    found: list[Undercount] = []
    for window in blind_windows(total, requests, policy, hold, facts.timeline.resting):
        mean, opened = total.mean(*window), requests.open.mean(*window)
        if mean is None or opened is None:
            continue
        text = f"the autoscaler counted {mean:.1f} open requests on average (Serve's gauge)"
        given = Count(window, mean, Evidence(text, facts.at(window.to_s)))
        found.append(Undercount(given, opened, "{} were open at the deployment"))
    return [one for one in found if not _is_hidden(facts, one.count.window)]


def _held(facts: StepFacts, policy: Policy) -> Count | None:
    """The target did not rise for so long that more replicas cannot have been wanted."""
    hold = Window(facts.begun_s, facts.by_s)
    held = held_target(facts.timeline, policy, hold, facts.loop_s)
    if held is None:
        return None
    most = held.target * policy.target_ongoing_requests
    if _given(facts, Window(held.from_s, facts.by_s)) > most:
        return None
    text = (
        f"the autoscaler kept {count(held.target, 'replica')} for "
        f"{facts.by_s - held.from_s:.1f} s: it counted "
        f"no more than {_requests(most)}"
    )
    shown = Evidence(text, facts.at(facts.by_s))
    return Count(Window(held.from_s, facts.by_s), most, shown)


def _requests(number: float) -> str:
    return count(float(f"{number:g}"), "open request")


def _given(facts: StepFacts, window: Window) -> float:
    """The highest count that Serve's gauge shows in a window; 0 without a reading in it."""
    total = _total(facts)
    readings = total.readings if total else ()
    told = [one.value for one in readings if window.from_s <= one.from_s <= window.to_s]
    return max(told, default=0.0)


def _is_hidden(facts: StepFacts, window: Window) -> bool:
    """Return True if the controller stood still, or nothing was answered, in part of `window`."""
    part_s = _HALF * (window.to_s - window.from_s)
    if covered_s(window, [stall.window for stall in stalls(facts)]) > 0:
        return True
    failed = connection_failures(facts)
    if failed and overlap_s(window, (failed.from_s, failed.to_s)) > 0:
        return True
    silence = longest_silence(facts)
    if silence is None or not silence.may_be_network:
        return False
    return overlap_s(window, (silence.from_s, silence.to_s)) > part_s


def shown_unseen(facts: StepFacts, found: Undercount) -> Evidence:
    """Evidence of the number that was counted, and of the number open at the same time."""
    window, shown = found.count.window, found.count.shown
    text = (
        f"{shown.text}, while {found.where.format(f'{found.open_least:,.0f}')} for "
        f"{window.to_s - window.from_s:.1f} s"
    )
    return Evidence(text, facts.at(window.to_s), raw=shown.raw)


def replayed(facts: StepFacts, found: Undercount) -> Evidence | None:
    """Evidence of the decision of Ray's own policy on the open requests; None without one."""
    at_s, policy = found.count.window.to_s, facts.policy
    decided = [d.after for d in facts.timeline.decisions if d.at.lo_s <= at_s]
    last = facts.timeline.poll_before(at_s)
    target = decided[-1] if decided else last.target if last else None
    if facts.replay is None or facts.concurrency is None or policy is None or target is None:
        return None
    # A replay takes seconds of CPU time, and is of no use if no more replicas are allowed.
    if target >= policy.max_replicas:
        return None
    targets = targets_at(facts.replay(facts.run, facts.key, facts.concurrency), at_s)
    if targets is None or targets[0] <= target:
        return None
    least = "" if targets[0] == targets[1] else f"{targets[0]} to "
    had = f"{least}{count(targets[1], 'replica')}"
    text = f"Ray's own policy, replayed on the requests that were open, had {had} then"
    return Evidence(text, facts.at(at_s))
