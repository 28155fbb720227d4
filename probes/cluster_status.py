"""Parser of Ray's cluster status: nodes, free resources, and demands that wait.

Most of it is the text of `ray status`, which two autoscalers write. The legacy one
(`ray/autoscaler/_private/util.py`, `format_info_string`) writes it every 5 s, so it may be that old.
The v2 one (`ray/autoscaler/v2/utils.py`, `ClusterStatusFormatter`) writes it for each request.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from scalelag.errors import UNREADABLE, TargetError
from scalelag.ray_versions import STATUS_SECTIONS

_HEAD = re.compile(r"= Autoscaler status: (.{1,200}?) =")
# Sections by their heading; all others are ignored.
_SECTIONS = {
    "Active:": "active",
    "Healthy:": "active",
    "Idle:": "idle",
    "Pending:": "pending",
    "Recent failures:": "failed",
    **STATUS_SECTIONS,
}
_COUNT = re.compile(r"(?P<count>\d{1,15}) (?P<name>.+)")
_DEMAND = re.compile(
    r"(?P<text>.+): (?P<count>\d{1,15})\+ pending (?:tasks/actors|placement groups)\b"
)
_BUNDLE = re.compile(r"(?P<bundle>\{[^{}]*\})(?: \* (?P<times>\d{1,15}\b))?")
_USAGE = re.compile(
    r"(?P<used>[^\s/]+)/(?P<total>\S+) (?P<name>.+?)"
    r"(?: \((?P<group_used>\S+) used of (?P<group_total>\S+) reserved in placement groups\))?"
)
_AMOUNT = re.compile(r"(?P<number>[-+.\deE]+?)(?P<unit>[KMGT]iB|B)?")
_UNITS = {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40}


class ClusterStatus(msgspec.Struct, frozen=True):
    """Nodes by type, and the free resources and waiting demands of the whole cluster.

    `written` is Ray's own text for the time of writing, on the head node's clock. `pending` and
    `failed` are Ray's lines about single nodes and launches. `demands` counts the waiting demands by
    Ray's text for them (see `demand_resources`).
    """

    written: str | None
    active: dict[str, int]
    idle: dict[str, int]
    pending: tuple[str, ...]
    failed: tuple[str, ...]
    free: dict[str, float]
    demands: dict[str, int]


class _StatusData(msgspec.Struct, frozen=True, rename="camel"):
    cluster_status: str | None = None


class _Status(msgspec.Struct, frozen=True):
    data: _StatusData = _StatusData()


class _NodesData(msgspec.Struct, frozen=True, rename="camel"):
    node_logical_resources: dict[str, str] = {}


class _Nodes(msgspec.Struct, frozen=True):
    data: _NodesData = _NodesData()


def parse_cluster_status(body: bytes) -> ClusterStatus:
    """Parse an answer to `GET /api/cluster_status?format=1`.

    Raises TargetError if it cannot be parsed, or if Ray has no status yet.
    """
    try:
        text = msgspec.json.decode(body, type=_Status).data.cluster_status or ""
    except UNREADABLE as error:
        raise TargetError(
            f"The dashboard's cluster status cannot be parsed: {error}. Check that --dashboard is the "
            "URL of a Ray dashboard."
        ) from error
    items = list(_items(text))
    if not any(item.section == "active" for item in items):
        raise TargetError(
            f"Ray has no cluster status: {text.strip()[:200] or 'no text'}. Wait for its autoscaler "
            "to start, or see `ray status` on the head node."
        )
    head = _HEAD.search(text)
    return ClusterStatus(
        written=head[1] if head else None,
        active=_counts(items, "active"),
        idle=_counts(items, "idle"),
        pending=_lines(items, "pending"),
        failed=_lines(items, "failed"),
        free=free_resources(_lines(items, "usage")),
        demands=_demands(_lines(items, "demands")),
    )


def parse_free_by_node(body: bytes) -> dict[str, dict[str, float]]:
    """Free resources of each node by id, from an answer to `GET /nodes?view=summary`.

    Empty if Ray does not say. Raises TargetError if the answer cannot be parsed.
    """
    try:
        nodes = msgspec.json.decode(body, type=_Nodes).data.node_logical_resources
    except UNREADABLE as error:
        raise TargetError(
            f"The dashboard's summary of the nodes cannot be parsed: {error}. Check that --dashboard "
            "is the URL of a Ray dashboard."
        ) from error
    return {node: free_resources(text.splitlines()) for node, text in nodes.items()}


def free_resources(lines: Sequence[str]) -> dict[str, float]:
    """Free amount of each resource, memory in bytes, from lines that read "used/total NAME".

    Resources that placement groups reserve count as taken, used or not. Ray rounds memory to 0.01 of
    the unit it writes.
    """
    free: dict[str, float] = {}
    for line in lines:
        match = _USAGE.fullmatch(line.strip())
        amounts = [_amount(match[name]) for name in ("used", "total")] if match else [None]
        used, total = amounts[0], amounts[-1]
        if match is None or used is None or total is None:
            continue
        # Ray counts only the used part of a group's reservation as used: the rest is taken too.
        group_used = _amount(match["group_used"] or "0") or 0.0
        group_total = _amount(match["group_total"] or "0") or 0.0
        free[match["name"]] = total - used - (group_total - group_used)
    return free


def demand_resources(text: str) -> dict[str, float]:
    """Resources of one demand, summed over the bundles if it is a placement group.

    `text` is Ray's, such as `{'CPU': 1.0}` or `{'CPU': 1.0} * 2, {'GPU': 1.0} * 1 (PACK)`. Empty if
    it cannot be parsed.
    """
    summed: dict[str, float] = {}
    for match in _BUNDLE.finditer(text):
        try:
            bundle = msgspec.convert(ast.literal_eval(match["bundle"]), dict[str, float])
        except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two: too deep
            return {}
        for name, amount in bundle.items():
            summed[name] = summed.get(name, 0.0) + amount * int(match["times"] or 1)
    return summed


class _Item(NamedTuple):
    """A line of a section, without its indent."""

    section: str
    line: str


def _items(text: str) -> Iterator[_Item]:
    """Yield the indented lines of the known sections.

    Lines of other sections, and an error of the autoscaler below them, are skipped.
    """
    section: str | None = None
    for line in text.splitlines():
        if not line.startswith(" "):
            section = _SECTIONS.get(line.strip())
        elif section is not None:
            yield _Item(section, line.strip())


def _lines(items: Sequence[_Item], section: str) -> tuple[str, ...]:
    """Lines of a section, without the placeholder of an empty one, such as `(no failures)`."""
    return tuple(line for where, line in items if where == section and not line.startswith("("))


def _counts(items: Sequence[_Item], section: str) -> dict[str, int]:
    matches = (_COUNT.fullmatch(line) for line in _lines(items, section))
    return {match["name"]: int(match["count"]) for match in matches if match}


def _demands(lines: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for match in (_DEMAND.match(line) for line in lines):
        if match:
            counts[match["text"]] = counts.get(match["text"], 0) + int(match["count"])
    return counts


def _amount(text: str) -> float | None:
    match = _AMOUNT.fullmatch(text)
    try:
        return float(match["number"]) * _UNITS.get(match["unit"], 1.0) if match else None
    except ValueError:
        return None
