"""A cluster with twelve applications, of which four move: the report of a whole run in a terminal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalelag.record.run_dir import load_run
from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import ROOT, running_standin
from tests.support.standin.scenarios import steady_replica
from tests.support.standin.script import DeploymentScript, ReplicaScript, Script

APPLICATIONS = [f"app{number:02}" for number in range(1, 13)]
MOVING = APPLICATIONS[1::3]
TURN_S = 6.0
TURNS = 40
MOST_LINES = 120


def swinging() -> DeploymentScript:
    """One replica, and two more every other turn: whenever the load begins, there is a movement."""
    targets, replicas = [(-60.0, 1)], [steady_replica()]
    for turn in range(0, TURNS, 2):
        begun_s = turn * TURN_S
        targets += [(begun_s, 3), (begun_s + TURN_S, 1)]
        replicas += [
            ReplicaScript(
                f"{name}{turn:07}", begun_s, begun_s, begun_s + 1, begun_s + TURN_S, begun_s + 8
            )
            for name in "bc"
        ]
    return DeploymentScript(targets=tuple(targets), replicas=tuple(replicas))


def cluster() -> Script:
    steady = DeploymentScript(targets=((-60.0, 1),), replicas=(steady_replica(),))
    return Script(
        applications={
            name: {"Model": swinging() if name in MOVING else steady} for name in APPLICATIONS
        }
    )


def scalelag(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "scalelag.cli", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "120", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=180,
        check=False,
    )
    # A busy machine may send late, which makes the run invalid (5) and changes nothing here.
    assert done.returncode in (0, 5), done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.long
def test_the_report_on_twelve_applications_fits_120_lines(tmp_path):
    with running_standin(cluster()) as standin, running_echo() as echo:
        text = scalelag(
            tmp_path,
            *("run", "--host", echo.url, "--dashboard", standin.url, "--processes", "2"),
            *("--steps", "5rps:2s,20rps:8s,5rps:4s", "--drain", "0"),
        )

    (path,) = (tmp_path / "runs").glob("*/")
    assert text.count("\n") <= MOST_LINES
    rows = [line.split()[0] for line in text.splitlines() if line.startswith(" app")]
    assert set(APPLICATIONS) <= {row.partition("/")[0] for row in rows}
    # The same finding on several deployments is said once.
    configuration = text.partition(" Configuration\n")[2].partition("\n\n")[0]
    assert configuration.count("[") <= len({f.rule for f in load_run(path).info.findings}) + 2
    assert load_run(path).info.launched == {"processes": 2}
