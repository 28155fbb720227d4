"""Turns two successive answers into rows: each change, and the two moments between which it lies."""

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise

from probes.config_watch import ConfigWatch
from probes.serve_state import ControllerPayload, DeploymentPayload, ServePayload
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.rows import (
    BUILD_FAILED,
    OF_APPLICATION,
    UPDATE_STARTED,
    ControllerRestart,
    DeploymentKey,
    DeploymentPoll,
    Poll,
    ProxyChange,
    Row,
    StatusChange,
    Transition,
)
from scalelag.record.secrets import hide_url_secrets

_Seen = tuple[str, str | None]
_Status = tuple[str, str | None, str]
_Within = tuple[float | None, float]


class ReplicaTracker:
    """Compares each answer with the one before.

    `watched` names the deployments to track; None tracks every one. All of the applications `apps` are
    tracked too, once they are there.
    """

    def __init__(
        self,
        watched: frozenset[DeploymentKey] | None = None,
        apps: frozenset[str] = frozenset(),
    ) -> None:
        self._watched = watched
        self._apps = apps
        self._configs = ConfigWatch(watched)
        self._last_sent_s: float | None = None
        # Of deployments that are hidden: when the last poll was sent that showed them.
        self._shown_s: dict[DeploymentKey, float | None] = {}
        self._replicas: dict[DeploymentKey, dict[str, _Seen]] = {}
        # Of the last answer: a deployment that is the same object as there brings nothing new.
        self._latest: dict[DeploymentKey, tuple[DeploymentPayload, DeploymentPoll]] = {}
        self._statuses: dict[DeploymentKey, _Status] = {}
        self._controller_start_s: float | None = None
        self._controller: tuple[str | None, ...] = (None, None)
        self._proxies: dict[str, str] = {}

    @property
    def deployed(self) -> dict[DeploymentKey, DeploymentInfo]:
        """Settings in effect of the deployments that were seen, as they were seen last."""
        return self._configs.latest

    def begin(self, payload: ServePayload, sent_s: float) -> None:
        """Note what was deployed by an answer before the first poll: the run's record describes it."""
        self._configs.rows(payload, sent_s, sent_s)
        there = payload.deployments()
        self._replicas = {key: {} for key in self._watched or there if key in there}

    def resume(self, rows: Sequence[Row]) -> None:
        """Go on after `rows`, which the tracker of another process has made since `begin`."""
        polls = [row for row in rows if isinstance(row, Poll)]
        if not polls:
            return
        # Of the last poll perhaps not all rows were written: what is missing lies after the one before.
        self._last_sent_s = polls[-2:][0].sent_s
        for old, new in pairwise(polls[:-1]):
            self._note_hidden(new.hidden, old.sent_s)
        if self._watched is not None:
            # Applications that came with an event are watched since they were there.
            self._watched |= {key for poll in polls for key in poll.deployments}
            self._configs.watch(self._watched)
        self._configs.resume(rows, self._last_sent_s)
        for row in rows:
            if isinstance(row, Transition):
                self._recall(row)
            elif isinstance(row, StatusChange):
                self._statuses[row.deployment] = (row.status, row.trigger, row.message)
            elif isinstance(row, ProxyChange):
                self._recall_proxy(row)
        starts = [poll.controller.start_time_s for poll in polls if poll.controller]
        self._controller_start_s = next((one for one in reversed(starts) if one), None)
        latest = polls[-1]
        self._replicas |= {key: {} for key in latest.deployments.keys() - self._replicas.keys()}
        for key in self._replicas.keys() - latest.deployments.keys() - set(latest.hidden):
            del self._replicas[key]
            self._statuses.pop(key, None)

    def _recall(self, row: Transition) -> None:
        replicas = self._replicas.setdefault(row.deployment, {})
        if row.to_state is None:
            replicas.pop(row.replica, None)
        else:
            replicas[row.replica] = (row.to_state, row.node)

    def _recall_proxy(self, row: ProxyChange) -> None:
        if row.to_state is None:
            self._proxies.pop(row.node, None)
        else:
            self._proxies[row.node] = row.to_state

    def rows(self, payload: ServePayload, sent_s: float, received_s: float) -> list[Row]:
        """Rows for one answer: first the poll itself, then the changes since the one before."""
        self._adopt(payload)
        deployments = {
            key: deployment
            for key, deployment in payload.deployments().items()
            if self._watched is None or key in self._watched
        }
        hidden = self._hidden(payload)
        poll = Poll(
            sent_s=sent_s,
            received_s=received_s,
            http_status=200,
            deployments={key: self._summary(key, one) for key, one in deployments.items()},
            controller=payload.controller(),
            hidden=tuple(sorted(hidden)),
        )
        since_s = self._shown_s
        self._note_hidden(hidden, self._last_sent_s)
        rows: list[Row] = [poll]
        rows += self._restart(poll, payload.controller_info)
        rows += self._proxy_changes(payload, received_s)
        rows += self._configs.rows(payload, sent_s, received_s)
        for key, deployment in deployments.items():
            within = (since_s.get(key, self._last_sent_s), received_s)
            rows += self._status_change(key, deployment, within)
            if not self._is_as_before(key, deployment):
                rows += self._transitions(key, deployment, within)
        for key in sorted(hidden):
            rows += self._of_application(key, payload, (self._last_sent_s, received_s))
        for key in self._replicas.keys() - deployments.keys() - hidden:
            within = (since_s.get(key, self._last_sent_s), received_s)
            rows += self._transitions(key, DeploymentPayload(), within)
            del self._replicas[key]
            self._statuses.pop(key, None)
        self._latest = {key: (one, poll.deployments[key]) for key, one in deployments.items()}
        self._last_sent_s = sent_s
        return rows

    def _is_as_before(self, key: DeploymentKey, deployment: DeploymentPayload) -> bool:
        """Return True for the object of the answer before: `PayloadParser` saw the same text."""
        return key in self._latest and self._latest[key][0] is deployment

    def _summary(self, key: DeploymentKey, deployment: DeploymentPayload) -> DeploymentPoll:
        if self._is_as_before(key, deployment):
            return self._latest[key][1]
        return DeploymentPoll(
            counts=dict(Counter(replica.state for replica in deployment.replicas)),
            target=deployment.target_num_replicas,
            status=deployment.status,
        )

    def _adopt(self, payload: ServePayload) -> None:
        """Watch the deployments of applications that came, if they are among those asked for."""
        if self._watched is None or not self._apps:
            return
        found = {key for key in payload.deployments() if payload.application_of(key) in self._apps}
        if found - self._watched:
            self._watched |= found
            self._configs.watch(self._watched)

    def _hidden(self, payload: ServePayload) -> frozenset[DeploymentKey]:
        """Deployments that were there, and are hidden while Serve builds their application again."""
        rebuilt = payload.rebuilt
        return frozenset(key for key in self._replicas if payload.application_of(key) in rebuilt)

    def _note_hidden(self, hidden: Collection[DeploymentKey], last_s: float | None) -> None:
        """Keep, of those that a poll hides, when the last one was sent that showed them."""
        self._shown_s = {key: self._shown_s.get(key, last_s) for key in hidden}

    def _restart(self, poll: Poll, info: ControllerPayload | None) -> list[Row]:
        """A row if the controller is another one: by its start, or where Ray tells none, its worker."""
        new_s = poll.controller.start_time_s if poll.controller else None
        seen = (info.worker_id, info.log_file_path) if info else (None, None)
        old_s, pairs = self._controller_start_s, list(zip(self._controller, seen, strict=True))
        self._controller_start_s = new_s or old_s
        self._controller = tuple(new or old for old, new in pairs)
        if new_s is not None and old_s is not None:
            is_another = old_s != new_s
        else:
            is_another = any(None not in (old, new) and old != new for old, new in pairs)
        if not is_another or self._last_sent_s is None:
            return []
        return [ControllerRestart(self._last_sent_s, poll.received_s, old_s, new_s)]

    def _proxy_changes(self, payload: ServePayload, received_s: float) -> list[Row]:
        old = self._proxies
        self._proxies = {node: proxy.status or "" for node, proxy in payload.proxies.items()}
        return [
            ProxyChange(node, received_s, self._last_sent_s, old.get(node), self._proxies.get(node))
            for node in sorted(old.keys() | self._proxies.keys())
            if old.get(node) != self._proxies.get(node)
        ]

    def _status_change(
        self, key: DeploymentKey, deployment: DeploymentPayload, within: _Within
    ) -> list[Row]:
        """A row if the status changed since a poll; what an update begins with came after hiding."""
        status = (deployment.status or "", deployment.status_trigger, deployment.message)
        if status[1] == UPDATE_STARTED:
            within = (self._last_sent_s, within[1])
        return self._status_row(key, status, within)

    def _of_application(
        self, key: DeploymentKey, payload: ServePayload, within: _Within
    ) -> list[Row]:
        """A row if the new version of a hidden deployment cannot be built, and if it is built again."""
        app = payload.applications[payload.application_of(key)]
        before = self._statuses.get(key)
        if app.status != BUILD_FAILED and not (before and before[1] == OF_APPLICATION):
            return []
        return self._status_row(key, (app.status or "", OF_APPLICATION, app.message), within)

    def _status_row(self, key: DeploymentKey, status: _Status, within: _Within) -> list[Row]:
        if self._statuses.get(key) == status:
            return []
        message = hide_url_secrets(status[2])  # a traceback, perhaps of a lost connection
        before, self._statuses[key] = self._statuses.get(key), status
        if before == (*status[:2], message):
            return []  # from the record
        return [StatusChange(key, within[1], status[0], within[0], status[1], message)]

    def _transitions(
        self, key: DeploymentKey, deployment: DeploymentPayload, within: _Within
    ) -> list[Row]:
        before = self._replicas.get(key, {})
        now: dict[str, _Seen] = {}
        rows: list[Row] = []
        for replica in deployment.replicas:
            seen = (replica.state, replica.node_id)
            now[replica.replica_id] = seen
            old = before.get(replica.replica_id)
            if old == seen:
                continue
            rows.append(
                Transition(
                    deployment=key,
                    replica=replica.replica_id,
                    lo_s=within[0],
                    hi_s=within[1],
                    from_state=old[0] if old else None,
                    to_state=replica.state,
                    node=replica.node_id,
                    start_time_s=replica.start_time_s,
                    log_file=replica.log_file_path,
                )
            )
        rows += [
            Transition(
                deployment=key,
                replica=replica_id,
                lo_s=within[0],
                hi_s=within[1],
                from_state=state,
                node=node,
            )
            for replica_id, (state, node) in before.items()
            if replica_id not in now
        ]
        self._replicas[key] = now
        return rows
