"""Gates: conditions over the report's metrics, such as `Model:scale_up.decide_s.p95 <= 8`.

`metrics.py` defines the names. Metrics of the whole run begin with `requests.`, `probe.` and such; all
others are metrics of every deployment, or of the one named before a colon. Errors are judged even
without a gate on them, unless `none` is given (docs/gates.md#default-gates).
"""

import math
import operator
import re
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from reports.analysis import metrics
from reports.model.load import NO_BREACH
from reports.model.report import GateResult, GateVerdict
from reports.model.steps import DeploymentReport
from scalelag.errors import UsageError

Operator = Literal["<=", "<", ">=", ">"]

_CONDITION = rf"\s*(?P<wanted>{metrics.METRIC_PATTERN})\s*(?P<op><=|>=|<|>)\s*"
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_GATE = re.compile(rf"{_CONDITION}(?P<limit>{_NUMBER})\s*")
_OTHER_LIMIT = re.compile(rf"{_CONDITION}(?P<limit>\S(?:.*\S)?)\s*")
_KEEPS: Final = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
}
_RANK: dict[GateVerdict, int] = {"pass": 0, "inconclusive": 1, "fail": 2}


class Gate(msgspec.Struct, frozen=True):
    """A parsed gate; `default` if it is not the user's."""

    expr: str
    wanted: metrics.MetricName
    op: Operator
    limit: float
    default: bool = False

    @property
    def is_upper(self) -> bool:
        """Return whether the limit is the most that is allowed."""
        return self.op in ("<=", "<")


def parse_gate(text: str, *, default: bool = False) -> Gate:
    """Parse `[DEPLOYMENT:]METRIC OP NUMBER`. Raises UsageError that says what is wrong.

    A `default` gate was not asked for.
    """
    match = _GATE.fullmatch(text)
    if match is None:
        other = _OTHER_LIMIT.fullmatch(text)
        why = f': "{other["limit"]}" is not a number' if other else ""
        raise UsageError(
            f'the gate "{text}" is not of the form METRIC OP NUMBER, such as '
            f'"scale_up.total_s.max <= 20"{why}'
        )
    try:
        wanted = metrics.parse_metric(match["wanted"])
    except UsageError as error:
        raise UsageError(f'the gate "{text}": {error}') from None
    op = typing.cast("Operator", match["op"])
    return Gate(text.strip(), wanted, op, float(match["limit"]), default)


def parse_gate_option(text: str) -> Gate | None:
    """Parse a gate, or `none`: no default gates.

    Raises UsageError that says what is wrong, also with a limit that is always kept, or never.
    """
    if text.strip() == NO_DEFAULTS:
        return None
    gate = parse_gate(text)
    if not math.isfinite(gate.limit):
        raise UsageError(f'the gate "{text}": its limit is not finite')
    if _is_share(gate.wanted.path) and (always := _decided(gate)):
        hint = f". Write {gate.limit / 100:g} for {gate.limit:g} %" if gate.limit >= 1 else ""
        raise UsageError(
            f'the gate "{text}" would {always}: {gate.wanted.path[-1]} is a share from 0 to 1{hint}'
        )
    return gate


def _is_share(path: metrics.Path) -> bool:
    """Return whether a metric is a share of requests."""
    return path[0] in ("load", "requests") and path[-1].endswith("ratio")


def _decided(gate: Gate) -> str | None:
    """Return the result of a gate on a share if any share gives the same; else None."""
    least, most = (_KEEPS[gate.op](share, gate.limit) for share in (0.0, 1.0))
    if least != most:
        return None
    return "pass always" if least else "fail always"


def parse_gates(texts: Iterable[str]) -> tuple[Gate, ...]:
    """Parse the gates of a record, with the default ones. Raises UsageError that says what is wrong."""
    return with_defaults(
        [None if text.strip() == NO_DEFAULTS else parse_gate(text) for text in texts]
    )


def with_defaults(given: Sequence[Gate | None]) -> tuple[Gate, ...]:
    """The user's gates (None for `none`), and those default ones that the user's do not replace."""
    gates = tuple(gate for gate in given if gate is not None)
    if len(gates) < len(given):
        return gates
    covered = {name for gate in gates for name in _replaced(gate)}
    return (*gates, *(gate for gate in _DEFAULTS if gate.wanted.path[-1] not in covered))


def judges_errors(gates: Iterable[Gate]) -> bool:
    """Return whether one of the user's gates says how many requests may fail."""
    return any("error_ratio" in _replaced(gate) for gate in gates if not gate.default)


def _replaced(gate: Gate) -> Iterator[str]:
    """Names of the default metrics that one of the user's gates judges, too.

    A lower limit allows every error. `failed` and `completed` leave out requests that were not
    sent. A gate on one kind of error, one name or one step says nothing of the other requests.
    """
    wanted = gate.wanted
    if not gate.is_upper or wanted.path[0] not in ("requests", "load"):
        return
    of_all = wanted.path[1:-1] in ((), ("steps", metrics.ALL))
    if of_all and wanted.path[-1] == "error_ratio":
        yield "error_ratio"
    if wanted.path[-1] == "task_exceptions":
        yield "task_exceptions"


def judge(
    gates: Sequence[Gate],
    deployments: Mapping[str, DeploymentReport],
    of_run: Mapping[str, object],
) -> tuple[GateResult, ...]:
    """Judge each gate; `of_run` holds the parts of `metrics.RUN_PARTS`.

    A gate is inconclusive in three cases: its limit lies inside the measured interval, nothing was
    measured, or it names a deployment that was not watched. A gate on several metrics, such as
    those of all deployments, is judged by the worst one. That may be an unmeasured one that may be
    worse: the excess of a step that was not answered. A default gate on something that was not
    measured is left out.
    """
    judged = [(gate, _judge(gate, deployments, of_run)) for gate in gates]
    return tuple(
        result for gate, result in judged if not (gate.default and result.verdict == "inconclusive")
    )


def unwatched(watched: Collection[str]) -> str:
    """Return a text on a deployment that is not one of the `watched`."""
    return f"no watched deployment (watched: {', '.join(sorted(watched)) or 'none'})"


def _judge(
    gate: Gate, deployments: Mapping[str, DeploymentReport], of_run: Mapping[str, object]
) -> GateResult:
    found = list(metrics.select(gate.wanted, deployments, of_run))
    results = [_compare(gate, one) for one in found]
    if not results and gate.wanted.deployment is not None:
        return GateResult(gate.expr, "inconclusive", reason=f"it names {unwatched(deployments)}")
    if not results:
        return _compare(gate, metrics.Metric(gate.wanted.path, None))
    measured = [
        result
        for one, result in zip(found, results, strict=True)
        if result.reason is None or result.verdict == "pass" or one.is_open
    ]
    return max(
        measured or results, key=lambda result: (_RANK[result.verdict], _badness(gate, result))
    )


def _badness(gate: Gate, result: GateResult) -> float:
    if result.lo is None:
        return -math.inf
    upper = math.inf if result.hi is None else result.hi
    return upper if gate.is_upper else -result.lo


def _compare(gate: Gate, found: metrics.Metric) -> GateResult:
    name = ".".join(map(metrics.quoted, found.path))
    of_several = name if found.path != gate.wanted.path else None
    if found.span is None and found.reason == NO_BREACH and gate.is_upper:
        return GateResult(
            gate.expr, "pass", deployment=found.deployment, figure=of_several, reason=NO_BREACH
        )
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
    # Without an upper bound, the lower one is open: not over within 20 s is more than 20 s.
    beyond = lo > gate.limit or (found.span.hi is None and lo == gate.limit)
    holds = {
        "<=": (hi <= gate.limit, beyond),
        "<": (hi < gate.limit, lo >= gate.limit),
        ">=": (lo >= gate.limit, hi < gate.limit),
        ">": (beyond, hi <= gate.limit),
    }
    passed, failed = holds[gate.op]
    verdict: GateVerdict = "pass" if passed else "fail" if failed else "inconclusive"
    return GateResult(
        gate.expr,
        verdict,
        found.span.value,
        lo,
        found.span.hi,
        found.deployment,
        figure=of_several,
        default=gate.default,
    )


NO_DEFAULTS: Final = "none"
"""A gate of this name turns the default ones off."""

_DEFAULTS: Final = tuple(
    parse_gate(text, default=True)
    for text in ("requests.error_ratio <= 0.01", "load.task_exceptions <= 0")
)
