"""The settings that a search may change, and the values that it may give them."""

import difflib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from reports.whatif.scenario import Settings
from scalelag.errors import UsageError
from scalelag.record.deployment_info import DeploymentInfo

TUNABLE = (
    "target_ongoing_requests",
    "upscale_delay_s",
    "downscale_delay_s",
    "look_back_period_s",
    "metrics_interval_s",
    "upscaling_factor",
    "downscaling_factor",
    "aggregation_function",
    "min_replicas",
    "max_replicas",
)
_FIXED: Mapping[str, tuple[float, ...]] = {
    "upscale_delay_s": (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0),
    "downscale_delay_s": (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0),
    "look_back_period_s": (1.0, 2.0, 5.0, 10.0, 20.0, 30.0),
    "metrics_interval_s": (1.0, 2.0, 5.0, 10.0),
    "upscaling_factor": (0.3, 0.5, 0.75, 1.0, 1.5, 2.0),
    "downscaling_factor": (0.3, 0.5, 0.75, 1.0),
}
_OF_TARGET = (0.25, 0.35, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0)
_OF_MOST = (0.5, 0.75, 1.0, 1.5, 2.0)
_MOST_MINIMA = 6
_PUSH = "metrics_interval_s"
_LOOK_BACK = "look_back_period_s"

Place = tuple[int, ...]
"""A candidate: of each dimension the place of its value."""


class Dimension(msgspec.Struct, frozen=True):
    """A setting, its values in order, and the place of the run's own among them."""

    setting: str
    values: tuple[Any, ...]
    own: int


def space_of(settings: Settings, peak: int, keep: Collection[str]) -> tuple[Dimension, ...]:
    """Settings to search in, of those that the record names; `peak` is its highest target.

    No max_replicas is below that: a lower one would leave no room for any other load.

    Raises UsageError for a name in `keep` that is not searched, or if nothing is left.
    """
    recorded = settings.info.autoscaling or {}
    known = [name for name in TUNABLE if name in recorded]
    for name in keep:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
            raise UsageError(
                f"--keep {name}: that is no setting that is searched; these are {', '.join(known)}"
                f"{'; near it: ' + ', '.join(near) if near else ''}."
            )
    peak = _unscaled(peak, settings.policy.scaling.capacity)
    searched = [name for name in known if name not in keep]
    found = [_dimension(name, settings, peak, searched) for name in searched]
    found = [one for one in found if len(one.values) > 1]
    if not found:
        raise UsageError("--keep: with all of these kept, there is nothing to search.")
    return tuple(found)


def _dimension(name: str, settings: Settings, peak: int, searched: Collection[str]) -> Dimension:
    own, policy = _own(name, settings), settings.policy
    made = _values(name, settings, peak)
    if name == _LOOK_BACK and _PUSH not in searched:
        made = [one for one in made if one > policy.metrics_interval_s]
    if name == _PUSH and _LOOK_BACK not in searched:
        made = [one for one in made if one < policy.look_back_period_s]
    values = sorted({own, *made})
    return Dimension(name, tuple(values), values.index(own))


def _unscaled(replicas: int, capacity: float | None) -> int:
    """The fewest that a `target_capacity` makes `replicas` of: settings are what it scales."""
    if not capacity or replicas <= 1:
        return replicas
    return math.ceil((replicas - 0.5) * 100 / capacity)


def _own(name: str, settings: Settings) -> Any:  # noqa: ANN401  a number or a text
    policy = settings.policy
    if name == "aggregation_function":
        return policy.aggregation
    value = (settings.info.autoscaling or {}).get(name)
    return getattr(policy, name) if value is None else value


def _values(name: str, settings: Settings, peak: int) -> Sequence[Any]:
    policy = settings.policy
    least = int(_own("min_replicas", settings))
    most = int(_own("max_replicas", settings))
    if name == "aggregation_function":
        return ("max", "mean", "min")
    if name == "target_ongoing_requests":
        made = (_rounded(policy.target_ongoing_requests * one) for one in _OF_TARGET)
        return [one for one in made if one <= settings.max_ongoing]
    if name == "min_replicas":
        above = range(least, max(least, min(peak, most)) + 1)
        return above[:: max(1, math.ceil(len(above) / _MOST_MINIMA))]
    if name == "max_replicas":
        return [max(peak, least, math.ceil(most * one)) for one in _OF_MOST]
    return _FIXED[name]


def _rounded(value: float) -> float:
    """A number with two digits, such as a person would write."""
    return float(f"{value:.2g}")


def own_place(space: Sequence[Dimension]) -> Place:
    """The run's own settings."""
    return tuple(one.own for one in space)


def repaired(place: Place, space: Sequence[Dimension]) -> Place:
    """The nearest candidate with min <= max, and a push interval below the look-back.

    The run's own settings stay what they are.
    """
    if place == own_place(space):
        return place
    fixed = _lowered(place, space, "min_replicas", lambda one: not _is_upside_down(one, space))
    fixed = _lowered(fixed, space, _PUSH, lambda one: not rests_on_one_report(one, space))
    # The shortest push interval and the shortest look-back are the same.
    while rests_on_one_report(fixed, space):
        fixed = tuple(
            number + 1 if one.setting == _LOOK_BACK else number
            for one, number in zip(space, fixed, strict=True)
        )
    return fixed


def _lowered(
    place: Place, space: Sequence[Dimension], setting: str, is_good: Callable[[Place], bool]
) -> Place:
    """The first good candidate with this or a lower value of `setting`; else that with its least."""
    at = next((number for number, one in enumerate(space) if one.setting == setting), None)
    while at is not None and place[at] > 0 and not is_good(place):
        place = (*place[:at], place[at] - 1, *place[at + 1 :])
    return place


def _is_upside_down(place: Place, space: Sequence[Dimension]) -> bool:
    value = _values_at(place, space)
    return value.get("min_replicas", 0) > value.get("max_replicas", math.inf)


def rests_on_one_report(place: Place, space: Sequence[Dimension]) -> bool:
    """Return whether the look-back is no longer than the push interval: Ray means to refuse that.

    False where one of the two is not searched.
    """
    value = _values_at(place, space)
    return value.get(_LOOK_BACK, math.inf) <= value.get(_PUSH, 0.0)


def _values_at(place: Place, space: Sequence[Dimension]) -> dict[str, Any]:
    return {one.setting: one.values[number] for one, number in zip(space, place, strict=True)}


def changes_of(place: Place, space: Sequence[Dimension]) -> dict[str, Any]:
    """The settings of a candidate that differ from the run's own."""
    return {
        one.setting: one.values[number]
        for one, number in zip(space, place, strict=True)
        if number != one.own
    }


def without(place: Place, setting: str, space: Sequence[Dimension]) -> Place:
    """The candidate with the run's own value of one setting."""
    return tuple(
        one.own if one.setting == setting else number
        for one, number in zip(space, place, strict=True)
    )


def info_of(info: DeploymentInfo, changes: Mapping[str, Any]) -> DeploymentInfo:
    """The deployment with other autoscaling settings."""
    return msgspec.structs.replace(info, autoscaling={**(info.autoscaling or {}), **changes})


def config_of(info: DeploymentInfo) -> dict[str, Any]:
    """The `autoscaling_config` as it is pasted: without what is unset, or Ray's own by default."""
    return {
        name: value
        for name, value in (info.autoscaling or {}).items()
        if value is not None and not _is_usual(name, value)
    }


def _is_usual(name: str, value: object) -> bool:
    if "smoothing_factor" in name:  # the old names of the factors
        return value == 1.0
    return name in ("policy", "_policy") and "ray.serve.autoscaling_policy" in str(value)
