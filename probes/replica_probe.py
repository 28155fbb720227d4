"""The probe: one GET at a time, paced to a budget. Changes become rows, and silence becomes gaps."""

import threading
from collections.abc import Callable, Sequence

import msgspec

from probes.dashboard import APPLICATIONS_PATH, VERSION_PATH, Dashboard, DashboardError, Reply
from probes.pacing import Pacing
from probes.serve_state import PayloadParser
from probes.tracker import ReplicaTracker
from scalelag.errors import TargetError
from scalelag.record.clock import ClockOffset, clock_offset
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.rows import DeploymentKey, Gap, Poll, Row


class ProbeState(msgspec.Struct, frozen=True):
    """The probe at one moment: the last poll, why it sees nothing now, and its cost so far.

    `deployed` are the settings in effect of the deployments that were seen, as they were seen last.
    """

    started_s: float
    baseline_s: float = 0.0
    latest: Poll | None = None
    blind_reason: str | None = None
    polls: int = 0
    gaps: int = 0
    offset: ClockOffset | None = None
    interval_s: float = 0.0
    busy_s: float = 0.0
    cost_s: float = 0.0
    deployed: dict[DeploymentKey, DeploymentInfo] = {}


class ReplicaProbe:
    """Polls the Serve controller through `dashboard` and passes rows to `sink`."""

    def __init__(
        self,
        dashboard: Dashboard,
        sink: Callable[[Sequence[Row]], None],
        now: Callable[[], float],
        tracker: ReplicaTracker,
        pacing: Pacing,
    ) -> None:
        self._dashboard = dashboard
        self._sink = sink
        self._now = now
        self._tracker = tracker
        self._parser = PayloadParser()
        self.pacing = pacing
        self._stop = threading.Event()
        self._gap: Gap | None = None
        self._last_good_s = now()
        self.started_s = self._last_good_s
        self.offset: ClockOffset | None = None
        self.latest: Poll | None = None
        self.polls = 0
        self.gaps = 0

    def resume(self, rows: Sequence[Row], before: ProbeState, reason: str) -> None:
        """Go on for the probe of a process that ended for `reason`, and wrote `rows`.

        Until the next good poll nothing is seen: that is a gap.
        """
        self._tracker.resume(rows)
        self.started_s = self._last_good_s = before.started_s
        self.pacing.busy_s = before.busy_s
        for row in rows:
            if isinstance(row, Poll):
                self.polls += 1
                self._last_good_s = row.sent_s
                self._note_offset(row)
            elif isinstance(row, Gap):
                self.gaps += 1
                self._last_good_s = max(self._last_good_s, row.to_s)
        self._gap = Gap(self._last_good_s, max(self._now(), self._last_good_s), reason, polls=0)

    @property
    def state(self) -> ProbeState:
        """State now."""
        return ProbeState(
            started_s=self.started_s,
            baseline_s=self.pacing.baseline_s,
            latest=self.latest,
            blind_reason=self.blind_reason,
            polls=self.polls,
            gaps=self.gaps,
            offset=self.offset,
            interval_s=self.pacing.interval_s,
            busy_s=self.pacing.busy_s,
            cost_s=self.pacing.cost_s,
            deployed=self._tracker.deployed,
        )

    def run(self) -> None:
        """Poll until `stop()`, and once more after it, so that the end is seen."""
        while not self._stop.is_set():
            started_s = self._now()
            self.poll_once()
            self._stop.wait(max(0.0, started_s + self.pacing.interval_s - self._now()))
        self.poll_once()
        self._close_gap()

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stop.set()

    @property
    def blind_reason(self) -> str | None:
        """Reason why the probe sees nothing at the moment; None while it does."""
        return self._gap.reason if self._gap else None

    def poll_once(self) -> None:
        """Poll once: write rows for what changed, or extend the gap."""
        asked_s = self._now()
        try:
            reply = self._dashboard.get(APPLICATIONS_PATH)
            payload = self._parser.parse(reply.body)
        except DashboardError as error:
            self._failed(asked_s, error.reason)
            return
        except TargetError:
            self._failed(asked_s, "an answer that makes no sense")
            return
        self._close_gap()
        rows = self._tracker.rows(payload, reply.sent_s, reply.received_s)
        self._note(reply, rows)
        self._sink(rows)

    def _note(self, reply: Reply, rows: Sequence[Row]) -> None:
        self.polls += 1
        self._last_good_s = reply.sent_s
        self.pacing.answered(reply.received_s - reply.sent_s)
        poll = rows[0]
        if not isinstance(poll, Poll):
            raise TypeError("the tracker puts the poll first")
        self.latest = poll
        self._note_offset(poll)

    def _note_offset(self, poll: Poll) -> None:
        if poll.controller and poll.controller.timestamp_s is not None:
            offset = clock_offset(poll.sent_s, poll.received_s, poll.controller.timestamp_s)
            if self.offset is None or offset.error_s < self.offset.error_s:
                self.offset = offset

    def _failed(self, asked_s: float, reason: str) -> None:
        self.pacing.failed()
        if self._gap is not None and self._gap.reason != reason:
            self._close_gap()
        begun_s = self._gap.from_s if self._gap else max(self._last_good_s, self.started_s)
        polls = self._gap.polls + 1 if self._gap else 1
        self._gap = Gap(from_s=begun_s, to_s=max(self._now(), asked_s), reason=reason, polls=polls)

    def _close_gap(self) -> None:
        """Write the open gap, if there is one; it ends now, when it is known to be over."""
        if self._gap is None:
            return
        gap = Gap(self._gap.from_s, self._now(), self._gap.reason, self._gap.polls)
        self._gap, self._last_good_s = None, gap.to_s
        self.gaps += 1
        self._sink([gap])


def measure_baseline(dashboard: Dashboard, tries: int = 5) -> float:
    """Fastest round trip, in seconds, of a page that the dashboard answers without the controller.

    0 if it does not answer: then a poll's whole round trip counts as the controller's time.
    """
    try:
        replies = [dashboard.get(VERSION_PATH) for _ in range(tries)]
    except DashboardError:
        return 0.0
    return min(reply.received_s - reply.sent_s for reply in replies)
