"""Causes of late steps and failed requests: the findings of all rules, weighed against each other.

A rule asks for signs that were seen, never only for a long duration, since a busy machine is slow
without a fault. docs/diagnosis.md has the rules in words, and the runs on which they were tried.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import msgspec

from reports.analysis.diagnosis.cluster_rules import NETWORK, RESOURCES, STATE_SYNC
from reports.analysis.diagnosis.deaths import until_death_was_noticed
from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.diagnosis.failed_requests import (
    GATEWAY,
    OVERLOAD,
    FailedRequests,
    before_calm,
    failures,
)
from reports.analysis.diagnosis.front_rules import BLIND, FRONT
from reports.analysis.diagnosis.outages import lost_nodes
from reports.analysis.diagnosis.replica_rules import (
    BOUNDS,
    CONFIGURED_DELAY,
    DIED,
    HEALTH_CHECK,
    SLOW_INIT,
)
from reports.analysis.diagnosis.rule import Rule, finding_of
from reports.analysis.diagnosis.stay_rules import KEPT, OSCILLATION
from reports.model.causes import Cause, Evidence, FailureReport, Finding
from reports.model.intervals import overlap_s
from reports.model.steps import Phase, least_s, longest_phase
from scalelag.wording import count

RULES: tuple[Rule, ...] = (
    NETWORK,
    RESOURCES,
    DIED,
    HEALTH_CHECK,
    SLOW_INIT,
    STATE_SYNC,
    BLIND,
    FRONT,
    OSCILLATION,
    BOUNDS,
    KEPT,
    CONFIGURED_DELAY,
)

ELSEWHERE = (BLIND, FRONT)
"""Rules which say that more replicas would change nothing, so that their bound is not the cause."""

OF_A_HOLD = (BLIND, FRONT, BOUNDS)
"""Rules on where requests wait; these may fail long after the hold that shows it."""

OF_A_LOST_NODE: frozenset[Cause] = frozenset({"health_check", "resources", "state_sync"})
"""Causes that follow from a lost node: its replicas fail checks, others find no room."""

TELL_APART: dict[Cause, str] = {
    "network": "network: Serve's access logs show whether the requests arrived",
    "resources": "resources: the wait is gone where room is kept free (--wait-for-room)",
    "health_check": "health_check: the quoted errors are gone with another version of the code",
    "slow_init": "slow_init: the replica's own log says how long its constructor took",
    "state_sync": "state_sync: the controller's gaps are gone where it has more room",
}

_SHARE = 0.2
_PREVAILS = 2.0
_UNEXPLAINED_S = 1.0
_AFTER_S = 1.0


class Diagnosis(msgspec.Struct, frozen=True):
    """Findings on a late step, and its cause; None if there is none, or if several fit."""

    cause: Cause | None
    findings: tuple[Finding, ...]
    evidence: tuple[Evidence, ...]


def diagnose(facts: StepFacts) -> Diagnosis:
    """Find the cause of a late step; nothing if it has no answer because of a deletion."""
    if facts.is_absent or (facts.absence is not None and facts.lag.censored):
        return Diagnosis(None, (), ())
    findings = step_findings(facts)
    cause = leading(findings)
    chosen = next((f for f in findings if f.cause == cause), None)
    return Diagnosis(cause, findings, chosen.evidence if chosen else _unexplained(facts, findings))


def step_findings(facts: StepFacts) -> tuple[Finding, ...]:
    """Findings on missing replicas, or on at least a fifth of the lag or half of its lateness."""
    if facts.step.direction == "none":
        return ()
    before = facts.until(facts.answered_s)
    least_s = _SHARE * facts.lag_s
    if (late_s := _notably_late_s(facts)) is not None:
        least_s = min(least_s, late_s / 2)
    found = {
        rule: finding
        for rule in RULES
        if (finding := finding_of(rule, before if rule.makes_late else facts)) is not None
        and (not rule.makes_late or (finding.seconds or 0.0) >= least_s)
    }
    return _weighed(facts, _in_reach(found))


def _in_reach(found: Mapping[Rule, Finding]) -> list[Finding]:
    """Findings without the bound of a deployment that more replicas would not help."""
    elsewhere = any(rule in found for rule in ELSEWHERE)
    return [finding for rule, finding in found.items() if not (elsewhere and rule is BOUNDS)]


def _weighed(facts: StepFacts, found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings that do not follow from others, the cause first; rivals say how to tell them apart."""
    cut_off = any(finding.cause == "network" for finding in found) and bool(lost_nodes(facts))
    kept = [f for f in found if not (cut_off and f.cause in OF_A_LOST_NODE)]
    rivals = {
        cause for pair in combinations(kept, 2) if _are_rivals(*pair) for cause in _causes(pair)
    }
    told = [
        msgspec.structs.replace(finding, tell_apart=TELL_APART[finding.cause])
        if finding.cause in rivals and finding.tell_apart is None
        else finding
        for finding in kept
    ]
    first = leading(told)
    return tuple(sorted(told, key=lambda f: (f.cause != first, -(f.seconds or 0.0))))


def _causes(findings: Sequence[Finding]) -> list[Cause]:
    return [finding.cause for finding in findings]


def _are_rivals(one: Finding, other: Finding) -> bool:
    """Return True if both explain the same time, and neither twice as much as the other.

    The configured delay is no rival: its share is known, and comes on top.
    """
    if "configured_delay" in (one.cause, other.cause) or not (one.seconds and other.seconds):
        return False
    if max(one.seconds, other.seconds) >= _PREVAILS * min(one.seconds, other.seconds):
        return False
    shared_s = overlap_s(*((f.from_s or 0.0, f.to_s or 0.0) for f in (one, other)))
    return shared_s >= min(one.seconds, other.seconds) / 2


def leading(findings: Sequence[Finding]) -> Cause | None:
    """The cause that explains the most; None if there is none, or if another may be behind it.

    A cause that kept replicas away goes before the configuration, which only delayed them.
    """
    if not findings:
        return None
    first = max(findings, key=lambda f: f.seconds or 0.0)
    if first.cause == "configured_delay":
        first = next((f for f in findings if f.seconds is None), first)
    return None if first.tell_apart else first.cause


def failure_report(facts: StepFacts) -> FailureReport | None:
    """Report of the failed requests of the step's hold that were for its application, or None.

    If most failed while the deployment was deleted, no other cause is given. `failed_reasons.py`
    adds the reasons of single requests for the whole run.
    """
    whole = facts.with_hold_until(facts.hold_ended_s or facts.ended_s)
    failed = failures(whole)
    if failed is None:
        return None
    missing = _while_gone(whole)
    findings = () if 2 * missing > failed.count else _of_failed(facts, failed)
    return FailureReport(
        index=facts.step.index,
        first_s=facts.at(failed.from_s),
        last_s=facts.at(failed.to_s),
        count=failed.count,
        errors=failed.kinds,
        cause=leading(findings),
        findings=findings,
        notes=() if findings else (*_unwatched_notes(facts, failed), *_untold_notes(facts, failed)),
    )


def _of_failed(facts: StepFacts, failed: FailedRequests) -> tuple[Finding, ...]:
    """Findings on failures before a deletion, or in the whole hold."""
    kinds = set(failed.kinds)
    if facts.absence is not None:
        return _doubted(_failure_findings(facts, kinds, facts), failed)
    # The fault at the time of the last failure shows in requests sent then.
    lasting = facts.with_hold_until(max(facts.ended_s, failed.to_s + _AFTER_S))
    return _doubted(_failure_findings(lasting, kinds, facts), failed)


def _doubted(findings: tuple[Finding, ...], failed: FailedRequests) -> tuple[Finding, ...]:
    """The findings, those on lost replicas in doubt if most answers may be the application's own.

    A proxy that has lost a replica answers 502, 503 or 504. A healthy application may answer so,
    too.
    """
    answered = {kind: failed.kinds[kind] for kind in GATEWAY if failed.kinds.get(kind)}
    if 2 * sum(answered.values()) <= failed.count:
        return findings
    doubt = (
        f"{' and '.join(answered)}: the proxy's or the application's own, which the record cannot tell "
        "apart. If they are the application's own, this is not their cause: look at the body of one"
    )
    return tuple(
        msgspec.structs.replace(finding, tell_apart=doubt)
        if finding.cause == "health_check" and finding.tell_apart is None
        else finding
        for finding in findings
    )


def _unwatched_notes(facts: StepFacts, failed: FailedRequests) -> tuple[str, ...]:
    """Note that a front that was not watched may be overloaded; none if all were watched."""
    if not facts.unwatched or not OVERLOAD & set(failed.kinds):
        return ()
    options = " ".join(f"--deployment {key}" for key in facts.unwatched)
    return (f"what stands before it was not watched, and may be full: add {options}",)


def _untold_notes(facts: StepFacts, failed: FailedRequests) -> tuple[str, ...]:
    """Note on an overload if it is unknown which requests reached the deployment."""
    if facts.policy is None or facts.requests.given is not None:
        return ()
    if facts.requests.reason is None or not OVERLOAD & set(failed.kinds):
        return ()
    return (
        (
            f"what reached {facts.key} is not known ({facts.requests.reason}): a blind autoscaler, a "
            "full front and requests that never arrived cannot be told apart"
        ),
    )


def _while_gone(facts: StepFacts) -> int:
    """Number of requests for its application that failed in the hold until it was back."""
    if facts.absence is None:
        return 0
    failed = failures(facts.while_gone(facts.absence))
    return failed.count if failed else 0


def _failure_findings(facts: StepFacts, kinds: set[str], hold: StepFacts) -> tuple[Finding, ...]:
    """Findings that can make requests fail in these ways, whether the step was late or not.

    Requests that waited may fail long after the `hold` that shows their reason.
    """
    rules = {NETWORK, DIED, HEALTH_CHECK}
    if kinds & OVERLOAD:
        rules |= {*OF_A_HOLD, OSCILLATION}
        if (facts.is_late or hold.is_unseen) and _began_to_fail_while_late(hold):
            rules |= {RESOURCES, SLOW_INIT, STATE_SYNC, CONFIGURED_DELAY}
    found = {
        rule: finding
        for rule in RULES
        if rule in rules
        and (finding := _found(rule, facts, hold)) is not None
        and not _is_trifle(finding, facts)
    }
    return _weighed(facts, _in_reach(found))


def _began_to_fail_while_late(hold: StepFacts) -> bool:
    """Return True if most failed while the step was not answered, or what piled up then was open."""
    at_once, failed = before_calm(hold, min(hold.answered_s, hold.ended_s))
    return 2 * at_once >= failed


def _is_trifle(finding: Finding, facts: StepFacts) -> bool:
    """Return True if a slow start with two possible reasons is only a small part of the wait."""
    if finding.tell_apart is None or finding.cause not in ("health_check", "slow_init"):
        return False
    return (finding.seconds or 0.0) < _SHARE * facts.lag_s


def _found(rule: Rule, facts: StepFacts, hold: StepFacts) -> Finding | None:
    finding = finding_of(rule, facts)
    if finding is None and rule is DIED and (later := until_death_was_noticed(facts)) is not None:
        return finding_of(rule, later)
    return finding_of(rule, hold) if finding is None and rule in OF_A_HOLD else finding


def _unexplained(facts: StepFacts, findings: Sequence[Finding]) -> tuple[Evidence, ...]:
    """Evidence on a late step that no rule explains."""
    late_s = _notably_late_s(facts)
    if not findings and (text := _longer_start(facts)):
        return (Evidence(text),)
    if findings or (late_s is None and (facts.floor or not facts.lag.censored)):
        return ()
    lag = facts.lag
    longest = longest_phase(lag.phases, lag.total_s if lag.censored else None)
    where = f"{_words(longest)} of all went to {longest.name}" if longest else ""
    total = lag.total_s
    answered_s = facts.begun_s + total.value if total and total.value else facts.ended_s
    before = facts.until(answered_s)
    decisions = len(before.decisions(up=facts.step.direction == "up"))
    if longest and longest.name == "decide" and decisions > 1:
        where += f", in {count(decisions, 'decision')}"
    late = (
        ""
        if late_s is None
        else f"{late_s:.1f} s more than the configuration explains at its worst"
    )
    return (Evidence("; ".join(one for one in (late, where) if one)),) if late or where else ()


def _words(phase: Phase) -> str:
    at_least = "at least " if phase.value is None else ""
    return f"{at_least}{least_s(phase):.1f} s"


def _longer_start(facts: StepFacts) -> str:
    """Text on a start-up, or drain, that is longer than the time there was; empty if it is not."""
    total, floor = facts.lag.total_s, facts.floor
    if total is None or total.value is not None or floor is None or floor.replica_s < total.lo:
        return ""
    what, are = floor.replica_words(facts.step.direction), "is" if floor.starts == 1 else "are"
    return (
        f"{what}, {floor.replica_s:.1f} s, {are} longer than the {total.lo:.1f} s that there were"
    )


def _notably_late_s(facts: StepFacts) -> float | None:
    """Seconds that the step is late, if it is late enough to ask for a cause; else None."""
    total, late_s = facts.lag.total_s, facts.late_s
    # A share of the answer itself: replicas may be lost long after it.
    if total is None or late_s is None or late_s < max(_UNEXPLAINED_S, _SHARE * total.lo):
        return None
    return late_s
