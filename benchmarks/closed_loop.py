"""Closed loop: requests a second of our users, of plain Locust, and of wrk as the physical limit.

All have as many users (wrk: connections) against the same server, which counts. Ours run with
recorder and probe on. They take turns, round after round; the first seconds are warm-up.
"""

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Final

from benchmarks.generators import Generator, measure, plain_locust, stepped, wrk
from benchmarks.server import running_server
from benchmarks.table import Cell, middle, parser, print_table, progress, ratio
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

WARM_UP_S: Final = 3
OURS, FAST, REQUESTS, WRK = "scalelag", "FastHttpUser", "HttpUser", "wrk"


def main() -> None:
    """Print the medians, and the medians of the ratios to plain FastHttpUser."""
    made = parser(__doc__, seconds=10)
    made.add_argument("--users", type=int, default=50, help="default 50")
    made.add_argument("--without-wrk", action="store_true", help="where it is not installed")
    options = made.parse_args()
    tools = [OURS, FAST, REQUESTS, *([] if options.without_wrk else [WRK])]
    if WRK in tools:
        wrk("", 1, 1)  # says now that it is missing
    rps: dict[str, list[float]] = defaultdict(list)
    cpu_us: dict[str, list[float]] = defaultdict(list)
    with running_standin(one_deployment(steady_replica())) as standin:
        for _ in range(options.rounds):
            for tool in tools:
                got = one_run(tool, options.users, options.seconds, standin.url)
                rps[tool].append(got[0])
                cpu_us[tool].append(got[1])
                progress(f"{tool}: {got[0]:.0f} requests/s, CPU {got[1]:.0f} us")
    rows: list[list[Cell]] = [
        [tool, middle(rps[tool]), ratio(rps[tool], rps[FAST]), middle(cpu_us[tool])]
        for tool in tools
    ]
    print_table(("tool", "requests/s", "ratio to FastHttpUser", "CPU us a request"), rows)


def one_run(tool: str, users: int, seconds: int, dashboard: str) -> tuple[float, float]:
    """Requests a second, and CPU time a request in microseconds."""
    with tempfile.TemporaryDirectory() as name, running_server() as server:
        folder = Path(name)
        generator = command_of(tool, server.url, users, WARM_UP_S + seconds, dashboard, folder)
        measured = measure(generator, server, WARM_UP_S, seconds, folder)
    return measured.rps, measured.cpu_us


def command_of(
    tool: str, url: str, users: int, total_s: int, dashboard: str, folder: Path
) -> Generator:
    """Return the command that starts `tool`."""
    if tool == OURS:
        return stepped(url, dashboard, f"{users}users:{total_s}s", folder)
    if tool == WRK:
        return wrk(url, users, total_s)
    return plain_locust(url, {FAST: "FastUser", REQUESTS: "RequestsUser"}[tool], users, total_s)


if __name__ == "__main__":
    main()
