"""An application in one line: `Front (1 fixed, 100 slots) -> Model (1-4)`."""

from collections.abc import Iterator, Mapping

from reports.model.application import ApplicationNode, ApplicationReport
from reports.model.report import Report
from scalelag.foreign import sanitized
from scalelag.record.rows import DeploymentKey
from scalelag.wording import count

_MOST_LINES = 20


def application_texts(report: Report) -> list[str]:
    """Lines on each application of several deployments, with the limit marked; one a caller."""
    return [
        line
        for name, app in report.applications.items()
        if len(app.deployments) > 1
        for line in application_lines(name, app)
    ]


def replicas_text(node: ApplicationNode) -> str:
    """Return `1 fixed, 100 slots` or `1-4`; empty if neither is known."""
    if node.fixed_replicas is not None:
        slots = f", {count(node.slots, 'slot')}" if node.slots is not None else ""
        return f"{node.fixed_replicas} fixed{slots}"
    if node.min_replicas is None or node.max_replicas is None:
        return ""
    return f"{node.min_replicas}-{node.max_replicas}"


def short_name(key: DeploymentKey, application: str) -> str:
    """Name of a deployment without its `application`'s; whole if it is another one's."""
    return sanitized(key.removeprefix(f"{application}/"))


def application_lines(name: str, app: ApplicationReport) -> Iterator[str]:
    """One line on who calls whom, and one on why that is not known if it is not."""
    route = f", {sanitized(app.route_prefix)}" if app.route_prefix else ""
    nodes = {node.deployment: node for node in app.deployments}
    lines = list(_calls(name, app, nodes))
    if not lines:
        lines = [", ".join(_box(name, node) for node in app.deployments)]
    rest = len(lines) - _MOST_LINES
    shown = [*lines[:_MOST_LINES], *([f"and {rest} more"] if rest > 0 else [])]
    yield f"{sanitized(name)}{route}: {'; '.join(shown)}"
    if app.reason:
        yield f"{sanitized(name)}: who calls whom is not known: {sanitized(app.reason)}"


def _calls(
    name: str, app: ApplicationReport, nodes: Mapping[str, ApplicationNode]
) -> Iterator[str]:
    """Chains of calls from the ingress on; each deployment with calls begins or continues one."""
    waiting = [key for key in (app.ingress or "", *nodes) if key in nodes and nodes[key].calls]
    told: set[str] = set()
    for key in dict.fromkeys(waiting):
        if key in told:
            continue
        yield _chain(name, nodes[key], nodes, told)


def _chain(
    name: str, node: ApplicationNode, nodes: Mapping[str, ApplicationNode], told: set[str]
) -> str:
    parts = [_box(name, node)]
    while node.calls and node.deployment not in told:
        told.add(node.deployment)
        called = [nodes.get(key) or ApplicationNode(key) for key in node.calls]
        parts.append(", ".join(_box(name, one) for one in called))
        if len(called) > 1:
            break
        node = called[0]
    return " -> ".join(parts)


def _box(name: str, node: ApplicationNode) -> str:
    about = ", ".join(part for part in (replicas_text(node), "the limit" * node.is_limit) if part)
    title = short_name(node.deployment, name)
    return f"{title} ({about})" if about else title
