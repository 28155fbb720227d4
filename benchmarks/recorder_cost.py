"""What recording a request costs, beside what Locust's own statistics cost for the same request."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Final

from locust.stats import RequestStats

from benchmarks.table import middle, parser, print_table, ratio
from scalelag.plugin.recorder import RequestRecorder

REQUESTS: Final = 100_000


def main() -> None:
    """Print CPU time a request and the ratio to Locust's statistics, the medians of the rounds."""
    options = parser(__doc__).parse_args()
    recorder, stats = RequestRecorder(time.monotonic), RequestStats()
    response = SimpleNamespace(status_code=200)  # stands in for that of Locust's client
    context = {"intended_s": 0.0}

    def record() -> None:
        recorder.on_request("GET", "/", 12.5, response=response, context=context)

    def count() -> None:
        stats.log_request("GET", "/", 12.5, 100)

    # Interleaved, so that a busy neighbour slows both.
    pairs = [(microseconds(record), microseconds(count)) for _ in range(options.rounds)]
    ours, theirs = zip(*pairs, strict=True)
    print_table(
        ("what", "CPU us a request", "ratio to Locust's statistics"),
        [
            ["recorder", middle(ours), ratio(ours, theirs)],
            ["Locust's statistics", middle(theirs), 1.0],
        ],
    )


def microseconds(call: Callable[[], None]) -> float:
    """CPU time of one call, from 100,000 of them."""
    begun_s = time.process_time()
    for _ in range(REQUESTS):
        call()
    return (time.process_time() - begun_s) / REQUESTS * 1e6


if __name__ == "__main__":
    main()
