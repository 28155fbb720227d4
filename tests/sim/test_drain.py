"""Watching the scale-down after the load: until it is over, for as long as asked, or until Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import ROOT, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

STEPPED = str(ROOT / "locustfiles" / "stepped.py")
# Two replicas where the minimum is one: the scale-down is never over.
RESTLESS = one_deployment(steady_replica("aaaaaaaa"), steady_replica("bbbbbbbb"), target=2)


@contextmanager
def running(folder, *arguments):
    with running_standin(RESTLESS) as standin, running_echo() as echo:
        command = [sys.executable, "-m", "locust", "-f", STEPPED, "--headless"]
        command += ["--host", echo.url, "--dashboard", standin.url, "--steps", "20rps:1s"]
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=(folder / "stdout").open("wb"),
            stderr=(folder / "stderr").open("wb"),
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run_info(folder):
    (path,) = (folder / "runs").glob("*/run.json")
    return json.loads(path.read_bytes())


def test_a_scale_down_that_never_ends_is_watched_for_as_long_as_asked(tmp_path):
    with running(tmp_path, "--drain", "3") as process:
        code = process.wait(60)

    info = run_info(tmp_path)
    assert (code, info["status"]) == (0, "complete")
    assert 3 <= info["watched_until_s"] - info["load_ended_s"] < 6


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_a_signal_while_watching_closes_the_run(tmp_path, until, number):
    with running(tmp_path, "--drain", "60") as process:
        until(lambda: "watching the scale-down" in (tmp_path / "stderr").read_text(), 30)
        process.send_signal(number)
        code = process.wait(30)

    info = run_info(tmp_path)
    assert (code, info["status"]) == (130, "interrupted")
    assert info["reason"] == "stopped while watching the scale-down"
    assert "INVALID" in (tmp_path / "stdout").read_text()
