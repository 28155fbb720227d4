"""From Locust's `request` event to the rows on disk."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalelag.plugin.leader.workers.collector import RowCollector
from scalelag.plugin.worker.messages import RequestRows, RowsMessage, decoded, encoded
from scalelag.plugin.worker.recorder import RequestRecorder, StreamTimes
from scalelag.record.clock import Clock
from scalelag.record.error_kinds import IN_FLIGHT_LIMIT
from scalelag.record.requests_file import RequestColumns, RequestWriter
from scalelag.record.requests_reader import read_requests

ROOT = Path(__file__).parents[2]
NAN = float("nan")


class Due:
    """An arrival of the open loop."""

    recorded = False

    def __init__(self, intended_s, sent_s=None):
        self.intended_s = intended_s
        self.sent_s = intended_s if sent_s is None else sent_s


class Response:
    def __init__(self, status_code: Any) -> None:
        self.status_code = status_code


class Hand(Clock):
    """A clock that is set by hand; its machine has been up for 300 s when it reads 1000."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        super().__init__(lambda: self.now_s, lambda: self.now_s - 700.0)


def fire(recorder: RequestRecorder, **event: Any) -> None:
    """The event as Locust fires it: everything by keyword."""
    recorder.on_request(
        **{
            "request_type": "GET",
            "name": "/",
            "response_time": 100.0,
            "response_length": 2,
            "response": Response(200),
            "context": {},
            "exception": None,
            "start_time": 0.0,
            "url": "http://127.0.0.1/",
        }
        | event
    )


def rows_of(path: Path, *messages: RequestRows) -> RequestColumns:
    """Rows read back from messages, each from another worker."""
    writer = RequestWriter(path / "requests.arrow")
    collector = RowCollector(writer)
    for worker, message in enumerate(messages):
        collector.collect(message, worker)
    writer.close()
    read, problem = read_requests(path / "requests.arrow")
    assert problem is None
    return read


def recorded(path: Path, clock: Hand | None = None, **event: Any) -> RequestColumns:
    recorder = RequestRecorder(clock or Hand())
    fire(recorder, **event)
    return rows_of(path, recorder.take())


# --- messages --------------------------------------------------------------------------------


def test_rows_come_back_from_msgpack_as_they_were_sent():
    recorder = RequestRecorder(Hand())
    fire(recorder, context={"stream": StreamTimes(1000.5, 3, 0.25)}, exception=TimeoutError())
    message = RowsMessage("1-1", 2, final=True, rows=recorder.take())

    data = msgpack.loads(msgpack.dumps(encoded(message), use_bin_type=True), raw=False)

    assert decoded(SimpleNamespace(data=data), RowsMessage) == message
    assert encoded(message)["rows"]["latency_s"] is message.rows.latency_s


# --- times -----------------------------------------------------------------------------------


def test_an_arrival_counts_from_its_intended_start(tmp_path: Path):
    read = recorded(tmp_path, context={"arrival": Due(999.25, sent_s=999.5)}, response_time=500.0)

    assert read.intended_s.tolist() == [999.25]
    assert read.latency_s.tolist() == pytest.approx([0.75])
    assert read.send_lag_s.tolist() == pytest.approx([0.25])


@pytest.mark.parametrize("context", [{}, None, {"arrival": None}, {"mine": 1}, "mine"])
def test_any_other_request_was_meant_to_start_when_it_did(tmp_path: Path, context: Any):
    read = recorded(tmp_path, context=context, response_time=500.0)

    assert read.intended_s.tolist() == [999.5]
    assert read.latency_s.tolist() == pytest.approx([0.5])
    assert read.send_lag_s.tolist() == [0.0]


def test_a_send_lag_is_never_negative(tmp_path: Path):
    # Locust's own clock and ours may differ by some microseconds.
    read = recorded(tmp_path, context={"arrival": Due(999.9)}, response_time=100.1)

    assert read.send_lag_s.tolist() == [0.0]


def test_a_request_that_was_not_sent_has_neither_lag_nor_latency(tmp_path: Path):
    recorder = RequestRecorder(Hand())
    recorder.add_not_sent(997.0, "/", IN_FLIGHT_LIMIT)

    read = rows_of(tmp_path, recorder.take())

    assert read.intended_s.tolist() == [997.0]
    assert np.isnan([read.send_lag_s[0], read.latency_s[0]]).all()
    assert (read.not_sent.tolist(), read.errors) == ([True], (IN_FLIGHT_LIMIT,))


# --- status and name -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "context", "status"),
    [
        (Response(200), {}, 200),
        (Response(503), {"arrival": Due(999.0)}, 503),
        (Response(None), {}, 0),
        (None, {}, 0),
        ("a message of gRPC", {}, 0),
        (None, {"status": 200}, 200),
        ("a message of gRPC", {"status": 200, "arrival": Due(999.0)}, 200),
        (Response(101), {"status": 200}, 200),
        (Response(-1), {}, 0),
        (Response(70_000), {}, 0),
    ],
)
def test_the_status_is_that_of_the_context_or_else_of_the_response(
    tmp_path: Path, response: Any, context: dict[str, Any], status: int
):
    assert recorded(tmp_path, response=response, context=context).status.tolist() == [status]


def test_a_request_without_a_name_goes_by_its_type(tmp_path: Path):
    read = recorded(tmp_path, name="", request_type="grpc")

    assert read.names == ("grpc",)


def test_a_secret_in_the_path_of_a_request_or_in_the_words_of_its_error_is_not_on_record(
    tmp_path: Path,
):
    path = "/x?token=s3cret&n=1"

    read = recorded(tmp_path, name=path, exception=ValueError(f"no such path: {path}"))

    assert read.names == ("/x?token=(not recorded)&n=1",)
    assert read.errors == ("ValueError: no such path: /x?token=(not recorded)&n=1",)


def test_workers_may_know_names_and_errors_in_any_order(tmp_path: Path):
    one, other = RequestRecorder(Hand()), RequestRecorder(Hand())
    fire(one, name="/a", exception=ConnectionRefusedError())
    fire(one, name="/b")
    fire(other, name="/b", exception=TimeoutError())
    fire(other, name="/a", exception=ConnectionRefusedError())

    read = rows_of(tmp_path, one.take(), other.take())

    assert [
        (read.names[name], None if error < 0 else read.errors[error], worker)
        for name, error, worker in zip(
            read.name.tolist(), read.error.tolist(), read.worker.tolist(), strict=True
        )
    ] == [
        ("/a", "connection refused", 0),
        ("/b", None, 0),
        ("/b", "timeout", 1),
        ("/a", "connection refused", 1),
    ]


def test_beyond_1000_names_all_are_one(tmp_path: Path):
    recorder = RequestRecorder(Hand())
    for number in range(1003):
        fire(recorder, name=f"/{number}")

    read = rows_of(tmp_path, recorder.take())

    assert len(read.names) == 1001
    assert [read.names[code] for code in read.name[998:].tolist()] == [
        "/998",
        "/999",
        "(others)",
        "(others)",
        "(others)",
    ]


@pytest.mark.parametrize("ahead_s", [-20.0, 0.005, 3600.0])
def test_latency_is_by_the_runs_clock_however_far_this_machines_is_ahead(tmp_path: Path, ahead_s):
    clock = Hand()
    recorder = RequestRecorder(clock)
    clock.ahead_s = ahead_s  # told with the share of the load
    due = Due(clock.now())
    clock.now_s += 0.25

    fire(recorder, response_time=250.0, context={"arrival": due})
    fire(recorder, response_time=250.0)
    recorder.add(
        intended_s=due.intended_s,
        send_lag_s=0.0,
        latency_s=0.25,
        status=0,
        name="/",
        error="unfinished",
    )
    rows = rows_of(tmp_path, recorder.take())

    assert rows.intended_s.tolist() == pytest.approx([1000.0 - ahead_s] * 3, abs=1e-6)
    assert rows.latency_s.tolist() == pytest.approx([0.25] * 3)
    assert rows.send_lag_s.tolist() == pytest.approx([0.0] * 3, abs=1e-6)


# --- streams ---------------------------------------------------------------------------------


def test_streamed_answers_are_told_beside_others(tmp_path: Path):
    clock = Hand()
    recorder = RequestRecorder(clock)
    fire(recorder)
    clock.now_s = 1001.0
    fire(
        recorder,
        context={"arrival": Due(1000.25), "stream": StreamTimes(1000.5, 40, 0.125), "status": 200},
    )
    clock.now_s = 1002.0
    fire(recorder, context={"stream": StreamTimes(NAN, 0, NAN)}, exception=TimeoutError())
    first = recorder.take()
    clock.now_s = 1003.0
    fire(recorder)
    fire(recorder, context={"stream": StreamTimes(1002.95, 1, NAN)})

    streams = rows_of(tmp_path, first, recorder.take()).streams

    assert streams.row.tolist() == [1, 2, 4]
    assert streams.tokens.tolist() == [40, 0, 1]
    # From the intended start: the last one was sent at 1002.9.
    assert streams.first_token_s.tolist() == pytest.approx([0.25, NAN, 0.05], nan_ok=True)
    assert streams.token_gap_max_s.tolist() == pytest.approx([0.125, NAN, NAN], nan_ok=True)


def test_a_run_without_streams_has_none(tmp_path: Path):
    read = recorded(tmp_path)

    assert (read.count, read.streams.row.size) == (1, 0)


# --- many ------------------------------------------------------------------------------------

EVENTS = st.tuples(
    st.sampled_from(["/", "/a", "/b"]),
    st.floats(0, 10, width=32),
    st.sampled_from([None, TimeoutError(), ConnectionRefusedError()]),
    st.sampled_from([None, StreamTimes(1000.5, 3, 0.25), StreamTimes(NAN, 0, NAN)]),
    st.booleans(),
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None
)
@given(st.lists(EVENTS, max_size=20))
def test_how_often_rows_are_taken_changes_nothing(tmp_path: Path, events: list[Any]):
    clock = Hand()
    often, once = RequestRecorder(clock), RequestRecorder(clock)
    messages: list[RequestRows] = []
    for number, (name, lag_s, exception, stream, take) in enumerate(events):
        clock.now_s = 1000.0 + number
        context = {"arrival": Due(clock.now_s - lag_s), "stream": stream}
        for recorder in (often, once):
            fire(recorder, name=name, response_time=0, exception=exception, context=context)
        if take:
            messages.append(often.take())
    (tmp_path / "often").mkdir(exist_ok=True)

    a = rows_of(tmp_path / "often", *messages, often.take())
    b = rows_of(tmp_path, once.take())

    assert repr(_without_worker(a)) == repr(_without_worker(b))


def _without_worker(read: RequestColumns) -> list[Any]:
    streams = read.streams
    columns = (read.intended_s, read.send_lag_s, read.latency_s, read.status, read.name, read.error)
    of_streams = (streams.row, streams.first_token_s, streams.tokens, streams.token_gap_max_s)
    return [column.tolist() for column in (*columns, *of_streams)] + [read.names, read.errors]


MILLION = """
import sys
from pathlib import Path

import psutil

from scalelag.plugin.leader.workers.collector import RowCollector
from scalelag.plugin.worker.recorder import RequestRecorder, StreamTimes
from scalelag.record.clock import Clock
from scalelag.record.requests_file import RequestWriter


class Response:
    status_code = 200


class Due:
    def __init__(self, intended_s):
        self.intended_s = self.sent_s = intended_s


recorder = RequestRecorder(Clock())
collector = RowCollector(RequestWriter(Path(sys.argv[1])))
event = dict(request_type="GET", name="/", response_time=12.5, response=Response(),
             exception=None, start_time=0.0, url="", response_length=2)


def record(rows):
    for number in range(rows):
        context = {"arrival": Due(float(number))}
        if number % 10 == 0:
            context["stream"] = StreamTimes(number + 0.25, 40, 0.125)
        recorder.on_request(**event, context=context)
        if number % 1000 == 999:
            collector.collect(recorder.take(), 0)


record(100_000)
before = psutil.Process().memory_info().rss
record(1_000_000)
print(psutil.Process().memory_info().rss - before, collector.counts.rows)
"""


def test_a_million_requests_leave_memory_as_it_was(tmp_path: Path):
    command = [sys.executable, "-c", MILLION, str(tmp_path / "requests.arrow")]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    grown, rows = map(int, done.stdout.split())
    assert rows == 1_100_000
    assert grown < 20e6


def test_get_and_put_of_one_name_are_two(tmp_path: Path):
    one, other = RequestRecorder(Hand()), RequestRecorder(Hand())
    fire(one, name="/same")
    fire(one, name="/same", request_type="PUT")
    fire(other, name="/same", request_type="PUT")
    fire(other, name="/else", request_type="PUT")

    read = rows_of(tmp_path, one.take(), other.take())

    assert [read.names[code] for code in read.name.tolist()] == [
        "GET /same",
        "PUT /same",
        "PUT /same",
        "/else",
    ]


def test_what_was_not_sent_goes_with_the_only_method_of_its_name(tmp_path: Path):
    recorder = RequestRecorder(Hand())
    fire(recorder, name="/same", request_type="PUT")
    recorder.add_not_sent(1000.0, "/same", IN_FLIGHT_LIMIT)

    read = rows_of(tmp_path, recorder.take())

    assert [read.names[code] for code in read.name.tolist()] == ["/same", "/same"]
