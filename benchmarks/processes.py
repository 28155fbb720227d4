"""More load processes: requests a second and CPU time a request with 1, 2, 4, in both loops.

Closed loop beside plain Locust with as many processes, open loop at one rate. They take turns, round
after round, against the same server, which counts; the first seconds are warm-up. CPU time is that of
all processes of a tool: of ours the leader and the observer are among them. One process sends by
itself, without a leader. The send lag is that of our record.
"""

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.generators import Generator, measure, plain_locust, shared, stepped
from benchmarks.lateness import sent_late_ms
from benchmarks.server import running_server
from benchmarks.table import Cell, middle, parser, print_table, progress, ratio
from scalelag.record.run_dir import load_run
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

WARM_UP_S: Final = 3
OURS, FAST = "scalelag", "FastHttpUser"
HEAD: Final = (
    "load", "tool", "processes", "requests/s", "to one process", "CPU us a request",
    "to one process", "requests/s a core", "sent late ms: median", "p99",
)  # fmt: skip


class Case(NamedTuple):
    """A tool with `users`, or ours with an open loop at a rate."""

    tool: str
    number: int
    unit: str

    @property
    def load(self) -> str:
        """Its load, as the table names it."""
        return f"{self.number:,} {self.unit}"

    def generator(self, url: str, dashboard: str, total_s: int, folder: Path) -> Generator:
        """Return the command that starts it, in one process."""
        if self.tool == FAST:
            return plain_locust(url, "FastUser", self.number, total_s)
        return stepped(url, dashboard, f"{self.number}{self.unit}:{total_s}s", folder)


class Run(NamedTuple):
    """One run. Lags in milliseconds, None in a closed loop."""

    rps: float
    cpu_us: float
    late_median_ms: float | None
    late_p99_ms: float | None


def main() -> None:
    """Print the medians of all rounds, and the medians of the ratios to one process."""
    options = arguments()
    cases = [
        Case(OURS, options.users, "users"),
        Case(FAST, options.users, "users"),
        Case(OURS, options.rate, "rps"),
    ]
    runs: dict[tuple[Case, int], list[Run]] = defaultdict(list)
    with running_standin(one_deployment(steady_replica())) as standin:
        for _ in range(options.rounds):
            for processes in options.processes:
                for case in cases:
                    run = one_run(case, processes, options.seconds, standin.url)
                    runs[case, processes].append(run)
                    progress(
                        f"{case.load} {case.tool}, processes {processes}: {run.rps:.0f} requests/s, "
                        f"CPU {run.cpu_us:.0f} us"
                    )
    print_table(
        HEAD,
        [row_of(case, n, options.processes[0], runs) for case in cases for n in options.processes],
    )


def one_run(case: Case, processes: int, seconds: int, dashboard: str) -> Run:
    """One run with that many processes."""
    with tempfile.TemporaryDirectory() as name, running_server() as server:
        folder = Path(name)
        generator = case.generator(server.url, dashboard, WARM_UP_S + seconds, folder)
        measured = measure(shared(generator, processes), server, WARM_UP_S, seconds, folder)
        late_ms: list[float] | tuple[None, None] = (None, None)
        if case.unit == "rps":
            run = load_run(next(folder.glob("runs/*/")))
            late_ms = np.quantile(sent_late_ms(run, WARM_UP_S), (0.5, 0.99)).tolist()
    return Run(measured.rps, measured.cpu_us, *late_ms)


def row_of(
    case: Case, processes: int, fewest: int, runs: dict[tuple[Case, int], list[Run]]
) -> list[Cell]:
    """Return the medians with that many processes, and the ratios to `fewest`."""
    rps, cpu_us, *late_ms = zip(*runs[case, processes], strict=True)
    of_rps, of_cpu_us, *_ = zip(*runs[case, fewest], strict=True)
    return [
        *(case.load, case.tool, processes),
        *(middle(rps), ratio(rps, of_rps), middle(cpu_us), ratio(cpu_us, of_cpu_us)),
        *(middle([1e6 / one for one in cpu_us]), *map(middle, late_ms)),
    ]


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    made = parser(__doc__, seconds=10)
    made.add_argument("--users", type=int, default=50, help="of the closed loop, default 50")
    made.add_argument("--rate", type=int, default=2000, help="of the open loop, default 2000")
    made.add_argument(
        "--processes",
        type=lambda text: sorted({1, *(int(part) for part in text.split(","))}),
        default=[1, 2, 4],
        help="numbers of load processes beside one, default 2,4",
    )
    return made.parse_args()


if __name__ == "__main__":
    main()
