"""Gates: conditions over the report's metrics, such as `Model:scale_up.decide_s.p95 <= 8`.

`metrics.py` defines the names. Metrics of the whole run begin with `requests.`, `probe.` and such; all
others are metrics of every deployment, or of the one named before a colon.
"""

import math
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from reports.analysis import metrics
from reports.model.report import GateResult, GateVerdict
from reports.model.steps import DeploymentReport
from scalelag.errors import UsageError

Operator = Literal["<=", "<", ">=", ">"]

_GATE = re.compile(
    rf"\s*(?P<wanted>{metrics.METRIC_PATTERN})\s*(?P<op><=|>=|<|>)\s*(?P<limit>[+-]?\d+(?:\.\d+)?)\s*"
)
_RANK: dict[GateVerdict, int] = {"pass": 0, "inconclusive": 1, "fail": 2}


class Gate(msgspec.Struct, frozen=True):
    """A parsed gate."""

    expr: str
    wanted: metrics.MetricName
    op: Operator
    limit: float


def parse_gate(text: str) -> Gate:
    """Parse `[DEPLOYMENT:]METRIC OP NUMBER`. Raises UsageError that says what is wrong."""
    match = _GATE.fullmatch(text)
    if match is None:
        raise UsageError(
            f'the gate "{text}" is not of the form METRIC OP NUMBER, such as '
            '"scale_up.total_s.max <= 20"'
        )
    try:
        wanted = metrics.parse_metric(match["wanted"])
    except UsageError as error:
        raise UsageError(f'the gate "{text}": {error}') from None
    op = typing.cast("Operator", match["op"])
    return Gate(text.strip(), wanted, op, float(match["limit"]))


def judge(
    gates: Sequence[Gate],
    deployments: Mapping[str, DeploymentReport],
    of_run: Mapping[str, msgspec.Struct],
) -> tuple[GateResult, ...]:
    """Judge each gate; `of_run` holds the parts of `metrics.RUN_PARTS`.

    A gate is inconclusive if its limit lies inside the measured interval, or if nothing was
    measured. A gate on several metrics, such as those of all deployments, is judged by the worst of
    those measured. Raises UsageError for a deployment that the run did not watch.
    """
    return tuple(_judge(gate, deployments, of_run) for gate in gates)


def _judge(
    gate: Gate, deployments: Mapping[str, DeploymentReport], of_run: Mapping[str, msgspec.Struct]
) -> GateResult:
    results = [_compare(gate, one) for one in metrics.select(gate.wanted, deployments, of_run)]
    if not results and gate.wanted.deployment is not None:
        watched = ", ".join(sorted(deployments)) or "none"
        raise UsageError(
            f'The gate "{gate.expr}" names no watched deployment (watched: {watched}).'
        )
    if not results:
        return _compare(gate, metrics.Metric(gate.wanted.path, None))
    measured = [result for result in results if result.reason is None]
    return max(
        measured or results, key=lambda result: (_RANK[result.verdict], _badness(gate, result))
    )


def _badness(gate: Gate, result: GateResult) -> float:
    if result.lo is None:
        return -math.inf
    upper = math.inf if result.hi is None else result.hi
    return upper if gate.op in ("<=", "<") else -result.lo


def _compare(gate: Gate, found: metrics.Metric) -> GateResult:
    name = ".".join(found.path)
    of_several = name if found.path != gate.wanted.path else None
    if found.span is None:
        why = f": {found.reason}" if found.reason else ""
        return GateResult(
            gate.expr,
            "inconclusive",
            deployment=found.deployment,
            figure=of_several,
            reason=f"{name} was not measured in this run{why}",
        )
    lo, hi = found.span.lo, found.span.upper
    holds = {
        "<=": (hi <= gate.limit, lo > gate.limit),
        "<": (hi < gate.limit, lo >= gate.limit),
        ">=": (lo >= gate.limit, hi < gate.limit),
        ">": (lo > gate.limit, hi <= gate.limit),
    }
    passed, failed = holds[gate.op]
    verdict: GateVerdict = "pass" if passed else "fail" if failed else "inconclusive"
    return GateResult(
        gate.expr, verdict, found.span.value, lo, found.span.hi, found.deployment, figure=of_several
    )
