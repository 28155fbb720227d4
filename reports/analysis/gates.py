"""Gates: conditions over the report's figures, such as `Model:scale_up.decide_s.p95 <= 8`.

`requests.` names the load's figures, `load.` too, `probe.` the probe's; `scale_up.`, `scale_down.`,
`replicas.`, `elasticity.` and `flapping.` those of every deployment, or of the one named before a
colon.
"""

import difflib
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from reports.analysis.elasticity_report import ElasticityReport, FlappingReport
from reports.analysis.intervals import Span, Stat
from reports.analysis.model import (
    DeploymentReport,
    GateResult,
    GateVerdict,
    LoadReport,
    ProbeReport,
    Replicas,
    ScaleDown,
    ScaleUp,
)
from scalelag.errors import UsageError

Operator = Literal["<=", "<", ">=", ">"]

_GATE = re.compile(
    r"\s*(?:(?P<deployment>[^\s:]+)\s*:)?\s*(?P<metric>[\w.]+)\s*(?P<op><=|>=|<|>)\s*"
    r"(?P<limit>[+-]?\d+(?:\.\d+)?)\s*"
)
_DEPLOYMENT_PARTS: dict[str, type] = {
    "scale_up": ScaleUp,
    "scale_down": ScaleDown,
    "replicas": Replicas,
    "elasticity": ElasticityReport,
    "flapping": FlappingReport,
}
_RUN_PARTS: dict[str, type] = {"requests": LoadReport, "load": LoadReport, "probe": ProbeReport}
_RANK: dict[GateVerdict, int] = {"pass": 0, "inconclusive": 1, "fail": 2}


class Gate(msgspec.Struct, frozen=True):
    """A parsed gate; `deployment` is None where it holds for every one."""

    expr: str
    deployment: str | None
    metric: str
    op: Operator
    limit: float


def parse_gate(text: str) -> Gate:
    """Parse `[DEPLOYMENT:]METRIC OP NUMBER`. Raises UsageError naming what is wrong."""
    match = _GATE.fullmatch(text)
    if match is None:
        raise UsageError(
            f'the gate "{text}" does not read METRIC OP NUMBER, such as "scale_up.total_s.max <= 20"'
        )
    metric, deployment = match["metric"], match["deployment"]
    known = metric_names()
    if metric not in known:
        near = difflib.get_close_matches(metric, known, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "see docs/gates.md for all of them"
        raise UsageError(f'the gate "{text}" names the unknown metric "{metric}"; {hint}')
    if deployment and metric.split(".")[0] in _RUN_PARTS:
        raise UsageError(f'the gate "{text}": {metric} is a figure of the run, not of a deployment')
    op = typing.cast("Operator", match["op"])
    return Gate(text.strip(), deployment, metric, op, float(match["limit"]))


def metric_names() -> tuple[str, ...]:
    """Every metric that a gate can name, sorted."""
    parts = _DEPLOYMENT_PARTS | _RUN_PARTS
    return tuple(sorted(f"{n}.{leaf}" for n, part in parts.items() for leaf in _leaves(part)))


def _leaves(struct: type) -> Iterator[str]:
    """Dotted names of the numbers within a struct type, and within the structs that it holds."""
    for name, hint in typing.get_type_hints(struct).items():
        kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        if Stat in kinds:
            yield from (f"{name}.{field}" for field in ("p50", "p95", "max"))
        elif int in kinds or float in kinds or Span in kinds:
            yield name
        else:
            held = [k for k in kinds if isinstance(k, type) and issubclass(k, msgspec.Struct)]
            yield from (f"{name}.{leaf}" for kind in held for leaf in _leaves(kind))


def judge(
    gates: Sequence[Gate],
    deployments: Mapping[str, DeploymentReport],
    load: LoadReport,
    probe: ProbeReport,
) -> tuple[GateResult, ...]:
    """Judge each gate.

    A gate is inconclusive where its limit lies inside the measured interval, or nothing was
    measured. One that holds for every deployment is as good as the worst of those measured.
    Raises UsageError for a deployment that the run did not watch.
    """
    return tuple(_judge(gate, deployments, load, probe) for gate in gates)


def _judge(
    gate: Gate, deployments: Mapping[str, DeploymentReport], load: LoadReport, probe: ProbeReport
) -> GateResult:
    part, _, rest = gate.metric.partition(".")
    if part in _RUN_PARTS:
        figures: LoadReport | ProbeReport = probe if part == "probe" else load
        return _compare(gate, None, _figure(figures, rest))
    chosen = {
        key: deployment
        for key, deployment in deployments.items()
        if gate.deployment in (None, key, key.partition("/")[2])
    }
    if not chosen and gate.deployment is None:
        return _compare(gate, None, None)
    if not chosen:
        watched = ", ".join(sorted(deployments)) or "none"
        raise UsageError(
            f'The gate "{gate.expr}" names no watched deployment (watched: {watched}).'
        )
    figured = {key: getattr(deployment, part) for key, deployment in chosen.items()}
    results = [
        _compare(gate, key, _figure(struct, rest), _why(struct)) for key, struct in figured.items()
    ]
    measured = [result for result in results if result.reason is None]
    return max(
        measured or results, key=lambda result: (_RANK[result.verdict], _badness(gate, result))
    )


def _badness(gate: Gate, result: GateResult) -> float:
    if result.lo is None:
        return -math.inf
    upper = math.inf if result.hi is None else result.hi
    return upper if gate.op in ("<=", "<") else -result.lo


def _figure(struct: Any, path: str) -> Span | None:  # noqa: ANN401  any struct of the report
    value: Any = struct
    for name in path.split("."):
        value = getattr(value, name)
        if value is None:
            return None
    return value if isinstance(value, Span) else Span(float(value), float(value), float(value))


def _why(struct: object) -> str | None:
    """Why figures of it may be missing, where it says so."""
    return getattr(struct, "reason", None) or getattr(struct, "demand_reason", None)


def _compare(
    gate: Gate, deployment: str | None, figure: Span | None, why: str | None = None
) -> GateResult:
    if figure is None:
        reason = f"{gate.metric} was not measured in this run{f': {why}' if why else ''}"
        return GateResult(gate.expr, "inconclusive", deployment=deployment, reason=reason)
    lo, hi = figure.lo, figure.upper
    holds = {
        "<=": (hi <= gate.limit, lo > gate.limit),
        "<": (hi < gate.limit, lo >= gate.limit),
        ">=": (lo >= gate.limit, hi < gate.limit),
        ">": (lo > gate.limit, hi <= gate.limit),
    }
    passed, failed = holds[gate.op]
    verdict: GateVerdict = "pass" if passed else "fail" if failed else "inconclusive"
    return GateResult(gate.expr, verdict, figure.value, lo, figure.hi, deployment)
