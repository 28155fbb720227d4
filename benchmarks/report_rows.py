"""The report over millions of request rows: time, CPU time and peak memory.

A stored run is given as many requests as a load would have sent in its time, with the errors of an
ordinary bad day; `scalelag report --format json` then runs in a process of its own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.server import ROOT
from benchmarks.table import middle, parser, print_table, progress, ratio
from scalelag.record.error_kinds import LATE
from scalelag.record.requests_file import RequestColumns, RequestWriter
from scalelag.record.run_dir import REQUESTS_FILE, load_run

STORED: Final = ROOT / "tests" / "golden" / "stored" / "demo"
MILLIONS: Final = (1, 10, 100)
BATCH: Final = 5_000
MIB: Final = 1024 * 1024

Measurement = tuple[float, float, float]
"""Seconds, seconds of CPU time, MiB at the peak."""


def main() -> None:
    """Print figures of each size, and their ratio to those of the smallest."""
    made = parser(__doc__, rounds=3)
    made.add_argument(
        "--millions",
        type=int,
        nargs="+",
        default=MILLIONS,
        help="default 1 10 100; 100 takes minutes, and 3 GB of disk",
    )
    options = made.parse_args()
    found: dict[int, list[Measurement]] = {millions: [] for millions in options.millions}
    with tempfile.TemporaryDirectory() as folder:
        runs = {millions: _run_of(Path(folder), millions) for millions in options.millions}
        for _ in range(options.rounds):
            for millions, run in runs.items():
                found[millions].append(report_on(run))
                took_s, cpu_s, mib = found[millions][-1]
                progress(f"{millions} million: {took_s:.1f} s, {cpu_s:.1f} s of CPU, {mib:.0f} MiB")
    smallest = found[options.millions[0]]
    print_table(
        ("million rows", "seconds", "CPU s", "CPU, ratio to the first", "peak MiB"),
        [
            [
                millions,
                *(middle([one[i] for one in rounds]) for i in (0, 1)),
                ratio([one[1] for one in rounds], [one[1] for one in smallest]),
                middle([one[2] for one in rounds]),
            ]
            for millions, rounds in found.items()
        ],
    )


def _run_of(folder: Path, millions: int) -> Path:
    """A copy of the stored run with `millions` of requests, as its workers would have sent them."""
    run = folder / f"{millions}-million"
    shutil.copytree(STORED, run)
    info = load_run(STORED).info
    load_s = info.plan.duration_s
    random = np.random.default_rng(millions)
    writer = RequestWriter(run / REQUESTS_FILE)
    rows = millions * 1_000_000
    for first in range(0, rows, BATCH):
        due_s = info.zero_s + load_s * np.arange(first, min(first + BATCH, rows)) / rows
        writer.append(_rows(due_s, random))
    writer.close()
    return run


def _rows(due_s: NDArray[np.float64], random: np.random.Generator) -> RequestColumns:
    """Log-normal latencies around 50 ms; one in a thousand times out, as many are not sent."""
    size = due_s.size
    latency_s = random.lognormal(np.log(0.05), 0.5, size).astype(np.float32)
    send_lag_s = random.exponential(0.0005, size).astype(np.float32)
    error = np.full(size, -1, np.int32)
    error[random.random(size) < 0.001] = 0
    not_sent = random.random(size) < 0.001
    error[not_sent] = 1
    latency_s[not_sent] = send_lag_s[not_sent] = np.nan
    return RequestColumns(
        # In the order in which they ended, as a run writes them.
        intended_s=random.permuted(due_s),
        send_lag_s=send_lag_s,
        latency_s=latency_s + send_lag_s,
        status=np.where(error < 0, 200, 0).astype(np.uint16),
        name=random.integers(0, 3, size, np.int32),
        error=error,
        worker=random.integers(0, 4, size, np.uint16),
        names=("/a", "/b", "/c"),
        errors=("timeout", LATE),
    )


def report_on(run: Path, output_format: str = "json") -> Measurement:
    """Measure `scalelag report`, a process of its own. Exits if it fails."""
    begun_s = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "scalelag.cli", "report", str(run), "--format", output_format],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    took_s = time.perf_counter() - begun_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 4, 5):
        sys.exit(f"the report on {run} ended with {process.returncode}")
    return took_s, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / MIB


if __name__ == "__main__":
    main()
