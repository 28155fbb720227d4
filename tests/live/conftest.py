"""Clusters that tests share, the `scalelag` command against them, and a run that many tests read.

A new test takes the first of these that will do, since starting a cluster takes 10 s or more and each
run some 12 s beside its plan:

- `stepped_run`: a run of `sleeper` with a step up and a step down, made once for all tests. For
  whatever reads a record, a report, or evidence of logs.
- `on_cluster_once`: starts `scalelag` commands on the shared cluster, for a fixture of the module: one
  run that all tests of a file look at.
- `on_cluster`: the same for a run that one test needs for itself. Several applications may be
  there at once; a test leaves the cluster without its own.
- `dashboard`: the shared cluster's, to deploy something by hand.
- `scalelag`: commands without a target. A run of it starts a cluster of its own.

The shared cluster has 8 CPUs, on paper: applications ask for 0.1 or so. Each process of pytest has its
own: Serve takes all applications of a cluster as one document, so that two tests that deploy at once
on one would take away each other's.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from probes.dashboard import Dashboard
from scalelag.cluster.apps import grpc_servicers
from scalelag.cluster.embedded import EmbeddedCluster
from scalelag.errors import TargetError
from tests.live.controller_log import ControllerLog
from tests.support.processes import MARK, marked
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.live)


# Where the agents of every Ray on a machine listen unless told otherwise.
_RAY_AGENT_PORT = 52365


@contextmanager
def one_at_a_time(path):
    """Wait until no other process is within this block.

    Clusters that start at once are slow to start, and Ray gives up a node after half a minute.
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """The session's cluster, started as if another Ray ran here: its agent's usual port is taken."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with socket.socket() as other, ExitStack() as stack:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # another Ray does run here
            other.bind(("127.0.0.1", _RAY_AGENT_PORT))
            other.listen()
        with one_at_a_time(shared / "cluster-start.lock"):
            started = start_within(stack)
        yield started


def start_within(stack):
    """Start the cluster within `stack`, up to three times: Ray gives up a node after 30 s."""
    for attempts_left in (2, 1, 0):
        try:
            return stack.enter_context(EmbeddedCluster(8, grpc_servicers("grpc_echo")))
        except TargetError:
            if not attempts_left:
                raise
    raise AssertionError


@pytest.fixture(scope="session")
def dashboard(cluster):
    opened = Dashboard(cluster.urls.dashboard, time.time, cluster.token)
    yield opened
    opened.close()


class Command:
    """A `scalelag` command under way in a process of its own."""

    def __init__(self, arguments, environment, folder):
        self.mark = environment[MARK]
        self.out = folder / "runs"
        self._log = (folder / f"log-{uuid.uuid4().hex}").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scalelag.cli", *arguments],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def output(self):
        self._log.flush()
        return Path(self._log.name).read_text()

    @property
    def run_dirs(self):
        return sorted(self.out.iterdir()) if self.out.exists() else []

    def wait(self, deadline_s=180.0):
        """Exit code and everything it printed."""
        try:
            return self.process.wait(deadline_s), self.output
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"still running after {deadline_s} s:\n{self.output}") from None

    def wait_for_output(self, text, deadline_s=150.0):
        def look():
            assert self.process.poll() is None or text in self.output, self.output
            return text in self.output

        wait_for(look, f"output {text!r}", deadline_s)

    def report(self):
        """report.json of the last run directory."""
        return msgspec.json.decode((self.run_dirs[-1] / "report.json").read_bytes())


@contextmanager
def commands(folder):
    """Starts `scalelag` commands in `folder`; fails where a process of theirs is left behind."""
    mark = uuid.uuid4().hex
    started = []

    def start(*arguments, **environment):
        command = Command(
            arguments,
            dict(os.environ)
            | {MARK: mark, "COLUMNS": "120", "PYTHONPATH": str(ROOT)}
            | environment,
            folder,
        )
        started.append(command)
        return command

    yield start
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
            command.process.wait()
    try:
        wait_for(lambda: not marked(mark), "no process left behind", 30)
    finally:
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def scalelag(tmp_path):
    """Starts `scalelag` commands; fails where a process of theirs is left behind."""
    with commands(tmp_path) as start:
        yield start


TOO_BUSY = ("the load generator was too slow", "the probe process was held up")


def valid_run(start, *arguments):
    """A run that has ended, its exit code and its output; made again if the machine was too busy.

    Where the load came too late, or the probe had no turn, what is looked at is not what was planned.
    """
    for _ in range(3):
        command = start(*arguments)
        code, output = command.wait()
        if code != 5 or not any(text in output for text in TOO_BUSY):
            break
    return command, code, output


def aimed_at(cluster, start):
    """Starts `scalelag` commands by `start`, aimed at `cluster`."""

    def begin(command, *arguments, host=True, **environment):
        where = ["--dashboard", cluster.urls.dashboard]
        where += ["--host", cluster.urls.host] if host else []
        return start(
            command, *where, *arguments, **({"RAY_AUTH_TOKEN": cluster.token} | environment)
        )

    return begin


@pytest.fixture
def on_cluster(scalelag, cluster):
    """Starts `scalelag` commands aimed at the session's cluster."""
    return aimed_at(cluster, scalelag)


@pytest.fixture(scope="module")
def on_cluster_once(tmp_path_factory, cluster):
    """The same, for a run that all tests of a module look at."""
    with commands(tmp_path_factory.mktemp("module")) as start:
        yield aimed_at(cluster, start)


class Ended(NamedTuple):
    """A command that has ended: its exit code, everything it printed, and its cluster's controller."""

    command: Command
    code: int
    output: str
    log: ControllerLog

    @property
    def path(self):
        """The last run directory."""
        return self.command.run_dirs[-1]

    @property
    def report(self):
        """report.json, as dicts and lists."""
        return self.command.report()


STEPPED = ("1users:3s", "8users:20s", "1users:18s")
"""The plan of `stepped_run`: as many requests of 0.2 s are open at a time, on a busy machine too."""


@pytest.fixture(scope="session")
def stepped_run(tmp_path_factory, cluster, dashboard):
    """A run of `sleeper` on the shared cluster, of one step up and one down, with its logs.

    Nobody changes its folder: a test that wants to, copies `path`.
    """
    settings = ("service_time_s=0.2", "upscale_delay_s=1", "downscale_delay_s=2")
    with commands(tmp_path_factory.mktemp("stepped")) as start:
        ended = valid_run(
            aimed_at(cluster, start),
            *("run", "--app", "sleeper", *(f"--app-arg={setting}" for setting in settings)),
            *("--steps", ",".join(STEPPED), "--drain", "5", "--out", "runs"),
        )
        yield Ended(*ended, ControllerLog(dashboard))
