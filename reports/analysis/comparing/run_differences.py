"""Differences between runs: those that make them incomparable, and those that name the sides."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any, NamedTuple

from reports.analysis.comparing.effective_settings import effective_settings
from scalelag.record.run_info import RunInfo

_OF_THE_PLAN = frozenset({"steps", "repeat", "arrivals"})
_OF_THE_TRACE = frozenset(
    {
        *("trace", "trace_column", "trace_kind", "trace_time_column", "trace_unit"),
        *("from", "to", "rate_scale", "time_scale"),
    }
)
_MOST_IN_LABEL = 3
_MOST_OF_A_VALUE = 40
_NAME, _WATCHED, _USERS = "name", "watched deployments", "user classes"
_SLOTS = "max_ongoing_requests"

_Facts = dict[str, object]


class OptionSet(NamedTuple):
    """Names of options that may differ between `comparable` runs, and defaults of all.

    An option that a record does not know had its default.
    """

    comparable: AbstractSet[str] = frozenset()
    defaults: Mapping[str, object] = MappingProxyType({})


def run_differences(infos: Sequence[RunInfo], known: OptionSet) -> tuple[str, ...]:
    """Return the differences of the others from the first run, each once."""
    first = infos[0]
    found = [line for info in infos[1:] for line in _differences(first, info, known)]
    return tuple(dict.fromkeys(found))


def side_labels(
    base: Sequence[RunInfo],
    candidate: Sequence[RunInfo],
    known: OptionSet,
) -> tuple[str, str]:
    """Labels of the two sides: versions, names, settings, options; else "base" and "candidate"."""
    sides = [_common([_labels(info, known) for info in side]) for side in (base, candidate)]
    differing = [
        name for name in sides[0] if name in sides[1] and sides[0][name] != sides[1][name]
    ][:_MOST_IN_LABEL]
    if not differing:
        return "base", "candidate"
    one, other = (", ".join(_label(name, side[name]) for name in differing) for side in sides)
    return one, other


def _labels(info: RunInfo, known: OptionSet) -> _Facts:
    versions: _Facts = {"Ray": info.versions.ray, "scalelag": info.versions.scalelag}
    facts = _facts(info, known)
    del facts[_WATCHED]
    return {**versions, _NAME: info.name, **facts, "plan": info.plan.text}


def _common(facts: Sequence[_Facts]) -> _Facts:
    first, *others = facts
    return {
        name: value
        for name, value in first.items()
        if all(name in other and other[name] == value for other in others)
    }


def _label(name: str, value: object) -> str:
    said = _said(value)
    said = said if len(said) <= _MOST_OF_A_VALUE else f"{said[:_MOST_OF_A_VALUE]}..."
    return said if name == _NAME else f"{name.replace(': ', ' ')} {said}"


def _differences(one: RunInfo, other: RunInfo, known: OptionSet) -> Iterator[str]:
    yield from _plan_lines(one, other)
    yield from _mix_lines(one, other)
    facts = [_facts(info, known) for info in (one, other)]
    both = set(one.target.watched) & set(other.target.watched)
    left_out = set(map(_flag, _OF_THE_TRACE)) if _same_trace(one, other) else set[str]()
    for name in dict.fromkeys([*facts[0], *facts[1]]):
        key, _, setting = name.rpartition(": ")
        if (setting and key and key not in both) or name in left_out:
            continue
        # Records before version 0.2 do not name them.
        if name == _USERS and not (one.user_classes and other.user_classes):
            continue
        if setting == _SLOTS and any(name not in side for side in facts):
            continue
        values = [side.get(name) for side in facts]
        if values[0] != values[1]:
            yield f"{name}: {_said(values[0])} and {_said(values[1])}"


def _facts(info: RunInfo, known: OptionSet) -> _Facts:
    """Conditions of a run, without its plan."""
    found: _Facts = {
        "repeat": info.plan.repeat,
        "arrivals": info.arrivals,
        "Ray": info.versions.ray,
        _WATCHED: sorted(info.target.watched),
        _USERS: sorted(info.user_classes),
    }
    for key in sorted(info.target.watched):
        deployment = info.target.deployments.get(key)
        settings = effective_settings(deployment)
        found |= {f"{key}: {name}": settings[name] for name in sorted(settings)}
    options: dict[str, Any] = {**known.defaults, **info.options}
    named = sorted(options.keys() - known.comparable - _OF_THE_PLAN)
    return found | {_flag(name): _empty_as_none(options[name]) for name in named}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _empty_as_none(value: object) -> object:
    return None if value in ("", [], {}) else value


def _plan_lines(one: RunInfo, other: RunInfo) -> Iterator[str]:
    """Traces are told apart by their content, in older records by the stages found in it."""
    texts = [info.plan.text for info in (one, other)]
    hashes = _hashes(one, other)
    if None in hashes:
        # One that settled earlier is the same plan.
        stages = [info.plan.at_most.stages for info in (one, other)]
        same_stages = stages[0] == stages[1] or one.plan.repeat != other.plan.repeat
        differ = texts[0] != texts[1] or not same_stages
    else:
        differ = hashes[0] != hashes[1]
    if differ and texts[0] == texts[1]:
        yield f"plan: {texts[0]} and one of that name with other content"
    elif differ:
        yield f"plan: {texts[0]} and {texts[1]}"


def _mix_lines(one: RunInfo, other: RunInfo) -> Iterator[str]:
    texts = [", ".join(request.text for request in info.requests) for info in (one, other)]
    if texts[0] != texts[1]:
        yield f"mix: {_said(texts[0])} and {_said(texts[1])}"
        return
    for ours, theirs in zip(one.requests, other.requests, strict=True):
        if ours.sha256 != theirs.sha256:
            yield f"mix: {ours.name} and one of that name with other headers, body, data or answer"


def _same_trace(one: RunInfo, other: RunInfo) -> bool:
    hashes = _hashes(one, other)
    return hashes[0] is not None and hashes[0] == hashes[1]


def _hashes(*infos: RunInfo) -> list[str | None]:
    return [info.trace.sha256 if info.trace else None for info in infos]


def _said(value: object) -> str:
    return "nothing" if value in (None, "", [], {}) else f"{value}"
