"""Memory over a simulated hour at 1,000 rps: 3.6 million requests from the event to the file.

Recorder, message and writer as in a run, half a second's requests at a time, without sockets and
as fast as it goes; each round in a fresh process.
"""

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import psutil

from benchmarks.table import middle, parser, print_table, progress
from scalelag.plugin.leader.workers.collector import RowCollector
from scalelag.plugin.worker.recorder import RequestRecorder
from scalelag.record.clock import Clock
from scalelag.record.requests_file import RequestWriter

REQUESTS: Final = 3_600_000
BATCH: Final = 500
MIB: Final = 1024 * 1024


def main() -> None:
    """Print resident memory after 5 % of the hour, and the most it grew from there."""
    options = parser(__doc__).parse_args()
    rounds: list[tuple[float, float, float]] = []
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning, max_tasks_per_child=1) as pool:
        for got in pool.map(one_hour, range(options.rounds)):
            rounds.append(got)
            progress(f"{got[0]:.1f} MiB, growth {got[1]:.2f} MiB, {got[2]:.1f} s of CPU time")
    base, growth, cpu_s = (middle(column) for column in zip(*rounds, strict=True))
    print_table(
        ("requests", "MiB after 5 %", "growth from there, MiB", "the worst round's", "CPU s"),
        [[REQUESTS, base, growth, max(got[1] for got in rounds), cpu_s]],
    )


def one_hour(_: int) -> tuple[float, float, float]:
    """Resident MiB after 5 % of the requests, the most above that later, and CPU seconds."""
    me, response = psutil.Process(), SimpleNamespace(status_code=200)
    recorder = RequestRecorder(Clock())
    resident: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        writer = RequestWriter(Path(folder) / "requests.arrow")
        collector = RowCollector(writer)
        for done in range(0, REQUESTS, BATCH):
            for number in range(done, done + BATCH):
                at_s = number / 1000
                context = {"arrival": SimpleNamespace(intended_s=at_s, sent_s=at_s)}
                recorder.on_request("GET", "/", 12.5, response=response, context=context)
            collector.collect(recorder.take(), 0)
            if done * 20 >= REQUESTS and done % 10_000 == 0:
                resident.append(me.memory_info().rss)
        writer.close()
    return resident[0] / MIB, (max(resident) - resident[0]) / MIB, time.process_time()


if __name__ == "__main__":
    main()
