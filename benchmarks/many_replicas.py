"""Open loop: how late requests are sent beside 1 replica and beside 8,192, in turn.

The stand-in plays Serve's dashboard, which a probe asks five times a second: its budget is raised, so
that size costs no polls. A dashboard makes its answers on another machine: this one encodes them once,
and has the lowest priority. The send lag is that of our record; the first two seconds are warm-up.
`--before TREE` runs another source tree as well, in the same rounds.
"""

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.generators import Generator, measure, stepped
from benchmarks.lateness import sent_late_ms
from benchmarks.server import ROOT, running_server
from benchmarks.table import Cell, middle, parser, print_table, progress, ratio
from scalelag.record.run_dir import load_run
from tests.support.standin.process import player, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

WARM_UP_S: Final = 2
REPLICAS: Final = (1, 8192)
QUANTILES: Final = (0.5, 0.99, 0.999)
HEAD: Final = ("tree", "replicas", "polls", "sent late ms: median", "p99", "p99.9")


class Run(NamedTuple):
    """One run: polls on record, and send lags in milliseconds."""

    polls: int
    median_ms: float
    p99_ms: float
    p999_ms: float


def main() -> None:
    """Print the medians of all rounds, and the ratio of many replicas to one."""
    made = parser(__doc__, rounds=5, seconds=15)
    made.add_argument("--rate", type=int, default=1000, help="requests a second, default 1000")
    made.add_argument("--before", type=Path, help="another source tree, to compare with")
    options = made.parse_args()
    trees = {"this": ROOT} | ({"before": options.before.resolve()} if options.before else {})
    player().step_back()
    runs: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for _ in range(options.rounds):
        for replicas in REPLICAS:
            for name, tree in trees.items():
                run = one_run(tree, replicas, options.rate, options.seconds)
                runs[name, replicas].append(run)
                progress(f"{name}, {replicas}: {run}")
    print_table(HEAD, [row for name in trees for row in rows_of(name, runs)])


def one_run(tree: Path, replicas: int, rate: int, seconds: int) -> Run:
    """One run beside that many replicas."""
    script = one_deployment(
        *(steady_replica(f"r{number:07}") for number in range(replicas)),
        target=replicas,
        steady=True,
    )
    with (
        tempfile.TemporaryDirectory() as name,
        running_server() as server,
        running_standin(script) as standin,
    ):
        folder = Path(name)
        steps = f"{rate}rps:{WARM_UP_S + seconds}s"
        generator = stepped(server.url, standin.url, steps, folder, tree)
        generator = Generator(
            [*generator.command, "--observer-budget", "1", "--wait", "20"], generator.environment
        )
        measure(generator, server, WARM_UP_S, seconds, folder)
        run = load_run(next(folder.glob("runs/*/")))
    median_ms, p99_ms, p999_ms = np.quantile(sent_late_ms(run, WARM_UP_S), QUANTILES).tolist()
    return Run(len(run.polls), median_ms, p99_ms, p999_ms)


def rows_of(name: str, runs: dict[tuple[str, int], list[Run]]) -> list[list[Cell]]:
    """Return the medians of one tree, and the ratios of their figures."""
    columns = {n: list(zip(*runs[name, n], strict=True)) for n in REPLICAS}
    few, many = (columns[n] for n in REPLICAS)
    rows: list[list[Cell]] = [
        [name, f"{n:,}", *(middle(column) for column in columns[n])] for n in REPLICAS
    ]
    lags = zip(many[1:], few[1:], strict=True)
    return [*rows, [name, "ratio", None, *(ratio(ours, theirs) for ours, theirs in lags)]]


if __name__ == "__main__":
    main()
