"""Ray's job API as tests play it."""

import msgspec

from probes.dashboard import DashboardError, Reply
from scalelag.cluster.preflight import Patience


class Ray:
    """A dashboard with Ray's job API, and a clock that only sleeping moves.

    A job that is told to stop has stopped `stops_after_s` later, and its supervisor has ended half a
    second after that. One that is deleted comes back once, `back_after_s` later, if that is given.
    """

    url = "http://dashboard"

    def __init__(self, *, stops_after_s=0.0, back_after_s=None, version=None, logs="") -> None:
        self.asked: list[str] = []
        self.submitted: dict[str, object] = {}
        self.status: str | None = None
        self.now_s = 0.0
        self.version = {"ray_version": "2.60.0", **(version or {})}
        self.logs = logs
        self._stops_after_s, self._back_after_s = stops_after_s, back_after_s
        self._due: list[tuple[float, str]] = []
        self._supervised_until_s = 0.0

    @property
    def patience(self) -> Patience:
        return Patience(5.0, lambda: self.now_s, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now_s += seconds
        for due in [one for one in self._due if one[0] <= self.now_s]:
            self._due.remove(due)
            self.status = due[1]

    def get(self, path: str) -> Reply:
        if path == "/api/version":
            return self._reply(self.version)
        if path.startswith("/api/v0/actors"):
            name = f"filter_values=_ray_internal_job_actor_{self.submitted['submission_id']}"
            assert path.endswith(name)
            state = "ALIVE" if self.now_s < self._supervised_until_s else "DEAD"
            return self._reply({"data": {"result": {"result": [{"state": state}]}}})
        if self.status is None:
            raise DashboardError(f"{path} answered 404", "HTTP 404", 404)
        if path.endswith("/logs"):
            return self._reply({"logs": self.logs})
        return self._reply({"status": self.status, "message": "as it is"})

    def post(self, path: str, body: dict[str, object]) -> Reply:
        self.asked.append(f"POST {path}")
        if path.endswith("/stop"):
            self._due.append((self.now_s + self._stops_after_s, "STOPPED"))
            self._supervised_until_s = self.now_s + self._stops_after_s + 0.5
            self._sleep(0)
        else:
            self.submitted, self.status = body, "RUNNING"
        return self._reply({})

    def delete(self, path: str) -> Reply:
        self.asked.append(f"DELETE {path}")
        assert self.status not in (None, "RUNNING"), "Ray deletes no job that runs"
        assert self.now_s >= self._supervised_until_s, "it would come back at some time"
        self.status = None
        if self._back_after_s is not None:
            self._due.append((self.now_s + self._back_after_s, "FAILED"))
            self._back_after_s = None
        return self._reply({})

    def _reply(self, answer: object) -> Reply:
        return Reply(msgspec.json.encode(answer), 1.0, 1.1)
