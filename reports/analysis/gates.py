"""Gates: conditions over the report's figures, such as `Model:scale_up.decide_s.p95 <= 8`.

Figures are named as `figures.py` has them: those of the whole run begin with `requests.`, `probe.` and
such, all others are those of every deployment, or of the one named before a colon.
"""

import math
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from reports.analysis import figures
from reports.analysis.model import DeploymentReport, GateResult, GateVerdict
from scalelag.errors import UsageError

Operator = Literal["<=", "<", ">=", ">"]

_GATE = re.compile(
    rf"\s*(?:(?P<deployment>[^\s:]+)\s*:)?\s*(?P<metric>{figures.NAME})\s*(?P<op><=|>=|<|>)\s*"
    r"(?P<limit>[+-]?\d+(?:\.\d+)?)\s*"
)
_RANK: dict[GateVerdict, int] = {"pass": 0, "inconclusive": 1, "fail": 2}


class Gate(msgspec.Struct, frozen=True):
    """A parsed gate; `deployment` is None where it holds for every one."""

    expr: str
    deployment: str | None
    metric: figures.Path
    op: Operator
    limit: float


def parse_gate(text: str) -> Gate:
    """Parse `[DEPLOYMENT:]METRIC OP NUMBER`. Raises UsageError naming what is wrong."""
    match = _GATE.fullmatch(text)
    if match is None:
        raise UsageError(
            f'the gate "{text}" does not read METRIC OP NUMBER, such as "scale_up.total_s.max <= 20"'
        )
    deployment = match["deployment"]
    try:
        metric = figures.parse_name(match["metric"])
    except UsageError as error:
        raise UsageError(f'the gate "{text}" names {error}') from None
    if deployment and figures.is_of_run(metric):
        raise UsageError(
            f'the gate "{text}": {match["metric"]} is a figure of the run, not of a deployment'
        )
    op = typing.cast("Operator", match["op"])
    return Gate(text.strip(), deployment, metric, op, float(match["limit"]))


def judge(
    gates: Sequence[Gate],
    deployments: Mapping[str, DeploymentReport],
    of_run: Mapping[str, msgspec.Struct],
) -> tuple[GateResult, ...]:
    """Judge each gate; `of_run` holds the parts of `figures.RUN_PARTS`.

    A gate is inconclusive where its limit lies inside the measured interval, or nothing was
    measured. One that holds for several figures, such as every deployment's, is as good as the worst
    of those measured. Raises UsageError for a deployment that the run did not watch.
    """
    return tuple(_judge(gate, deployments, of_run) for gate in gates)


def _judge(
    gate: Gate, deployments: Mapping[str, DeploymentReport], of_run: Mapping[str, msgspec.Struct]
) -> GateResult:
    if figures.is_of_run(gate.metric):
        part, *rest = gate.metric
        results = _results(gate, None, of_run[part], tuple(rest), (part,))
    else:
        results = [
            result
            for key, deployment in _chosen(gate, deployments).items()
            for result in _results(gate, key, deployment, gate.metric)
        ]
    if not results:
        return _compare(gate, None, figures.Found(gate.metric, None))
    measured = [result for result in results if result.reason is None]
    return max(
        measured or results, key=lambda result: (_RANK[result.verdict], _badness(gate, result))
    )


def _chosen(gate: Gate, deployments: Mapping[str, DeploymentReport]) -> dict[str, DeploymentReport]:
    chosen = {
        key: deployment
        for key, deployment in deployments.items()
        if gate.deployment in (None, key, key.partition("/")[2])
    }
    if not chosen and gate.deployment is not None:
        watched = ", ".join(sorted(deployments)) or "none"
        raise UsageError(
            f'The gate "{gate.expr}" names no watched deployment (watched: {watched}).'
        )
    return chosen


def _results(
    gate: Gate,
    deployment: str | None,
    root: msgspec.Struct,
    path: figures.Path,
    before: figures.Path = (),
) -> list[GateResult]:
    """The gate, judged on every figure that it names below `root`."""
    results: list[GateResult] = []
    for found in figures.figures(root, path):
        full = msgspec.structs.replace(found, path=(*before, *found.path))
        results.append(_compare(gate, deployment, full))
    return results


def _badness(gate: Gate, result: GateResult) -> float:
    if result.lo is None:
        return -math.inf
    upper = math.inf if result.hi is None else result.hi
    return upper if gate.op in ("<=", "<") else -result.lo


def _compare(gate: Gate, deployment: str | None, found: figures.Found) -> GateResult:
    name = ".".join(found.path)
    of_several = name if found.path != gate.metric else None
    if found.span is None:
        why = f": {found.reason}" if found.reason else ""
        return GateResult(
            gate.expr,
            "inconclusive",
            deployment=deployment,
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
        gate.expr, verdict, found.span.value, lo, found.span.hi, deployment, figure=of_several
    )
