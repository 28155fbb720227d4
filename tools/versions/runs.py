"""`scalelag run` on a version of Ray: with its own cluster, or on one that we started and can harm."""

import contextlib
import os
import subprocess
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import msgspec
import psutil

from probes.dashboard import Dashboard
from reports.model.report import Report
from scalelag.cluster.embedded import EmbeddedCluster
from scalelag.cluster.ray_environment import RayChoice, python_with_ray
from tools.diagnosis.processes import controller_pid
from tools.scalelag_run import begun, last_report

PLAN = "5rps:15s,40rps:30s,5rps:30s"
RUN_DEADLINE_S = 600.0
CPUS = 4
_MOST_SAID = 600


class Cell(msgspec.Struct, frozen=True):
    """Version of Ray, and whether the cluster demands a token."""

    ray: str
    with_token: bool = True


class MadeRun(msgspec.Struct, frozen=True):
    """Report of a run, or the last words of a command that made none."""

    report: Report | None
    said: str


def run_on(cell: Cell, out: Path, *options: str) -> MadeRun:
    """`scalelag run` on a cluster of its own with that Ray; without a token on one of ours."""
    if cell.with_token:
        return _scalelag(["--ray", cell.ray, *options], out, {})
    with cluster_of(cell) as cluster:
        return _scalelag([*_target(cluster), *options], out, {})


def run_with_killed_controller(cell: Cell, out: Path, at_s: float) -> MadeRun:
    """The demo's plan, and the controller killed that long after the command began."""
    with cluster_of(cell) as cluster, _begun(_demo(cluster), out, _token(cluster)) as process:
        assert cluster.urls is not None
        time.sleep(at_s)
        dashboard = Dashboard(cluster.urls.dashboard, time.time, cluster.token)
        psutil.Process(controller_pid(dashboard)).kill()
        process.wait(RUN_DEADLINE_S)
    return _made(out)


@contextlib.contextmanager
def cluster_of(cell: Cell) -> Generator[EmbeddedCluster]:
    """A cluster of our own with that Ray."""
    python = python_with_ray(RayChoice(cell.ray), os.environ)
    with EmbeddedCluster(CPUS, python=python, with_token=cell.with_token) as cluster:
        yield cluster


def _demo(cluster: EmbeddedCluster) -> list[str]:
    return [*_target(cluster), "--app", "sleeper", "--steps", PLAN]


def _target(cluster: EmbeddedCluster) -> list[str]:
    assert cluster.urls is not None
    return ["--host", cluster.urls.host, "--dashboard", cluster.urls.dashboard]


def _token(cluster: EmbeddedCluster) -> dict[str, str]:
    return {"RAY_AUTH_TOKEN": cluster.token} if cluster.token else {}


def _scalelag(options: Sequence[str], out: Path, variables: dict[str, str]) -> MadeRun:
    with _begun(options, out, variables) as process:
        process.wait(RUN_DEADLINE_S)
    return _made(out)


@contextlib.contextmanager
def _begun(
    options: Sequence[str], out: Path, variables: dict[str, str]
) -> Generator[subprocess.Popen[bytes]]:
    """`scalelag run` under way; it has ended after the block."""
    out.mkdir(parents=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH_")}
    with begun(["--out", str(out), *options], out / "said.txt", kept | variables) as process:
        yield process


def _made(out: Path) -> MadeRun:
    said = (out / "said.txt").read_text(encoding="utf-8", errors="replace")[-_MOST_SAID:]
    found = last_report(out)
    return MadeRun(found and found[1], said)
