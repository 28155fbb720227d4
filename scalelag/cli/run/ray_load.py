"""`--workers-on-ray`: the load processes of a try on the cluster that is tested."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from probes.dashboard import Dashboard, token_from_environment
from scalelag.cli.run.load_process import Elsewhere
from scalelag.cli.run.targets import Endpoint
from scalelag.cluster.ray_job.reach import master_address
from scalelag.cluster.ray_job.submit import RayWorkers
from scalelag.errors import UsageError

WorkersOnRay = Annotated[
    int | None,
    typer.Option(help="Processes on the cluster's nodes that send load, in place of ours.", min=1),
]
WorkersRuntimeEnv = Annotated[
    Path | None,
    typer.Option(help="JSON file with Ray's runtime_env for the load workers on the cluster."),
]
MasterHost = Annotated[
    str | None, typer.Option(help="HOST[:PORT] at which the cluster's nodes reach this machine.")
]


class Placement(msgspec.Struct, frozen=True):
    """`count` load processes on the cluster; `master_host` is how its nodes reach this machine."""

    count: int
    master_host: str | None = None
    runtime_env: dict[str, Any] | None = None


def placement_of(
    count: int | None, processes: int, master_host: str | None, runtime_env: Path | None
) -> Placement | None:
    """What the options ask for. Raises UsageError where they do not go together."""
    if count is None:
        if master_host is not None or runtime_env is not None:
            raise UsageError("--master-host and --workers-runtime-env go with --workers-on-ray.")
        return None
    if processes > 1:
        raise UsageError("--processes and --workers-on-ray: give one of the two.")
    return Placement(count, master_host, _read_runtime_env(runtime_env))


def _read_runtime_env(path: Path | None) -> dict[str, Any] | None:
    """Ray's runtime_env from a JSON file. Raises UsageError where it holds none."""
    if path is None:
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise UsageError(f"--workers-runtime-env {path}: {error.strerror}.") from error
    except msgspec.MsgspecError as error:
        raise UsageError(f"--workers-runtime-env {path} holds no JSON object: {error}.") from error


@contextmanager
def placed(
    placement: Placement | None, endpoint: Endpoint, *, verify: bool | str
) -> Generator[Elsewhere | None]:
    """The load processes that `placement` wants, until the block ends; None where it is None."""
    if placement is None:
        yield None
        return
    console = Console(stderr=True)
    console.print(f"placing {placement.count} load workers on the cluster ...", highlight=False)
    leader = master_address(endpoint.dashboard, placement.master_host)
    token = endpoint.token or token_from_environment()
    dashboard = Dashboard(endpoint.dashboard, time.time, token, verify)
    workers = RayWorkers(dashboard, placement.count, leader, placement.runtime_env)
    try:
        with workers:
            yield Elsewhere(leader, placement.count, workers)
    finally:
        dashboard.close()
