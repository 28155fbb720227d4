"""Serve's controller and the cluster's nodes in words that every renderer shows."""

from reports.model.controller import ControllerReport, NodesReport, OverTarget
from reports.render.text import percent
from scalelag.wording import count


def controller_words(found: ControllerReport) -> str:
    """The controller's figures in a line; empty if Ray does not tell them."""
    parts: list[str] = []
    if found.loop_p50_s is not None and found.loop_p95_s is not None:
        parts.append(f"loop {_ms(found.loop_p50_s)} at the median, {_ms(found.loop_p95_s)} at p95")
    if found.metrics_delay_max_s is not None:
        parts.append(f"metrics at most {_ms(found.metrics_delay_max_s)} late")
    if found.memory_growth_mb is not None:
        parts.append(f"memory {found.memory_growth_mb:+.1f} MB")
    return ", ".join(parts)


def nodes_words(found: NodesReport) -> str:
    """Number of nodes in a line; empty if it is not known."""
    if found.min is None or found.max is None:
        return ""
    some = (
        count(found.max, "node")
        if found.min == found.max
        else f"{found.min} to {count(found.max, 'node')}"
    )
    failed = f", {count(found.failed, 'failure')}" if found.failed else ""
    return f"{some}{failed}"


def cluster_texts(controller: ControllerReport, nodes: NodesReport) -> tuple[str, ...]:
    """Both, as parts of a sentence; none of what is not known."""
    words = controller_words(controller)
    return tuple(filter(None, (words and f"controller: {words}", nodes_words(nodes))))


def over_target_texts(found: OverTarget) -> list[str]:
    """RUNNING over target in a few words; none if it is not known."""
    if found.mean is None or found.min is None:
        return []
    return [f"RUNNING over target {percent(found.mean)} on average, {percent(found.min)} at least"]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms"
