"""Words and figures as all formats write them."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from reports.model.causes import Cause, Finding
from reports.model.intervals import Span
from reports.model.load import NO_BREACH
from reports.model.report import GateResult, ProbeReport, Report
from reports.model.steps import BLIND_S, Phase, PhaseName, StepReport
from scalelag.foreign import sanitized
from scalelag.plan.stages import Direction
from scalelag.wording import count

NOT_MEASURED = "-"
_SMALLEST_SHOWN_S = 0.005
# A value is in the middle of its interval if it is that near, by its rounding and that of its bounds.
_SAME_MARGIN_S = 0.02
_SAME_MARGIN_SHARE = 0.2
DEFAULT = " (default gate)"
NO_GATES = "No gates were set: the verdict says only whether the run can be trusted."
_MOST_GATES_TOLD = 3
_OPERATOR = re.compile(r"(<=|>=|<|>)")
_OPPOSITE = {"<=": ">", "<": ">=", ">=": "<", ">": "<="}
_CAUSES: dict[str, str] = {
    "resources": "no room for the replica",
    "state_sync": "a late controller",
    "health_check": "failed health checks",
    "slow_init": "slow start of the replica",
    "network": "the network",
    "bounds": "max_replicas reached",
    "configured_delay": "the configured delay",
    "oscillation": "a target that swings",
    "kept_replicas": "replicas that stayed",
}


class MeasuredText(NamedTuple):
    """A figure in words: `value`, and the `margin` that polling leaves, often empty.

    `±0.15` on both sides; `+0.41 -0.02` if the value is not in the middle.
    """

    value: str
    margin: str = ""

    def __str__(self) -> str:
        """Both, as within a sentence."""
        return f"{self.value} {self.margin}".rstrip()


def seconds(span: Span | Phase | None) -> MeasuredText:
    """`9.31 ±0.15`, `0.00 +0.41`, `> 30.0` if it is censored, `-` if it was not measured."""
    if span is None or span.lo is None:
        return MeasuredText(NOT_MEASURED)
    if span.value is None or span.hi is None:
        return MeasuredText(f"> {span.lo:.1f}")
    return MeasuredText(f"{span.value:.2f}", _margin(span.hi - span.value, span.value - span.lo))


def _margin(above_s: float, below_s: float) -> str:
    """Distances to both bounds of a value; one number, the larger, if they are about the same."""
    most_s = max(above_s, below_s)
    if abs(above_s - below_s) <= max(_SAME_MARGIN_S, _SAME_MARGIN_SHARE * most_s):
        return f"±{most_s:.2f}" if is_shown(most_s) else ""
    sides = (("+", above_s), ("-", below_s))
    return " ".join(f"{sign}{side_s:.2f}" for sign, side_s in sides if is_shown(side_s))


def recovered(step: StepReport) -> str:
    """Seconds until latency had recovered: `8 ±1`, `no breach`, `> 30`; `-` if not measured."""
    span = step.recovered_s
    if span is None:
        return NO_BREACH if step.recovered_reason == NO_BREACH else NOT_MEASURED
    if span.value is None or span.hi is None:
        return f"> {span.lo:.0f}"
    return f"{span.value:.0f} ±{(span.hi - span.lo) / 2:.0f}"


def is_shown(value_s: float | None) -> bool:
    """Return True if a value in seconds is more than 0.00 when written with two decimals."""
    return value_s is not None and abs(value_s) >= _SMALLEST_SHOWN_S


def milliseconds(value: float | None) -> str:
    """`1,234.5`; `-` if it was not measured."""
    return NOT_MEASURED if value is None else f"{value:,.1f}"


def rate(value: float) -> str:
    """Requests per second, with one decimal."""
    return f"{value:,.1f}"


def level(value: float) -> str:
    """A level of the load: as many decimals as it has."""
    return f"{value:,.10g}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first of some names, and how many there are besides."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(sanitized, names[:most])) + more


def percent(ratio: float) -> str:
    """A ratio as `0.9 %`."""
    return f"{100 * ratio:.1f} %"


def watched_words(probe: ProbeReport) -> str:
    """`2 gaps (3.4 s)`, `0 gaps, 45.1 s unseen`: time after the last poll is no gap between two."""
    gaps = count(probe.gaps, "gap")
    if probe.gaps:
        return f"{gaps} ({probe.gap_s:.1f} s)"
    return f"{gaps}, {probe.gap_s:.1f} s unseen" if probe.gap_s > BLIND_S else gaps


def step_name(step: StepReport) -> str:
    """`1 up`, `2 unchanged`: the number of a load step, and its direction."""
    return f"{step.index} {direction_words(step.direction)}"


def direction_words(direction: Direction) -> str:
    """Direction of a step as prose has it."""
    return "unchanged" if direction == "none" else direction


def step_title(step: StepReport) -> str:
    """`1 up 5->40 rps`: a load step with its levels."""
    return f"{step_name(step)} {load_change(step.from_level, step.to_level)} {step.unit}"


def cause_words(cause: Cause) -> str:
    """A cause as prose has it; its code stands in report.json and in small labels."""
    return _CAUSES.get(cause, cause.replace("_", " "))


def finding_words(finding: Finding) -> str:
    """A finding's cause as prose has it, with the deployment whose limit it is, if another."""
    name = sanitized(finding.named) if finding.named else cause_words(finding.cause)
    return f"{name} ({sanitized(finding.deployment)})" if finding.deployment else name


def leading_words(cause: Cause, findings: Sequence[Finding]) -> str:
    """The cause as prose has it, in the words of the finding that names it."""
    leading = next((finding for finding in findings if finding.cause == cause), None)
    return finding_words(leading) if leading else cause_words(cause)


def phase_words(phase: PhaseName) -> str:
    """A phase as prose and headings have it."""
    return phase.replace("_", " ")


def load_change(from_level: float, to_level: float) -> str:
    """`5->40`, without the unit."""
    return f"{level(from_level)}->{level(to_level)}"


def replica_change(step: StepReport) -> str:
    """`1 -> 4`."""
    before, after = step.replicas_before, step.replicas_after
    return " -> ".join(NOT_MEASURED if n is None else str(n) for n in (before, after))


def gate_subject(gate: GateResult) -> str:
    """Subject of a gate's metric, or the reason that there was none."""
    about = [sanitized(text) for text in (gate.deployment, gate.reason or gate.figure) if text]
    return f"{': '.join(about) or 'the run'}{DEFAULT if gate.default else ''}"


def gate_figure(gate: GateResult) -> str:
    """A gate's metric: `9.31 [9.16, 9.46]`, `> 30` if it is censored, `-` if not measured."""
    if gate.lo is None:
        return NOT_MEASURED
    limit = _limit_of(gate)
    if gate.value is None or gate.hi is None:
        return f"> {_beside(gate.lo, limit)}"
    value, lo, hi = (_beside(number, limit) for number in (gate.value, gate.lo, gate.hi))
    return value if gate.lo == gate.hi else f"{value} [{lo}, {hi}]"


def _limit_of(gate: GateResult) -> float:
    """Limit of a gate; NaN where a record that somebody changed has no number there."""
    try:
        return float(_OPERATOR.split(gate.expr, maxsplit=1)[-1])
    except ValueError:
        return math.nan


def verdict_words(report: Report) -> str:
    """Reason of the verdict in one line; empty for an invalid run, which has reasons of its own."""
    if report.verdict == "invalid":
        return ""
    if not report.gates:
        return NO_GATES
    decisive = [gate for gate in report.gates if gate.verdict == report.verdict]
    left = len(decisive) - _MOST_GATES_TOLD
    told = [_gate_words(gate) for gate in decisive[:_MOST_GATES_TOLD]]
    return "; ".join([*told, *([f"and {count(left, 'more gate')}"] if left > 0 else [])])


def _gate_words(gate: GateResult) -> str:
    """`requests.error_ratio 0.62 > 0.01 (default gate)`: a gate's metric against its limit."""
    metric, op, limit = map(sanitized, map(str.strip, _OPERATOR.split(gate.expr, maxsplit=1)))
    name = sanitized(gate.figure or metric)
    if gate.deployment is not None and ":" not in name:
        name = f"{sanitized(gate.deployment)}:{name}"
    suffix = DEFAULT if gate.default else ""
    if gate.lo is None:
        return f"{sanitized(gate.expr)}: {sanitized(gate.reason or 'not measured')}{suffix}"
    if gate.verdict == "inconclusive" or gate.hi is None:
        return f"{name} {gate_figure(gate)}, wanted {op} {limit}{suffix}"
    shown = op if gate.verdict == "pass" else _OPPOSITE[op]
    return f"{name} {gate_figure(gate)} {shown} {limit}{suffix}"


def _beside(value: float, limit: float) -> str:
    """A value with as many digits as tell it apart from a limit, five at the least."""
    short = _significant(value)
    if (
        value == limit
        or math.isnan(limit)
        or (float(short.replace(",", "")) - limit) * (value - limit) > 0
    ):
        return short
    longer = (f"{value:,.{digits}g}" for digits in range(6, 18))
    texts = (
        text for text in longer if (float(text.replace(",", "")) - limit) * (value - limit) > 0
    )
    return next(texts, repr(value))


def _significant(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.5g}"


def shortened(text: str, length: int = 200) -> str:
    """`text`, sanitized, its end left out beyond `length` characters."""
    text = sanitized(text)
    return text if len(text) <= length else f"{text[:length]}..."


def shortened_name(name: str, length: int) -> str:
    """`name`, sanitized, its middle left out beyond `length` characters: names differ at their ends."""
    name = sanitized(name)
    if len(name) <= length:
        return name
    end = length // 2
    return f"{name[: length - end]}...{name[len(name) - end :]}"


def shortened_names(names: Sequence[str], length: int) -> list[str]:
    """Names with their middles left out, of as many more characters as keep them apart."""
    longest = max(map(len, names), default=0)
    while True:
        found = [shortened_name(name, length) for name in names]
        if length >= longest or len(set(found)) == len(set(names)):
            return found
        length += length


def reasons_of(report: Report) -> list[str]:
    """Reasons that a run is invalid or was not completed."""
    run, reasons = report.run, [sanitized(reason) for reason in report.reasons]
    if run.status != "complete" and not any(r.startswith(run.status) for r in reasons):
        reasons.insert(0, sanitized(f"{run.status}: {run.reason or 'no reason recorded'}"))
    return reasons
