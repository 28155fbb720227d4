"""What Ray's cluster status says: nodes there, coming and lost, what is free, and what waits.

Ray gives most of it as the text of `ray status`, which two autoscalers write. The legacy one
(`ray/autoscaler/_private/util.py`, `format_info_string`) writes it every 5 s, so that it may be that
old; the v2 one (`ray/autoscaler/v2/utils.py`, `ClusterStatusFormatter`) at each request.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from scalelag.errors import TargetError

_HEAD = re.compile(r"=+ Autoscaler status: (.+?) =+")
# Sections by the line that opens them; all others are of no interest.
_SECTIONS = {
    "Active:": "active",
    "Healthy:": "active",
    "Idle:": "idle",
    "Pending:": "pending",
    "Recent failures:": "failed",
    "Total Usage:": "usage",
    "Pending Demands:": "demands",
}
_COUNT = re.compile(r"(?P<count>\d+) (?P<name>.+)")
_DEMAND = re.compile(r"(?P<text>.+): (?P<count>\d+)\+ pending (?:tasks/actors|placement groups)\b")
_BUNDLE = re.compile(r"(?P<bundle>\{[^{}]*\})(?: \* (?P<times>\d+))?")
_USAGE = re.compile(
    r"(?P<used>[^\s/]+)/(?P<total>\S+) (?P<name>.+?)"
    r"(?: \((?P<group_used>\S+) used of (?P<group_total>\S+) reserved in placement groups\))?"
)
_AMOUNT = re.compile(r"(?P<number>[-+.\deE]+?)(?P<unit>[KMGT]iB|B)?")
_UNITS = {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40}


class ClusterStatus(msgspec.Struct, frozen=True):
    """Nodes by type, and what is free and waited for on all of them together.

    `written` is when Ray wrote it, by the clock of its head node and in Ray's own words. `pending`
    and `failed` are Ray's lines about single nodes and launches. `demands` counts what waits for
    resources by Ray's text for it (see `demand_resources`).
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

    Raises TargetError where it is none, or where Ray has no status yet.
    """
    try:
        text = msgspec.json.decode(body, type=_Status).data.cluster_status or ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TargetError(f"The cluster's status makes no sense: {error}.") from error
    items = list(_items(text))
    if not any(item.section == "active" for item in items):
        raise TargetError(f"Ray tells no cluster status: {text.strip()[:200] or 'no text'}")
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
    """What is free on each node, by its id, from an answer to `GET /nodes?view=summary`.

    Raises TargetError where it is none. Empty where Ray does not tell.
    """
    try:
        nodes = msgspec.json.decode(body, type=_Nodes).data.node_logical_resources
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TargetError(f"The summary of the nodes makes no sense: {error}.") from error
    return {node: free_resources(text.splitlines()) for node, text in nodes.items()}


def free_resources(lines: Sequence[str]) -> dict[str, float]:
    """Free amount of each resource, memory in bytes, from lines that read "used/total NAME".

    What placement groups have reserved is taken, whether they use it or not. Ray rounds memory to
    0.01 of the unit it writes.
    """
    free: dict[str, float] = {}
    for line in lines:
        match = _USAGE.fullmatch(line.strip())
        amounts = [_amount(match[name]) for name in ("used", "total")] if match else [None]
        used, total = amounts[0], amounts[-1]
        if match is None or used is None or total is None:
            continue
        # Ray counts the used part of the groups' reservation as used: the rest is taken as well.
        group_used = _amount(match["group_used"] or "0") or 0.0
        group_total = _amount(match["group_total"] or "0") or 0.0
        free[match["name"]] = total - used - (group_total - group_used)
    return free


def demand_resources(text: str) -> dict[str, float]:
    """Resources that one demand asks for, summed over its bundles where it is a placement group's.

    From Ray's text, `{'CPU': 1.0}` or `{'CPU': 1.0} * 2, {'GPU': 1.0} * 1 (PACK)`; empty where that
    is not to be understood.
    """
    summed: dict[str, float] = {}
    for match in _BUNDLE.finditer(text):
        try:
            bundle = msgspec.convert(ast.literal_eval(match["bundle"]), dict[str, float])
        except (ValueError, SyntaxError, msgspec.ValidationError):
            return {}
        for name, amount in bundle.items():
            summed[name] = summed.get(name, 0.0) + amount * int(match["times"] or 1)
    return summed


class _Item(NamedTuple):
    """A line within a section, without its indent."""

    section: str
    line: str


def _items(text: str) -> Iterator[_Item]:
    """Indented lines, with their section. What stands for an empty section is left out of them.

    Lines of sections that we do not know, and an error of the autoscaler's below them, are skipped.
    """
    section: str | None = None
    for line in text.splitlines():
        if not line.startswith(" "):
            section = _SECTIONS.get(line.strip())
        elif section is not None:
            yield _Item(section, line.strip())


def _lines(items: Sequence[_Item], section: str) -> tuple[str, ...]:
    """Items of a section; none for the line, such as `(no failures)`, that says so."""
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
