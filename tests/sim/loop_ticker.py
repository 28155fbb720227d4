"""Time for which the probe holds Locust's loop: `python -m tests.sim.loop_ticker URL SECONDS FOLDER`.

In a process of its own, with gevent's monkey patching as in Locust, a greenlet ticks while the
probe polls at its usual rate. Between two ticks the thread's CPU time is read, not the wall clock:
on a busy machine that would count what other processes do. Prints a `Ticks` as JSON.
"""

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402  after the patching, as everything else
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
import locust  # noqa: E402, F401  its objects, too, are walked by the garbage collector
import msgspec  # noqa: E402

from probes.dashboard import Dashboard  # noqa: E402
from probes.pacing import Pacing  # noqa: E402
from probes.replica_probe import ReplicaProbe, measure_baseline  # noqa: E402
from probes.tracker import ReplicaTracker  # noqa: E402
from scalelag.record.clock import Clock  # noqa: E402
from scalelag.record.run_dir import RowWriter  # noqa: E402

TICK_S = 0.001
RATE_PER_S = 5.0


class Ticks(msgspec.Struct, frozen=True):
    """`held_s` is the CPU time between two ticks, the longest ones first; `idle_s` without probe."""

    polls: int
    ticks: int
    held_s: list[float]
    idle_s: list[float]


def longest_s(seconds: float) -> list[float]:
    """CPU time of this thread between ticks over `seconds`, longest first."""
    gaps: list[float] = []
    ends_s = time.monotonic() + seconds
    last_s = time.thread_time()
    while time.monotonic() < ends_s:
        gevent.sleep(TICK_S)
        now_s = time.thread_time()
        gaps.append(now_s - last_s)
        last_s = now_s
    return sorted(gaps, reverse=True)


def main(url: str, seconds: float, folder: Path) -> None:
    """Tick without the probe, then with it."""
    clock = Clock()
    writer = RowWriter(folder / "replicas.jsonl")
    dashboard = Dashboard(url, clock.now)
    # As before every run: the first request of all pays for more than itself.
    pacing = Pacing(RATE_PER_S, 1.0, measure_baseline(dashboard))
    probe = ReplicaProbe(dashboard, writer.append, clock.now, ReplicaTracker(), pacing)
    # What start-up has left over is no work of the probe's; what the probe leaves over is.
    gc.collect()
    idle_s = longest_s(1.0)
    greenlet = gevent.spawn(probe.run)
    held_s = longest_s(seconds)
    probe.stop()
    greenlet.join()
    greenlet.get()
    ticks = Ticks(probe.polls, len(held_s), held_s[:20], idle_s[:5])
    sys.stdout.write(msgspec.json.encode(ticks).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
