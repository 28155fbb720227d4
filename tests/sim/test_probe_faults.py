"""The probe when the dashboard refuses, hangs, talks nonsense, or its controller restarts."""

import time
from itertools import pairwise

import pytest

from probes.dashboard import APPLICATIONS_PATH, Dashboard, DashboardError
from scalelag.record.rows import Gap, Poll
from tests.sim.probe_faults import HAIR_S, gap_reasons, watch_through
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.standin.script import Fault


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("refuse"), "connection refused"),
        (Fault("http_status", status=503), "HTTP 503"),
        (Fault("http_status", status=401), "HTTP 401"),
        (Fault("garbage"), "an answer that makes no sense"),
        (Fault("truncated"), "the answer broke off"),
        (Fault("reset"), "connection lost"),
        (Fault("hang"), "no answer in time"),
        (Fault("slow"), "no answer in time"),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_a_fault_is_a_gap_with_its_reason(watching, until, fault, reason):
    with (
        running_standin(one_deployment(steady_replica())) as standin,
        watching(standin.url, read_timeout_s=0.3) as watch,
    ):
        watch_through(standin, watch, until, fault)
        happened = standin.truth().faults[0]

    # The port closes under a request that was on its way: that one is lost, the next are refused.
    ignored = "connection lost" if fault.kind == "refuse" else ""
    assert [found for found in gap_reasons(watch) if found != ignored] == [reason]
    first, last = watch.of(Gap)[0], watch.of(Gap)[-1]
    assert first.from_s <= happened.start_s + HAIR_S
    assert last.to_s >= happened.start_s + happened.lasts_s - HAIR_S


def test_a_gap_reaches_from_the_last_good_poll_to_the_next(watching, until):
    with (
        running_standin(one_deployment(steady_replica())) as standin,
        watching(standin.url) as watch,
    ):
        watch_through(standin, watch, until, Fault("http_status"))

    (gap,) = watch.of(Gap)
    before = [poll for poll in watch.of(Poll) if poll.received_s < gap.to_s - HAIR_S]
    assert gap.from_s in [poll.sent_s for poll in before]
    rows = watch.rows
    after = next(row for row in rows[rows.index(gap) :] if isinstance(row, Poll))
    assert gap.from_s == rows[rows.index(gap) - 1].sent_s
    assert after.sent_s < gap.to_s


def test_another_reason_is_another_gap_and_leaves_nothing_between(watching, until):
    with (
        running_standin(one_deployment(steady_replica())) as standin,
        watching(standin.url) as watch,
    ):
        until(lambda: watch.of(Poll), what="a poll")
        standin.control(Fault("http_status", status=503))
        until(lambda: watch.probe.blind_reason == "HTTP 503")
        standin.control(clear=True, fault=Fault("http_status", status=401))
        until(lambda: watch.probe.blind_reason == "HTTP 401")
        standin.control(clear=True)
        until(lambda: len(watch.of(Gap)) == 2)

    first, second = watch.of(Gap)
    assert (first.reason, second.reason) == ("HTTP 503", "HTTP 401")
    assert first.to_s == second.from_s


def test_a_gap_that_lasts_to_the_end_is_written_too(watching, until):
    with (
        running_standin(one_deployment(steady_replica())) as standin,
        watching(standin.url) as watch,
    ):
        until(lambda: watch.of(Poll), what="a poll")
        standin.control(Fault("garbage"))
        until(lambda: watch.probe.blind_reason)

    assert gap_reasons(watch) == ["an answer that makes no sense"]
    assert watch.rows[-1] is watch.of(Gap)[-1]


def test_a_dashboard_that_is_not_there_at_the_start_is_a_gap_as_well(watching, until):
    script = one_deployment(steady_replica(), faults=(Fault("refuse", at_s=0.0, lasts_s=1.0),))

    with running_standin(script) as standin, watching(standin.url) as watch:
        until(lambda: watch.of(Poll), what="a poll")

    assert gap_reasons(watch)[-1] == "connection refused"
    assert watch.of(Gap)[0].from_s == watch.probe.started_s


def test_a_hanging_dashboard_is_given_up_after_one_time_out():
    timeout_s = 1.0

    with running_standin(one_deployment(steady_replica(), faults=(Fault("hang"),))) as standin:
        dashboard = Dashboard(standin.url, time.monotonic)
        begun_s = time.monotonic()
        with pytest.raises(DashboardError) as caught:
            dashboard.get(APPLICATIONS_PATH, read_timeout_s=timeout_s)
        took_s = time.monotonic() - begun_s
        dashboard.close()

    # Asking a controller that is stuck once more would double both the wait and its work.
    assert timeout_s <= took_s < 1.8 * timeout_s
    assert caught.value.reason == "no answer in time"


def test_it_does_not_hammer_a_dashboard_that_is_out_of_order(watching, until):
    outage_s = 10.0

    with (
        running_standin(one_deployment(steady_replica())) as standin,
        watching(standin.url, rate_per_s=20.0) as watch,
    ):
        until(lambda: watch.of(Poll), what="a poll")
        # Evaluated and thus counted by the stand-in, and cut off afterwards.
        standin.control(Fault("truncated"))
        before = standin.stats().requests
        begun_s = standin.now_s()
        until(lambda: standin.now_s() - begun_s >= outage_s, outage_s + 5)
        during = standin.stats().requests - before
        standin.control(clear=True)
        cleared_s = standin.now_s()
        polls = len(watch.of(Poll))
        until(lambda: len(watch.of(Poll)) > polls, what="it goes on")
        back_s = standin.now_s()

    # 0.5 + 1 + 2 + 4 + 5 s between them: five in ten seconds, where it would have been 200.
    assert 3 <= during <= 8
    assert back_s - cleared_s < 5.5  # it looks at least every 5 s
    assert watch.of(Gap)[0].polls >= 3


def test_after_an_outage_it_is_back_at_its_own_rate(watching, until):
    with (
        running_standin(one_deployment(steady_replica())) as standin,
        watching(standin.url, rate_per_s=5.0) as watch,
    ):
        watch_through(standin, watch, until, Fault("refuse"), blind_s=1.0)
        polls = len(watch.of(Poll))
        until(lambda: len(watch.of(Poll)) >= polls + 10, what="ten polls")

    sent = [poll.sent_s for poll in watch.of(Poll)[-10:]]
    assert sorted(b - a for a, b in pairwise(sent))[4] < 0.3
