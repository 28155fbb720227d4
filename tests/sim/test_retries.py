"""`scalelag run --retries` against a stand-in that is not ready, is lost, or is only slow."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers.http_echo import Echo, running_echo
from tests.support.standin.process import ROOT, Standin, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.standin.script import (
    DeploymentScript,
    Fault,
    ReplicaScript,
    Script,
    StatusOverride,
)

DEADLINE_S = 90.0
READY = one_deployment(steady_replica())
# Closed loop: whether a busy machine sends on time has no part in the verdict.
BRIEF = ["--steps", "2users:2s", "--drain", "0"]


class Command:
    """`scalelag run` under way."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.out = folder / "runs"
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scalelag.cli", "run", "--out", str(self.out), *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "400"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        return Path(self._log.name).read_text()

    def wait(self) -> int:
        return self.process.wait(DEADLINE_S)

    def records(self, name: str) -> list[dict[str, Any]]:
        """A file of each run directory, in the order in which they were made."""
        return [json.loads((path / name).read_bytes()) for path in sorted(self.out.iterdir())]


@contextmanager
def command(folder: Path, standin: Standin, echo: Echo, *arguments: str) -> Iterator[Command]:
    target = ["--host", echo.url, "--dashboard", standin.url, *BRIEF]
    started = Command(folder, *target, *arguments)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            with suppress(ProcessLookupError):
                started.process.send_signal(signal.SIGTERM)  # it ends its load process
            started.process.wait(DEADLINE_S)


@pytest.fixture
def echo() -> Iterator[Echo]:
    with running_echo() as echo:
        yield echo


def deploying() -> Script:
    """An application that is DEPLOYING for good."""
    status = StatusOverride(-60.0, 1e6, "UPDATING", "CONFIG_UPDATE_STARTED", "Starting up.")
    deployment = DeploymentScript(
        targets=((-60.0, 1),), replicas=(steady_replica(),), statuses=(status,)
    )
    return Script(applications={"default": {"Model": deployment}})


@pytest.mark.long
def test_a_target_that_is_not_ready_at_first_is_retried(echo, until, tmp_path):
    with (
        running_standin(deploying()) as standin,
        command(
            *(tmp_path, standin, echo),
            *("--wait", "0.5", "--retries", "1", "--retry-wait", "0.5"),
        ) as run,
    ):
        until(lambda: "attempt 1 of 2 failed" in run.output, DEADLINE_S)
        standin.control(script=READY)
        code = run.wait()

    assert code == 0, run.output
    assert '"default" is DEPLOYING' in run.output
    (info,) = run.records("run.json")
    (one,) = info["tries"]
    assert '"default" is DEPLOYING' in one["reason"]
    assert one["path"] is None
    (report,) = run.records("report.json")
    assert any("attempt 1 of this run failed" in warning for warning in report["warnings"])


@pytest.mark.long
def test_a_target_that_stays_away_ends_with_its_exit_code(echo, tmp_path):
    with (
        running_standin(deploying()) as standin,
        command(
            *(tmp_path, standin, echo),
            *("--wait", "0.1", "--retries", "1", "--retry-wait", "0.1"),
        ) as run,
    ):
        code = run.wait()

    assert code == 3, run.output
    assert run.output.count("failed through the target") == 1
    assert not run.out.exists()


def test_a_target_that_dies_in_mid_run_is_retried_and_both_records_stay(echo, until, tmp_path):
    with (
        running_standin(READY) as standin,
        command(*(tmp_path, standin, echo), *("--retries", "1", "--retry-wait", "0.5")) as run,
    ):
        until(echo.arrivals, DEADLINE_S, "requests")
        standin.control(Fault("refuse"))
        until(lambda: "attempt 1 of 2 failed" in run.output, DEADLINE_S)
        standin.control(clear=True)
        code = run.wait()

    assert code == 0, run.output
    first, second = run.records("report.json")
    assert (first["verdict"], first["invalid_through"]) == ("invalid", "target")
    assert (second["verdict"], second["invalid_through"]) == ("pass", None)
    lost, good = run.records("run.json")
    (one,) = good["tries"]
    assert lost["tries"] == []
    assert one["path"] == str(min(run.out.iterdir()))
    assert "the probe saw nothing" in one["reason"]
    assert any(one["path"] in warning for warning in second["warnings"])


@pytest.mark.long
def test_a_dashboard_that_is_slow_is_not_retried(echo, until, tmp_path):
    """It takes requests and does not answer: the load may have done that."""
    with (
        running_standin(READY) as standin,
        command(*(tmp_path, standin, echo), *("--retries", "2", "--retry-wait", "0.1")) as run,
    ):
        until(echo.arrivals, DEADLINE_S, "requests")
        standin.control(Fault("hang"))
        code = run.wait()

    assert code == 5, run.output
    (report,) = run.records("report.json")
    assert (report["verdict"], report["invalid_through"]) == ("invalid", None)
    assert "attempt 1" not in run.output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--gate", "requests.latency_p99_ms <= 0.0001"], 4),
        (["--deployment", "default/Nobody"], 3),
        (["--gate", "nobody:scale_up.total_s.max <= 3"], 2),
    ],
)
def test_a_failed_gate_and_a_mistake_are_not_retried(echo, arguments, code, tmp_path):
    with (
        running_standin(READY) as standin,
        command(
            *(tmp_path, standin, echo), *("--retries", "2", "--retry-wait", "0.1"), *arguments
        ) as run,
    ):
        found = run.wait()

    assert found == code, run.output
    assert "attempt 1" not in run.output
    # A gate on a deployment that is not watched is refused before any load.
    assert code != 2 or not (echo.arrivals() or (tmp_path / "runs").exists())


@pytest.mark.long
def test_an_interrupt_between_attempts_ends_them(echo, until, tmp_path):
    with (
        running_standin(deploying()) as standin,
        command(
            *(tmp_path, standin, echo),
            *("--wait", "0.1", "--retries", "9", "--retry-wait", "600"),
        ) as run,
    ):
        until(lambda: "next in 600 s" in run.output, DEADLINE_S)
        run.process.send_signal(signal.SIGINT)
        code = run.wait()

    assert code == 130, run.output


def crowded(*, other_replicas: int) -> Script:
    """4 CPUs: `Model` has 1 and may need 2 more, each of the others' replicas has 2."""
    model = DeploymentScript(
        targets=((-60.0, 1),),
        replicas=(steady_replica(),),
        autoscaling={"max_replicas": 3},
        required_resources={"CPU": 1.0},
    )
    hogs = tuple(ReplicaScript(f"h{n:07d}", -60.0, -59.0, -58.0) for n in range(other_replicas))
    hog = DeploymentScript(
        targets=((-60.0, other_replicas),),
        replicas=hogs,
        autoscaling=None,
        required_resources={"CPU": 2.0},
    )
    return Script(applications={"default": {"Model": model}, "other": {"Hog": hog}}, cpu_total=4.0)


@pytest.mark.long
def test_a_run_waits_for_room_and_says_for_what(echo, until, tmp_path):
    with (
        running_standin(crowded(other_replicas=1)) as standin,
        command(
            *(tmp_path, standin, echo),
            *("--deployment", "default/Model", "--wait-for-room", "60"),
        ) as run,
    ):
        until(lambda: "waiting up to 60 s for room" in run.output, DEADLINE_S)
        standin.control(script=crowded(other_replicas=0))
        code = run.wait()

    assert code == 0, run.output
    assert "2 needed for max_replicas of default/Model, 1 free, 1 short" in run.output
    assert len(run.records("report.json")) == 1
    assert "1 short" not in json.dumps(run.records("run.json"))


@pytest.mark.long
def test_a_run_whose_first_looks_are_slow_begins_all_the_same(echo, tmp_path):
    """Locust asks for the next users after a second at most, whether or not the run is open yet."""
    slow = Fault("slow", seconds=0.4, path="/api/version")  # asked six times before the plan begins
    with (
        running_standin(one_deployment(steady_replica(), faults=(slow,))) as standin,
        # So long that what those looks missed is a small part of it.
        command(tmp_path, standin, echo, "--steps", "2users:8s") as run,
    ):
        code = run.wait()

    assert code == 0, run.output
    (report,) = run.records("report.json")
    assert report["load"]["completed"] > 0


@pytest.mark.long
def test_no_room_in_time_is_said_with_numbers_and_may_be_retried(echo, until, tmp_path):
    with (
        running_standin(crowded(other_replicas=1)) as standin,
        command(
            *(tmp_path, standin, echo),
            *("--deployment", "default/Model", "--wait-for-room", "1"),
            *("--retries", "1", "--retry-wait", "0.1"),
        ) as run,
    ):
        code = run.wait()

    assert code == 3, run.output
    assert run.output.count("failed through the target: No room: CPU: 2 needed") == 1
    assert not run.out.exists()


@pytest.mark.long
def test_without_waiting_a_lack_of_room_is_a_warning(echo, tmp_path):
    with (
        running_standin(crowded(other_replicas=1)) as standin,
        command(tmp_path, standin, echo, "--deployment", "default/Model") as run,
    ):
        code = run.wait()

    assert code == 0, run.output
    (report,) = run.records("report.json")
    said = "CPU: 2 needed for max_replicas of default/Model, 1 free, 1 short"
    assert said in json.dumps(run.records("run.json"))
    assert said in json.dumps(report)


@pytest.mark.long
def test_the_clusters_status_is_on_record(echo, tmp_path):
    with running_standin(READY) as standin, command(tmp_path, standin, echo) as run:
        code = run.wait()

    assert code == 0, run.output
    (path,) = run.out.iterdir()
    rows = [json.loads(line) for line in (path / "evidence.jsonl").read_bytes().splitlines()]
    assert [row["type"] for row in rows if row["type"] == "cluster"] == ["cluster"]
    assert rows[0]["free"]["CPU"] == pytest.approx(3.9)


def test_retries_do_not_go_with_the_web_page(tmp_path):
    run = Command(tmp_path, "--web", "--retries", "1")

    assert run.wait() == 2
    assert "--retries and --runs repeat a run by themselves" in run.output
