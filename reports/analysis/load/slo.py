"""A user's own limit on latency, such as `p95<200ms`."""

import re

import msgspec

from scalelag.errors import UsageError

_SLO = re.compile(r"\s*(p50|p90|p95|p99|p999|max)\s*<=?\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*")
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999, "max": 1.0}


class Slo(msgspec.Struct, frozen=True):
    """The `quantile` (1.0: the maximum) of latency is to be at most `limit_s`."""

    text: str
    quantile: float
    limit_s: float


def parse_slo(text: str) -> Slo:
    """Parse `p95<200ms`. Raises UsageError if it is none."""
    match = _SLO.fullmatch(text)
    limit_s = float(match[2]) / (1000 if match[3] == "ms" else 1) if match else 0.0
    if match is None or limit_s <= 0:
        raise UsageError(
            f'"{text}": it reads QUANTILE<LIMIT, such as p95<200ms, with one of '
            f"{', '.join(_QUANTILES)} and ms or s"
        )
    return Slo(text.strip(), _QUANTILES[match[1]], limit_s)
