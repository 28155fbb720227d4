"""What goes wrong in the live feed stays there."""

from typing import Any

import gevent
import pytest

from scalelag.plugin.web.feed import Shown
from scalelag.record.rows import Gap


class Noting:
    """A feed that notes what it is told, and breaks at the row that says so."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def add_rows(self, rows: list[Gap]) -> None:
        if rows[0].reason == "fault":
            raise RuntimeError("a fault of the picture")
        self.told.append(rows[0].reason)

    def add_requests(self, rows: str) -> None:
        self.told.append(rows)

    def stop(self) -> None:
        self.told.append("stop")

    def finish(self) -> None:
        self.told.append("finish")

    def answer(self, epoch: int, after: int) -> dict[str, Any]:
        return {"epoch": epoch, "after": after}


@pytest.fixture
def feed():
    return Noting()


@pytest.fixture
def shown(feed):
    return Shown(feed)


def row(reason):
    return [Gap(0.0, 1.0, reason, 1)]


def test_the_feed_is_told_everything_in_its_order_by_the_end(feed, shown):
    shown.add_rows(row("first"))
    shown.add_requests("requests")
    shown.add_rows(row("second"))
    shown.stop()
    shown.finish()

    assert feed.told == ["first", "requests", "second", "stop", "finish"]
    assert shown.answer(1, 2) == {"epoch": 1, "after": 2}


def test_who_measures_does_not_wait_for_the_feed(feed, shown):
    shown.add_rows(row("first"))
    at_once = list(feed.told)
    gevent.sleep(0)

    assert (at_once, feed.told) == ([], ["first"])


def test_a_fault_reaches_neither_probe_nor_collector_and_the_page_is_told(feed, shown, capfd):
    shown.add_rows(row("before"))
    shown.add_rows(row("fault"))
    gevent.sleep(0)
    for _ in range(3):
        shown.add_rows(row("after"))
        shown.add_requests("requests")
    shown.stop()
    shown.finish()

    assert feed.told == ["before"]
    assert "the measurement goes on" in shown.answer(-1, -1)["message"]
    assert shown._queue.qsize() <= 1, "what nobody takes is not kept"
    assert "RuntimeError: a fault of the picture" in capfd.readouterr().err
