"""Open loop: how late arrivals reach the server, and CPU time a request, side by side with k6.

Both send the same constant rate in turn, round after round, and what came, and when, is the
server's account. The first two seconds of each run are warm-up: counted, but in no other figure.
"""

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.generators import k6, k6_binary, measure, stepped
from benchmarks.lateness import Lateness, fitted_lateness_s, lateness_of
from benchmarks.server import ROOT, running_server
from benchmarks.table import Cell, middle, parser, print_table, progress, ratio
from scalelag.record.run_dir import load_run
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

WARM_UP_S: Final = 2
K6: Final = "k6"
NOT_MEASURED: Final = (None,) * 4
HEAD: Final = (
    "rps", "tool", "missing", "late ms: median", "p99", "p99.9", "max",
    "from its record ms: median", "p99", "p99.9", "CPU us a request", "CPU s in all",
)  # fmt: skip


class Run(NamedTuple):
    """One run. Lags are None where arrivals are missing, and `own` always for k6.

    `late` and `own` are median, p99, p99.9 and maximum in ms.
    """

    missing: int
    late: Lateness | tuple[None, None, None, None]
    own: Lateness | tuple[None, None, None, None]
    cpu_us: float
    total_cpu_s: float

    @property
    def figures(self) -> tuple[float | None, ...]:
        """All but the missing, in the order of the table."""
        return (*self.late, *self.own[:3], self.cpu_us, self.total_cpu_s)


def main() -> None:
    """Print the medians of all rounds, and the ratios to the first tool."""
    options = arguments()
    trees = {tree.name or str(tree): tree for tree in options.tree}
    if not options.tree:
        trees = {"scalelag": ROOT}
    tools = [*([] if options.without_k6 else [K6]), *trees]
    runs: dict[tuple[int, str], list[Run]] = defaultdict(list)
    with running_standin(one_deployment(steady_replica())) as standin:
        for rate in options.rates:
            for _ in range(options.rounds):
                for tool in tools:
                    run = one_run(trees.get(tool), rate, options.seconds, standin.url)
                    runs[rate, tool].append(run)
                    progress(
                        f"{rate} rps {tool}: {run.missing} missing, late "
                        f"{shown(run.late)} ms, own {shown(run.own)}, CPU {run.cpu_us:.0f} us"
                    )
    print_table(HEAD, [row for rate in options.rates for row in rows_of(rate, tools, runs)])


def one_run(tree: Path | None, rate: int, seconds: int, dashboard: str) -> Run:
    """One run of the source tree `tree`; of k6 where it is None."""
    total_s, planned, skip = WARM_UP_S + seconds, rate * (WARM_UP_S + seconds), rate * WARM_UP_S
    with tempfile.TemporaryDirectory() as name, running_server() as server:
        folder = Path(name)
        if tree is None:
            generator = k6(server.url, rate, total_s, folder)
        else:
            generator = stepped(server.url, dashboard, f"{rate}rps:{total_s}s", folder, tree)
        measured = measure(generator, server, WARM_UP_S, seconds, folder)
        own = NOT_MEASURED if tree is None else own_lag(folder, measured.came_s, skip)
        dropped = int((folder / "dropped").read_text()) if tree is None else 0
    came_s = measured.came_s
    extra = came_s.size - planned
    # k6 stops one or two early or late at the very end of its duration.
    complete = dropped == 0 and abs(extra) <= (2 if tree is None else 0)
    late = (
        lateness_of(fitted_lateness_s(came_s[:planned], rate, skip)) if complete else NOT_MEASURED
    )
    return Run(max(0, -extra), late, own, measured.cpu_us, measured.total_cpu_s)


def own_lag(
    folder: Path, came_s: NDArray[np.float64], skip: int
) -> Lateness | tuple[None, None, None, None]:
    """From the due times in our record to the server, on one clock; None where numbers differ."""
    run = load_run(next(folder.glob("runs/*/")))
    clock, rows = run.info.clock, run.requests
    due_s = np.sort(rows.intended_s[~rows.not_sent])
    due_s += clock.anchor_monotonic_s - clock.anchor_wall_s
    return lateness_of((came_s - due_s)[skip:]) if came_s.size == due_s.size else NOT_MEASURED


def rows_of(
    rate: int, tools: list[str], runs: dict[tuple[int, str], list[Run]]
) -> list[list[Cell]]:
    """The medians of each tool, then the ratios of all others to the first."""
    columns = {
        tool: list(zip(*(run.figures for run in runs[rate, tool]), strict=True)) for tool in tools
    }
    rows: list[list[Cell]] = [
        [rate, tool, sum(run.missing for run in runs[rate, tool]), *map(middle, columns[tool])]
        for tool in tools
    ]
    first, *others = tools
    for tool in others:
        ratios = [ratio(*pair) for pair in zip(columns[tool], columns[first], strict=True)]
        rows.append([rate, f"{tool} / {first}", None, *ratios])
    return rows


def shown(late: Lateness | tuple[None, None, None, None]) -> str:
    """Median, p99, p99.9 and maximum as text."""
    return " ".join("-" if one is None else f"{one:.2f}" for one in late)


def arguments() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__, seconds=10)
    made.add_argument(
        "--rates",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[100, 500, 1000, 2000],
        help="arrivals a second, default 100,500,1000,2000",
    )
    made.add_argument(
        "--tree",
        type=lambda text: Path(text).resolve(),
        action="append",
        default=[],
        help="source tree to measure instead of this one; of more than one each in turn",
    )
    made.add_argument("--without-k6", action="store_true", help="compare source trees only")
    options = made.parse_args()
    if not options.without_k6:
        k6_binary()
    return options


if __name__ == "__main__":
    main()
