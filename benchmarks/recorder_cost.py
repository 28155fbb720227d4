"""What recording a request costs, beside what Locust's own statistics cost for the same request."""

import time
from collections.abc import Callable
from typing import Any

from locust.stats import RequestStats

from scalelag.plugin.recorder import RequestRecorder
from scalelag.record.clock import Clock

TAKES = 100
REQUESTS_A_TAKE = 1_000
ROUNDS = 5


class Response:
    """Stands in for what Locust's client hands to listeners."""

    status_code = 200


class Due:
    """Stands in for an arrival of the open loop."""

    intended_s = 0.0


def main() -> None:
    """Print nanoseconds a request and the ratio to Locust's statistics, the medians of 5 rounds.

    Taking the rows, as happens twice a second, is part of it. The second figure has what Locust's
    event adds to every listener: the call with nine keywords.
    """
    recorder, stats = RequestRecorder(Clock().now), RequestStats()
    response, context = Response(), {"arrival": Due()}
    event: dict[str, Any] = {
        "request_type": "GET",
        "name": "/",
        "context": context,
        "response": response,
        "exception": None,
        "start_time": 0.0,
        "url": "http://127.0.0.1/",
        "response_length": 2,
        "response_time": 12.5,
    }

    def record() -> None:
        recorder.on_request("GET", "/", 12.5, response=response, context=context)

    def record_event() -> None:
        recorder.on_request(**event)

    def count() -> None:
        stats.log_request("GET", "/", 12.5, 100)

    # Interleaved, so that a busy neighbour slows all.
    rounds = [
        (
            nanoseconds(record, recorder.take),
            nanoseconds(record_event, recorder.take),
            nanoseconds(count),
        )
        for _ in range(ROUNDS)
    ]
    ours, event_ours, theirs = (sorted(side)[ROUNDS // 2] for side in zip(*rounds, strict=True))
    print(f"recorder              {ours:7.0f} ns a request")
    print(f"recorder, as an event {event_ours:7.0f} ns a request")
    print(f"locust statistics     {theirs:7.0f} ns a request")
    print(f"ratio                 {ours / theirs:7.2f}")


def nanoseconds(call: Callable[[], None], take: Callable[[], object] = lambda: None) -> float:
    """CPU time of one call, from 100,000 of them, with a `take` after each 1,000."""
    begun_s = time.process_time()
    for _ in range(TAKES):
        for _ in range(REQUESTS_A_TAKE):
            call()
        take()
    return (time.process_time() - begun_s) / (TAKES * REQUESTS_A_TAKE) * 1e9


if __name__ == "__main__":
    main()
