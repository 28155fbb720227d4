"""Load and secrets of one's own locustfiles, and runs that are broken off."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import numpy as np
import pytest

from reports.model.formats import HTML_FILE
from scalelag.record.requests_reader import read_requests
from scalelag.record.run_dir import (
    REPORT_FILE,
    REQUESTS_FILE,
    RUN_FILE,
)
from tests.sim.load_plans import due_times
from tests.support.locust_run import (
    RUN_DEADLINE_S,
    Locust,
    assert_ran,
    assert_the_other_side_agrees,
    sent_to,
    started,
)
from tests.support.standin.process import ROOT, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica


def test_body_and_headers_reach_the_server_and_secrets_stay_out_of_sight(echo, tmp_path, until):
    secret, token = "s3cret-of-the-app", "t0ken-of-the-dashboard"
    request = ["--method", "POST", "--path", "/chat?x=1", "--json-body", '{"q": "42"}']
    headers = ["--header", "Authorization: Bearer ${APP_SECRET}", "--header", "X-Plain: seen"]
    environment = {"APP_SECRET": secret, "RAY_AUTH_TOKEN": token}

    with running_standin(one_deployment(steady_replica(), token=token)) as standin:
        target = ["--host", echo.url, "--dashboard", standin.url, "--steps", "50rps:2s"]
        with started(
            tmp_path,
            *(*target, *request, *headers, "--processes", "2", "--report", "html"),
            environment=environment,
        ) as locust:
            until(lambda: sent_to(echo, "/chat?x=1"), what="a request")
            shown = locust.command_lines()
            run = locust.wait()

    assert_ran(run)
    arrivals = sent_to(echo, "/chat?x=1")
    assert len(arrivals) == 100
    for arrival in arrivals:
        assert (arrival.method, arrival.body) == ("POST", '{"q": "42"}')
        assert arrival.headers["Authorization"] == f"Bearer {secret}"
        assert arrival.headers["X-Plain"] == "seen"
        assert arrival.headers["Content-Type"] == "application/json"
    assert "${APP_SECRET}" in shown
    files = {path.name: path.read_text("latin-1") for path in run.path.iterdir()}
    assert {RUN_FILE, REPORT_FILE, HTML_FILE, REQUESTS_FILE, "replicas.jsonl"} <= set(files)
    places = files | {"arguments": shown, "stdout": run.stdout, "stderr": run.stderr}
    assert [name for name, text in places.items() if secret in text or token in text] == []


SECRETS_IN_A_FILE = """
host = "http://us:s3cret@127.0.0.1:{echo}"
dashboard = "http://us:s3cret@127.0.0.1:{dashboard}"
path = "/chat?api_key=s3cret"
method = "POST"
json-body = '{{"password": "s3cret", "q": "42"}}'
header = ["X-One: s3cret", "X-Two: a, b"]
steps = "20rps:3s"
drain = 0
processes = 2
"""


@pytest.mark.long
def test_secrets_of_a_file_are_sent_and_in_no_argument_of_any_process(
    standin, echo, tmp_path, until
):
    ports = {"echo": urlsplit(echo.url).port, "dashboard": urlsplit(standin.url).port}
    (tmp_path / "scalelag.toml").write_text(SECRETS_IN_A_FILE.format(**ports))
    command = [sys.executable, "-m", "scalelag.cli", "run"]

    with Popen(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}) as process:
        until(lambda: sent_to(echo, "/chat?api_key=s3cret"), what="a request")
        shown = Locust(process, tmp_path, tmp_path / "runs").command_lines()

    assert process.returncode in (0, 5)  # 5: a busy machine sent late
    assert shown.count("-m locust") == 3
    assert "--steps=20rps:3s" in shown
    assert "s3cret" not in shown
    for arrival in sent_to(echo, "/chat?api_key=s3cret"):
        assert (arrival.method, arrival.body) == ("POST", '{"password": "s3cret", "q": "42"}')
        assert arrival.headers["X-One"] == "s3cret"
        assert arrival.headers["X-Two"] == "a, b"
        assert arrival.headers["Authorization"].startswith("Basic ")


@pytest.mark.long
def test_a_file_can_be_the_body(target, echo, tmp_path):
    body = tmp_path / "body.txt"
    body.write_text("line one\nline two\n")
    request = ["--method", "put", "--body-file", str(body), "--path", "upload"]

    with started(tmp_path, *target, *request, "--steps", "20rps:1s") as locust:
        run = locust.wait()

    assert_ran(run)
    arrivals = sent_to(echo, "/upload")
    assert {(arrival.method, arrival.body) for arrival in arrivals} == {("PUT", body.read_text())}
    assert len(arrivals) == 20


def test_a_secret_among_the_options_is_refused(target, echo, tmp_path):
    with started(tmp_path, *target, "--header", "Authorization: Bearer abc") as locust:
        code = locust.process.wait(RUN_DEADLINE_S)

    assert code == 2
    assert "looks like a secret" in (tmp_path / "stderr").read_text()
    assert echo.arrivals() == []


THEIRS = """
from locust import HttpUser, constant, task

from locust import FastHttpUser
from scalelag.users import PlanUser


class Mine(HttpUser):
    wait_time = constant(0.05)

    @task
    def look(self):
        self.client.get("/mine")


class Arrivals(PlanUser, FastHttpUser):
    def send(self):
        self.client.get("/theirs")
"""


@pytest.fixture
def theirs(tmp_path) -> str:
    path = tmp_path / "theirs.py"
    path.write_text(THEIRS)
    return f"{ROOT / 'locustfiles' / 'attached.py'},{path}"


def test_users_of_ones_own_are_recorded(theirs, target, echo, tmp_path):
    with started(tmp_path, *target, "--steps", "3users:2s", locustfile=theirs) as locust:
        run = locust.wait()

    assert_ran(run)
    rows = run.recorded.requests
    # As with Locust alone, all users of the file take part.
    assert sorted(rows.names) == ["/mine", "/theirs"]
    attached, own = theirs.split(",")
    assert run.info["locustfiles"] == [f"locustfiles/{Path(attached).name}", own]
    assert "Mine" in run.info["user_classes"]
    assert rows.count == len(echo.arrivals())
    assert len(sent_to(echo, "/mine")) > 20
    assert len(sent_to(echo, "/theirs")) > 20
    assert_the_other_side_agrees(run.recorded, echo.arrivals())


MORE_TO_DO = """
from locust import FastHttpUser, constant, task
from scalelag.users import PlanUser


class Waiting(PlanUser, FastHttpUser):
    wait_time = constant(0.5)

    def send(self):
        self.client.get("/waiting")


class Both(PlanUser, FastHttpUser):
    def send(self):
        self.client.get("/plan")

    @task
    def other(self):
        self.client.get("/other")
"""


def test_users_with_a_wait_or_another_task_go_back_to_locust_after_each_request(
    target, echo, tmp_path
):
    path = tmp_path / "more.py"
    path.write_text(MORE_TO_DO)
    both = f"{ROOT / 'locustfiles' / 'attached.py'},{path}"

    with started(tmp_path, *target, "--steps", "2users:3s", locustfile=both) as locust:
        run = locust.wait()

    assert_ran(run)
    assert 1 <= len(sent_to(echo, "/waiting")) <= 8
    assert len(sent_to(echo, "/plan")) > 20
    assert len(sent_to(echo, "/other")) > 20


@pytest.mark.long
def test_arrivals_of_ones_own_are_sent_when_they_are_due(theirs, target, echo, tmp_path):
    with started(tmp_path, *target, "--steps", "50rps:2s", locustfile=theirs) as locust:
        run = locust.wait()

    assert_ran(run)
    recorded = run.recorded
    assert recorded.requests.names == ("/theirs",)
    due = due_times((50, 2))
    assert np.allclose(recorded.requests.intended_s - recorded.info.zero_s, due, atol=1e-6)
    assert len(sent_to(echo, "/theirs")) == 100
    assert sent_to(echo, "/mine") == []


def rows_of(locust: Locust) -> int:
    """Number of requests on record so far."""
    file = locust.path / REQUESTS_FILE if locust.path else None
    if file is None or not file.exists() or not file.stat().st_size:
        return 0
    return read_requests(file)[0].count


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_a_run_that_is_interrupted_is_closed_and_reported(target, echo, tmp_path, until, number):
    with started(tmp_path, *target, "--steps", "50rps:60s") as locust:
        until(lambda: rows_of(locust) >= 50, what="rows")
        locust.process.send_signal(number)
        run = locust.wait()

    assert run.exit_code == 130
    assert run.info["status"] == "interrupted"
    assert run.info["reason"] == "stopped before the plan ended"
    assert run.report["run"]["status"] == "interrupted"
    assert run.report["verdict"] == "invalid"
    assert "interrupted" in run.stdout
    # What was sent is on record to the last request, and nothing counts as lost but that.
    assert run.recorded.requests.count == run.load["planned"] == len(sent_to(echo))


def reported(path: Path) -> subprocess.CompletedProcess[str]:
    """Output of `scalelag report`."""
    command = [sys.executable, "-c", "from scalelag.cli.__main__ import main; main()", "report"]
    return subprocess.run(
        [*command, str(path)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.long
def test_after_kill_9_all_but_the_last_second_can_be_reported(target, echo, tmp_path, until):
    with started(tmp_path, *target, "--steps", "100rps:60s") as locust:
        until(lambda: rows_of(locust) >= 150, what="rows")
        killed_s = time.time()
        locust.process.kill()
        run = locust.wait()

    done = reported(run.path)

    assert run.exit_code == -signal.SIGKILL
    assert done.returncode == 5, done.stderr
    assert "interrupted" in done.stdout
    assert "without closing the run" in " ".join(done.stdout.split())
    answered = [arrival for arrival in sent_to(echo) if arrival.at_s < killed_s - 1.0]
    assert run.recorded.requests.count >= len(answered) > 50
    polled_s = [poll.received_s for poll in run.recorded.polls]
    # On a busy machine polls are farther apart.
    assert polled_s[-1] > killed_s - 1.0 - np.max(np.diff(polled_s), initial=0.0)


@pytest.mark.long
def test_killed_before_the_first_request_there_is_a_report_as_well(target, tmp_path, until):
    with started(tmp_path, *target, "--steps", "1rps:60s") as locust:
        until(lambda: locust.path and (locust.path / RUN_FILE).exists(), what="a run directory")
        locust.process.kill()
        run = locust.wait()

    done = reported(run.path)

    assert done.returncode == 5, done.stderr
    assert "interrupted" in done.stdout


def test_a_full_disk_ends_the_run_with_what_was_recorded(target, echo, tmp_path, small_disk):
    with started(tmp_path, *target, "--steps", "500rps:60s", out=small_disk) as locust:
        run = locust.wait()
        rows = run.recorded.requests
        info = run.info
        arrived = len(sent_to(echo))
        done = reported(run.path)

    assert run.exit_code == 1, run.stderr
    said = [line for line in run.stderr.splitlines() if line.startswith("scalelag:")]
    assert said
    assert "No space left on device" in said[-1]
    assert str(run.path) in said[-1]
    assert 500 <= rows.count <= arrived
    assert info["status"] in ("interrupted", "invalid")
    assert done.returncode == 5, done.stderr
    assert run.stdout.count("Traceback") == run.stderr.count("Traceback") == 0
    assert arrived < 500 * 30  # it does not go on for the sake of nothing


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 128 KiB. (/dev/full is a file: no run directory can be made in it.)"""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    subprocess.run(mount, check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


ODD_VALUES = """
from locust import User, constant, task


class Odd(User):
    wait_time = constant(0.1)

    @task
    def ask(self):
        fire = self.environment.events.request.fire
        for name, time_ms in ((7, 5.0), ("seven", float("nan")), ("seven", "slow")):
            fire(request_type="ASK", name=name, response_time=time_ms, response_length=0)
"""


@pytest.mark.long
@pytest.mark.parametrize("more", [(), ("--processes", "2")])
def test_values_that_locusts_statistics_cannot_take_cost_neither_report_nor_code(
    target, tmp_path, more
):
    own = tmp_path / "own.py"
    own.write_text(ODD_VALUES)
    both = f"{ROOT / 'locustfiles' / 'attached.py'},{own}"
    with started(tmp_path, *target, "--steps", "2users:1s", *more, locustfile=both) as locust:
        run = locust.wait()

    assert_ran(run)
    assert "Locust's own statistics cannot take a name of 7" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout.count("stepped on Ray") == 1
    assert run.recorded.requests.count >= 2 * 3
