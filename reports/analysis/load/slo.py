"""A user's own limits: on the latency of requests, and on the times of their tokens."""

import re
from collections.abc import Sequence
from typing import Final, Literal, cast

import msgspec

from scalelag.errors import UsageError

Measured = Literal["latency", "ttft", "itl", "gap"]

_QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999, "max": 1.0}
_MEASURED: Final[dict[str, Measured]] = {
    "latency": "latency",
    "e2e": "latency",
    "ttft": "ttft",
    "itl": "itl",
    "tpot": "itl",
    "gap": "gap",
}
_NAMES = "|".join((*_QUANTILES, *_MEASURED))
_SLO = re.compile(rf"\s*({_NAMES})\s*<=?\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*", re.IGNORECASE)


class Slo(msgspec.Struct, frozen=True):
    """A limit that a request keeps if what is `measured` of it is at most `limit_s`.

    `quantile` (1.0: the maximum) is the share of requests whose latency is to keep it, for recovery and
    calibration; None for a limit on each request alone.
    """

    text: str
    quantile: float | None
    limit_s: float
    measured: Measured = "latency"


def parse_slo(text: str) -> Slo:
    """Parse `p95<200ms` or `ttft<500ms`. Raises UsageError if it is neither."""
    match = _SLO.fullmatch(text)
    limit_s = float(match[2]) / (1000 if match[3].lower() == "ms" else 1) if match else 0.0
    if match is None or limit_s <= 0:
        raise UsageError(
            f'"{text}": it reads QUANTILE<LIMIT, such as p95<200ms, with one of '
            f"{', '.join(_QUANTILES)} and ms or s, or NAME<LIMIT, such as ttft<500ms, with one of "
            f"{', '.join(_MEASURED)}"
        )
    name = match[1].lower()
    return Slo(text.strip(), _QUANTILES.get(name), limit_s, _MEASURED.get(name, "latency"))


def recorded_slos(option: object) -> tuple[Slo, ...]:
    """Return the limits in a recorded option: a text in records up to 0.2, else a list of texts."""
    texts = cast("Sequence[object]", option) if isinstance(option, list | tuple) else (option,)
    return tuple(parse_slo(str(text)) for text in texts if text)


def on_quantiles(limits: Sequence[Slo]) -> tuple[Slo, ...]:
    """Return the limits on a quantile of latency."""
    return tuple(limit for limit in limits if limit.quantile is not None)
