"""A kill as a Ray job: HTTP has no call that ends a process of Serve."""

from pathlib import Path

import msgspec

from probes.dashboard import Dashboard
from scalelag.cluster.preflight import Patience
from scalelag.cluster.ray_job.job import AT_THE_END, JOBS_PATH, RayJob
from scalelag.errors import TargetError
from scalelag.plan.events import PlannedEvent

_SCRIPT = Path(__file__).with_name("kill_main.py")


class KillResult(msgspec.Struct, frozen=True):
    """Facts that the job has told so far. Times are the cluster's; `lost` are ids of replicas."""

    ready: float | None = None
    begun: float | None = None
    ended: float | None = None
    lost: tuple[str, ...] = ()
    node: str | None = None
    problem: str | None = None

    @property
    def over(self) -> bool:
        """Return whether nothing more will come."""
        return self.ended is not None or self.problem is not None


def check_jobs(dashboard: Dashboard) -> None:
    """Raise TargetError if the dashboard takes no jobs."""
    try:
        dashboard.get(JOBS_PATH)
    except TargetError as error:
        raise TargetError(
            f"--event kills by a Ray job, and the dashboard takes none: {error}", retry=error.retry
        ) from error


class KillJob:
    """A job that carries out `event`, whose deployment is `name` of application `app`."""

    def __init__(
        self,
        dashboard: Dashboard,
        event: PlannedEvent,
        app: str | None,
        name: str | None,
        patience: Patience = AT_THE_END,
    ) -> None:
        self._event = event
        self._app = app
        self._name = name
        self._job = RayJob(dashboard, "event", patience)

    def submit(self, at_s: float) -> None:
        """Have it done at `at_s` of the cluster's clock. Raises TargetError if the job is refused."""
        order = {
            "kind": self._event.kind,
            "deployment": self._event.name,
            "app": self._app,
            "name": self._name,
            "count": self._event.count,
            "at": at_s,
            "session": self._job.session_name(),
        }
        text = _SCRIPT.read_text(encoding="utf-8")
        self._job.submit(["python", "-c", text, msgspec.json.encode(order).decode()], {})

    def told(self) -> KillResult:
        """Return what it has told. Raises TargetError if the dashboard does not answer."""
        facts: dict[str, object] = {}
        for line in self._job.logs().splitlines():
            if line.startswith("{"):
                facts |= msgspec.json.decode(line)
        found = msgspec.convert(facts, KillResult)
        if not found.over and self._job.state().ended:
            problem = f"its job ended before its time: {self._job.last_lines()}"
            return msgspec.structs.replace(found, problem=problem)
        return found

    def end(self) -> None:
        """Stop the job, and remove it from the cluster. Raises TargetError if that fails."""
        self._job.end()
