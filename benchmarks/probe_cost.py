"""CPU time of one poll of the replicas, side by side: 1, 100 and 1,000 replicas.

Against the stand-in's answers, so that only our own side is measured: parsing, comparing, and rows.
"""

import time
from collections import defaultdict
from typing import Final

import msgspec

from benchmarks.table import middle, parser, print_table, ratio
from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from tests.support.standin.payload import payload_at
from tests.support.standin.scenarios import one_deployment, steady_replica

POLLS: Final = 200
REPLICAS: Final = (1, 100, 1000)


def main() -> None:
    """Print CPU time a poll, and its ratio to that of one replica, the medians of the rounds."""
    options = parser(__doc__).parse_args()
    bodies = {replicas: body_of(replicas) for replicas in REPLICAS}
    costs_ms: dict[int, list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        for replicas, body in bodies.items():
            costs_ms[replicas].append(one_round(body) * 1000)
    print_table(
        ("replicas", "CPU ms a poll", "ratio to 1 replica"),
        [[n, middle(costs), ratio(costs, costs_ms[1])] for n, costs in costs_ms.items()],
    )


def body_of(replicas: int) -> bytes:
    """The dashboard's answer with that many replicas."""
    script = one_deployment(
        *(steady_replica(f"r{number:07}") for number in range(replicas)), target=replicas
    )
    return msgspec.json.encode(payload_at(script, 10.0))


def one_round(body: bytes) -> float:
    """Seconds of CPU time a poll in one round of 200."""
    tracker, encoder = ReplicaTracker(), msgspec.json.Encoder()
    begun_s = time.process_time()
    for number in range(POLLS):
        rows = tracker.rows(parse_payload(body), float(number), number + 0.1)
        b"".join(encoder.encode(row) for row in rows)
    return (time.process_time() - begun_s) / POLLS


if __name__ == "__main__":
    main()
