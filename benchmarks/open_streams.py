"""Streams: what 1,000 and 10,000 answers that are open at once cost the process that reads them.

`llm_chat.py` sends so many chats a second that the target is reached: each answer takes 20 s, with a
chunk every 5 s. The server counts how many are open, and notes when it sends each chunk; *late* is how
much later the first of an answer came by our record. The first 22 s are warm-up, in which the streams
open. CPU time is that of the load process and of the observer. Memory of a stream is what the load
process has beyond that of a run with 20 of them. `failed` are answers, `missing` chunks that were sent
and are not on record.
"""

import resource
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.generators import Generator, chats, measure
from benchmarks.stream_server import StreamServer, running_stream_server
from benchmarks.table import Cell, middle, parser, print_table, progress, ratio
from scalelag.record.run_dir import RecordedRun, load_run
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

CHUNKS: Final = 4
EVERY_S: Final = 5
LASTS_S: Final = CHUNKS * EVERY_S
WARM_UP_S: Final = LASTS_S + 2
FEW: Final = 20
BESIDE: Final = 200
"""Files that a process has open beside its streams, at most."""
HEAD: Final = (
    "open at once", "reached", "chunks/s", "CPU us a chunk", "MiB at peak", "KiB a stream",
    "first chunk late ms: median", "p99", "failed", "missing",
)  # fmt: skip


class Run(NamedTuple):
    """One run. Lateness is None if the record has not all first chunks."""

    reached: int
    chunks_per_s: float
    cpu_us: float
    peak_mib: float
    late_median_ms: float | None
    late_p99_ms: float | None
    failed: int
    missing: int


def main() -> None:
    """Print the medians of all rounds, and the ratio of the most streams to the fewest."""
    made = parser(__doc__, rounds=3, seconds=20)
    made.add_argument("--streams", type=int, nargs="+", default=[1000, 10_000], metavar="N")
    options = made.parse_args()
    check_files(max(options.streams))
    runs: dict[int, list[Run]] = defaultdict(list)
    with running_standin(one_deployment(steady_replica())) as standin:
        for _ in range(options.rounds):
            for streams in (FEW, *options.streams):
                run = one_run(streams, options.seconds, standin.url)
                runs[streams].append(run)
                progress(f"{streams}: {run}")
    rows = [row_of(streams, runs) for streams in options.streams]
    most, fewest = runs[max(options.streams)], runs[min(options.streams)]
    cpu = ratio([run.cpu_us for run in most], [run.cpu_us for run in fewest])
    print_table(HEAD, [*rows, ["ratio", None, None, cpu, *[None] * (len(HEAD) - 4)]])


def check_files(streams: int) -> None:
    """End this process if so many streams cannot be open in one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < streams + BESIDE:
        sys.exit(
            f"A process may open {hard:,} files here, and {streams + BESIDE:,} are needed: raise the "
            f"hard limit (`ulimit -Hn`), or give fewer --streams."
        )


def one_run(streams: int, seconds: int, dashboard: str) -> Run:
    """One run with that many streams open at once."""
    with (
        tempfile.TemporaryDirectory() as name,
        running_stream_server(CHUNKS, EVERY_S) as server,
    ):
        folder = Path(name)
        load = chats(server.url, dashboard, streams / LASTS_S, WARM_UP_S + seconds, folder)
        # Twice as many may be open: what is late opens all the same.
        more = ["--max-in-flight", str(2 * streams), "--request-timeout", str(3 * LASTS_S)]
        generator = Generator([*load.command, *more], load.environment)
        measured = measure(generator, server, WARM_UP_S, seconds, folder)
        run = load_run(next(folder.glob("runs/*/")))
    rows = run.requests
    return Run(
        server.peak,
        measured.rps,
        measured.cpu_us,
        measured.peak_mib,
        *late_ms(run, server),
        failed=int(np.count_nonzero(rows.error >= 0)),
        missing=measured.came_s.size - int(rows.streams.tokens.sum()),
    )


def late_ms(run: RecordedRun, server: StreamServer) -> tuple[float | None, float | None]:
    """Return how late first chunks are on record, median and p99; None if their numbers differ."""
    streams, clock, sent_s = run.requests.streams, run.info.clock, server.first_s
    came_s = np.sort(run.requests.intended_s[streams.row] + streams.first_token_s)
    if came_s.size != sent_s.size:
        return None, None
    came_s += clock.anchor_monotonic_s - clock.anchor_wall_s
    late_s = (came_s - sent_s)[sent_s >= sent_s[0] + LASTS_S]
    median_s, p99_s = np.quantile(late_s, (0.5, 0.99)).tolist()
    return 1000 * median_s, 1000 * p99_s


def row_of(streams: int, runs: dict[int, list[Run]]) -> list[Cell]:
    """Return the medians of one number of streams; failures are those of all rounds."""
    mine = runs[streams]
    pairs = zip(mine, runs[FEW], strict=True)
    kib = [1024 * (run.peak_mib - few.peak_mib) / streams for run, few in pairs]
    columns = list(zip(*mine, strict=True))
    reached, chunks_per_s, cpu_us, mib, *late = map(middle, columns[:6])
    lost = [sum(run.failed for run in mine), sum(run.missing for run in mine)]
    return [f"{streams:,}", reached, chunks_per_s, cpu_us, mib, middle(kib), *late, *lost]


if __name__ == "__main__":
    main()
