"""Events of a run, and how they ended (docs/events.md)."""

import msgspec

from reports.model.intervals import Span, Stat
from reports.model.steps import Phase
from scalelag.plan.events import EventKind


class StartsReport(msgspec.Struct, frozen=True):
    """Replicas that came RUNNING after an event: each phase of each of them, and how fast they came.

    `replicas_per_s` is their number over the time from the event to the last of them.
    """

    replicas: int
    replicas_per_s: float | None = None
    create_s: Stat | None = None
    allocate_s: Stat | None = None
    initialize_s: Stat | None = None
    mark_running_s: Stat | None = None
    route_s: Stat | None = None
    total_s: Stat | None = None


class EventEffect(msgspec.Struct, frozen=True):
    """An event as one deployment answered it; durations from the event on, in seconds.

    `detect_s` ends when Serve's state or log first shows it. `healed_s` ends when RUNNING is at the
    target with none of the `lost` replicas in it; for a deletion when the last replica is gone.
    `updated_s` ends when every RUNNING replica is of the new version. Both are censored where that was
    not seen. `phases` are those of the `critical_replica`, the last that came.
    """

    detect_s: Span | None = None
    healed_s: Span | None = None
    updated_s: Span | None = None
    censored: bool = False
    reason: str | None = None
    target: int | None = None
    lost: tuple[str, ...] = ()
    critical_replica: str | None = None
    phases: tuple[Phase, ...] = ()
    least_running: int | None = None
    most_running: int | None = None
    starts: StartsReport | None = None

    @property
    def end_s(self) -> Span | None:
        """Duration until it was over, whichever is measured."""
        return self.updated_s or self.healed_s


class EventReport(msgspec.Struct, frozen=True):
    """An event that was begun. `at_s` and `ended_s` count from the plan's start.

    `detect_s` is that of the first deployment, `healed_s` and `updated_s` those of the last; `phases`
    are the last one's. `failed` of the `open_requests` between the event and its end failed; the
    slowest of them took `slowest_ms`. `error` says why it was not done, `note` what was not as asked
    for, `reason` why a figure is null or censored. It was not over when, `taken_over_s` after it,
    something else took over all its deployments.
    """

    index: int
    at_s: float
    kind: EventKind
    what: str
    ended_s: float | None = None
    detect_s: Span | None = None
    phases: tuple[Phase, ...] = ()
    healed_s: Span | None = None
    updated_s: Span | None = None
    censored: bool = False
    taken_over_s: float | None = None
    failed: int = 0
    open_requests: int = 0
    slowest_ms: float | None = None
    recovered_s: Span | None = None
    recovered_reason: str | None = None
    deployments: dict[str, EventEffect] = {}
    error: str | None = None
    note: str | None = None
    reason: str | None = None

    @property
    def end_s(self) -> Span | None:
        """Duration until it was over, whichever is measured."""
        return self.updated_s or self.healed_s
