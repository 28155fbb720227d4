"""Words on what Serve's own gauges showed of a deployment."""

from reports.model.seen import SeenReport
from reports.model.steps import DeploymentReport
from reports.render.text import percent
from scalelag.foreign import sanitized
from scalelag.wording import count

_LEAST_READINGS = 2
_LEAST_KNOWN = 0.5
_SHARP_S = 2.0
_SOURCES = {"ports": "the nodes' metrics ports", "prometheus": "Prometheus"}


def seen_texts(deployment: DeploymentReport) -> list[str]:
    """Gauges of the autoscaler, their source and age; nothing if they were not read at all."""
    seen = deployment.seen
    if seen.source is None:
        unread = seen.reason is None or seen.reason.endswith("were not read")
        return (
            []
            if unread
            else [f"what the autoscaler saw is not known: {sanitized(seen.reason or '')}"]
        )
    return [
        *_given(seen),
        f"Serve's gauges from {_SOURCES[seen.source]}, {seen.age_s or 0.0:.1f} s old at most",
        *_blind(seen),
        *_served(seen),
    ]


def _served(seen: SeenReport) -> list[str]:
    if seen.served is None:
        return []
    least = count(round(seen.served), "request")
    return [f"at least {least} answered by its replicas, as last exported"]


def _given(seen: SeenReport) -> list[str]:
    """The most that readings of the load show, and the client's open requests at the same moments.

    Nothing of a reading before the load, nor of so few that they say nothing of the rest; and of
    readings that may be older than a moment it is not known what the client had open then.
    """
    points = [point for point in seen.ongoing if point.at_s >= 0]
    given = [point.total for point in points if point.total is not None]
    client = [point.client for point in points if point.client is not None]
    is_sharp = (seen.age_s or 0.0) <= _SHARP_S
    beside = f", {max(client):.1f} open at the client then" if client and is_sharp else ""
    known = seen.covered_ratio
    covered = "" if known is None else f" (known in {percent(known)})"
    if all(point.total is None for point in seen.ongoing):
        open_ = [point.open for point in points if point.open is not None]
        read = f"in {count(len(open_), 'reading')}"
        return [f"{max(open_):.1f} requests at it at most {read}{beside}"] if open_ else []
    if len(given) < _LEAST_READINGS or (known is not None and known < _LEAST_KNOWN):
        read = f"{count(len(given), 'reading')} of the load"
        return [f"the most that its autoscaler was given is not known: {read}{covered}"]
    read = f"in {count(len(given), 'reading')}"
    return [f"its autoscaler was given {max(given):.1f} requests at most {read}{covered}{beside}"]


def _blind(seen: SeenReport) -> list[str]:
    if not seen.blind_s:
        return []
    return [f"BLIND for {seen.blind_s:.1f} s: given under half of what was open"]
