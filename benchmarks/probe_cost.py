"""What looking at the replicas costs, per poll, side by side: 1, 100 and 1,000 replicas.

Against the stand-in server, so that only our own side is measured: parsing, comparing, and rows.
"""

import time

import msgspec

from probes.payload import parse_payload
from probes.tracker import ReplicaTracker
from tests.sim.payload import payload_at
from tests.sim.scenarios import one_deployment, steady_replica

POLLS = 200


def main() -> None:
    """Print CPU time a poll, and its ratio to that of one replica."""
    base_s = None
    print("replicas  CPU ms a poll  ratio to 1 replica")
    for replicas in (1, 100, 1000):
        cost_s = measure(replicas)
        base_s = base_s or cost_s
        print(f"{replicas:8}  {cost_s * 1000:13.3f}  {cost_s / base_s:18.1f}")


def measure(replicas: int) -> float:
    """Seconds of CPU time that one poll takes, the smallest of five rounds."""
    script = one_deployment(
        *(steady_replica(f"r{number:07}") for number in range(replicas)), target=replicas
    )
    body = msgspec.json.encode(payload_at(script, 10.0))
    return min(one_round(body) for _ in range(5))


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
