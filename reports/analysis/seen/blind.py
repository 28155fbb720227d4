"""Times in which an autoscaler decided on stale input (docs/metrics.md#what-the-autoscaler-saw)."""

from collections.abc import Iterator, Sequence

from reports.analysis.lag.policy import Policy
from reports.analysis.seen.requests_at import RequestsAt
from reports.analysis.seen.series import GaugeSeries
from reports.model.intervals import Window, without

_HALF = 0.5
_LEAST_OPEN = 1.0
_LEAST_UNSEEN = 1.0


def blind_windows(
    total: GaugeSeries,
    requests: RequestsAt,
    policy: Policy,
    within: Window,
    resting: Sequence[Window] = (),
) -> list[Window]:
    """Stretches in which `total` was under half of what was open at the deployment.

    They last longer than the push interval and the look-back, within which the settings explain it.
    A value written after that time is needed as evidence; one that only still holds is none. A time
    in which either is not known ends a stretch. Two kinds of times are left out. In one, the same
    number of replicas would have been wanted: of two gauges of one request or none, one is often
    under half of the other. In the other no replica ran (`resting`), since Ray then decides by what
    waits at the handles.
    """
    longest_s = policy.metrics_interval_s + policy.look_back_period_s
    found: list[Window] = []
    for stretch in _under_half(total, requests, within, resting):
        if found and found[-1].to_s == stretch.from_s:
            found[-1] = Window(found[-1].from_s, stretch.to_s)
        else:
            found.append(stretch)
    return [
        one
        for one in found
        if any(
            one.from_s + longest_s < reading.from_s - total.blur_s and reading.from_s < one.to_s
            for reading in total.readings
        )
        and _matters(total, requests, policy, one)
    ]


def is_blind(policy: Policy, most: float, open_least: float) -> bool:
    """Return True if so few were counted that fewer replicas are wanted than should be."""
    if most + _LEAST_UNSEEN >= _HALF * open_least:
        return False
    wanted, would = (
        min(max(policy.demand_of(n), policy.min_replicas), policy.max_replicas)
        for n in (most, open_least)
    )
    return would > wanted or not policy.default


def _matters(total: GaugeSeries, requests: RequestsAt, policy: Policy, window: Window) -> bool:
    mean, opened = total.mean(*window), open_between(requests, *window)
    return mean is not None and opened is not None and is_blind(policy, mean, opened)


def blind_s(
    total: GaugeSeries,
    requests: RequestsAt,
    policy: Policy,
    within: Window,
    resting: Sequence[Window] = (),
) -> float | None:
    """Seconds of all blind stretches together; None if what was open is not known."""
    if requests.open is None or requests.open is total:
        return None
    found = blind_windows(total, requests, policy, within, resting)
    return sum(one.to_s - one.from_s for one in found)


def open_between(requests: RequestsAt, from_s: float, to_s: float) -> float | None:
    """Mean of what was open at the deployment; None if it is not known."""
    return requests.open.mean(from_s, to_s) if requests.open is not None else None


def _under_half(
    total: GaugeSeries, requests: RequestsAt, within: Window, resting: Sequence[Window]
) -> Iterator[Window]:
    for reading in total.readings:
        from_s, to_s = max(reading.from_s, within.from_s), min(reading.to_s, within.to_s)
        if to_s <= from_s:
            continue
        for part in without(Window(from_s, to_s), resting):
            open_ = open_between(requests, *part)
            if open_ is not None and open_ >= _LEAST_OPEN and reading.value < _HALF * open_:
                yield part
