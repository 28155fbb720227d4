"""gRPC calls as the record holds them, whatever the server does."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.support.locust_run import run, table_of
from tests.support.servers.grpc_server import (
    BETWEEN_S,
    FIRST_S,
    NEVER_S,
    SERVICE,
    GrpcServer,
    running_grpc_server,
)
from tests.support.servers.http_echo import Echo, running_echo
from tests.support.standin.process import ROOT, Standin, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

CLOCKS_S = 0.002
TYPICAL_S = 0.005
"""Most that the middle one of many answers is late, on a machine that others use too."""

THEIRS = """
import itertools

from google.protobuf.wrappers_pb2 import StringValue

from scalelag.users import GrpcMethod, GrpcPlanUser

CASES = {cases}
NUMBER = itertools.count()


class Calls(GrpcPlanUser):
    calls_per_channel = 5

    def send(self):
        case = CASES[next(NUMBER) % len(CASES)]
        streams = case.startswith("Stream")
        method = GrpcMethod("{service}/" + case, StringValue, StringValue, streams)
        self.call(method, StringValue(value="hello"))
"""


class Case(NamedTuple):
    """Expected record of a call."""

    status: int
    error: str | None
    tokens: int | None = None


CASES = {
    "Good": Case(200, None),
    "Garbage": Case(200, "wrong answer: no google.protobuf.StringValue"),
    "Busy": Case(0, "back-pressure"),
    "NotFound": Case(0, "gRPC NOT_FOUND"),
    "Failed": Case(0, "gRPC INTERNAL"),
    "Away": Case(0, "gRPC UNAVAILABLE"),
    "Unknown": Case(0, "gRPC UNIMPLEMENTED"),
    "Never": Case(0, "timeout"),
    "Stream": Case(200, None, 3),
    "StreamCut": Case(0, "gRPC INTERNAL", 2),
    "StreamStall": Case(0, "timeout", 2),
}
LOADS = {
    "open loop": ["--steps", "44rps:2s", "Calls"],
    "closed loop": ["--steps", "22users:2s", "Calls"],
}


@pytest.fixture(scope="module")
def standin() -> Iterator[Standin]:
    with running_standin(one_deployment(steady_replica())) as standin:
        yield standin


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    """The endpoint for HTTP."""
    with running_echo() as echo:
        yield echo


@pytest.fixture(scope="module")
def server() -> Iterator[GrpcServer]:
    with running_grpc_server() as server:
        yield server


def load(folder: Path, cases: list[str], *arguments: str) -> list[dict]:
    """Rows of a run of calls of these cases."""
    (folder / "theirs.py").write_text(THEIRS.format(cases=cases, service=SERVICE))
    files = f"{ROOT / 'locustfiles' / 'attached.py'},{folder / 'theirs.py'}"
    path, _ = run(folder, "locust", "-f", files, "--headless", *arguments, "--drain", "0")
    return table_of(path).to_pylist()


@pytest.fixture(
    scope="module",
    params=["open loop", pytest.param("closed loop", marks=pytest.mark.long)],
)
def recorded(request, tmp_path_factory, standin, echo, server) -> tuple[list[dict], list[dict]]:
    """Rows of the record, and the calls that the server saw."""
    before = len(server.calls())
    rows = load(
        tmp_path_factory.mktemp("calls"),
        list(CASES),
        *("--host", echo.url, "--dashboard", standin.url, "--grpc-host", server.address),
        *("--request-timeout", str(NEVER_S), *LOADS[request.param]),
    )
    return rows, server.calls()[before:]


def case_of(row: dict) -> str:
    return row["name"].partition("/")[2]


def test_every_call_is_recorded_once_and_made_once(recorded):
    rows, calls = recorded
    known = Counter(case_of(row) for row in rows if case_of(row) != "Unknown")

    assert len(rows) >= 4 * len(CASES)
    assert Counter(call["method"] for call in calls) == known


def test_each_fault_is_told_apart(recorded):
    rows, _ = recorded
    found = {case: set() for case in CASES}
    for row in rows:
        found[case_of(row)].add(Case(row["status"], row["error"], row["tokens"]))

    assert found == {case: {told} for case, told in CASES.items()}


@pytest.mark.long
def test_a_call_lasts_until_its_answer_or_its_time_out(recorded):
    rows, _ = recorded
    good_s = np.array([row["latency_s"] for row in rows if case_of(row) == "Good"])
    late_s = np.array([row["latency_s"] for row in rows if row["error"] == "timeout"])

    assert good_s.min() <= 2 * TYPICAL_S
    assert NEVER_S - 0.01 <= late_s.min() <= late_s.max() <= NEVER_S + 0.5


@pytest.mark.long
def test_messages_of_a_stream_are_noted_when_they_come(recorded):
    rows, _ = recorded
    streams = [row for row in rows if case_of(row) == "Stream"]
    first_s = np.array([row["first_token_s"] for row in streams])
    gap_s = np.array([row["token_gap_max_s"] for row in streams])

    assert first_s.min() >= FIRST_S - CLOCKS_S
    assert first_s.min() <= FIRST_S + 2 * TYPICAL_S
    # A machine that is busy may be late for the first of them, and then the gap is shorter.
    assert (first_s + gap_s).min() >= FIRST_S + BETWEEN_S - CLOCKS_S
    assert gap_s.min() <= BETWEEN_S + 2 * TYPICAL_S


@pytest.mark.long
def test_a_server_that_dies_is_a_lost_connection_then_a_refused_one(
    standin, echo, tmp_path, record_testsuite_property
):
    with running_grpc_server() as server:
        rows = load(
            tmp_path,
            ["Good", "Good", "Die", *["Good"] * 200],
            *("--host", echo.url, "--dashboard", standin.url, "--grpc-host", server.address),
            *("--request-timeout", "5", "--steps", "20rps:2s", "Calls"),
        )

    by_time = sorted(rows, key=lambda row: row["intended_s"])
    assert len(by_time) == 40
    assert [row["error"] for row in by_time[:2]] == [None, None]
    assert by_time[2]["error"] in ("connection closed", "connection reset")
    assert by_time[-1]["error"] == "connection refused"


# The entry file


@pytest.mark.long
def test_the_entry_file_calls_what_the_options_say_for_each_model(standin, echo, server, tmp_path):
    before = len(server.calls())
    (tmp_path / "message.bin").write_bytes(b"\x0a\x05hello")
    path, _ = run(
        tmp_path,
        *("scalelag.cli", "run", "-f", "grpc_unary.py", "--host", echo.url),
        *("--dashboard", standin.url, "--grpc-host", server.address, "--drain", "0"),
        *("--grpc-method", f"{SERVICE}/Good", "--body-file", "message.bin"),
        *("--models", "a,b", "--header", "X-Mine: 1", "--expect", "hello", "--steps", "6rps:1s"),
    )
    rows, calls = table_of(path).to_pylist(), server.calls()[before:]

    assert path.name.endswith("-grpc-unary")
    assert [(row["status"], row["error"]) for row in rows] == [(200, None)] * 6
    names = Counter(row["name"] for row in rows)
    assert names == {f"{SERVICE}/Good a": 3, f"{SERVICE}/Good b": 3}
    assert {call["message"] for call in calls} == {b"\x0a\x05hello".hex()}
    models = Counter(call["metadata"]["multiplexed_model_id"] for call in calls)
    assert models == {"a": 3, "b": 3}
    assert {call["metadata"]["x-mine"] for call in calls} == {"1"}


def asked_with_json(folder: Path, standin: Standin, echo: Echo, address: str, *more: str) -> list:
    path, _ = run(
        folder,
        *("scalelag.cli", "run", "-f", "grpc_unary.py", "--host", echo.url),
        *("--dashboard", standin.url, "--grpc-host", address, "--drain", "0", *more),
        *("--grpc-method", f"{SERVICE}/Good", "--json-body", '"hello"', "--steps", "2rps:1s"),
    )
    return table_of(path).column("error").to_pylist()


@pytest.mark.long
def test_a_message_in_json_is_made_by_generated_code(standin, echo, server, tmp_path):
    before = len(server.calls())

    errors = asked_with_json(
        tmp_path, standin, echo, server.address, "--grpc-module", "tests.support.servers.cases_pb2"
    )

    assert errors == [None] * 2
    assert [call["message"] for call in server.calls()[before:]] == [b"\x0a\x05hello".hex()] * 2


@pytest.mark.long
def test_a_message_in_json_is_made_by_what_the_server_tells_of_itself(standin, echo, tmp_path):
    with running_grpc_server("--reflection") as server:
        errors = asked_with_json(tmp_path, standin, echo, server.address)

        assert errors == [None] * 2
        assert [call["message"] for call in server.calls()] == [b"\x0a\x05hello".hex()] * 2


MODULE = ["--grpc-module", "tests.support.servers.cases_pb2"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--grpc-method", "nonsense"], 2, "a method reads package.Service/Method"),
        ([*MODULE, "--json-body", "{}"], 2, "--json-body is no google.protobuf.StringValue"),
        (["--grpc-host", "127.0.0.1:1"], 3, "No gRPC server at 127.0.0.1:1"),
        *(
            pytest.param(*one, marks=pytest.mark.long)
            for one in (
                (["--json-body", "{}"], 2, "Name the generated code with --grpc-module"),
                (["--grpc-module", "no.such.module"], 2, "No module named"),
                ([*MODULE, "--grpc-method", f"{SERVICE}/None"], 2, "it has Good, Stream, Upload"),
                ([*MODULE, "--grpc-method", f"{SERVICE}/Upload"], 2, "takes a stream of messages"),
                ([*MODULE, "--grpc-method", "other.Cases/Good"], 2, "does not define the service"),
                (["--header", "grpc-x: 1"], 2, "names must not begin with grpc-"),
            )
        ),
    ],
)
def test_what_cannot_be_called_is_refused_before_the_load(
    standin, echo, server, tmp_path, arguments, code, said
):
    address = [] if "--grpc-host" in arguments else ["--grpc-host", server.address]
    method = [] if "--grpc-method" in arguments else ["--grpc-method", f"{SERVICE}/Good"]

    done = subprocess.run(
        [
            *(sys.executable, "-m", "scalelag.cli", "run", "-f", "grpc_unary.py"),
            *("--host", echo.url, "--dashboard", standin.url, "--wait", "0.5"),
            *(*address, *method, *arguments, "--steps", "1rps:1s"),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == code, done.stderr
    assert said in done.stderr
