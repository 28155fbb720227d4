"""Cost of an open page to the load, side by side: 50 applications of 20 replicas, half of them new.

The page is asked for as it asks itself, once a second, without a browser: that would take its share
of the cores of a small machine, which is not what a page costs the process that sends the load.
"""

import argparse
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.table import middle, parser, print_table, progress, ratio
from scalelag.record.requests_reader import read_requests
from scalelag.record.run_dir import REQUESTS_FILE
from tests.support.locust_page import LocustPage, page_on_standin
from tests.support.standin.scenarios import steady_replica
from tests.support.standin.script import DeploymentScript, ReplicaScript, Script
from tests.support.waiting import wait_for

APPLICATIONS: Final = 50
REPLICAS: Final = 1000
RATE_RPS: Final = 200
REFRESH_S: Final = 1.0
START_UP_S: Final = 8.0


class Reader(threading.Thread):
    """Asks for what is new, as an open page does, until `stop`."""

    def __init__(self, web: LocustPage) -> None:
        super().__init__(daemon=True)
        self._web = web
        self._stopped = threading.Event()
        self.times_ms: list[float] = []
        self.sizes_kb: list[float] = []

    def run(self) -> None:
        """Ask again and again."""
        seen = {"run": -1, "epoch": -1, "after": -1}
        while not self._stopped.wait(REFRESH_S):
            more = True
            while more:
                begun_s = time.perf_counter()
                reply = self._web.http.get(
                    f"{self._web.url}/scalelag/live", params=seen, timeout=10
                )
                self.times_ms.append((time.perf_counter() - begun_s) * 1000)
                self.sizes_kb.append(len(reply.content) / 1000)
                answer = reply.json()
                more = bool(answer.get("more"))
                if "number" in answer:
                    names = {"run": "run", "epoch": "epoch", "number": "after"}
                    seen = {ours: answer[theirs] for theirs, ours in names.items()}

    def stop(self) -> None:
        """End it."""
        self._stopped.set()
        self.join()


def main() -> None:
    """Print send lag with and without a page, its ratio, and what answers took and weighed."""
    options = options_given()
    each = options.replicas // options.applications
    script = busy_cluster(options.applications, each, options.seconds)
    lags_ms: dict[bool, list[float]] = defaultdict(list)
    readers: list[Reader] = []
    for number in range(options.rounds):
        # Taking turns at going first.
        for is_open in (number % 2 == 0, number % 2 == 1):
            lag_ms, reader = one_round(script, options.seconds, is_open=is_open)
            lags_ms[is_open].append(lag_ms)
            readers += [reader] if reader else []
            progress(f"round {number + 1}, page {'open' if is_open else 'closed'}: {lag_ms:.2f} ms")
    times = [one for reader in readers for one in reader.times_ms]
    print_table(
        ("page", "send lag p99 ms", "ratio to closed"),
        [
            ["closed", middle(lags_ms[False]), 1.0],
            ["open", middle(lags_ms[True]), ratio(lags_ms[True], lags_ms[False])],
        ],
    )
    print()
    print_table(
        ("answers", "median ms", "p95 ms", "largest kB"),
        [
            [
                len(times),
                float(np.median(times)),
                float(np.quantile(times, 0.95)),
                max(size for reader in readers for size in reader.sizes_kb),
            ]
        ],
    )


def options_given() -> argparse.Namespace:
    """Options of the command line."""
    made = parser(__doc__, seconds=20)
    made.add_argument(
        "--applications", type=int, default=APPLICATIONS, help=f"default {APPLICATIONS}"
    )
    made.add_argument("--replicas", type=int, default=REPLICAS, help=f"in all, default {REPLICAS}")
    return made.parse_args()


def one_round(script: Script, seconds: int, *, is_open: bool) -> tuple[float, Reader | None]:
    """Send lag p99 in ms of a run of `seconds`, and who asked for the page meanwhile."""
    with (
        tempfile.TemporaryDirectory() as folder,
        page_on_standin(Path(folder), script=script) as web,
    ):
        web.start(steps=f"{RATE_RPS}rps:{seconds}s")
        reader = Reader(web) if is_open else None
        if reader is not None:
            reader.start()
            wait_for(lambda: len(web.run_dirs) == 1, "the run is closed", seconds + 60)
            reader.stop()
        else:
            wait_for(lambda: len(web.run_dirs) == 1, "the run is closed", seconds + 60)
        rows, _ = read_requests(web.run_dirs[0] / REQUESTS_FILE)
    return float(np.nanquantile(rows.send_lag_s, 0.99)) * 1000, reader


def busy_cluster(applications: int, replicas: int, seconds: int) -> Script:
    """Applications that grow from half of their `replicas` to all, one replica after the other."""
    gap_s = seconds / (replicas // 2)
    return Script(
        applications={
            f"app{n:02}": {"Model": growing(n, replicas // 2, gap_s, n * gap_s / applications)}
            for n in range(applications)
        }
    )


def growing(number: int, half: int, gap_s: float, later_s: float) -> DeploymentScript:
    """One deployment that begins with `half` and gets as many, `gap_s` apart, all `later_s` later."""
    born_s = [START_UP_S + later_s + n * gap_s for n in range(half)]
    return DeploymentScript(
        targets=((-60.0, half), *((at_s, half + n + 1) for n, at_s in enumerate(born_s))),
        replicas=(
            *(steady_replica(f"old{number:02}{n:03}") for n in range(half)),
            *(
                ReplicaScript(f"new{number:02}{n:03}", at_s, at_s + 0.2, at_s + 0.9)
                for n, at_s in enumerate(born_s)
            ),
        ),
        autoscaling={"min_replicas": 1, "max_replicas": 2 * half},
    )


if __name__ == "__main__":
    main()
