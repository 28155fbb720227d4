"""CPU time of one poll of the replicas, side by side: 1, 1,000 and 8,192 replicas.

Only our own side is measured: reading the answer of a stand-in (*read*), and what follows, where all
replicas are as in the answer before (*as before*) and where one of them is not (*changed*).
"""

import time
from collections import defaultdict
from collections.abc import Callable
from itertools import cycle
from typing import Final, NamedTuple

import msgspec

from benchmarks.table import Cell, middle, parser, print_table, ratio
from probes.dashboard import APPLICATIONS_PATH, Dashboard
from probes.serve_state import PayloadParser
from probes.tracker import ReplicaTracker
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.standin.script import Script

POLLS: Final = 20
REPLICAS: Final = (1, 1000, 8192)


class Costs(NamedTuple):
    """Milliseconds of CPU time a poll."""

    read_ms: float
    as_before_ms: float
    changed_ms: float


def main() -> None:
    """Print CPU time a poll, and its ratio to that of one replica, the medians of the rounds."""
    options = parser(__doc__).parse_args()
    rounds: dict[int, list[Costs]] = defaultdict(list)
    for _ in range(options.rounds):
        for replicas in REPLICAS:
            rounds[replicas].append(one_round(script_of(replicas)))
    one = list(zip(*rounds[1], strict=True))
    columns = {n: list(zip(*costs, strict=True)) for n, costs in rounds.items()}
    print_table(
        ("replicas", "read: CPU ms", "ratio", "as before", "ratio", "changed", "ratio"),
        [
            [
                f"{n:,}",
                *(x for own, first in zip(mine, one, strict=True) for x in cells(own, first)),
            ]
            for n, mine in columns.items()
        ],
    )


def cells(costs: tuple[float, ...], of_one: tuple[float, ...]) -> tuple[Cell, Cell]:
    """Return the middle of `costs`, and their ratio to those of one replica."""
    return middle(costs), ratio(costs, of_one)


def script_of(replicas: int) -> Script:
    """A deployment with that many replicas."""
    steady = (steady_replica(f"r{number:07}") for number in range(replicas))
    return one_deployment(*steady, target=replicas)


def one_round(script: Script) -> Costs:
    """Cost of a poll in one round of 20 of each kind."""
    with running_standin(script) as standin:
        dashboard = Dashboard(standin.url, time.time)
        body = dashboard.get(APPLICATIONS_PATH).body
        read_ms = cost_ms(lambda: dashboard.get(APPLICATIONS_PATH))
        dashboard.close()
    other = body[::-1].replace(b"GNINNUR", b"GNITRATS", 1)[::-1]
    return Costs(read_ms, *(cost_ms(looking_through(*them)) for them in ((body,), (other, body))))


def looking_through(*bodies: bytes) -> Callable[[], object]:
    """Look through these answers in turn, and make their rows."""
    tracker, found, encoder = ReplicaTracker(), PayloadParser(), msgspec.json.Encoder()
    coming = cycle(bodies)

    def look() -> bytes:
        rows = tracker.rows(found.parse(bytes(bytearray(next(coming)))), 1.0, 1.1)
        return b"".join(encoder.encode(row) for row in rows)

    look()
    return look


def cost_ms(poll: Callable[[], object]) -> float:
    """Milliseconds of CPU time of this process for one of 20 polls."""
    begun_s = time.process_time()
    for _ in range(POLLS):
        poll()
    return (time.process_time() - begun_s) / POLLS * 1000


if __name__ == "__main__":
    main()
