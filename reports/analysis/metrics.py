"""The metrics of a report by name: `scale_up.total_s.max`, `load.steps.2.latency_p99_ms`.

Names follow `report.json`. An element of a list is named by its `index` or its `name`. A value of an
object is named by its key, in double quotes if the key is not a plain word. `*` names all of them.
"""

import difflib
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec

from reports.model.causes import EvidenceReport
from reports.model.controller import ControllerReport, NodesReport
from reports.model.events import EventReport
from reports.model.intervals import Span
from reports.model.load import LoadReport, LoadStepReport, WindowReport
from reports.model.report import ProbeReport, RunSummary
from reports.model.steps import DeploymentReport, Phase, PhaseName, StepReport
from scalelag.errors import UsageError
from scalelag.record.error_kinds import NOT_SENT, is_not_sent, meant_by, slip_of

_SEGMENT: Final = r'(?:\w+|\*|"(?:[^"\\]|\\.)*")'
_NAME: Final = rf"{_SEGMENT}(?:\.{_SEGMENT})*"
METRIC_PATTERN: Final = rf"(?:(?P<deployment>\S(?:.*\S)?)\s*:)?\s*(?P<metric>{_NAME})"
"""Regular expression of `[DEPLOYMENT:]NAME`."""

RUN_PARTS: Final[Mapping[str, object]] = {
    "requests": LoadReport,
    "load": LoadReport,
    "probe": ProbeReport,
    "run": RunSummary,
    "evidence": EvidenceReport,
    "controller": ControllerReport,
    "nodes": NodesReport,
    "event": tuple[EventReport, ...],
}
"""Types of the parts of the report that hold for the whole run; `requests` is also called `load`."""

ALL: Final = "\0*"
"""Part of a path that stands for all elements; one that is called `*` stands in quotes."""
NO_LIMITS: Final = "there are no limits: give --slo"
"""Reason for which a run has no goodput."""
_ELEMENT: Final = "N"
_NUMBER: Final = re.compile(r"0|[1-9][0-9]*")
_KEY: Final = "NAME"

Path = tuple[str, ...]


class MetricName(msgspec.Struct, frozen=True):
    """Name of a metric. `deployment` is None for a metric of the run or of every deployment."""

    deployment: str | None
    path: Path


class Metric(msgspec.Struct, frozen=True):
    """One number of a report; None for `reason` if not measured, then perhaps the worst (`is_open`)."""

    path: Path
    span: Span | None
    reason: str | None = None
    deployment: str | None = None
    is_open: bool = False


def parse_metric(text: str) -> MetricName:
    """Parse `[DEPLOYMENT:]NAME`. Raises UsageError if no report has such a metric."""
    match = re.fullmatch(METRIC_PATTERN, text.strip())
    if match is None:
        raise UsageError(f'"{text}" is not the name of a metric, such as scale_up.total_s.max')
    path = _parse_name(match["metric"])
    if match["deployment"] and is_of_run(path):
        raise UsageError(f"{match['metric']} is a metric of the run, not of a deployment")
    return MetricName(match["deployment"], path)


def _parse_name(text: str) -> Path:
    """Return the parts of a metric's name. Raises UsageError if no report has such a metric.

    Any element of a list or object is accepted: which of them exist is known after the run.
    """
    path: Path = tuple(_unquoted(part) for part in re.findall(_SEGMENT, text))
    if _is_metric(path):
        _check_error_kind(path)
        _check_phase(path)
        return path
    known = metric_names()
    shape = ".".join(_ELEMENT if part.isdecimal() else part for part in path)
    near = difflib.get_close_matches(shape, known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "see docs/gates.md for all of them"
    raise UsageError(f'unknown metric "{text}"; {hint}')


def _check_error_kind(path: Path) -> None:
    """Raise UsageError for a kind of error that no report has, which would always count as 0."""
    if len(path) < 2 or path[-2] != "errors" or path[-1] == NOT_SENT:
        return
    kind = path[-1]
    if is_not_sent(kind):
        reason = kind.removeprefix(NOT_SENT).lstrip(": ")
        raise UsageError(f'"{kind}" is counted by load.not_sent_by.{reason}')
    if near := slip_of(kind):
        raise UsageError(f'no kind of error is called "{kind}"; did you mean {_or(near)}?')


def _or(names: Iterable[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)


def _check_phase(path: Path) -> None:
    """Raise UsageError for a phase that no step has."""
    known = typing.get_args(PhaseName)
    for name, phase in pairwise(path):
        if name == "phases" and phase not in (*known, ALL):
            near = difflib.get_close_matches(phase, known, n=1, cutoff=0.5)
            hint = f'did you mean "{near[0]}"?' if near else f"phases are {', '.join(known)}"
            raise UsageError(f'no phase is called "{phase}"; {hint}')


def _unquoted(part: str) -> str:
    if part == "*":
        return ALL
    return re.sub(r"\\(.)", r"\1", part[1:-1]) if part.startswith('"') else part


def quoted(part: str) -> str:
    """Return a part of a metric's name as it is written: in quotes if it is no plain word."""
    if part == ALL:
        return "*"
    if re.fullmatch(r"\w+", part):
        return part
    text = part.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def is_of_run(path: Path) -> bool:
    """Return True for a metric of the whole run, False for one of a deployment."""
    return path[0] in RUN_PARTS


@cache
def metric_names() -> tuple[str, ...]:
    """Names of all metrics, sorted; N is an element of a list, NAME a key of an object."""
    of_run = {f"{part}.{leaf}" for part in RUN_PARTS for leaf in _leaves(_kind(RUN_PARTS[part]))}
    return tuple(sorted(of_run | set(_leaves(DeploymentReport))))


def select(
    wanted: MetricName,
    deployments: Mapping[str, DeploymentReport],
    of_run: Mapping[str, object],
) -> Iterator[Metric]:
    """Metrics with that name: one, or one for each deployment and each element of a `*`.

    `of_run` holds the parts of RUN_PARTS. An element that does not exist is a metric that was not
    measured; a kind of error that did not occur counts 0. `*` leaves out what lies in the warm-up.
    """
    warmup_s = getattr(of_run.get("run"), "warmup_s", 0.0)
    if is_of_run(wanted.path):
        root = of_run[wanted.path[0]]
        place = _Place(wanted.path[:1], warmup_s=warmup_s)
        yield from _walk(root, _kind(RUN_PARTS[wanted.path[0]]), wanted.path[1:], place)
        return
    for key, deployment in deployments.items():
        if wanted.deployment is None or is_named(key, wanted.deployment):
            place = _Place((), key, warmup_s=warmup_s)
            yield from _walk(deployment, DeploymentReport, wanted.path, place)


def is_named(key: str, name: str) -> bool:
    """Return whether `name` is the deployment `app/Name`, or its name alone.

    Both names may have slashes in them, and `name` may stand in double quotes.
    """
    bare = _unquoted(name) if len(name) > 1 and name[0] == name[-1] == '"' else name
    return any(key == one or key.endswith(f"/{one}") for one in (name, bare))


class _Place(NamedTuple):
    """Part of a report on the way to a metric; `reason` says why parts of it may be null."""

    path: Path
    deployment: str | None = None
    reason: str | None = None
    warmup_s: float = 0.0
    is_open: bool = False

    def metric(self, rest: Path = (), span: Span | None = None) -> Metric:
        """The metric at `rest` from here."""
        return Metric((*self.path, *rest), span, self.reason, self.deployment, self.is_open)

    def part(self, name: str) -> "_Place":
        """Place of the part called `name`."""
        return self._replace(path=(*self.path, name))


def _walk(value: Any, kind: object, path: Path, place: _Place) -> Iterator[Metric]:  # noqa: ANN401
    place = place._replace(
        reason=_reason(value, path) or place.reason,
        is_open=place.is_open or _lacks_excess(value, path, place.warmup_s),
    )
    if value is None:
        yield place.metric(path)
    elif kind is _METRIC:
        yield place.metric(span=_span(value))
    elif isinstance(kind, _Elements):
        yield from _walk_elements(_elements(value), kind, path, place)
    else:
        struct = typing.cast("type[msgspec.Struct]", kind)
        held = _part(value, _attributes(struct)[path[0]])
        yield from _walk(held, _parts(struct)[path[0]], path[1:], place.part(path[0]))


def _reason(value: Any, path: Path) -> str | None:  # noqa: ANN401  any part of the report
    """Reason for which the part of `value` that `path` leads to may be null."""
    if path[:1] == ("recovered_s",):
        return getattr(value, "recovered_reason", None)
    if path[:1] == ("goodput",) and getattr(value, "goodput", path) is None:
        return NO_LIMITS
    if isinstance(value, DeploymentReport) and path[0] in _OF_STEPS:
        return _reasons(value, _OF_STEPS[path[0]], path[1])
    if isinstance(value, StepReport):
        return _reason_of(value, path[0])
    return getattr(value, "reason", None) or getattr(value, "demand_reason", None)


def _lacks_excess(value: Any, path: Path, warmup_s: float) -> bool:  # noqa: ANN401  any part
    """Return whether the metric at `path` is an excess of a step that was not answered."""
    if isinstance(value, DeploymentReport) and path[1:2] == ("excess_s",):
        return value.lacks_excess(_OF_STEPS.get(path[0]), warmup_s)
    return isinstance(value, StepReport) and path[0] == "excess_s" and value.lacks_excess


_OF_STEPS: Final = {"scale_up": "up", "scale_down": "down"}
_OF_FLOOR: Final = ("excess_s", "floor_s", "floor", "delay")


def _reasons(deployment: DeploymentReport, direction: str, name: str) -> str:
    """Reasons for which steps in a direction lack what a figure of theirs is made of."""
    steps = [one for one in deployment.steps if one.direction == direction]
    if not steps:
        return f"no step goes {direction}"
    reasons = ((one.index, _reason_of(one, name) or one.reason) for one in steps)
    return "; ".join(f"step {index}: {reason}" for index, reason in reasons if reason)


def _reason_of(step: StepReport, name: str) -> str | None:
    """Reason for which a step lacks a figure of this name; None if the report has none."""
    if step.total_s is None:
        return step.reason
    if name in _OF_FLOOR:
        return step.floor_reason or step.reason
    return next((one.reason for one in step.phases if f"{one.name}_s" == name), step.reason)


def _part(value: Any, name: str) -> Any:  # noqa: ANN401  any part of the report
    """A part of a struct; what a censored step has no value of has a lower bound."""
    if isinstance(value, StepReport) and name == "excess_s":
        return value.excess
    if isinstance(value, StepReport) and name == "phases":
        return value.bounded_phases
    return getattr(value, name)


def _walk_elements(
    elements: Mapping[str, Any], kind: "_Elements", path: Path, place: _Place
) -> Iterator[Metric]:
    chosen = (path[0],)
    if path[0] == ALL and elements:
        chosen = tuple(key for key, one in elements.items() if not _warms_up(one, place.warmup_s))
        if not chosen:
            reason = "all of them lie in the warm-up"
            yield place.part(ALL)._replace(reason=reason).metric(path[1:])
    for key in chosen:
        here = place.part(key)
        if kind.absent is not None and key not in elements and (near := meant_by(key, elements)):
            reason = f"no error is of this kind; there is {_or(near)}"
            yield here._replace(reason=reason).metric(path[1:])
        elif key in elements or kind.absent is not None:
            yield from _walk(elements.get(key, kind.absent), kind.of, path[1:], here)
        else:
            listed = ", ".join(elements)
            reason = f"there is no {key}, but {listed}" if elements else "there is none at all"
            yield here._replace(reason=reason).metric(path[1:])


def _elements(value: Any) -> Mapping[str, Any]:  # noqa: ANN401  a list or an object of the report
    if isinstance(value, dict):
        return typing.cast("dict[str, Any]", value)
    return {_element_name(one, at): one for at, one in enumerate(value)}


def _warms_up(element: object, warmup_s: float) -> bool:
    """Return whether a step of a deployment began in the warm-up, or load lies in it as a whole."""
    if isinstance(element, StepReport):
        return element.at_s < warmup_s
    if isinstance(element, LoadStepReport):
        return element.at_s + element.hold_s <= warmup_s
    return isinstance(element, WindowReport) and element.at_s + element.seconds <= warmup_s


def _element_name(element: object, at: int) -> str:
    return str(getattr(element, "index", getattr(element, "name", at)))


def _span(value: Any) -> Span | None:  # noqa: ANN401  any metric of the report
    if isinstance(value, Span):
        return value
    if isinstance(value, Phase):
        return None if value.lo is None else Span(value.value, value.lo, value.hi)
    return Span(float(value), float(value), float(value))


def _is_metric(path: Path) -> bool:
    if is_of_run(path):
        return _leads_to_metric(_kind(RUN_PARTS[path[0]]), path[1:])
    return _leads_to_metric(DeploymentReport, path)


def _leads_to_metric(kind: object, path: Path) -> bool:
    if kind is _METRIC or not path:
        return kind is _METRIC and not path
    if isinstance(kind, _Elements):
        return kind.has(path[0]) and _leads_to_metric(kind.of, path[1:])
    parts = _parts(typing.cast("type[msgspec.Struct]", kind))
    return path[0] in parts and _leads_to_metric(parts[path[0]], path[1:])


def _leaves(kind: object) -> Iterator[str]:
    """Dotted names of the metrics within a struct type, at any depth."""
    if isinstance(kind, _Elements):
        for leaf in _leaves(kind.of):
            yield f"{kind.name}.{leaf}" if leaf else kind.name
    elif kind is _METRIC:
        yield ""
    else:
        for name, part in _parts(typing.cast("type[msgspec.Struct]", kind)).items():
            yield from (f"{name}.{leaf}" if leaf else name for leaf in _leaves(part))


class _Elements(msgspec.Struct, frozen=True):
    """A list or an object whose elements are `of` one kind, each called `name`.

    `absent` is the value of an element that does not exist, None if that is not known.
    """

    name: str
    of: object
    absent: int | None = None

    def has(self, element: str) -> bool:
        """Return whether an element may be called so: those of a list have numbers."""
        return self.name == _KEY or element == ALL or _NUMBER.fullmatch(element) is not None


_METRIC: Final = Span
_BOUNDS: Final = "excess"
"""Bounds of `excess_s`, which is judged by them under its own name."""


@cache
def _parts(struct: type[msgspec.Struct]) -> Mapping[str, object]:
    """Parts of a struct type by name: metrics, structs, and lists or objects of either."""
    hints = typing.get_type_hints(struct)
    kinds = {name: _kind(hints[held]) for name, held in _attributes(struct).items()}
    return {name: kind for name, kind in kinds.items() if kind is not None and name != _BOUNDS}


@cache
def _attributes(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """Attribute of each field, by its name in report.json."""
    return {field.encode_name: field.name for field in msgspec.structs.fields(struct)}


def _kind(hint: object) -> object | None:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        if option in (int, float, Span, Phase):
            return _METRIC
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
        if typing.get_origin(option) is tuple:
            of = typing.get_args(option)[0]
            return _many(_KEY if of is Phase else _ELEMENT, of)
        if typing.get_origin(option) is dict:
            of = typing.get_args(option)[1]
            return _many(_KEY, of, absent=0 if of is int else None)
    return None


def _many(name: str, hint: object, absent: int | None = None) -> _Elements | None:
    kind = _kind(hint)
    return None if kind is None else _Elements(name, kind, absent)
