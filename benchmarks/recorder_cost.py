"""What recording a request costs, beside what Locust's own statistics cost for the same request."""

import time
from collections.abc import Callable

from locust.stats import RequestStats

from scalelag.plugin.recorder import RequestRecorder

REQUESTS = 100_000
ROUNDS = 5


class Response:
    """Stands in for what Locust's client hands to listeners."""

    status_code = 200


def main() -> None:
    """Print nanoseconds a request and the ratio to Locust's statistics, the medians of 5 rounds."""
    recorder, stats, response = RequestRecorder(time.monotonic), RequestStats(), Response()
    context = {"intended_s": 0.0}

    def record() -> None:
        recorder.on_request("GET", "/", 12.5, response=response, context=context)

    def count() -> None:
        stats.log_request("GET", "/", 12.5, 100)

    # Interleaved, so that a busy neighbour slows both.
    pairs = [(nanoseconds(record), nanoseconds(count)) for _ in range(ROUNDS)]
    ours, theirs = (sorted(side)[ROUNDS // 2] for side in zip(*pairs, strict=True))
    print(f"recorder           {ours:7.0f} ns a request")
    print(f"locust statistics  {theirs:7.0f} ns a request")
    print(f"ratio              {ours / theirs:7.2f}")


def nanoseconds(call: Callable[[], None]) -> float:
    """CPU time of one call, from 100,000 of them."""
    begun_s = time.process_time()
    for _ in range(REQUESTS):
        call()
    return (time.process_time() - begun_s) / REQUESTS * 1e9


if __name__ == "__main__":
    main()
