"""`scalelag run --calibrate` on a server of known capacity, beside a stand-in for Serve."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import ROOT, running_standin
from tests.support.standin.scenarios import steady_replica
from tests.support.standin.script import DeploymentScript, Script

DEADLINE_S = 150.0
# One at a time, 20 ms each, and never a stall: 50 a second.
PATH = "/one/0.02/0/0"


def model(replicas: int = 1, autoscaling: dict[str, int] | None = None) -> Script:
    """`default/Model` with so many replicas, fixed unless it scales."""
    deployment = DeploymentScript(
        targets=((-60.0, replicas),),
        replicas=tuple(steady_replica(f"{i}" * 8) for i in range(replicas)),
        autoscaling=autoscaling,
    )
    return Script(applications={"default": {"Model": deployment}})


def calibrate(folder: Path, *arguments: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "scalelag.cli", "run", "--calibrate", "--out", "runs", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.long
def test_the_rate_that_a_server_of_known_capacity_serves_is_found(tmp_path):
    with running_standin(model()) as standin, running_echo() as echo:
        code, output = calibrate(
            *(tmp_path, "--host", echo.url, "--dashboard", standin.url, "--path", PATH),
            *("--slo", "p90<100ms", "--calibrate-hold", "2", "--warmup", "0.5"),
        )

    assert code == 0, output
    (folder,) = (tmp_path / "runs").iterdir()
    found = json.loads((folder / "calibration.json").read_bytes())
    assert found["deployments"] == ["default/Model"]
    assert found["complete"] is True
    # Above 55 rps the queue reaches the limit within the hold; below 40 only a busy machine does.
    assert 40 <= found["capacity_rps"] <= 55
    assert found["capacity_rps"] < found["exceeded_rps"] <= 1.11 * found["capacity_rps"]
    assert f"--capacity-rps {found['capacity_rps']:g}" in output
    for stage in found["stages"]:
        run = json.loads((folder / stage["record"] / "run.json").read_bytes())
        assert run["status"] == "complete"
        assert run["options"]["steps"].startswith(f"{stage['load']['level']:g}")


@pytest.mark.long
def test_a_limit_below_a_single_request_ends_with_4_after_one_stage(tmp_path):
    with running_standin(model()) as standin, running_echo() as echo:
        code, output = calibrate(
            *(tmp_path, "--host", echo.url, "--dashboard", standin.url, "--path", PATH),
            *("--slo", "p50<10ms", "--calibrate-hold", "1", "--warmup", "0.1"),
        )

    assert code == 4, output
    assert "not even one request at a time is within the limit" in output


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "why"),
    [
        (model(2), "has 2 replicas (RUNNING, RUNNING)"),
        (model(1, {"min_replicas": 1, "max_replicas": 8}), "scales up to 8 replicas"),
    ],
)
def test_a_deployment_without_one_fixed_replica_is_refused(tmp_path, script, why):
    with running_standin(script) as standin, running_echo() as echo:
        code, output = calibrate(
            *(tmp_path, "--host", echo.url, "--dashboard", standin.url, "--slo", "p95<100ms")
        )

    assert code == 3, output
    assert why in output
    assert not (tmp_path / "runs").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "give it with --slo"),
        (("--slo", "p95<100ms", "--runs", "2"), "not with --web, --retries or --runs"),
        (("--slo", "fast"), "QUANTILE<LIMIT"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_started(tmp_path, arguments, why):
    code, output = calibrate(tmp_path, *arguments)

    assert code == 2, output
    assert why in output
    assert "starting an embedded" not in output
