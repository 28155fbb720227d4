"""A Ray job over the dashboard, without a Ray client: submitted, followed, and taken away."""

import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from probes.dashboard import VERSION_PATH, Dashboard
from scalelag.cluster.preflight import Patience
from scalelag.errors import UNREADABLE, RetryAdvice, TargetError
from scalelag.record.secrets import hide_url_secrets

JOBS_PATH = "/api/jobs/"
AT_THE_END = Patience(20.0, time.monotonic, time.sleep)
"""Wait for the end of a job that was told to stop."""

_SUPERVISORS_PATH = (
    "/api/v0/actors?filter_keys=name&filter_predicates=%3D&filter_values=_ray_internal_job_actor_"
)
_COMES_BACK_S = 2.5
_LAST_LINES = 15

_T = TypeVar("_T")


class _Version(msgspec.Struct, frozen=True):
    session_name: str | None = None


class JobState(msgspec.Struct, frozen=True):
    """State of a job in Ray's words."""

    status: str
    message: str | None = None

    @property
    def ended(self) -> bool:
        """Return whether nothing of its driver is left."""
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


class RayJob:
    """A job called `scalelag-KIND-...`. `patience` is for its end."""

    def __init__(self, dashboard: Dashboard, kind: str, patience: Patience = AT_THE_END) -> None:
        self._dashboard = dashboard
        self._patience = patience
        self.id = f"scalelag-{kind}-{secrets.token_hex(4)}"

    @property
    def _path(self) -> str:
        return f"{JOBS_PATH}{self.id}"

    def submit(self, arguments: Sequence[str], runtime_env: Mapping[str, Any]) -> None:
        """Have the cluster run a command. Raises TargetError if it is refused."""
        job = {
            "submission_id": self.id,
            "entrypoint": shlex.join(arguments),
            "runtime_env": dict(runtime_env),
        }
        self._dashboard.post(JOBS_PATH, job)

    def session_name(self) -> str | None:
        """Name of the cluster's session; None before Ray tells it."""
        return self._page(VERSION_PATH, _Version).session_name

    def end(self) -> None:
        """Stop the job, wait until it has ended, and remove it from the cluster's list.

        Raises TargetError if that fails.
        """
        if not self.state().ended:
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
                self.state()
                self._dashboard.delete(self._path)
                return

    def state(self) -> JobState:
        """State of the job. Raises TargetError if the dashboard does not tell."""
        return self._page(self._path, JobState)

    def logs(self) -> str:
        """Everything that its driver wrote. Raises TargetError if the dashboard does not tell."""
        return self._page(f"{self._path}/logs", _JobLogs).logs

    def last_lines(self) -> str:
        """The last lines of its driver; else the reason why there are none."""
        try:
            said = self.logs() or self.state().message or ""
        except TargetError as error:
            return f"(its log cannot be read: {error})"
        lines = [line for line in hide_url_secrets(said).splitlines() if line.strip()]
        return "\n".join(lines[-_LAST_LINES:]) or "(none)"

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
        if not self.state().ended:
            raise TargetError(f"{self._dashboard.url} still runs the job {self.id}.")

    def _check_supervisor_ended(self) -> None:
        actors = self._page(f"{_SUPERVISORS_PATH}{self.id}", _Actors).data.result.result
        if any(actor.state != "DEAD" for actor in actors):
            raise TargetError(f"{self._dashboard.url} still has the supervisor of {self.id}.")
