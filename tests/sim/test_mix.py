"""A mix of requests, as the other side counted it."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.support.locust_run import RUN_DEADLINE_S, Run, assert_ran, started
from tests.support.servers.grpc_server import SERVICE, running_grpc_server
from tests.support.servers.websocket_server import running_websocket_server
from tests.support.standin.process import ROOT, running_standin
from tests.support.standin.scenarios import steady_replica
from tests.support.standin.script import DeploymentScript, Script

NAMES = {"ask": "/ask", "list": "/list", 'odd. "n"': "/odd", "x: y/z": "/x"}
MIX = """
mix = [
    { ask = 4, list = 3, 'odd. "n"' = 2, "x: y/z" = 1 },
    { ask = 1, "x: y/z" = 1 },
    { ask = 1, list = 1, 'odd. "n"' = 1, "x: y/z" = 1 },
]

[[request]]
name = "ask"
path = "/ask"
method = "POST"
json-body = '{"text": "hello"}'
header = ["Authorization: Bearer ${MIX_TOKEN}"]
expect = "ok"

[[request]]
name = "list"
path = "/list"
expect = "no such text"

[[request]]
name = 'odd. "n"'
path = "/odd/{{ id }}"
data = "rows.csv"

[[request]]
name = "x: y/z"
path = "/x"
model = "m1"
"""


@pytest.fixture
def mix(tmp_path) -> Path:
    (tmp_path / "rows.csv").write_text("id\n1\n2\n")
    path = tmp_path / "mix.toml"
    path.write_text(MIX)
    return path


def by_path(arrivals) -> Counter[str]:
    return Counter(f"/{arrival.path.split('/')[1]}" for arrival in arrivals)


def by_stage_and_name(run: Run, edges_s: list[float]) -> Counter[tuple[int, str]]:
    """Recorded requests of each name in each stage of a plan with these edges."""
    requests = run.recorded.requests
    offsets_s = requests.intended_s - run.info["zero_s"] + 1e-6
    stages = np.searchsorted(edges_s, offsets_s, side="right").tolist()
    names = [requests.names[code] for code in requests.name]
    return Counter(zip(stages, names, strict=True))


@pytest.mark.parametrize("processes", [pytest.param("1", marks=pytest.mark.long), "2"])
def test_each_request_has_its_exact_share_in_every_stage(target, echo, tmp_path, mix, processes):
    options = ["--steps", "500rps:2s,200rps:1s,400rps:1s", "--requests", str(mix)]
    options += ["--header", "X-All: all", "--processes", processes]
    gate = r'load.names."odd. \"n\"".failed <= 0'
    options += ["--gate", gate, "--gate", "load.names.list.error_ratio <= 0.5"]

    with started(tmp_path, *target, *options, environment={"MIX_TOKEN": "s3cret"}) as locust:
        run = locust.wait()

    arrivals = echo.arrivals()
    assert by_path(arrivals) == {"/ask": 600, "/list": 400, "/odd": 300, "/x": 300}
    odd = [a.path for a in arrivals if a.path.startswith("/odd")]
    # With two processes each takes every other row of those that fall to it.
    assert Counter(odd) == {"/odd/1": 150, "/odd/2": 150} or processes == "2"
    asks = [a for a in arrivals if a.path == "/ask"]
    assert {a.headers["Authorization"] for a in asks} == {"Bearer s3cret"}
    assert {(a.method, json.loads(a.body)["text"]) for a in asks} == {("POST", "hello")}
    assert {a.headers["X-All"] for a in arrivals} == {"all"}
    models = {a.headers.get("serve_multiplexed_model_id") for a in arrivals if a.path == "/x"}
    assert models == {"m1"}

    of_stages = [(400, 300, 200, 100), (100, 0, 0, 100), (100, 100, 100, 100)]
    assert by_stage_and_name(run, [2.0, 3.0]) == {
        (stage, name): count
        for stage, counts in enumerate(of_stages)
        for name, count in zip(NAMES, counts, strict=True)
        if count
    }
    planned = {name: part["planned"] for name, part in run.load["names"].items()}
    assert planned == {"ask": 600, "list": 400, 'odd. "n"': 300, "x: y/z": 300}
    assert run.load["names"]["list"]["failed"] == 400
    assert run.load["names"]["ask"]["failed"] == 0
    verdicts = {one["expr"]: one["verdict"] for one in run.report["gates"]}
    assert verdicts[gate] == "pass"
    assert verdicts["load.names.list.error_ratio <= 0.5"] == "fail"
    assert run.exit_code == 4
    assert "s3cret" not in (run.path / "run.json").read_text()
    assert "Requests by name" in run.stdout


def test_users_choose_their_requests_by_weight(target, echo, tmp_path, mix):
    options = ["--steps", "4users:2s,4users:1s,4users:1s", "--requests", str(mix)]

    with started(tmp_path, *target, *options, environment={"MIX_TOKEN": "x"}) as locust:
        run = locust.wait()

    requests, zero_s = run.recorded.requests, run.info["zero_s"]
    second = [
        requests.names[code]
        for code, at_s in zip(requests.name, requests.intended_s, strict=True)
        if zero_s + 2.1 < at_s < zero_s + 2.9
    ]
    found = Counter(second)
    assert set(found) == {"ask", "x: y/z"}
    assert found["ask"] / found.total() == pytest.approx(0.5, abs=0.1)
    assert set(run.load["names"]) == set(NAMES)


def test_arrivals_that_were_not_sent_have_the_name_of_their_request(target, echo, tmp_path):
    mix = tmp_path / "mix.toml"
    mix.write_text(
        '[[request]]\nname = "slow"\npath = "/delay/0.5"\n'
        '[[request]]\nname = "fast"\nweight = 3\npath = "/fast"\n'
    )
    options = ["--steps", "40rps:2s", "--requests", str(mix), "--max-in-flight", "2"]

    with started(tmp_path, *target, *options) as locust:
        run = locust.wait()

    names = run.load["names"]
    assert {name: part["planned"] for name, part in names.items()} == {"slow": 20, "fast": 60}
    assert names["fast"]["not_sent"] > 0
    assert names["slow"]["not_sent"] > 0
    assert len(echo.arrivals()) == sum(part["sent"] for part in names.values())


@pytest.mark.long
def test_a_trace_draws_requests_by_weight(target, echo, tmp_path):
    mix = tmp_path / "mix.toml"
    mix.write_text('[[request]]\npath = "/a"\nweight = 3\n[[request]]\npath = "/b"\n')
    trace = tmp_path / "trace.csv"
    trace.write_text("arrival_s\n" + "".join(f"{k / 100}\n" for k in range(300)))

    with started(tmp_path, *target, "--trace", str(trace), "--requests", str(mix)) as locust:
        run = locust.wait()

    assert_ran(run)
    found = Counter(arrival.path for arrival in echo.arrivals())
    assert found.total() == 300
    assert found["/a"] / 300 == pytest.approx(0.75, abs=0.08)
    assert {name: part["sent"] for name, part in run.load["names"].items()} == found


OWN = """
from scalelag.users import HttpPlanUser


class Own(HttpPlanUser):
    def send(self):
        self.send_request(self.server.request("GET", "/own", {}, None))
"""


def test_users_that_send_something_else_refuse_a_mix(target, echo, tmp_path, mix):
    (tmp_path / "own.py").write_text(OWN)
    files = f"{ROOT / 'locustfiles' / 'attached.py'},{tmp_path / 'own.py'}"
    options = ["--steps", "1rps:1s,1rps:1s,1rps:1s", "--requests", str(mix)]
    environment = {"MIX_TOKEN": "x"}

    with started(tmp_path, *target, *options, locustfile=files, environment=environment) as locust:
        code = locust.process.wait(RUN_DEADLINE_S)

    assert code == 2
    said = " ".join((tmp_path / "stderr").read_text().split())
    assert "Own sends no mix of requests" in said
    assert echo.arrivals() == []


CALLS = f"""
mix = [{{ plain = 3, json = 1 }}, {{ json = 1, stream = 1 }}]

[[request]]
name = "plain"
path = "/{SERVICE}/Good"
body-file = "message.bin"
header = ["X-Mine: ${{MIX_TOKEN}}"]
model = "m1"

[[request]]
name = "json"
json-body = '"{{{{ text }}}}"'
data = "rows.csv"
expect = "hello"

[[request]]
name = "stream"
path = "{SERVICE}/Stream"
"""


@pytest.mark.long
def test_a_mix_of_grpc_calls_names_the_method_of_each(target, tmp_path):
    (tmp_path / "message.bin").write_bytes(b"\x0a\x05plain")
    (tmp_path / "rows.csv").write_text("text\nhello 1\nhello 2\n")
    (tmp_path / "mix.toml").write_text(CALLS)
    grpc = ["--grpc-method", f"{SERVICE}/Good", "--grpc-module", "tests.support.servers.cases_pb2"]
    options = ["--steps", "40rps:1s,20rps:1s", "--requests", str(tmp_path / "mix.toml"), *grpc]
    environment = {"MIX_TOKEN": "mine", "PYTHONPATH": str(ROOT)}

    with running_grpc_server() as server:
        options += ["--grpc-host", server.address]
        files = str(ROOT / "locustfiles" / "grpc_unary.py")
        with started(
            tmp_path, *target, *options, locustfile=files, environment=environment
        ) as locust:
            run = locust.wait()
        calls = server.calls()

    sent = Counter(
        (call["method"], call["message"], call["metadata"].get("multiplexed_model_id"))
        for call in calls
    )
    assert sent == {
        ("Good", b"\x0a\x05plain".hex(), "m1"): 30,
        ("Good", b"\x0a\x07hello 1".hex(), None): 10,
        ("Good", b"\x0a\x07hello 2".hex(), None): 10,
        ("Stream", "", None): 10,
    }
    mine = Counter(call["metadata"].get("x-mine") for call in calls)
    assert mine == {"mine": 30, None: 30}
    names = {name: (one["sent"], one["failed"]) for name, one in run.load["names"].items()}
    assert names == {"plain": (30, 0), "json": (20, 0), "stream": (10, 0)}
    assert run.load["names"]["stream"]["stream"]["tokens"] == 30
    steps = [set(step["names"]) for step in run.load["steps"]]
    assert steps == [{"plain", "json"}, {"json", "stream"}]


TALKS = """
[[request]]
name = "large"
path = "/good/{{ id }}"
weight = 3
json-body = '{"n": "{{ id }}"}'
data = "rows.csv"
expect = "n"

[[request]]
name = "busy"
path = "/busy"
model = "m1"
"""


@pytest.mark.long
def test_a_mix_of_websocket_conversations_has_path_text_and_model_of_each(standin, tmp_path):
    (tmp_path / "rows.csv").write_text("id\n1\n2\n")
    (tmp_path / "mix.toml").write_text(TALKS)
    options = ["--steps", "40rps:1s", "--requests", str(tmp_path / "mix.toml")]

    with running_websocket_server() as server:
        options += ["--host", server.url, "--dashboard", standin.url]
        files = str(ROOT / "locustfiles" / "websocket_echo.py")
        with started(tmp_path, *options, locustfile=files) as locust:
            run = locust.wait()
        sent = Counter((one["path"], one["model"]) for one in server.log())

    assert sent == {("/good/1", None): 15, ("/good/2", None): 15, ("/busy", "m1"): 10}
    names = {name: (one["sent"], one["failed"]) for name, one in run.load["names"].items()}
    assert names == {"large": (30, 0), "busy": (10, 10)}


TWO_APPLICATIONS = """
steps = "80rps:2s"
drain = 0
gate = ['load.applications.chat.error_ratio <= 0', "load.names.ask.failed <= 0"]

[[request]]
name = "ask"
path = "/chat/ask"
weight = 3

[[request]]
name = "log in"
path = "/login"
arrivals = "poisson"
"""


def scalelag_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scalelag.cli", "run", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "120", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=RUN_DEADLINE_S,
        check=False,
    )


def test_a_run_as_a_file_mixes_requests_of_two_applications(echo, tmp_path):
    steady = DeploymentScript(targets=((-60.0, 1),), replicas=(steady_replica(),))
    cluster = Script(applications={"web": {"Front": steady}, "chat": {"Model": steady}})
    (tmp_path / "scalelag.toml").write_text(TWO_APPLICATIONS)

    with running_standin(cluster) as standin:
        done = scalelag_run(tmp_path, "--host", echo.url, "--dashboard", standin.url)

    # A busy machine may send late, which makes the run invalid (5) and changes nothing here.
    assert done.returncode in (0, 5), done.stderr
    [path] = (tmp_path / "runs").glob("*/")
    report = json.loads((path / "report.json").read_bytes())
    load = report["load"]
    arrivals = Counter(arrival.path for arrival in echo.arrivals())
    assert arrivals["/chat/ask"] == load["names"]["ask"]["planned"] == 120
    assert load["names"]["log in"]["planned"] == arrivals["/login"]
    applications = {app: part["planned"] for app, part in load["applications"].items()}
    assert applications == {"chat": 120, "web": arrivals["/login"]}
    assert {gate["verdict"] for gate in report["gates"]} == {"pass"}
    recorded = json.loads((path / "run.json").read_bytes())["requests"]
    assert [(one["name"], one["weights"], one["arrivals"]) for one in recorded] == [
        ("ask", [3.0], "constant"),
        ("log in", [1.0], "poisson"),
    ]
    assert "Requests by application" in done.stdout


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ('[[request]]\nname = "a"\nwheight = 1\n', [], "did you mean weight"),
        ('[[request]]\nname = "a"\n', ["--path", "/b"], "--path and the [[request]] tables"),
        ('[[request]]\ndata = "no.csv"\n', [], "no.csv: No such file or directory"),
        (
            'slo = "p95<1s"\nmix = [{a = 1}, {a = 2}, {a = 1}]\n[[request]]\nname = "a"\n',
            ["--calibrate", "--steps", "1rps:1s,2rps:1s,1rps:1s"],
            "--calibrate makes plans of its own",
        ),
    ],
)
def test_a_mix_that_cannot_be_sent_is_refused_before_anything_is_started(
    target, echo, tmp_path, text, arguments, said
):
    (tmp_path / "scalelag.toml").write_text(text)

    done = scalelag_run(tmp_path, *target, *arguments)

    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
    assert echo.arrivals() == []
