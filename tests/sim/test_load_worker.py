"""The process that runs a Locust worker for an actor of Ray: it ends when the actor does."""

import os
import subprocess
import sys

import psutil
import pytest

from tests.support.standin.process import ROOT

MODULE = "scalelag.cluster.ray_job.worker_main"
# As an actor does: it starts the process and waits for it.
ACTOR = f"""
import os, subprocess, sys
command = [sys.executable, "-m", "{MODULE}", str(os.getpid()), "127.0.0.1", "9"]
subprocess.run(command, start_new_session=True)
"""


@pytest.mark.parametrize("children_too", [False, True], ids=["alone", "with its children"])
def test_when_its_parent_is_killed_locust_ends(tmp_path, until, children_too):
    """Ray kills the children of an actor that it ends; killed by others, the actor dies alone."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    actor = subprocess.Popen(
        [sys.executable, "-c", ACTOR], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        family = psutil.Process(actor.pid)
        # Between fork and exec a process has its parent's command line.
        until(
            lambda: any("locust" in p.cmdline() for p in family.children(recursive=True)),
            what="Locust",
        )
        started = family.children(recursive=True)
        if children_too:
            family.children()[0].kill()
    finally:
        actor.kill()
        actor.wait()

    assert len(started) == 3
    until(lambda: not any(process.is_running() for process in started), what="the end of all")
    assert list(tmp_path.iterdir()) == []


def test_it_starts_nothing_for_a_parent_that_is_gone():
    ended = subprocess.run(
        [sys.executable, "-m", MODULE, "1", "127.0.0.1", "9"], cwd=ROOT, timeout=30, check=False
    )

    assert ended.returncode == 1
