"""Signs of a cause, and the finding that the signs of one cause make together."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.simulable import why_not_simulated
from reports.model.causes import Cause, Evidence, Finding
from reports.model.intervals import covered_s
from reports.model.try_out import whatif_command
from scalelag.record.rows import DeploymentKey


class Sign(msgspec.Struct, frozen=True):
    """A sign of a cause, between two moments in Unix seconds.

    The cause accounts for `seconds` of that time, or for all of it if None. If another cause may be
    behind it, `tell_apart` says how to find out. `deployment` is the one with the limit, if it is
    another than the one under diagnosis.
    """

    from_s: float
    to_s: float
    shown: tuple[Evidence, ...]
    seconds: float | None = None
    tell_apart: str | None = None
    deployment: DeploymentKey | None = None


class Rule(NamedTuple):
    """A cause, the signs that prove it, and advice.

    A rule that `makes_late` has to explain a part of the lag. Other rules say why the step did not
    bring the replicas that were needed. `named` is a more specific name than the cause's. `change`
    has the settings that the advice asks for, with values, if a simulation can try them.
    """

    cause: Cause
    signs: tuple[Callable[[StepFacts], Iterable[Sign]], ...]
    advice: Callable[[StepFacts, Sequence[Sign]], str]
    makes_late: bool = True
    named: str | None = None
    change: Callable[[StepFacts], Mapping[str, float]] | None = None


def finding_of(rule: Rule, facts: StepFacts) -> Finding | None:
    """Finding from all signs of the rule; None if there are none.

    Its `seconds` are within the lag. Time that several signs explain counts once.
    """
    signs = [sign for find in rule.signs for sign in find(facts)]
    if not signs:
        return None
    evidence = sorted(
        (shown for sign in signs for shown in sign.shown),
        key=lambda e: math.inf if e.at_s is None else e.at_s,
    )
    seconds = _explained_s(signs, facts) if rule.makes_late else 0.0
    doubts = [sign.tell_apart for sign in signs]
    return Finding(
        cause=rule.cause,
        evidence=tuple(evidence),
        advice=rule.advice(facts, signs),
        seconds=seconds or None,
        from_s=facts.at(min(sign.from_s for sign in signs)),
        to_s=facts.at(max(sign.to_s for sign in signs)),
        tell_apart=doubts[0] if all(doubts) else None,
        deployment=signs[0].deployment,
        named=rule.named,
        command=_command(rule, facts),
    )


def _command(rule: Rule, facts: StepFacts) -> str | None:
    """The simulation that tries the advice; None if the record cannot be simulated."""
    if rule.change is None or why_not_simulated(facts.run, facts.key) is not None:
        return None
    return whatif_command(facts.key, rule.change(facts))


def _explained_s(signs: Sequence[Sign], facts: StepFacts) -> float:
    whole = [(sign.from_s, sign.to_s) for sign in signs if sign.seconds is None]
    part_s = max((sign.seconds for sign in signs if sign.seconds is not None), default=0.0)
    return max(covered_s((facts.begun_s, facts.answered_s), whole), part_s)
