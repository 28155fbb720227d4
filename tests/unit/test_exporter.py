"""Totals that a Prometheus server scrapes, and the address that it scrapes at."""

import socket
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.cluster.listening import ListenAddress, check_free
from scalelag.errors import UsageError
from scalelag.options.run_options import run_options
from scalelag.plugin.web.totals import BOUNDS_S, Totals
from scalelag.record.error_kinds import IN_FLIGHT_LIMIT
from tests.unit.request_rows import columns

OK, FAILED, UNANSWERED, UNSENT = KINDS = (
    *((200, None), (500, "HTTP 500")),
    *((0, "timeout"), (0, IN_FLIGHT_LIMIT)),
)
ANSWERS = st.lists(st.tuples(st.floats(0, 90, width=32), st.sampled_from(KINDS)), max_size=40)


def added(totals, batch):
    rows = [(0.0, 0.0, latency_s, status, "/", error, 0) for latency_s, (status, error) in batch]
    totals.add(columns(rows, [], []))


@given(st.lists(ANSWERS, min_size=1, max_size=3))
def test_totals_are_those_of_all_rows_however_they_came(batches):
    totals = Totals()

    for batch in batches:
        added(totals, batch)

    every = [one for batch in batches for one in batch]
    kinds = Counter(kind for _, kind in every)
    sent = [latency_s for latency_s, kind in every if kind != UNSENT]
    counted = {"200": OK, "500": FAILED, "none": UNANSWERED, "not_sent": UNSENT}
    assert {name: totals.by_status[name] for name in counted} == {
        name: kinds[kind] for name, kind in counted.items()
    }
    assert totals.failed == kinds[FAILED] + kinds[UNANSWERED]
    below = [sum(latency_s <= bound for latency_s in sent) for bound in BOUNDS_S]
    assert np.cumsum(totals.buckets).tolist() == [*below, len(sent)]
    assert totals.latency_sum_s == pytest.approx(sum(sent))


def test_the_address_is_this_machines_alone_unless_it_is_named():
    assert run_options({}).prometheus_port is None
    assert run_options({"prometheus_port": "9646"}).prometheus_port == ("127.0.0.1", 9646)
    assert run_options({"prometheus_port": "0.0.0.0:1"}).prometheus_port == ("0.0.0.0", 1)


@pytest.mark.parametrize("text", ["x", "-1", "65536", ":9646", "http://h:1", "1.5"])
def test_what_is_no_port_is_refused(text):
    with pytest.raises(UsageError, match=r"--prometheus-port: .*give PORT or HOST:PORT"):
        run_options({"prometheus_port": text})


def test_a_port_that_another_has_is_refused_and_so_is_a_foreign_host():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"--flag 127.0.0.1:{port}: another program has"):
            check_free(ListenAddress("127.0.0.1", port), "--flag")
    check_free(ListenAddress("127.0.0.1", port), "--flag")

    with pytest.raises(UsageError, match=r"--flag 192\.0\.2\.1:9646: "):
        check_free(ListenAddress("192.0.2.1", 9646), "--flag")
