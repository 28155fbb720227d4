"""Requests that clients of a user's own tell Locust of in odd values: no row of them is lost."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scalelag.plugin.worker.messages import RequestRows
from scalelag.plugin.worker.recorder import RequestRecorder
from scalelag.record.clock import Clock

NAN = float("nan")


def recorded(**event: Any) -> RequestRows:
    """Rows of one request, which is fired as Locust does."""
    recorder = RequestRecorder(Clock())
    recorder.on_request(**{"request_type": "GET", "name": "/", "response_time": 100.0} | event)
    return recorder.take()


@pytest.mark.parametrize("name", [3, ["a", "b"], ("a", 1), b"bytes", 0])
def test_a_name_that_is_no_text_is_on_record_as_one(name: object):
    assert recorded(name=name).names == (str(name),)


@pytest.mark.parametrize(
    ("response_time", "latency_s"),
    [("250", 0.25), (None, 0), ("soon", 0), (-5.0, 0), (NAN, 0), (float("inf"), 0), ([1], 0)],
)
def test_a_time_that_is_no_number_loses_no_row(response_time: Any, latency_s: float):
    read = recorded(response_time=response_time)

    latencies = np.frombuffer(read.latency_s, np.float32)
    assert latencies.tolist() == pytest.approx([latency_s], abs=1e-6)


@pytest.mark.parametrize(("status", "expected"), [("503", 503), ("bad", 0), (NAN, 0), (2.0**40, 0)])
def test_a_status_that_is_no_number_loses_no_row(status: Any, expected: int):
    read = recorded(response=SimpleNamespace(status_code=status))

    assert np.frombuffer(read.status, np.uint16).tolist() == [expected]


@pytest.mark.parametrize(
    ("exception", "errors"),
    [
        ("no label", ("no label",)),
        ({"code": 3}, ("{'code': 3}",)),
        (True, ("True",)),
        ("", ()),
        (False, ()),
    ],
)
def test_an_error_that_is_no_exception_is_one_where_locust_counts_it(
    exception: Any, errors: tuple[str, ...]
):
    assert recorded(exception=exception).errors == errors
