"""The cluster probe against a stand-in: its records, and its cost for the controller."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from probes.cluster_probe import ClusterProbe
from probes.dashboard import Dashboard
from scalelag.record.clock import Clock
from scalelag.record.evidence_rows import ClusterSnapshot
from tests.support.standin.process import Standin, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.standin.script import HEAD_NODE_ID, Fault, ReplicaScript

STOP_DEADLINE_S = 20.0
INTERVAL_S = 0.05
DEMAND = "{'CPU': 0.1}"


class Watch:
    """The probe, its thread, and its rows in memory."""

    def __init__(self, url: str, token: str | None = None) -> None:
        now = Clock().now
        self.rows: list[ClusterSnapshot] = []
        self.dashboard = Dashboard(url, now, token)
        self.looks = 0
        asked = self.dashboard.get

        def get(path: str):
            self.looks += 1
            return asked(path)

        self.dashboard.get = get
        self.probe = ClusterProbe(self.dashboard, self.rows.extend, now, INTERVAL_S)
        self.thread = threading.Thread(target=self.probe.run, daemon=True)


@contextmanager
def watching(standin: Standin, token: str | None = None) -> Iterator[Watch]:
    watch = Watch(standin.url, token)
    watch.thread.start()
    try:
        yield watch
    finally:
        watch.probe.stop()
        watch.thread.join(STOP_DEADLINE_S)
        assert not watch.thread.is_alive()
        watch.dashboard.close()


def test_a_demand_is_recorded_when_it_comes_and_when_it_goes(until):
    """A replica is asked for at 0.5 s and gets its node at 1.2 s."""
    waiting = ReplicaScript("bbbbbbbb", 0.5, 1.2, 1.5)
    script = one_deployment(steady_replica(), waiting, target=2)

    with running_standin(script) as standin, watching(standin) as watch:
        until(lambda: len(watch.rows) >= 3)
        looked = watch.looks
        until(lambda: watch.looks >= looked + 5)
        zero_s = standin.zero_s

    assert [row.demands for row in watch.rows] == [{}, {DEMAND: 1}, {}]
    seen, _, gone = watch.rows
    assert watch.rows[1].received_s - zero_s >= 0.5
    assert gone.received_s - zero_s >= 1.2
    assert {f"node_{HEAD_NODE_ID}": 1} == seen.active == gone.active
    assert (seen.pending, seen.failed) == ((), ())
    assert (seen.free["CPU"], gone.free["CPU"]) == (pytest.approx(3.9), pytest.approx(3.8))
    assert all(row.sent_s <= row.received_s for row in watch.rows)
    assert watch.probe.reason is None


def test_a_change_of_the_usage_alone_is_no_row(until):
    """A replica that goes at 0.5 s gives its CPU back."""
    leaving = ReplicaScript("bbbbbbbb", -60.0, -59.0, -58.0, 0.4, 0.5)

    with (
        running_standin(one_deployment(steady_replica(), leaving)) as standin,
        watching(standin) as watch,
    ):
        until(lambda: standin.now_s() > 0.6)
        looked = watch.looks
        until(lambda: watch.looks >= looked + 5)

    assert len(watch.rows) == 1


def test_it_costs_the_controller_nothing(until):
    with (
        running_standin(one_deployment(steady_replica())) as standin,
        watching(standin) as watch,
    ):
        until(lambda: watch.looks >= 20)
        requests = standin.stats().requests

    assert requests == 0


def test_what_is_no_status_for_a_while_is_looked_at_again_and_its_reason_kept(until):
    script = one_deployment(steady_replica())
    with running_standin(script) as standin:
        standin.control(Fault("http_status", status=500, path="/api/cluster_status"))
        with watching(standin) as watch:
            until(lambda: watch.looks >= 3)
            failed = list(watch.rows)
            standin.control(Fault("garbage", path="/api/cluster_status"), clear=True)
            looked = watch.looks
            until(lambda: watch.looks >= looked + 3)
            standin.control(clear=True)
            until(lambda: watch.rows)

    assert failed == []
    assert len(watch.rows) == 1
    assert watch.probe.reason == "HTTP 500"


def test_a_dashboard_that_does_not_let_us_is_asked_once():
    script = one_deployment(steady_replica(), token="right")

    with running_standin(script) as standin, watching(standin, token="wrong") as watch:
        watch.thread.join(STOP_DEADLINE_S)

    assert (watch.rows, watch.looks) == ([], 1)
    assert watch.probe.reason == "HTTP 403"


def test_it_stops_while_it_waits_for_the_next_look():
    with running_standin(one_deployment(steady_replica())) as standin:
        watch = Watch(standin.url)
        probe = ClusterProbe(watch.dashboard, watch.rows.extend, time.time, interval_s=3600.0)
        thread = threading.Thread(target=probe.run, daemon=True)
        thread.start()
        probe.stop()
        thread.join(STOP_DEADLINE_S)
        watch.dashboard.close()

    assert not thread.is_alive()
