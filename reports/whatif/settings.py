"""Settings given as `[APP/DEPLOYMENT:]NAME=VALUE`, put in place of a run's own."""

import difflib
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from reports.model.whatif import Change
from scalelag.errors import UsageError
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.rows import DeploymentKey

OF_DEPLOYMENT = (
    "max_ongoing_requests",
    "max_queued_requests",
    "graceful_shutdown_wait_loop_s",
    "graceful_shutdown_timeout_s",
)
"""Settings outside of the autoscaling configuration that a simulation knows."""

_LARGEST = 1e15


class Assignment(msgspec.Struct, frozen=True):
    """A value for a setting; `deployment` is None for the only one that scales."""

    text: str
    deployment: DeploymentKey | None
    name: str
    value: Any


def parse_assignment(text: str) -> Assignment:
    """Parse `[APP/DEPLOYMENT:]NAME=VALUE`. Raises UsageError if it is none."""
    # No value has a "=" in it, but a name of an application may.
    target, equals, value = text.rpartition("=")
    deployment, colon, name = target.rpartition(":")
    name = name.strip()
    if not equals or not name or not value.strip() or (colon and "/" not in deployment):
        raise UsageError(
            f'--set "{text}": it reads [APP/DEPLOYMENT:]NAME=VALUE, such as upscale_delay_s=5 or '
            "default/Model:target_ongoing_requests=3."
        )
    return Assignment(text, deployment.strip() or None, name, _value(value.strip()))


def _value(text: str) -> int | float | str | None:
    """A number wherever Ray would make one of the text: the simulation has to have the same one.

    Ray takes true for 1 s; as a text it refuses it where a number is meant.
    """
    bare = text.strip("\"' ")
    if bare.lower() in ("none", "null"):
        return None
    for number in (int, float):
        try:
            value = number(bare)
        except ValueError:  # also of too many digits
            continue
        if not abs(value) <= _LARGEST:  # also what is no number
            raise UsageError(f"--set: {text} is no number that a setting could have.")
        return int(value) if value == int(value) else value
    return bare


def deployment_of(
    assignments: Sequence[Assignment], watched: Sequence[DeploymentKey], scaling: Sequence[str]
) -> DeploymentKey:
    """The one deployment that is simulated: the one named, or the first of those that scale.

    Raises UsageError for a name that the run does not have, and for two.
    """
    named = list(dict.fromkeys(one.deployment for one in assignments if one.deployment))
    for name in named:
        if name not in watched:
            raise UsageError(
                f"--set {name}: the run watched {', '.join(watched)}{_near(name, watched)}."
            )
    if len(named) > 1:
        raise UsageError(
            f"--set names {' and '.join(named)}: a simulation changes one deployment. Give one."
        )
    if named:
        return named[0]
    return (list(scaling) or list(watched))[0]


def changed(
    info: DeploymentInfo, assignments: Sequence[Assignment], known: Collection[str]
) -> tuple[DeploymentInfo, tuple[Change, ...]]:
    """Settings with the changes, and what is changed; `known` are Ray's autoscaling settings.

    Raises UsageError for a name that does not exist, with the nearest ones.
    """
    autoscaling, config = dict(info.autoscaling or {}), dict(info.config)
    changes: list[Change] = []
    for one in assignments:
        if any(one.name == other.setting for other in changes):
            raise UsageError(f"--set {one.text}: {one.name} is given twice. Give one value.")
        if one.name not in known and one.name not in OF_DEPLOYMENT:
            raise UsageError(
                f"--set {one.text}: {one.name} is no setting that can be simulated"
                f"{_near(one.name, [*known, *OF_DEPLOYMENT])}."
            )
        place = config if one.name in OF_DEPLOYMENT else autoscaling
        changes.append(Change(one.name, place.get(one.name), one.value))
        place[one.name] = one.value
    new = msgspec.structs.replace(info, autoscaling=autoscaling, config=config)
    return new, tuple(changes)


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.4)
    return f"; near it: {', '.join(near)}" if near else ""
