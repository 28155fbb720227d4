"""Differences between runs that make them incomparable: plans, configurations."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from scalelag.record.run_info import RunInfo


def run_differences(infos: Sequence[RunInfo], comparable: AbstractSet[str]) -> tuple[str, ...]:
    """Return the differences of the others from the first run, each once.

    Options whose names are in `comparable` may differ.
    """
    first = infos[0]
    found = [line for info in infos[1:] for line in _differences(first, info, comparable)]
    return tuple(dict.fromkeys(found))


def _differences(one: RunInfo, other: RunInfo, comparable: AbstractSet[str]) -> Iterator[str]:
    yield from _line("plan", one.plan.text, other.plan.text)
    yield from _line("repeat", one.plan.repeat, other.plan.repeat)
    yield from _line("arrivals", one.arrivals, other.arrivals)
    yield from _line("Ray", one.versions.ray, other.versions.ray)
    yield from _line(
        "watched deployments", sorted(one.target.watched), sorted(other.target.watched)
    )
    # Records before version 0.2 do not name them.
    if one.user_classes and other.user_classes:
        yield from _line("user classes", sorted(one.user_classes), sorted(other.user_classes))
    for key in sorted(set(one.target.watched) & set(other.target.watched)):
        sides = [info.target.deployments.get(key) for info in (one, other)]
        configs = [(side.autoscaling or {}) if side else {} for side in sides]
        yield from _settings(f"{key}: ", configs[0], configs[1])
    left_out = comparable | {"steps", "repeat", "arrivals"}
    options = [
        {name: value for name, value in info.options.items() if name not in left_out}
        for info in (one, other)
    ]
    yield from _settings("--", options[0], options[1])


def _settings(head: str, one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    for name in sorted(set(one) | set(other)):
        yield from _line(f"{head}{name}", one.get(name), other.get(name))


def _line(name: str, one: object, other: object) -> Iterator[str]:
    if one != other:
        yield f"{name}: {_said(one)} and {_said(other)}"


def _said(value: object) -> str:
    return "nothing" if value in (None, "", [], {}) else f"{value}"
