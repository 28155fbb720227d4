"""A server that stands still (docs/metrics.md#latency), and the figures of a closed loop."""

import numpy as np
import pytest

from tests.support.locust_run import Run, assert_ran, started
from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

# One server, 10 ms a request, which stands still from 10 s to 15 s.
PATH = "/one/0.01/10/5"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Run]:
    """50 rps for 30 s in the open loop, and one user in the closed loop, side by side."""
    with (
        running_standin(one_deployment(steady_replica())) as standin,
        running_echo() as one,
        running_echo() as other,
    ):
        folders = [tmp_path_factory.mktemp(name) for name in ("open", "closed")]
        options = ["--dashboard", standin.url, "--path", PATH]
        with (
            started(folders[0], *options, "--host", one.url, "--steps", "50rps:30s") as first,
            started(folders[1], *options, "--host", other.url, "--steps", "1users:30s") as second,
        ):
            return {"open": first.wait(), "closed": second.wait()}


@pytest.mark.long
def test_an_open_loop_shows_the_wait_of_all_that_were_due(runs):
    load = runs["open"].load

    assert_ran(runs["open"])
    assert load["planned"] == load["completed"] == 1500
    assert load["latency_p99_ms"] == pytest.approx(4860.1, rel=0.05)
    assert 10 <= load["latency_p50_ms"] < 50
    latency_ms = 1000 * runs["open"].recorded.requests.latency_s
    assert np.quantile(latency_ms, 0.9) == pytest.approx(3511.0, rel=0.05)
    assert np.mean(latency_ms) == pytest.approx(845.0, rel=0.05)
    # It was sent on time, so that the wait is in the service time as well, and not in the send lag.
    assert load["service_p99_ms"] == pytest.approx(load["latency_p99_ms"], rel=0.01)


@pytest.mark.long
def test_a_closed_loop_would_have_hidden_it(runs):
    load = runs["closed"].load

    assert_ran(runs["closed"])
    assert load["failed"] == 0
    assert 10 <= load["latency_p99_ms"] < 100
    assert load["latency_max_ms"] == pytest.approx(5000, rel=0.05)
