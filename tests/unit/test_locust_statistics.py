"""Locust's own statistics with requests whose names, times and lengths are odd."""

import pytest

from tests.support.unpatched import import_unpatched

NAN = float("nan")


@pytest.fixture
def told():
    return []


@pytest.fixture
def stats(told):
    found = import_unpatched("locust.stats").RequestStats()
    module = import_unpatched("scalelag.plugin.worker.locust_statistics")
    module.take_odd_values(found, told.append)
    return found


@pytest.mark.parametrize(
    ("name", "time_ms", "length"),
    [
        (7, 5.0, 1),
        (None, 5.0, 1),
        (["a"], 5.0, 1),
        ("a", NAN, 1),
        ("a", "5", 1),
        ("a", float("inf"), 1),
        ("a", 10**400, 1),
        ("a", 5.0, NAN),
        ("a", 5.0, None),
    ],
)
def test_they_count_a_request_with_odd_values_and_say_so_once(stats, told, name, time_ms, length):
    module = import_unpatched("locust.stats")
    stats.log_request("GET", "/usual", 3.0, 10)

    for _ in range(3):
        stats.log_request("GET", name, time_ms, length)
        stats.log_error("GET", name, "no answer")

    assert stats.num_requests == 4
    assert stats.num_failures == 3
    assert len(told) == 1
    assert module.get_stats_summary(stats, current=False)
    assert module.get_percentile_stats_summary(stats)
    assert module.get_error_report_summary(stats)


def test_they_take_usual_requests_as_before(stats, told):
    stats.log_request("GET", "/", 3.0, 10)
    stats.log_request("GET", "/", None, 0)

    assert told == []
    assert (stats.num_requests, stats.num_none_requests) == (2, 1)
    assert stats.total.total_content_length == 10
