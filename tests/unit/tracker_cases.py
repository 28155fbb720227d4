"""A tracker that is shown deployments, poll by poll, and the rows that it makes."""

import msgspec

from probes.serve_state import PayloadParser
from probes.tracker import ReplicaTracker
from scalelag.record.rows import (
    ControllerRestart,
    Row,
    StatusChange,
    Transition,
)

KEY = "app/Model"


def replica(replica_id: str, state: str, **more: object) -> dict[str, object]:
    return {"replica_id": replica_id, "state": state, **more}


def deployment(*replicas: dict[str, object], **more: object) -> dict[str, object]:
    return {"status": "HEALTHY", "replicas": list(replicas), **more}


class Watcher:
    """A tracker that is fed one poll a second, each of them 0.25 s long, beginning at 1 s."""

    def __init__(self, watched: frozenset[str] | None = None) -> None:
        self.tracker = ReplicaTracker(watched)
        self.parser = PayloadParser()
        self.sent_s = 0.0

    def see(self, controller_start: float | None = None, **deployments: object) -> list[Row]:
        """Rows of the next poll, which shows `deployments` of application "app"."""
        body: dict[str, object] = {"applications": {"app": {"deployments": deployments}}}
        if controller_start is not None:
            body["controller_health_metrics"] = {"controller_start_time": controller_start}
        return self.see_body(body)

    def see_body(self, body: dict[str, object]) -> list[Row]:
        self.sent_s += 1.0
        payload = self.parser.parse(msgspec.json.encode(body))
        return self.tracker.rows(payload, self.sent_s, self.sent_s + 0.25)


def changes(rows: list[Row]) -> list[Transition]:
    return [row for row in rows if isinstance(row, Transition)]


def statuses(rows: list[Row]) -> list[StatusChange]:
    return [row for row in rows if isinstance(row, StatusChange)]


def restarts(rows: list[Row]) -> list[ControllerRestart]:
    return [row for row in rows if isinstance(row, ControllerRestart)]


# --- the controller --------------------------------------------------------------------------


def controller(worker: str | None, log: str | None = None) -> dict[str, object]:
    """Serve's state as Ray before 2.56 tells it: nothing of the controller's start."""
    told = {"node_id": "n1", "worker_id": worker, "log_file_path": log}
    return {"applications": {}, "controller_info": {k: v for k, v in told.items() if v}}


# --- an application that is built anew ---------------------------------------------------------


def application(status: str, **deployments: object) -> dict[str, object]:
    return {"applications": {"app": {"status": status, "deployments": deployments}}}
