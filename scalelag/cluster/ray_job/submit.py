"""Submits a Ray job with Locust workers over the dashboard, without a Ray client."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

import scalelag
from probes.dashboard import Dashboard
from scalelag.cluster.preflight import Patience
from scalelag.cluster.ray_job.job import AT_THE_END, RayJob
from scalelag.cluster.ray_job.reach import Address
from scalelag.errors import RetryAdvice, TargetError

_MODULE = "scalelag.cluster.ray_job.driver_main"


class RayWorkers:
    """A Ray job with `count` Locust workers that join `master`; a context manager that ends it.

    `runtime_env` is Ray's, for the job and the workers; `patience` is for the end of the job.
    """

    def __init__(
        self,
        dashboard: Dashboard,
        count: int,
        master: Address,
        runtime_env: Mapping[str, Any] | None = None,
        patience: Patience = AT_THE_END,
    ) -> None:
        self._dashboard = dashboard
        self._count = count
        self._master = master
        self._runtime_env = dict(runtime_env or {})
        self._job = RayJob(dashboard, "load", patience)

    def __enter__(self) -> Self:
        """Submit the job. Raises TargetError if it is refused."""
        self._job.submit(["python", "-m", _MODULE, *self._arguments()], self._runtime_env)
        return self

    def _arguments(self) -> list[str]:
        arguments = ["--master", f"{self._master.host}:{self._master.port}"]
        arguments += ["--workers", str(self._count), "--version", scalelag.__version__]
        session = self._job.session_name()
        return arguments if session is None else [*arguments, "--session", session]

    def __exit__(self, *_exception: object) -> None:
        """Stop the job, wait until it has ended, and remove it from the cluster's list.

        If that fails, the workers end by themselves, since their master is gone.
        """
        with suppress(TargetError):
            self._job.end()

    def check(self) -> None:
        """Raise TargetError if the workers have ended, which before a run is an error."""
        try:
            state = self._job.state()
        except TargetError:
            return
        if state.ended:
            raise TargetError(
                f"The load workers on {self._dashboard.url} ended before the run began "
                f"({state.status}). {self.explain()}",
                retry=RetryAdvice.NEVER,
            )

    def explain(self) -> str:
        """Most common cause, and the last lines of the job."""
        return (
            "Every node needs the same version of scalelag as this machine, and a route to "
            f"{self._master.host}:{self._master.port} (--master-host). "
            f"The job's last lines:\n{self._job.last_lines()}"
        )
