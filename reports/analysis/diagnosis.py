"""What made a step late, or requests fail: the rules' findings, weighed against one another.

A rule takes the facts of a step and returns a finding, or None where the facts do not show its
cause. Each asks for something that was seen, never only how long something took, since a busy
machine is slow without being broken: Serve needs 2 s, and 5.5 s where several start at once, for a
worker process. docs/diagnosis.md has the rules in words, with the runs that they were tried on.
"""

from collections.abc import Callable, Sequence

import msgspec

from reports.analysis.cluster_rules import network, resources, state_sync
from reports.analysis.facts import StepFacts
from reports.analysis.findings import Cause, Evidence, FailureReport, Finding
from reports.analysis.model import StepReport
from reports.analysis.replica_rules import bounds, configured_delay, health_check, slow_init

RULES: tuple[tuple[Cause, Callable[[StepFacts], Finding | None]], ...] = (
    ("network", network),
    ("resources", resources),
    ("health_check", health_check),
    ("slow_init", slow_init),
    ("state_sync", state_sync),
    ("bounds", bounds),
)
"""Causes other than the configuration: `configured_delay` stands only where none of these does."""

_PREVAILS = 2.0
_OVERLOAD = ("HTTP 503", "timeout", "unfinished")


def diagnosed(facts: StepFacts) -> StepReport:
    """The step of `facts`, with what made it late.

    A step without a lag is asked all the same: requests may have suffered while no replica came.
    """
    findings = _step_findings(facts)
    cause = leading(findings)
    chosen = next((f for f in findings if f.cause == cause), None)
    return msgspec.structs.replace(
        facts.step,
        cause=cause,
        findings=findings,
        evidence=chosen.evidence if chosen else (),
    )


def _step_findings(facts: StepFacts) -> tuple[Finding, ...]:
    if facts.step.direction == "none":
        return ()
    found = [finding for _, rule in RULES if (finding := rule(facts)) is not None]
    if not found:
        configured = configured_delay(facts)
        found = [configured] if configured else []
    return tuple(sorted(found, key=lambda f: -(f.seconds or 0.0)))


def leading(findings: Sequence[Finding]) -> Cause | None:
    """The cause that prevails: the only one, or one that explains twice the time of any other.

    None where several are left, or where the only one itself says that another may be meant.
    """
    if not findings:
        return None
    first, *others = findings
    if first.tell_apart is not None:
        return None
    second_s = max(((other.seconds or 0.0) for other in others), default=0.0)
    if not others or (first.seconds or 0.0) >= _PREVAILS * second_s > 0.0:
        return first.cause
    return first.cause if (first.seconds or 0.0) > 0.0 and second_s == 0.0 else None


def failure_report(facts: StepFacts, step: StepReport) -> FailureReport | None:
    """Failed requests of the step's hold, and why; None where none failed.

    `step` is the step as diagnosed: where it was late, what made it so made requests wait too.
    """
    errors = facts.errors()
    first_s = facts.first_failure_s()
    if not errors or first_s is None:
        return None
    findings = _failure_findings(facts, step, set(errors))
    return FailureReport(
        index=step.index,
        first_s=facts.at(first_s),
        last_s=facts.at(facts.ended_s),
        count=errors.total(),
        errors=dict(errors.most_common()),
        cause=leading(findings),
        findings=findings,
    )


def _failure_findings(facts: StepFacts, step: StepReport, kinds: set[str]) -> tuple[Finding, ...]:
    """Findings that can make requests fail in these ways."""
    causes: set[Cause] = {"network", "health_check"}
    if kinds & set(_OVERLOAD):
        causes |= {"bounds"}
        if facts.is_late:
            causes |= {"resources", "slow_init", "state_sync", "configured_delay"}
    return tuple(finding for finding in step.findings if finding.cause in causes)


def unexplained(step: StepReport) -> Evidence | None:
    """What can be said of a late step that no rule explains."""
    if step.findings or step.floor is None or step.total_s is None or step.total_s.value is None:
        return None
    late_s = step.total_s.lo - step.floor.worst_s
    if late_s <= 0:
        return None
    measured = [p for p in step.phases if p.value is not None and p.part_of == "total"]
    longest = max(measured, key=lambda p: p.value or 0.0, default=None)
    where = f", most of it in {longest.name} ({longest.value:.1f} s)" if longest else ""
    return Evidence(f"{late_s:.1f} s more than the configuration explains{where}; no rule fits")
