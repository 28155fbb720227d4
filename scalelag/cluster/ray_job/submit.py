"""Submits a Ray job with Locust workers over the dashboard, without a Ray client."""

import secrets
import shlex
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self, TypeVar

import msgspec

import scalelag
from probes.dashboard import VERSION_PATH, Dashboard
from scalelag.cluster.preflight import Patience
from scalelag.cluster.ray_job.reach import Address
from scalelag.errors import UNREADABLE, RetryAdvice, TargetError

_JOBS_PATH = "/api/jobs/"
_SUPERVISORS_PATH = (
    "/api/v0/actors?filter_keys=name&filter_predicates=%3D&filter_values=_ray_internal_job_actor_"
)
_MODULE = "scalelag.cluster.ray_job.driver_main"
_AT_THE_END = Patience(20.0, time.monotonic, time.sleep)
_COMES_BACK_S = 2.5
_LAST_LINES = 15


_T = TypeVar("_T")


class _Version(msgspec.Struct, frozen=True):
    session_name: str | None = None


class _JobState(msgspec.Struct, frozen=True):
    status: str
    message: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")


class _JobLogs(msgspec.Struct, frozen=True):
    logs: str = ""


class _Actor(msgspec.Struct, frozen=True):
    state: str


class _Page(msgspec.Struct, frozen=True):
    result: list[_Actor]


class _Answer(msgspec.Struct, frozen=True):
    result: _Page


class _Actors(msgspec.Struct, frozen=True):
    data: _Answer


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
        patience: Patience = _AT_THE_END,
    ) -> None:
        self._dashboard = dashboard
        self._count = count
        self._master = master
        self._runtime_env = dict(runtime_env or {})
        self._patience = patience
        self._id = f"scalelag-load-{secrets.token_hex(4)}"

    @property
    def _path(self) -> str:
        return f"{_JOBS_PATH}{self._id}"

    def __enter__(self) -> Self:
        """Submit the job. Raises TargetError if it is refused."""
        job = {
            "submission_id": self._id,
            "entrypoint": shlex.join(["python", "-m", _MODULE, *self._arguments()]),
            "runtime_env": self._runtime_env,
        }
        self._dashboard.post(_JOBS_PATH, job)
        return self

    def _arguments(self) -> list[str]:
        arguments = ["--master", f"{self._master.host}:{self._master.port}"]
        arguments += ["--workers", str(self._count), "--version", scalelag.__version__]
        version = self._page(VERSION_PATH, _Version)
        if version.session_name is not None:
            arguments += ["--session", version.session_name]
        return arguments

    def __exit__(self, *_exception: object) -> None:
        """Stop the job, wait until it has ended, and remove it from the cluster's list.

        If that fails, the workers end by themselves, since their master is gone.
        """
        with suppress(TargetError):
            if not self._state().ended:
                self._dashboard.post(f"{self._path}/stop", {})
            self._patience.retry(self._check_ended)
            self._patience.retry(self._check_supervisor_ended)
            self._take_off_the_list()

    def _take_off_the_list(self) -> None:
        """Delete the job, and delete it again if it comes back.

        Ray checks once a second that the job's supervisor is there. If it finds neither supervisor nor
        job, it lists the job again, as failed, and stops checking.
        """
        self._dashboard.delete(self._path)
        ends_s = self._patience.now() + _COMES_BACK_S
        while self._patience.now() < ends_s:
            self._patience.sleep(self._patience.every_s)
            with suppress(TargetError):  # 404 is the good case
                self._state()
                self._dashboard.delete(self._path)
                return

    def check(self) -> None:
        """Raise TargetError if the workers have ended, which before a run is an error."""
        try:
            state = self._state()
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
            f"The job's last lines:\n{self._last_lines()}"
        )

    def _state(self) -> _JobState:
        return self._page(self._path, _JobState)

    def _page(self, path: str, kind: type[_T]) -> _T:
        """GET `path` and parse the answer. Raises TargetError if that fails."""
        try:
            return msgspec.json.decode(self._dashboard.get(path).body, type=kind)
        except UNREADABLE as error:
            raise TargetError(
                f"{self._dashboard.url}{path} does not answer like a Ray dashboard ({error}): check "
                "--dashboard.",
                retry=RetryAdvice.NEVER,
            ) from error

    def _check_ended(self) -> None:
        if not self._state().ended:
            raise TargetError(f"{self._dashboard.url} still runs the job {self._id}.")

    def _check_supervisor_ended(self) -> None:
        actors = self._page(f"{_SUPERVISORS_PATH}{self._id}", _Actors).data.result.result
        if any(actor.state != "DEAD" for actor in actors):
            raise TargetError(f"{self._dashboard.url} still has the supervisor of {self._id}.")

    def _last_lines(self) -> str:
        try:
            said = self._page(f"{self._path}/logs", _JobLogs).logs or self._state().message or ""
        except TargetError as error:
            return f"(its log cannot be read: {error})"
        lines = [line for line in said.splitlines() if line.strip()]
        return "\n".join(lines[-_LAST_LINES:]) or "(none)"
