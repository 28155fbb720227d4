"""Open loop: how late requests are sent with a mix of four, and without one, in turn.

Both send 500 requests a second, in three stages; the mix has other weights in each. The send lag is
that of our record, the lag at the server goes from the due time to the server's own account. The
first two seconds are warm-up. `off` are requests of a name and stage too many or too few.
"""

import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.generators import measure, stepped
from benchmarks.lateness import sent_late_ms
from benchmarks.server import PATH, running_server
from benchmarks.table import Cell, middle, parser, print_table, progress, ratio
from scalelag.record.run_dir import RecordedRun, load_run
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

WARM_UP_S: Final = 2
NAMES: Final = ("a", "b", "c", "d")
WEIGHTS: Final = ((4, 3, 2, 1), (1, 0, 0, 4), (1, 1, 1, 1))
WITHOUT, WITH = "one request", "mix of four"
HEAD: Final = (
    "load", "off", "sent late ms: median", "p99", "late at the server ms: median", "p99",
    "CPU us a request",
)  # fmt: skip


class Run(NamedTuple):
    """One run. Lags in milliseconds, median and p99; at the server None if numbers differ."""

    off: int
    sent_median_ms: float
    sent_p99_ms: float
    server_median_ms: float | None
    server_p99_ms: float | None
    cpu_us: float


def main() -> None:
    """Print the medians of all rounds, and the ratio of the mix to the single request."""
    made = parser(__doc__, rounds=3, seconds=60)
    made.add_argument("--rate", type=int, default=500, help="requests a second, default 500")
    options = made.parse_args()
    stage_s = max(options.seconds // len(WEIGHTS), WARM_UP_S + 1)
    runs: dict[str, list[Run]] = defaultdict(list)
    with running_standin(one_deployment(steady_replica())) as standin:
        for _ in range(options.rounds):
            for load in (WITHOUT, WITH):
                run = one_run(load, options.rate, stage_s, standin.url)
                runs[load].append(run)
                progress(
                    f"{load}: {run.off} off, sent {run.sent_median_ms:.2f} {run.sent_p99_ms:.2f} ms "
                    f"late, CPU {run.cpu_us:.0f} us"
                )
    print_table(HEAD, rows_of(runs))


def one_run(load: str, rate: int, stage_s: int, dashboard: str) -> Run:
    """One run of either load."""
    steps = ",".join([f"{rate}rps:{stage_s}s"] * len(WEIGHTS))
    total_s = stage_s * len(WEIGHTS)
    with tempfile.TemporaryDirectory() as name, running_server() as server:
        folder = Path(name)
        requests = None if load == WITHOUT else folder / "mix.toml"
        if requests is not None:
            requests.write_text(tables())
        generator = stepped(server.url, dashboard, steps, folder, requests=requests)
        measured = measure(generator, server, WARM_UP_S, total_s - WARM_UP_S, folder)
        run = load_run(next(folder.glob("runs/*/")))
    rows = run.requests
    clock, skip = run.info.clock, rate * WARM_UP_S
    due_s = np.sort(rows.intended_s[~rows.not_sent])
    due_s += clock.anchor_monotonic_s - clock.anchor_wall_s
    at_server: tuple[float | None, float | None] = (None, None)
    if measured.came_s.size == due_s.size:
        median_s, p99_s = np.quantile((measured.came_s - due_s)[skip:], (0.5, 0.99)).tolist()
        at_server = (1000 * median_s, 1000 * p99_s)
    median_ms, p99_ms = np.quantile(sent_late_ms(run, WARM_UP_S), (0.5, 0.99)).tolist()
    return Run(off_by(run, load, rate * stage_s), median_ms, p99_ms, *at_server, measured.cpu_us)


def tables() -> str:
    """Return the file of the mix: four requests, which only their names tell apart."""
    rows = [dict(zip(NAMES, weights, strict=True)) for weights in WEIGHTS]
    mix = ", ".join(
        "{" + ", ".join(f"{name} = {weight}" for name, weight in row.items()) + "}" for row in rows
    )
    requests = [f'[[request]]\nname = "{name}"\npath = "{PATH}"\n' for name in NAMES]
    return f"mix = [{mix}]\n{''.join(requests)}"


def off_by(run: RecordedRun, load: str, of_stage: int) -> int:
    """Return how many requests of a name and stage were sent too often or too seldom, in all."""
    rows = run.requests
    edges_s = [stage.at_s for stage in run.info.plan.stages[1:]]
    # The sum with the Unix time of the start has lost some digits.
    offsets_s = rows.intended_s - run.info.zero_s + 1e-6
    stages = np.searchsorted(edges_s, offsets_s, side="right")[~rows.not_sent].tolist()
    names = [rows.names[code] for code in rows.name[~rows.not_sent]]
    found = Counter(zip(stages, names, strict=True))
    expected: Counter[tuple[int, str]] = Counter()
    for stage, weights in enumerate(WEIGHTS):
        if load == WITHOUT:
            expected[stage, PATH] = of_stage
        else:
            for name, weight in zip(NAMES, weights, strict=True):
                expected[stage, name] = round(of_stage * weight / sum(weights))
    return ((found - expected) + (expected - found)).total()


def rows_of(runs: dict[str, list[Run]]) -> list[list[Cell]]:
    """Return the medians of both loads, and the ratios of their figures."""
    columns = {load: list(zip(*(run[1:] for run in runs[load]), strict=True)) for load in runs}
    rows: list[list[Cell]] = [
        [load, sum(run.off for run in runs[load]), *map(middle, columns[load])] for load in runs
    ]
    ratios = [ratio(*pair) for pair in zip(columns[WITH], columns[WITHOUT], strict=True)]
    return [*rows, [f"{WITH} / {WITHOUT}", None, *ratios]]


if __name__ == "__main__":
    main()
