"""The figures of a report by name: `scale_up.total_s.max`, `load.steps.2.latency_p99_ms`.

Names follow `report.json`. An element of a list is named by its `index` or its `name`, a value of an
object by its key, in double quotes where that is no plain word; `*` names each of them.
"""

import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import msgspec

from reports.model.causes import EvidenceReport
from reports.model.intervals import Span
from reports.model.load import LoadReport
from reports.model.report import ProbeReport, RunSummary
from reports.model.steps import DeploymentReport, Phase
from scalelag.errors import UsageError

_SEGMENT: Final = r'(?:\w+|\*|"[^"]*")'
_NAME: Final = rf"{_SEGMENT}(?:\.{_SEGMENT})*"
WANTED: Final = rf"(?:(?P<deployment>[^\s:]+)\s*:)?\s*(?P<metric>{_NAME})"
"""Regular expression of `[DEPLOYMENT:]NAME`."""

RUN_PARTS: Final[Mapping[str, type[msgspec.Struct]]] = {
    "requests": LoadReport,
    "load": LoadReport,
    "probe": ProbeReport,
    "run": RunSummary,
    "evidence": EvidenceReport,
}
"""Parts of the report that hold for the whole run; `requests` is another name for `load`."""

_ALL: Final = "*"
_ELEMENT: Final = "N"
_KEY: Final = "NAME"

Path = tuple[str, ...]


class Wanted(msgspec.Struct, frozen=True):
    """A figure as people name it; `deployment` is None where it is every one's, or the run's."""

    deployment: str | None
    path: Path


class Found(msgspec.Struct, frozen=True):
    """A figure: where it stands, its value, and why it is None where it was not measured."""

    path: Path
    span: Span | None
    reason: str | None = None
    deployment: str | None = None


def parse_wanted(text: str) -> Wanted:
    """Parse `[DEPLOYMENT:]NAME`. Raises UsageError where no report has such a figure."""
    match = re.fullmatch(WANTED, text.strip())
    if match is None:
        raise UsageError(f'"{text}" is no name of a figure, such as scale_up.total_s.max')
    path = _parse_name(match["metric"])
    if match["deployment"] and is_of_run(path):
        raise UsageError(f"{match['metric']} is a figure of the run, not of a deployment")
    return Wanted(match["deployment"], path)


def _parse_name(text: str) -> Path:
    """The parts of a figure's name. Raises UsageError where no report has such a figure.

    Of lists and objects every element is taken to be there: which are is known after the run.
    """
    path: Path = tuple(part.strip('"') for part in re.findall(_SEGMENT, text))
    if _is_figure(path):
        return path
    known = figure_names()
    shape = ".".join(_ELEMENT if part.isdecimal() else part for part in path)
    near = difflib.get_close_matches(shape, known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "see docs/gates.md for all of them"
    raise UsageError(f'unknown metric "{text}"; {hint}')


def is_of_run(path: Path) -> bool:
    """Whether it is a figure of the whole run, not of a deployment."""
    return path[0] in RUN_PARTS


@cache
def figure_names() -> tuple[str, ...]:
    """Every figure, sorted; N stands for an element of a list, NAME for a key of an object."""
    of_run = {f"{part}.{leaf}" for part, struct in RUN_PARTS.items() for leaf in _leaves(struct)}
    return tuple(sorted(of_run | set(_leaves(DeploymentReport))))


def select(
    wanted: Wanted,
    deployments: Mapping[str, DeploymentReport],
    of_run: Mapping[str, msgspec.Struct],
) -> Iterator[Found]:
    """The figures that a name stands for: one, or one for each deployment and element of a `*`.

    `of_run` holds the parts of RUN_PARTS. An element that is not there is a figure that was not
    measured; a kind of error that did not occur is one that occurred 0 times.
    """
    if is_of_run(wanted.path):
        root = of_run[wanted.path[0]]
        yield from _walk(root, type(root), wanted.path[1:], Found(wanted.path[:1], None))
        return
    for key, deployment in deployments.items():
        if wanted.deployment in (None, key, key.partition("/")[2]):
            yield from _walk(
                deployment, DeploymentReport, wanted.path, Found((), None, deployment=key)
            )


def _walk(value: Any, kind: object, path: Path, found: Found) -> Iterator[Found]:  # noqa: ANN401
    why = getattr(value, "reason", None) or getattr(value, "demand_reason", None)
    found = msgspec.structs.replace(found, reason=why or found.reason)
    if value is None:
        yield msgspec.structs.replace(found, path=(*found.path, *path))
    elif kind is _FIGURE:
        yield msgspec.structs.replace(found, span=_span(value))
    elif isinstance(kind, _Many):
        yield from _walk_elements(_elements(value), kind, path, found)
    else:
        part = _parts(typing.cast("type[msgspec.Struct]", kind))[path[0]]
        yield from _walk(getattr(value, path[0]), part, path[1:], _at(found, path[0]))


def _walk_elements(
    elements: Mapping[str, Any], kind: "_Many", path: Path, found: Found
) -> Iterator[Found]:
    chosen = tuple(elements) if path[0] == _ALL and elements else (path[0],)
    for key in chosen:
        here = _at(found, key)
        if key in elements or kind.absent is not None:
            yield from _walk(elements.get(key, kind.absent), kind.of, path[1:], here)
        else:
            reason = f"there is no {key}, but {', '.join(elements) or 'none'}"
            yield Found((*here.path, *path[1:]), None, reason, found.deployment)


def _at(found: Found, name: str) -> Found:
    return msgspec.structs.replace(found, path=(*found.path, name))


def _elements(value: Any) -> Mapping[str, Any]:  # noqa: ANN401  a list or an object of the report
    if isinstance(value, dict):
        return typing.cast("dict[str, Any]", value)
    return {str(one.index if hasattr(one, "index") else one.name): one for one in value}


def _span(value: Any) -> Span | None:  # noqa: ANN401  any figure of the report
    if isinstance(value, Span):
        return value
    if isinstance(value, Phase):
        return None if value.lo is None else Span(value.value, value.lo, value.hi)
    return Span(float(value), float(value), float(value))


def _is_figure(path: Path) -> bool:
    if is_of_run(path):
        return _leads_to_figure(RUN_PARTS[path[0]], path[1:])
    return _leads_to_figure(DeploymentReport, path)


def _leads_to_figure(kind: object, path: Path) -> bool:
    if kind is _FIGURE or not path:
        return kind is _FIGURE and not path
    if isinstance(kind, _Many):
        return _leads_to_figure(kind.of, path[1:])
    parts = _parts(typing.cast("type[msgspec.Struct]", kind))
    return path[0] in parts and _leads_to_figure(parts[path[0]], path[1:])


def _leaves(kind: object) -> Iterator[str]:
    """Dotted names of the figures within a struct type, and within what it holds."""
    if isinstance(kind, _Many):
        for leaf in _leaves(kind.of):
            yield f"{kind.name}.{leaf}" if leaf else kind.name
    elif kind is _FIGURE:
        yield ""
    else:
        for name, part in _parts(typing.cast("type[msgspec.Struct]", kind)).items():
            yield from (f"{name}.{leaf}" if leaf else name for leaf in _leaves(part))


class _Many(msgspec.Struct, frozen=True):
    """A list or an object of what is `of` one kind, each called by `name`.

    `absent` is the figure of one that is not there, None where that is not known.
    """

    name: str
    of: object
    absent: int | None = None


_FIGURE: Final = Span


@cache
def _parts(struct: type[msgspec.Struct]) -> Mapping[str, object]:
    """What a struct type holds by name: figures, structs and many of either; nothing else."""
    kinds = {name: _kind(hint) for name, hint in typing.get_type_hints(struct).items()}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _kind(hint: object) -> object | None:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        if option in (int, float, Span, Phase):
            return _FIGURE
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
        if typing.get_origin(option) is tuple:
            return _many(_ELEMENT, typing.get_args(option)[0])
        if typing.get_origin(option) is dict:
            of = typing.get_args(option)[1]
            return _many(_KEY, of, absent=0 if of is int else None)
    return None


def _many(name: str, hint: object, absent: int | None = None) -> _Many | None:
    kind = _kind(hint)
    return None if kind is None else _Many(name, kind, absent)
