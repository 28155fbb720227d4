"""CPU time of recording a request, beside that of Locust's own statistics for the same request.

Taking the rows, as happens twice a second, is part of it. The second line has what Locust's event
adds to every listener: the call with nine keywords.
"""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

from locust.stats import RequestStats

from benchmarks.table import middle, parser, print_table, ratio
from scalelag.plugin.worker.recorder import RequestRecorder
from scalelag.record.clock import Clock

TAKES: Final = 100
REQUESTS_A_TAKE: Final = 1_000


def main() -> None:
    """Print CPU time a request and the ratio to Locust's statistics, the medians of the rounds."""
    options = parser(__doc__).parse_args()
    recorder, stats = RequestRecorder(Clock()), RequestStats()
    # Stand-ins for the response of Locust's client and for an arrival of the open loop.
    response = SimpleNamespace(status_code=200)
    context = {"arrival": SimpleNamespace(intended_s=0.0, sent_s=0.0)}
    event = locusts_event(response, context)

    def record() -> None:
        recorder.on_request("GET", "/", 12.5, response=response, context=context)

    def record_event() -> None:
        recorder.on_request(**event)

    def count() -> None:
        stats.log_request("GET", "/", 12.5, 100)

    # Interleaved, so that a busy neighbour slows all.
    rounds = [
        (
            microseconds(record, recorder.take),
            microseconds(record_event, recorder.take),
            microseconds(count),
        )
        for _ in range(options.rounds)
    ]
    ours, event_ours, theirs = zip(*rounds, strict=True)
    print_table(
        ("what", "CPU us a request", "ratio to Locust's statistics"),
        [
            ["recorder", middle(ours), ratio(ours, theirs)],
            ["recorder, as an event", middle(event_ours), ratio(event_ours, theirs)],
            ["Locust's statistics", middle(theirs), 1.0],
        ],
    )


def locusts_event(response: object, context: object) -> dict[str, Any]:
    """Arguments of Locust's `request` event."""
    return {
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


def microseconds(call: Callable[[], None], take: Callable[[], object] = lambda: None) -> float:
    """CPU time of one call, from 100,000 of them, with a `take` after each 1,000."""
    begun_s = time.process_time()
    for _ in range(TAKES):
        for _ in range(REQUESTS_A_TAKE):
            call()
        take()
    return (time.process_time() - begun_s) / (TAKES * REQUESTS_A_TAKE) * 1e6


if __name__ == "__main__":
    main()
