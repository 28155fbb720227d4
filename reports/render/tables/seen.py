"""Words on what Serve's own gauges showed of a deployment."""

from reports.model.seen import SeenReport
from reports.model.steps import DeploymentReport
from reports.render.text import percent
from scalelag.foreign import sanitized
from scalelag.wording import count

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
    given = [point.total for point in seen.ongoing if point.total is not None]
    client = [point.client for point in seen.ongoing if point.client is not None]
    beside = f", {max(client):.1f} open at the client" if client else ""
    if not given:
        open_ = [point.open for point in seen.ongoing if point.open is not None]
        return [f"{max(open_):.1f} requests at it at most{beside}"] if open_ else []
    covered = "" if seen.covered_ratio is None else f" (known in {percent(seen.covered_ratio)})"
    return [f"its autoscaler was given {max(given):.1f} requests at most{covered}{beside}"]


def _blind(seen: SeenReport) -> list[str]:
    if not seen.blind_s:
        return []
    return [f"BLIND for {seen.blind_s:.1f} s: given under half of what was open"]
