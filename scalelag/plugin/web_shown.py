"""What is measured, on its way to the pages: a fault in what they show must not reach back."""

from collections.abc import Callable, Sequence
from typing import Any

import gevent
from gevent.queue import Queue

from scalelag.plugin.web.feed import Feed
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import Row

_BROKEN_OFF = (
    "the picture stops here by a fault of ours (its traceback is where Locust runs); the "
    "measurement goes on, and the report will have all of it"
)


class Shown:
    """Hands a run's rows on to its `feed`, in a greenlet of its own.

    Probe and collector only put them here, so that what goes wrong in the feed ends this greenlet,
    with its traceback, and nothing else.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._queue: Queue[Callable[[], object]] = Queue()
        self._greenlet: gevent.Greenlet[[], None] = gevent.spawn(self._hand_on)

    def add_requests(self, rows: RequestColumns) -> None:
        """Take requests that were answered, failed or could not be sent."""
        self._put(lambda: self._feed.add_requests(rows))

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Take what a look of the probe showed."""
        self._put(lambda: self._feed.add_rows(rows))

    def stop(self) -> None:
        """The load has ended."""
        self._put(self._feed.stop)

    def finish(self) -> None:
        """Nothing more comes; wait until the feed has all of it."""
        self._put(self._feed.finish)
        self._queue.put(StopIteration)  # ends the loop over the queue
        self._greenlet.join()

    def answer(self, epoch: int, after: int) -> dict[str, Any]:
        """What is new in the feed (see `Feed.answer`), and why no more comes where it broke off."""
        answer = self._feed.answer(epoch, after)
        broken = self._greenlet.dead and not self._greenlet.successful()
        return answer | ({"message": _BROKEN_OFF} if broken else {})

    def _put(self, step: Callable[[], None]) -> None:
        # Nobody takes it any more where the feed broke off: it would only pile up.
        if not self._greenlet.dead:
            self._queue.put(step)

    def _hand_on(self) -> None:
        for step in self._queue:
            step()
