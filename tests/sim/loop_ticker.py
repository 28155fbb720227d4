"""Time for which watching holds Locust's loop: `python -m tests.sim.loop_ticker URL SECONDS FOLDER`.

In a process of its own, with gevent's monkey patching as in Locust, a greenlet ticks while the
observer polls at its usual rate. Between two ticks the thread's CPU time is read, not the wall clock:
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
from scalelag.cluster.preflight import ready_state  # noqa: E402
from scalelag.observer.messages import Access, Setup  # noqa: E402
from scalelag.plugin.leader.watching.probing import Observer  # noqa: E402
from scalelag.record.clock import Clock  # noqa: E402

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


def setup_of(url: str, folder: Path, clock: Clock) -> Setup:
    """First order to an observer that sends back every row, as for the web page."""
    ready = ready_state(Dashboard(url, clock.now), ())
    return Setup(
        access=Access(url),
        prometheus=None,
        embedded=False,
        rate_per_s=RATE_PER_S,
        budget_ratio=1.0,
        watched=frozenset(ready.payload.deployments()),
        replicas=str(folder / "replicas.jsonl"),
        evidence=str(folder / "evidence.jsonl"),
        seen=str(folder / "seen.jsonl"),
        anchor_wall_s=clock.anchor_wall_s,
        anchor_monotonic_s=clock.anchor_monotonic_s,
        ready=ready.payload,
        ready_s=ready.sent_s,
        shows_rows=True,
    )


def main(url: str, seconds: float, folder: Path) -> None:
    """Tick without the observer, then with it."""
    clock = Clock()
    observer = Observer(setup_of(url, folder, clock), clock.now, print, print, lambda _: None)
    observer.await_ready()
    # What start-up has left over is no work of the observer's; what the observer leaves over is.
    gc.collect()
    idle_s = longest_s(1.0)
    observer.start()
    held_s = longest_s(seconds)
    observer.stop()
    observer.close()
    ticks = Ticks(observer.state.polls, len(held_s), held_s[:20], idle_s[:5])
    sys.stdout.write(msgspec.json.encode(ticks).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
