"""`--workers-on-ray`: the load processes of an attempt on the cluster that is tested."""

import os
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from probes.dashboard import Dashboard, token_from_environment
from scalelag.cli.run.load_process import RemoteWorkers
from scalelag.cli.run.targets import Endpoint
from scalelag.cluster.ray_job.reach import master_address
from scalelag.cluster.ray_job.submit import RayWorkers
from scalelag.console import say
from scalelag.errors import UNREADABLE, UsageError
from scalelag.wording import count


class Placement(msgspec.Struct, frozen=True):
    """`count` load processes on the cluster; `master_host` is how its nodes reach this machine."""

    count: int
    master_host: str | None = None
    runtime_env: dict[str, Any] | None = None


def placement_of(
    count: int | None, processes: int, master_host: str | None, runtime_env: Path | None
) -> Placement | None:
    """Return what the options ask for. Raises UsageError if they contradict one another."""
    if count is None:
        if master_host is not None or runtime_env is not None:
            raise UsageError("--master-host and --workers-runtime-env go with --workers-on-ray.")
        return None
    if processes > 1:
        raise UsageError("--processes and --workers-on-ray: give one of the two.")
    return Placement(count, master_host, _read_runtime_env(runtime_env))


def _read_runtime_env(path: Path | None) -> dict[str, Any] | None:
    """Return Ray's runtime_env from a JSON file. Raises UsageError if it holds none."""
    if path is None:
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise UsageError(f"--workers-runtime-env {path}: {error.strerror}.") from error
    except UNREADABLE as error:
        raise UsageError(f"--workers-runtime-env {path} holds no JSON object: {error}.") from error


@contextmanager
def placed(
    placement: Placement | None,
    endpoint: Endpoint,
    *,
    verify: bool | str,
    headers: Mapping[str, str],
) -> Generator[RemoteWorkers | None]:
    """Start the workers of `placement` and end them with the block; None without a placement."""
    if placement is None:
        yield None
        return
    say(f"placing {count(placement.count, 'load worker')} on the cluster ...")
    leader = master_address(endpoint.dashboard, placement.master_host)
    token = endpoint.token or token_from_environment(os.environ)
    dashboard = Dashboard(endpoint.dashboard, time.time, token, verify, headers)
    workers = RayWorkers(dashboard, placement.count, leader, placement.runtime_env)
    try:
        with workers:
            yield RemoteWorkers(leader, placement.count, workers)
    finally:
        dashboard.close()
