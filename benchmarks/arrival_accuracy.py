"""Open loop: how late arrivals reach the server, and CPU time a request, side by side with k6.

Both tools send the same constant rate in turn, round after round; what came, and when, is the
server's account. The first seconds of each run are warm-up: counted, but in no other figure.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

# As a script and as a module; `tests.sim` has the stand-in for the dashboard.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.generators import k6, measure, stepped
from benchmarks.lag import fitted_lag_s, lag_of
from benchmarks.server import ROOT, running_server
from scalelag.record.run_dir import load_run
from tests.sim.scenarios import one_deployment, steady_replica
from tests.sim.standin import running_standin

WARM_UP_S = 2


class Row(NamedTuple):
    """One run. Lags are None where arrivals are missing; `own_*` None for k6."""

    came: int
    planned: int
    median_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    max_ms: float | None
    own_median_ms: float | None
    own_p99_ms: float | None
    own_p999_ms: float | None
    cpu_us: float
    total_cpu_s: float


def main() -> None:
    """Print a line for each run, then the medians."""
    options = arguments()
    rows: dict[tuple[int, str], list[Row]] = defaultdict(list)
    tools = [*([] if options.without_k6 else ["k6"]), *map(str, options.tree or [ROOT])]
    print(HEAD, flush=True)
    with running_standin(one_deployment(steady_replica())) as standin:
        for rate in options.rates:
            for _ in range(options.rounds):
                for tool in tools:
                    row = one_run(tool, rate, options.seconds, standin.url)
                    rows[rate, tool].append(row)
                    print(line(rate, tool, row), flush=True)
    print(f"\nMedians of {options.rounds}\n{HEAD}")
    for (rate, tool), some in rows.items():
        print(line(rate, tool, middle(some)))


def one_run(tool: str, rate: int, seconds: int, dashboard: str) -> Row:
    """One run of k6, or of the source tree `tool`."""
    total_s, planned = WARM_UP_S + seconds, rate * (WARM_UP_S + seconds)
    with tempfile.TemporaryDirectory() as name, running_server() as server:
        folder = Path(name)
        if tool == "k6":
            generator = k6(server.url, rate, total_s, folder)
        else:
            steps = f"{rate}rps:{total_s}s"
            generator = stepped(server.url, dashboard, steps, folder, Path(tool))
        measured = measure(generator, server, WARM_UP_S, seconds, folder)
        own = None if tool == "k6" else own_lag_s(folder, measured.came_s)
    came, skip = measured.came_s, WARM_UP_S * rate
    # k6 starts one more at the very end of its duration.
    complete = planned <= came.size <= planned + 1
    lag = lag_of(fitted_lag_s(came[:planned], rate, skip)) if complete else (None,) * 4
    own_lag = lag_of(own[skip:]) if own is not None else None
    return Row(
        came.size,
        planned,
        *lag,
        own_lag and own_lag.median_ms,
        own_lag and own_lag.p99_ms,
        own_lag and own_lag.p999_ms,
        measured.cpu_us,
        measured.total_cpu_s,
    )


def own_lag_s(folder: Path, came_s: np.ndarray) -> np.ndarray | None:
    """Seconds from the due times in our record to the server; None where their numbers differ."""
    run = load_run(next(folder.glob("runs/*/")))
    clock, rows = run.info.clock, run.requests
    due_s = np.sort(rows.intended_s[~rows.not_sent])
    due_s += clock.anchor_monotonic_s - clock.anchor_wall_s
    return came_s - due_s if came_s.size == due_s.size else None


def middle(rows: list[Row]) -> Row:
    """The median of each figure over those runs that have it; for arrivals the worst run."""
    columns = zip(*rows, strict=True)
    figures = [[one for one in column if one is not None] for column in columns]
    values = [median(column) if column else None for column in figures]
    worst = min(rows, key=lambda row: row.came - row.planned)
    return Row(*values)._replace(came=worst.came, planned=worst.planned)


HEAD = (
    "  rps  tool                  arrivals     median   p99 p99.9    max   own: median    p99  p99.9"
    "   CPU us/request  CPU s in all"
)


def line(rate: int, tool: str, row: Row) -> str:
    """One row as text."""
    text = [None if one is None else f"{one:.2f}" for one in row]
    _, _, median_ms, p99, p999, top, own_median, own_p99, own_p999, cpu, total = (
        one or "-" for one in text
    )
    return (
        f"{rate:5}  {tool[-18:]:18} {row.came:6}/{row.planned:<6}  {median_ms:>6} {p99:>6} {p999:>5} "
        f"{top:>6}        {own_median:>6} {own_p99:>6} {own_p999:>6}  {cpu:>13}  {total:>12}"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", default="100,500,1000,2000", type=rates, help="rps, by commas")
    parser.add_argument("--seconds", type=int, default=10, help="after the warm-up")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--tree",
        type=Path,
        action="append",
        help="source tree to measure instead of this one; more than one are measured in turn",
    )
    parser.add_argument("--without-k6", action="store_true")
    return parser.parse_args()


def rates(text: str) -> list[int]:
    """Numbers separated by commas."""
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
