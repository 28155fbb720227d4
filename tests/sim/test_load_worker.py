"""The process that runs a Locust worker for an actor of Ray: it ends when the actor does."""

import os
import subprocess
import sys

import psutil

from tests.sim.standin import ROOT

MODULE = "scalelag.target.load_worker_main"
# As an actor does: it starts the process and waits for it.
ACTOR = f"""
import os, subprocess, sys
command = [sys.executable, "-m", "{MODULE}", str(os.getpid()), "127.0.0.1", "9"]
subprocess.run(command, start_new_session=True)
"""


def test_when_its_parent_is_killed_it_and_its_locust_end(tmp_path, until):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    actor = subprocess.Popen(
        [sys.executable, "-c", ACTOR], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        family = psutil.Process(actor.pid)
        until(lambda: len(family.children(recursive=True)) == 2, what="worker and Locust")
        worker, locust = family.children(recursive=True)
    finally:
        actor.kill()
        actor.wait()

    assert "locust" in locust.cmdline()
    until(lambda: not worker.is_running() and not locust.is_running(), what="the end of both")
    assert list(tmp_path.iterdir()) == []


def test_it_starts_nothing_for_a_parent_that_is_gone():
    ended = subprocess.run(
        [sys.executable, "-m", MODULE, "1", "127.0.0.1", "9"], cwd=ROOT, timeout=30, check=False
    )

    assert ended.returncode == 1
