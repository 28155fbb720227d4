"""The third probe against metrics ports of every kind: what it sees, and what it cannot."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from probes.dashboard import Dashboard
from probes.gauges.exposition import GaugesError
from probes.gauges.metrics_port import MetricsPorts
from probes.gauges.port_list import PortList
from probes.gauges.ports_reader import PortsReader
from scalelag.record.seen_rows import DeploymentGauges, SeenRow
from tests.support.servers.metrics_server import (
    MetricsServer,
    controller_text,
    free_address,
    gauge,
    router_text,
    running_metrics,
)
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.standin.script import Script

KEY = "default/Model"
TOKEN = "t0k3n"


def script(*ports: str, **changed) -> Script:
    known = one_deployment(steady_replica())
    return Script(applications=known.applications, metrics_ports=ports, **changed)


@contextmanager
def reader_of(*ports: str, export_s: float = 1.0, **changed) -> Iterator[PortsReader]:
    """The reader, on a cluster with these ports."""
    with running_standin(script(*ports, **changed)) as standin:
        dashboard = Dashboard(standin.url, time.time, changed.get("token"))
        client = MetricsPorts(time.time)
        found = PortsReader(
            PortList(dashboard, time.time), client, {"default"}, time.time, export_s
        )
        yield found
        found.close()
        dashboard.close()


def read(reader: PortsReader) -> SeenRow:
    (row,) = reader.read(lambda: False)
    return row


def refused_by(server: MetricsServer) -> str:
    """The reason; only for an answer without an end does time go on."""
    now = time.time if server.behaviour == "trickle" else lambda: 0.0
    with pytest.raises(GaugesError) as caught:
        MetricsPorts(now).read(server.address)
    return str(caught.value)


def test_gauges_of_two_ports_are_put_together():
    """One has the controller and a router, the other a second router."""
    with ExitStack() as stack:
        one = stack.enter_context(
            running_metrics(controller_text(7.5, 100) + router_text(2, 3, 10))
        )
        other = stack.enter_context(running_metrics(router_text(1, 4, 5)))
        row = read(stack.enter_context(reader_of(one.address, other.address)))

    assert row.deployments[KEY] == DeploymentGauges(7.5, 4, 3, queued=3, running=7, served=15)
    assert row.deployments[KEY].open == 10
    assert (row.source, row.reason, row.age_s) == ("ports", None, 1.0)


def test_the_token_goes_to_the_dashboard_and_to_no_metrics_port(monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://{free_address()}")
    monkeypatch.setenv("no_proxy", "")
    with (
        running_metrics(controller_text(1, 1)) as port,
        running_standin(script(port.address, token=TOKEN)) as standin,
    ):
        monkeypatch.delenv("http_proxy")
        dashboard = Dashboard(standin.url, time.time, TOKEN)
        address = PortList(dashboard, time.time).addresses()
        monkeypatch.setenv("http_proxy", f"http://{free_address()}")
        MetricsPorts(time.time).read(address[0])

    assert "Authorization" not in port.headers[0]
    assert TOKEN not in str(port.headers)


def test_a_port_on_another_host_than_the_nodes_is_never_asked():
    with (
        running_metrics(controller_text(1, 1)) as port,
        reader_of(listed_ports=(port.address, "192.0.2.7:1", "evil/metrics:80")) as reader,
    ):
        row = read(reader)

    assert row.deployments == {}
    assert "hosts that are no nodes" in (row.reason or "")
    assert port.headers == []


def test_only_the_ports_of_nodes_are_asked_where_these_are_known():
    """The dashboard's own port, and that of a cluster that was there first, are listed too."""
    with (
        running_metrics(controller_text(1, 1)) as port,
        running_metrics(controller_text(99, 1)) as foreign,
        reader_of(port.address, listed_ports=(foreign.address, free_address())) as reader,
    ):
        row = read(reader)

    assert row.deployments[KEY].total == 1
    assert (row.reason, foreign.headers) == (None, [])


def test_without_a_list_the_nodes_tell_their_ports():
    """Ray 2.10 has no list."""
    with (
        running_metrics(controller_text(5, 1)) as port,
        reader_of(port.address, schema="2.10") as reader,
    ):
        assert read(reader).deployments[KEY].total == 5


def test_half_of_the_ports_leave_no_sum_but_what_the_controller_says():
    with (
        running_metrics(controller_text(6, 1) + router_text(2, 3)) as port,
        reader_of(port.address, free_address()) as reader,
    ):
        row = read(reader)

    assert row.deployments[KEY] == DeploymentGauges(6, 4, 3)
    assert row.reason == "1 of 2 metrics ports: connection refused"


def test_no_port_leaves_a_row_with_the_reason():
    with reader_of(free_address(), free_address()) as reader:
        row = read(reader)

    assert row.deployments == {}
    assert row.reason == "2 of 2 metrics ports: connection refused"


def test_a_port_that_does_not_answer_is_not_asked_again_at_once():
    with running_metrics(b"", "refuse") as port, reader_of(port.address) as reader:
        rows = [read(reader) for _ in range(5)]

    assert {row.reason for row in rows} == {"1 of 1 metrics ports: HTTP 500"}
    assert len(port.headers) == 1


@pytest.mark.parametrize(
    ("behaviour", "body", "reason"),
    [
        ("hang", b"", "no answer in time"),
        ("trickle", b"", "no answer in time"),
        ("refuse", b"", "HTTP 500"),
        ("away", b"", "HTTP 302"),
        ("plain", b"<html>It works!</html>", "no list of metrics"),
        ("plain", b"\x00\xff" * 9, "no list of metrics"),
        ("plain", b"x" * (1 << 17), "no list of metrics"),
        ("plain", b'{"status": "ok"}', "no list of metrics"),
        ("plain", b"ray_serve_deployment_queued_queries{a=b} 1\n", "no list of metrics"),
        ("plain", b'ray_serve_deployment_queued_queries{a="b"} many\n', "no list of metrics"),
        ("plain", b"ray_other_metric 1\n" * (1 << 20), "larger than 16 MB"),
        ("plain", router_text(1, 1) * 20_000, "more than"),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else value,
)
def test_an_answer_that_cannot_be_used_has_a_reason(behaviour: str, body: bytes, reason: str):
    with running_metrics(body, behaviour) as port:
        assert reason in refused_by(port)


def test_a_gauge_with_an_old_time_stamp_is_not_used():
    old_ms = int((time.time() - 60) * 1000)
    with (
        running_metrics(controller_text(6, 1, stamp_ms=old_ms) + router_text(1, 2)) as port,
        reader_of(port.address) as reader,
    ):
        gauges = read(reader).deployments[KEY]

    assert (gauges.total, gauges.open) == (None, 3)


def test_a_controller_whose_count_stands_still_is_not_believed(until):
    with (
        running_metrics(controller_text(6, 100) + router_text(1, 2)) as port,
        reader_of(port.address, export_s=0.2) as reader,
    ):
        assert read(reader).deployments[KEY].total == 6
        until(lambda: read(reader).deployments[KEY].total is None)
        row = read(reader)
        assert row.reason == "the controller exports nothing new"
        assert row.deployments[KEY].open == 3
        port.answer = lambda: controller_text(8, 101)
        assert read(reader).deployments[KEY].total == 8


def test_of_two_controllers_the_living_one_counts():
    """Old versions of Ray go on to export what a dead process said last."""
    text = controller_text(50, 900, "dead")
    with (
        running_metrics(text + controller_text(6, 1, "alive")) as port,
        reader_of(port.address) as reader,
    ):
        read(reader)
        port.answer = lambda: text + controller_text(7, 2, "alive")
        assert read(reader).deployments[KEY].total == 7


def test_names_of_an_older_ray_are_known():
    """Ray 2.10: no gauge of what the policy was given, and replicas tell what they process."""
    where = {"application": "default", "deployment": "Model"}
    text = (
        gauge("deployment_queued_queries", 4, where)
        + gauge("replica_processing_queries", 2, where | {"replica": "a"})
        + gauge("replica_processing_queries", 3, where | {"replica": "b"})
        + gauge("deployment_request_counter", 12, where | {"replica": "a", "route": "/"})
    )
    with running_metrics(text.encode()) as port, reader_of(port.address) as reader:
        found = read(reader).deployments[KEY]

    assert found == DeploymentGauges(queued=4, running=5, served=12)


def test_a_counter_that_is_exported_by_both_of_its_names_counts_once():
    """Ray 2.49: `deployment_request_counter` and the same with `_total`."""
    where = {"application": "default", "deployment": "Model", "route": "/"}
    text = "".join(
        gauge(f"deployment_request_counter{ending}", served, where | {"replica": replica})
        for replica, served in (("a", 100), ("b", 200))
        for ending in ("", "_total")
    )
    with running_metrics(text.encode()) as port, reader_of(port.address) as reader:
        assert read(reader).deployments[KEY].served == 300


def test_odd_labels_and_values_are_left_out():
    where = {"application": "default"}
    text = (
        gauge("autoscaling_total_requests", float("nan"), where | {"deployment": "Model"})
        + gauge("deployment_queued_queries", -1, where | {"deployment": "Model"})
        + gauge("deployment_queued_queries", 1, where)
        + gauge("deployment_queued_queries", 1, {"application": "other", "deployment": "Model"})
        + gauge("autoscaling_total_requests", 2, where | {"deployment": 'Mo\\"del\\n'})
    )
    with running_metrics(text.encode()) as port, reader_of(port.address) as reader:
        found = read(reader).deployments

    assert found == {'default/Mo"del\n': DeploymentGauges(total=2)}


def test_a_port_without_a_gauge_of_serves_is_asked_seldom():
    with (
        running_metrics(b"ray_node_cpu 1\n") as idle,
        running_metrics(controller_text(1, 1)) as port,
        reader_of(idle.address, port.address) as reader,
    ):
        for _ in range(3):
            assert read(reader).reason is None

    assert (len(idle.headers), len(port.headers)) == (1, 3)
