"""A node's clock by asking: its dashboard agent notes every request for a log, with the time.

That line lies between our sending and our receiving, like an answer of NTP; it is there for every
node, whatever its zone, and needs neither a replica nor a field of Serve's.
"""

import re
from collections.abc import Callable

from probes.log_files import LogFile, LogReader, UnreadableError
from probes.log_lines import local_time
from probes.node_clocks import Ping

_AGENT_LOG = "dashboard_agent.log"
# As many last lines as nobody else asks for: each of the two is found again by its number.
_ASKED = (11, 13)
_READ = 40
_NOTED = re.compile(
    rb"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\s.*"
    rb"Tailing logs from \d+ to \d+ for lines=(?P<lines>\d+),"
)


def ping_node(reader: LogReader, node: str, now: Callable[[], float]) -> list[Ping]:
    """Return how a node noted some requests of ours; empty where its agent does not note them.

    Raises UnreadableError where the node's logs cannot be read, SpentError at the bound on all.
    """
    log = LogFile(node, _AGENT_LOG)
    asked: dict[int, tuple[float, float]] = {}
    for lines in _ASKED:
        sent_s = now()
        reader.last(log, lines)
        asked[lines] = (sent_s, now())
    noted: dict[int, float] = {}
    for line in reader.last(log, _READ):
        match = _NOTED.match(line)
        at_s = local_time(match["time"].decode()) if match else None
        if match and at_s is not None:
            noted[int(match["lines"])] = at_s
    return [Ping(*times, noted[lines]) for lines, times in asked.items() if lines in noted]


def try_ping(reader: LogReader, node: str, now: Callable[[], float]) -> list[Ping]:
    """Return as `ping_node`; empty where the node's logs cannot be read."""
    try:
        return ping_node(reader, node, now)
    except UnreadableError:
        return []
