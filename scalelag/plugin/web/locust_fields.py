"""Fields of the start form that are Locust's or the locustfile's, checked before Locust takes them.

Locust says what is wrong with some of them, at no field, and answers 500 to others.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from locust.util.timespan import parse_timespan

from scalelag.foreign import shortened
from scalelag.plan.stages import MAX_DURATION_S, MAX_USERS
from scalelag.plugin.web.form_values import Refusal

Extra = Mapping[str, Mapping[str, Any]]
"""Options that the locustfile has added, by name, as Locust's page gets them."""


def locust_refusal(
    form: Mapping[str, str], extra: Extra, parsed: Mapping[str, Any]
) -> Refusal | None:
    """Return what is wrong with the first such field that cannot be used; None if all can.

    `parsed` are the values of the last start: Locust keeps their types.
    """
    for name, text in form.items():
        problem = None
        if name in _CHECKS:
            problem = _CHECKS[name](text)
        elif name in extra:
            problem = _theirs(text, extra[name], parsed.get(name))
        if problem is not None:
            return Refusal(f'"{shortened(text)}" {problem}.', name)
    return None


def _users(text: str) -> str | None:
    number = _number(int, text)
    is_good = number is not None and 0 <= number <= MAX_USERS
    return None if is_good else f"is not a whole number from 0 to {MAX_USERS:,}"


def _rate(text: str) -> str | None:
    number = _number(float, text)
    is_good = number is not None and number > 0 and math.isfinite(number)
    return None if is_good else "is not a number above 0"


def _run_time(text: str) -> str | None:
    if not text:
        return None
    try:
        if parse_timespan(text) <= MAX_DURATION_S:
            return None
    except (ValueError, OverflowError):
        return "is no time: write 20, 20s, 3m or 1h20m"
    return f"is longer than {MAX_DURATION_S / 86_400:.0f} days"


def _theirs(text: str, option: Mapping[str, Any], value: object) -> str | None:
    """Return what is wrong with a value for an option of the locustfile."""
    choices = [str(choice) for choice in option.get("choices") or ()]
    if choices and text not in choices:
        return f"is none of {', '.join(choices)}"
    if isinstance(value, bool):
        return None if text in ("true", "false") else "is neither true nor false"
    if isinstance(value, int) and _number(int, text) is None:
        return "is not a whole number"
    if isinstance(value, float) and _number(float, text) is None:
        return "is not a number"
    return None


def _number(kind: Callable[[str], float], text: str) -> float | None:
    try:
        return kind(text)
    except (ValueError, OverflowError):
        return None


_CHECKS: Mapping[str, Callable[[str], str | None]] = {
    "user_count": _users,
    "spawn_rate": _rate,
    "run_time": _run_time,
}
