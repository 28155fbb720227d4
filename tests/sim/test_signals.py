"""Signals: a run ends in good order, once, whatever the process was born with ignored."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from scalelag.record.run_dir import RUN_FILE
from tests.support.locust_run import STEPPED, assert_ran, sent_to, started
from tests.support.ports import free_port
from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import ROOT, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

DEADLINE_S = 60.0
EACH = [
    signal.SIGTERM,
    *(pytest.param(one, marks=pytest.mark.long) for one in (signal.SIGINT, signal.SIGHUP)),
]
SIGNALS = [
    *((signal.SIGINT, "INT"), (signal.SIGTERM, "")),
    *(
        pytest.param(*one, marks=pytest.mark.long)
        for one in (
            *((signal.SIGINT, ""), (signal.SIGTERM, "INT")),
            *((signal.SIGHUP, ""), (signal.SIGHUP, "INT")),
        )
    ),
]
"""Signals, and those that a process was born with ignored. All are in `make test-long`."""


@pytest.fixture(scope="module")
def standin():
    with running_standin(one_deployment(steady_replica())) as standin:
        yield standin


@pytest.fixture
def echo():
    with running_echo() as echo:
        yield echo


@pytest.fixture
def target(standin, echo):
    return ["--host", echo.url, "--dashboard", standin.url]


def assert_closed_once(run, reason="stopped before the plan ended"):
    assert run.exit_code == 130, run.stderr
    assert (run.info["status"], run.info["reason"]) == ("interrupted", reason)
    assert run.stdout.count("INVALID") == 1
    assert "Traceback" not in run.stdout + run.stderr
    assert len(list(run.path.parent.iterdir())) == 1


@pytest.mark.parametrize(("number", "ignored"), SIGNALS)
def test_each_signal_ends_plain_locust_in_good_order_also_where_sigint_was_ignored_at_birth(
    target, echo, tmp_path, until, number, ignored
):
    with started(tmp_path, *target, "--steps", "50rps:60s", ignored=ignored) as locust:
        until(lambda: len(sent_to(echo)) >= 25, DEADLINE_S)
        for _ in range(3):
            locust.process.send_signal(number)
            time.sleep(0.05)
        run = locust.wait()

    assert_closed_once(run)
    assert run.recorded.requests.count == len(sent_to(echo))


@pytest.mark.long
def test_nohup_keeps_a_run_going(target, echo, tmp_path, until):
    with started(tmp_path, *target, "--steps", "20rps:3s", ignored="HUP") as locust:
        until(lambda: len(sent_to(echo)) >= 5, DEADLINE_S)
        locust.process.send_signal(signal.SIGHUP)
        run = locust.wait()

    assert_ran(run)
    assert run.info["status"] == "complete"


@pytest.mark.long
def test_a_signal_while_the_target_is_waited_for_ends_without_a_run(echo, tmp_path, until):
    where = ["--host", echo.url, "--dashboard", f"http://127.0.0.1:{free_port()}", "--wait", "300"]
    with started(tmp_path, *where, "--steps", "5rps:5s", ignored="INT") as locust:
        time.sleep(1)
        until(lambda: is_handled(locust.process.pid, signal.SIGINT), DEADLINE_S)
        time.sleep(1)
        locust.process.send_signal(signal.SIGINT)
        code = locust.process.wait(DEADLINE_S)

    assert code == 130
    assert locust.path is None
    assert "Traceback" not in (tmp_path / "stderr").read_text()


def is_handled(pid, number):
    """True if the process has a handler of its own for a signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line for line in lines if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.long
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.long)]
)
def test_workers_of_a_master_that_is_told_to_end_are_not_lost(
    target, echo, tmp_path, until, number
):
    """As Ctrl-C in a terminal: master and workers have the signal at the same time."""
    with started(
        tmp_path, *target, "--steps", "60rps:60s", "--processes", "2", ignored="INT"
    ) as locust:
        until(lambda: len(sent_to(echo)) >= 60, DEADLINE_S)
        os.killpg(locust.process.pid, number)
        run = locust.wait()

    assert_closed_once(run)
    assert [one["lost_reason"] for one in run.info["load_workers"]] == [None, None]
    assert run.recorded.requests.count == len(sent_to(echo))


@contextmanager
def command(folder, *arguments, ignored=""):
    """`scalelag run` as a script starts it, born with signals `ignored`."""
    line = [sys.executable, "-m", "scalelag.cli", "run", "--drain", "0", *arguments]
    process = subprocess.Popen(
        ["sh", "-c", f"trap '' {ignored}; exec \"$@\"", "sh", *line] if ignored else line,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=(folder / "stdout").open("wb"),
        stderr=(folder / "stderr").open("wb"),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(("number", "ignored"), SIGNALS)
def test_the_command_closes_its_run_once_and_prints_no_traceback(
    target, echo, tmp_path, until, number, ignored
):
    with command(tmp_path, *target, "--steps", "50rps:60s", ignored=ignored) as process:
        until(lambda: len(sent_to(echo)) >= 25, DEADLINE_S)
        for _ in range(3):
            process.send_signal(number)
            time.sleep(0.05)
        code = process.wait(DEADLINE_S)

    said = (tmp_path / "stdout").read_text() + (tmp_path / "stderr").read_text()
    (path,) = (tmp_path / "runs").iterdir()
    assert code == 130, said
    assert "Traceback" not in said
    assert said.count("INVALID") == 1
    assert (path / RUN_FILE).is_file()


FORKING = """
import os
import subprocess
import time
from pathlib import Path

forked = subprocess.Popen(["sleep", "600"])
Path(os.environ["FORKED"]).write_text(str(forked.pid))
time.sleep(600)
"""


def test_what_a_load_process_forked_ends_with_one_that_is_ended_while_it_starts(
    target, tmp_path, until, monkeypatch
):
    note, locustfile = tmp_path / "forked", tmp_path / "forking.py"
    locustfile.write_text(FORKING)
    monkeypatch.setenv("FORKED", str(note))
    with command(tmp_path, *target, "--steps", "5rps:5s", "-f", str(locustfile)) as process:
        until(lambda: note.exists() and note.read_text(), DEADLINE_S)
        forked = psutil.Process(int(note.read_text()))
        process.terminate()
        assert process.wait(DEADLINE_S) == 130

    assert not forked.is_running() or forked.status() == psutil.STATUS_ZOMBIE


def test_more_load_processes_than_the_memory_holds_are_refused_before_any_starts(target, tmp_path):
    with command(tmp_path, *target, "--steps", "5rps:5s", "--processes", "100000") as process:
        assert process.wait(DEADLINE_S) == 2

    assert "--processes 100000: each takes about 100 MiB" in (tmp_path / "stderr").read_text()
    assert not (tmp_path / "runs").exists()


@contextmanager
def worker_of(port, folder):
    command = [sys.executable, "-m", "locust", "-f", STEPPED, "--worker", "--master-port", port]
    process = subprocess.Popen(
        ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stderr=(folder / "worker-stderr").open("wb"),
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()


@pytest.mark.long
@pytest.mark.parametrize("number", EACH)
def test_a_worker_that_is_told_to_leave_sends_its_last_rows(target, echo, tmp_path, until, number):
    port = str(free_port())
    arguments = ["--master", "--expect-workers", "1", "--master-bind-port", port]
    with (
        started(tmp_path, *target, "--steps", "50rps:60s", *arguments) as locust,
        worker_of(port, tmp_path) as worker,
    ):
        until(lambda: len(sent_to(echo)) >= 50, DEADLINE_S)
        worker.send_signal(number)
        worker.wait(DEADLINE_S)
        run = locust.wait()

    rows = run.recorded.requests
    assert int((rows.status == 200).sum()) == len(sent_to(echo))
    assert "Traceback" not in (tmp_path / "worker-stderr").read_text() + run.stderr
    assert (run.info["status"], run.exit_code) == ("invalid", 5)
    assert run.stdout.count("INVALID") == 1
    assert worker.returncode == 0


def load_processes(leader):
    """Processes of `--processes`: children of the leader that are Locust as well."""
    children = psutil.Process(leader.pid).children(recursive=True)
    return [one for one in children if "scalelag.observer" not in " ".join(one.cmdline())]


@pytest.mark.long
@pytest.mark.parametrize("number", EACH)
def test_one_of_several_processes_that_is_told_to_leave_is_counted_and_the_run_goes_on(
    target, echo, tmp_path, until, number
):
    with started(tmp_path, *target, "--steps", "40rps:6s", "--processes", "2") as locust:
        until(lambda: len(sent_to(echo)) >= 40, DEADLINE_S)
        load_processes(locust.process)[0].send_signal(number)
        run = locust.wait()

    reasons = [one["lost_reason"] for one in run.info["load_workers"]]
    rows = run.recorded.requests
    assert sorted(reason is None for reason in reasons) == [False, True]
    assert rows.count == 240
    assert int((rows.status == 200).sum()) == len(sent_to(echo))
    assert (run.exit_code, run.stdout.count("INVALID")) == (5, 1)
    assert "Traceback" not in run.stdout + run.stderr
    assert len(list(run.path.parent.iterdir())) == 1


SLOW_START = """
import time
from locust import events
from scalelag.users import HttpPlanUser, StepShape, attach

attach()


class Stepped(HttpPlanUser):
    pass


@events.test_start.add_listener
def fetch_test_data(**_):
    print("fetching", flush=True)
    time.sleep(4)
    print("fetched", flush=True)
"""


@pytest.mark.long
def test_listeners_of_test_start_that_take_long_run_once_and_open_one_run(target, tmp_path):
    locustfile = tmp_path / "slow_start.py"
    locustfile.write_text(SLOW_START)
    with started(tmp_path, *target, "--steps", "20rps:2s", locustfile=str(locustfile)) as locust:
        run = locust.wait()

    assert_ran(run)
    assert (run.stdout.count("fetching"), run.stdout.count("fetched")) == (1, 1)
    assert len(list(run.path.parent.glob(f"*/{RUN_FILE}"))) == 1
    assert run.recorded.requests.count == 40


LEAVES = """
import sys
from locust import HttpUser, constant, task


class Leaver(HttpUser):
    wait_time = constant(0.1)
    asked = 0

    @task
    def ask(self):
        self.client.get("/")
        self.asked += 1
        if self.asked > 3:
            sys.exit(0)
"""


@pytest.mark.long
@pytest.mark.parametrize("users", [1, 5])
def test_tasks_that_call_sys_exit_make_no_good_run_of_a_part(target, tmp_path, users):
    own = tmp_path / "own.py"
    own.write_text(LEAVES)
    both = f"{ROOT / 'locustfiles' / 'attached.py'},{own}"
    with started(tmp_path, *target, "--steps", f"{users}users:30s", locustfile=both) as locust:
        run = locust.wait()

    assert run.exit_code == 5
    assert run.info["reason"] == "the test was ended before its plan, by ask() in own.py, line 15"
    assert run.stdout.count("INVALID") == 1
    assert "Traceback" not in run.stderr


EXITS_AT_THE_END = """
import sys
from locust import HttpUser, constant, events, task


class Asker(HttpUser):
    wait_time = constant(0.1)

    @task
    def ask(self):
        self.client.get("/status/500")


for event in (events.test_stopping, events.test_stop, events.quitting, events.quit):
    event.add_listener(lambda **_: sys.exit(0))
"""


@pytest.mark.long
def test_exits_in_listeners_of_the_end_leave_a_failed_run_its_report_and_its_code(target, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(EXITS_AT_THE_END)
    both = f"{ROOT / 'locustfiles' / 'attached.py'},{own}"
    with started(tmp_path, *target, "--steps", "1users:2s", locustfile=both) as locust:
        run = locust.wait()

    assert_ran(run, 4)
    assert run.info["status"] == "complete"
    assert run.stdout.count("FAIL") >= 1
    assert "Traceback" not in run.stderr


LEAVES_WHEN_STOPPED = """
    @task
    def ask(self):
        self.client.get("/")

    def on_stop(self):
        sys.exit(0)
"""


@pytest.mark.long
@pytest.mark.parametrize("more", [(), ("--processes", "2")])
def test_users_that_exit_when_they_are_stopped_raise_and_end_no_run(target, tmp_path, more):
    own = tmp_path / "own.py"
    own.write_text(f"{LEAVES.partition('    asked')[0]}{LEAVES_WHEN_STOPPED}")
    both = f"{ROOT / 'locustfiles' / 'attached.py'},{own}"
    with started(
        tmp_path, *target, "--steps", "2users:1s,1users:1s", *more, locustfile=both
    ) as locust:
        run = locust.wait()

    assert run.info["status"] == "complete"
    assert_ran(run, 4)
    assert run.load["task_exceptions"] == 2
