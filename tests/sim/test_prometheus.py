"""The third probe against a Prometheus server that scrapes the cluster: `--prometheus URL`."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import pytest

from probes.dashboard import Dashboard
from probes.gauges.prometheus import PrometheusReader, session_of
from scalelag.record.seen_rows import DeploymentGauges, SeenRow
from tests.support.servers.metrics_server import MetricsServer, free_address, running_metrics
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

KEY = "default/Model"
AHEAD_S = 5.0
"""The server's clock is ahead of ours."""


class Prometheus:
    """Data of the server: `series` of a name, labels, and samples as ages in seconds and values."""

    def __init__(self) -> None:
        self.series: list[tuple[str, dict[str, str], list[tuple[float, float]]]] = []
        self.queries: list[str] = []
        self.server: MetricsServer | None = None
        self.said = b""

    def answer(self) -> bytes:
        assert self.server is not None
        query = unquote(self.server.path.partition("query=")[2])
        now_s = time.time() + AHEAD_S
        if query == "time()":
            return json.dumps(
                {"status": "success", "data": {"resultType": "scalar", "result": [now_s, "1"]}}
            ).encode()
        self.queries.append(query)
        result = [
            {
                "metric": {"__name__": f"ray_serve_{name}"} | labels,
                "values": [[now_s - age_s, str(value)] for age_s, value in samples],
            }
            for name, labels, samples in self.series
        ]
        data = {"resultType": "matrix", "result": result}
        self.said = json.dumps({"status": "success", "data": data}).encode()
        return self.said

    def add(self, name: str, *samples: tuple[float, float], **labels: str) -> None:
        where = {"application": "default", "deployment": "Model"}
        self.series.append((name, where | labels, list(samples)))


@contextmanager
def reading(
    store: Prometheus, session: str | None = None, export_s: float = 10.0
) -> Iterator[PrometheusReader]:
    with running_metrics(store.answer) as server:
        store.server = server
        client = Dashboard(f"http://{server.address}", time.time)
        reader = PrometheusReader(client, {"default"}, time.time, export_s, lambda: session)
        yield reader
        reader.close()


def read(reader: PrometheusReader) -> SeenRow:
    (row,) = reader.read(lambda: False)
    return row


def test_the_last_sample_of_every_series_counts_at_its_own_time():
    store = Prometheus()
    store.add("autoscaling_total_requests", (17, 1), (2, 7.5))
    store.add("deployment_queued_queries", (17, 9), (2, 1), handle="a")
    store.add("deployment_queued_queries", (17, 9), (2, 2), handle="b")
    store.add("num_ongoing_requests_at_replicas", (17, 9), (2, 4), handle="a")
    with reading(store) as reader:
        asked_s = time.time()
        row = read(reader)

    assert row.deployments[KEY] == DeploymentGauges(total=7.5, queued=3, running=4)
    assert row.source == "prometheus"
    # By our clock, not by the server's, which is ahead.
    assert row.sent_s == pytest.approx(asked_s - 2, abs=1.0)
    assert row.age_s == pytest.approx(10.0, abs=0.5)


def test_an_old_sample_is_not_used():
    """It was scraped every 15 s, and not for 60 s."""
    store = Prometheus()
    store.add("autoscaling_total_requests", (75, 1), (60, 7.5))
    store.add("deployment_queued_queries", (20, 1), (5, 3))
    with reading(store) as reader:
        row = read(reader)

    assert row.deployments[KEY] == DeploymentGauges(queued=3)


def test_without_a_new_sample_there_is_no_new_row():
    store = Prometheus()
    store.add("autoscaling_total_requests", (5, 1))
    with reading(store) as reader:
        first = read(reader)
        assert store.server is not None
        store.server.answer = lambda: store.said
        again = reader.read(lambda: False)

    assert first.deployments[KEY].total == 1
    assert list(again) == []


def test_other_clusters_of_the_same_server_are_left_out_by_the_session():
    store = Prometheus()
    store.add("autoscaling_total_requests", (5, 1))
    with reading(store, session='session_"x"') as reader:
        read(reader)

    assert 'SessionName="session_\\"x\\""' in store.queries[0]


def test_the_name_of_the_session_is_the_dashboards():
    with running_standin(one_deployment(steady_replica())) as standin:
        assert session_of(Dashboard(standin.url, time.time)) == "session_standin"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"data": {"result": [[1]]}}',
        b'{"status": "error"}',
        b"\xff",
        b"[" * 9999,
    ],
)
def test_an_answer_that_makes_no_sense_is_a_row_with_the_reason(body: bytes):
    store = Prometheus()
    with reading(store) as reader:
        assert store.server is not None
        store.server.answer = lambda: body
        row = read(reader)

    assert row.deployments == {}
    assert "is this a Prometheus server?" in (row.reason or "")


def test_a_server_that_is_away_is_a_row_with_the_reason():
    client = Dashboard(f"http://{free_address()}", time.time)
    reader = PrometheusReader(client, {"default"}, time.time, 10.0, lambda: None)

    row = read(reader)

    assert (row.deployments, row.reason) == ({}, "Prometheus: connection refused")


def test_a_server_without_the_gauges_says_so():
    with reading(Prometheus()) as reader:
        row = read(reader)

    assert row.reason == "Prometheus has no fresh gauge of the tested applications"
