"""gRPC and WebSocket load on real Ray: deployments scale, and every arrival is accounted for."""

import json

import pyarrow as pa
import pytest

pytestmark = pytest.mark.long

PLANNED = 2 * 3 + 15 * 14
STEPS = ("--steps", "2rps:3s,15rps:14s", "--drain", "0", "--out", "runs")
SLEEP_S = 0.25
APP = ("--app-arg=max_replicas=3", f"--app-arg=service_time_s={SLEEP_S}")

NOTES = """
import json

from locust import events

file = open("notes.jsonl", "w", buffering=1)


@events.request.add_listener
def note(response, **rest):
    told = dict(response.trailing_metadata)
    answer = response.message
    times = {name: float(told[f"scalelag-{name}"]) for name in ("received-s", "answered-s")}
    file.write(json.dumps({**times, "greeting": answer.greeting, "num_x2": answer.num_x2}) + "\\n")
"""
"""Writes down, of each answer, what it says, and when the app received and answered the message."""


def rows_of(command):
    return pa.ipc.open_stream(command.run_dirs[-1] / "requests.arrow").read_all().to_pydict()


def assert_it_scaled(command, code, output):
    assert code in (0, 5), output  # 5: the machine was too busy to send on time
    report = command.report()
    (deployment,) = report["deployments"].values()
    load = report["load"]
    assert (load["planned"], load["completed"], load["errors"]) == (PLANNED, PLANNED, {}), output
    assert deployment["replicas"]["max"] >= 2, output
    assert deployment["steps"][1]["direction"] == "up"
    assert deployment["steps"][1]["target_after"] >= 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def grpc_run(on_cluster_once, folder, cluster):
    (folder / "notes.py").write_text(NOTES.replace("notes.jsonl", str(folder / "notes.jsonl")))
    command = on_cluster_once(
        *("run", "--app", "grpc_echo", "-f", "grpc_unary.py", "-f", str(folder / "notes.py")),
        *("--grpc-host", cluster.urls.grpc_host, "--grpc-module", "ray.serve.generated.serve_pb2"),
        *("--json-body", '{"name": "Ada", "num": 21}', *APP, *STEPS),
    )
    code, output = command.wait()
    return command, code, output


def test_grpc_calls_scale_it_up_and_are_all_accounted_for(grpc_run):
    command, code, output = grpc_run

    assert_it_scaled(command, code, output)
    assert set(rows_of(command)["status"]) == {200}


def test_grpc_answers_are_those_of_the_app_and_within_its_own_times(grpc_run, folder):
    rows = rows_of(grpc_run[0])
    notes = [json.loads(line) for line in (folder / "notes.jsonl").read_text().splitlines()]

    assert len(notes) == PLANNED
    assert {(note["greeting"], note["num_x2"]) for note in notes} == {("Ada", 42)}
    lasted_s = [note["answered-s"] - note["received-s"] for note in notes]
    assert min(lasted_s) >= SLEEP_S - 0.005
    assert min(rows["latency_s"]) >= min(lasted_s) - 0.005
    assert min(note["received-s"] for note in notes) >= min(rows["intended_s"]) - 0.005


def test_websockets_scale_it_up_and_are_all_accounted_for(on_cluster):
    command = on_cluster(
        *("run", "--app", "websocket_echo", "-f", "websocket_echo.py", "--expect", "hello"),
        *(*APP, *STEPS),
    )
    code, output = command.wait()

    assert_it_scaled(command, code, output)
    rows = rows_of(command)
    assert min(rows["latency_s"]) >= SLEEP_S - 0.005
    assert set(rows["status"]) == {200}
