"""Measures a node's clock: its dashboard agent logs every request for a log, with the time.

As in NTP, that time lies between our sending and our receiving. It works for every node, in any time
zone, and needs neither a replica nor a field of Serve.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator

from probes.logs.log_files import LogFile, LogReader, UnreadableError
from probes.logs.log_lines import local_time
from probes.logs.node_clocks import Ping

_AGENT_LOG = "dashboard_agent.log"
# Nodes that share a folder, as on one machine, also have `dashboard_agent.1.log` and so on.
_AGENT_LOGS = "dashboard_agent*.log"
_TRIES = 2
_FEWEST = 11
_READ = 40
_NOTED = re.compile(
    rb"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\s.*"
    rb"Tailing logs from \d+ to \d+ for lines=(?P<lines>\d{1,9}),"
)


def ping_numbers() -> Iterator[int]:
    """Numbers for `ping_node`, one for each request of a run, by which its line is found again."""
    return itertools.count(_FEWEST)


def ping_node(
    reader: LogReader, node: str, now: Callable[[], float], numbers: Iterator[int]
) -> list[Ping]:
    """Send some requests, and find the lines that the node logged for them; empty if it logs none.

    Each request asks for a different number of lines, by which its line is recognised. Raises
    UnreadableError if the node's logs cannot be read, SpentError at a total limit.
    """
    log = LogFile(node, _AGENT_LOG)
    asked: dict[int, tuple[float, float]] = {}
    for lines in itertools.islice(numbers, _TRIES):
        sent_s = now()
        reader.last(log, lines)
        asked[lines] = (sent_s, now())
    noted = _noted(reader.last(log, _READ))
    if not asked.keys() & noted.keys():
        for name in reader.names(node, _AGENT_LOGS):
            noted |= _noted(reader.last(LogFile(node, name), _READ))
    return [Ping(*times, noted[lines]) for lines, times in asked.items() if lines in noted]


def try_ping(
    reader: LogReader, node: str, now: Callable[[], float], numbers: Iterator[int]
) -> list[Ping]:
    """Do as `ping_node`; empty if the node's logs cannot be read."""
    try:
        return ping_node(reader, node, now, numbers)
    except UnreadableError:
        return []


def _noted(lines: Iterable[bytes]) -> dict[int, float]:
    """Time of the last request for each number of lines, on the node's clock."""
    found: dict[int, float] = {}
    for line in lines:
        match = _NOTED.match(line)
        at_s = local_time(match["time"].decode()) if match else None
        if match and at_s is not None:
            found[int(match["lines"])] = at_s
    return found
