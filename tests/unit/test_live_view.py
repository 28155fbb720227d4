"""An error in the live feed stays there."""

from typing import Any

import gevent
import pytest

from scalelag.plugin.web.feed import LiveView
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
def view(feed):
    return LiveView(feed)


def row(reason):
    return [Gap(0.0, 1.0, reason, 1)]


def test_the_feed_is_told_everything_in_its_order_by_the_end(feed, view):
    view.add_rows(row("first"))
    view.add_requests("requests")
    view.add_rows(row("second"))
    view.stop()
    view.finish()

    assert feed.told == ["first", "requests", "second", "stop", "finish"]
    assert view.answer(1, 2) == {"epoch": 1, "after": 2}


def test_who_measures_does_not_wait_for_the_feed(feed, view):
    view.add_rows(row("first"))
    at_once = list(feed.told)
    gevent.sleep(0)

    assert (at_once, feed.told) == ([], ["first"])


def test_a_fault_reaches_neither_probe_nor_collector_and_the_page_is_told(feed, view, capfd):
    view.add_rows(row("before"))
    view.add_rows(row("fault"))
    gevent.sleep(0)
    for _ in range(3):
        view.add_rows(row("after"))
        view.add_requests("requests")
    view.stop()
    view.finish()

    assert feed.told == ["before"]
    assert "The measurement goes on" in view.answer(-1, -1)["message"]
    assert view._queue.qsize() <= 1, "what nobody takes is not kept"
    assert "RuntimeError: a fault of the picture" in capfd.readouterr().err
