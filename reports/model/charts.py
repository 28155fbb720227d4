"""Chart series of the terminal and of pages, in seconds since the plan's start."""

from typing import Literal

import msgspec

from reports.model.controller import ControllerPoint
from reports.model.report import Report
from reports.model.tune import TuneReport

BarState = Literal["allocate", "initialize", "mark_running", "RUNNING", "STOPPING"]


class LoadBins(msgspec.Struct, frozen=True):
    """The load in bins of `bin_s` from each of `from_s`.

    Requests per second: `offered` and `failed` (never sent ones among them) by intended start,
    `completed` by the moment of the answer. Latency by intended start, None if none was sent.
    """

    bin_s: float
    from_s: tuple[float, ...]
    offered_rps: tuple[float, ...]
    completed_rps: tuple[float, ...]
    failed_rps: tuple[float, ...]
    latency_p50_ms: tuple[float | None, ...]
    latency_p95_ms: tuple[float | None, ...]
    latency_p99_ms: tuple[float | None, ...]
    latency_max_ms: tuple[float | None, ...]


class ReplicaCurve(msgspec.Struct, frozen=True):
    """Replicas by state, and the target, from each of `times_s` until the next.

    `starting` are all on their way up or being updated, `stopping` all on their way out.
    """

    times_s: tuple[float, ...]
    starting: tuple[int, ...]
    running: tuple[int, ...]
    stopping: tuple[int, ...]
    target: tuple[int | None, ...]


class Stretch(msgspec.Struct, frozen=True):
    """One state of a replica."""

    state: BarState
    from_s: float
    to_s: float


class ReplicaBar(msgspec.Struct, frozen=True):
    """The life of a replica; `critical_in` are the steps whose critical replica it was.

    `log_file` is its log on its node, below Ray's log directory; None if it is not known.
    """

    replica: str
    node: str | None
    stretches: tuple[Stretch, ...]
    critical_in: tuple[int, ...] = ()
    log_file: str | None = None


class DecisionMark(msgspec.Struct, frozen=True):
    """The autoscaler changed its target, between `lo_s` and `hi_s`."""

    at_s: float
    lo_s: float
    hi_s: float
    before: int
    after: int


class DeploymentCharts(msgspec.Struct, frozen=True):
    """The charts of one deployment."""

    curve: ReplicaCurve
    bars: tuple[ReplicaBar, ...]
    decisions: tuple[DecisionMark, ...]


class Band(msgspec.Struct, frozen=True):
    """A stretch of time in which charts are shaded, and the reason.

    It concerns one `deployment`, or all of them if that is None.
    """

    from_s: float
    to_s: float
    what: str
    deployment: str | None = None


class Charts(msgspec.Struct, frozen=True):
    """Chart series of one run.

    `deployments` are those that scale, without the last `undrawn` of them. `thinned` says in
    sentences what was left out.
    """

    end_s: float
    load: LoadBins
    deployments: dict[str, DeploymentCharts]
    undrawn: int = 0
    unseen: tuple[Band, ...] = ()
    restarts: tuple[Band, ...] = ()
    changes: tuple[Band, ...] = ()
    thinned: tuple[str, ...] = ()
    saturated: tuple[Band, ...] = ()
    controller: tuple[ControllerPoint, ...] = ()

    def changes_of(self, deployment: str) -> tuple[Band, ...]:
        """Changes that concern a deployment: its own, and those of none alone."""
        return tuple(band for band in self.changes if band.deployment in (None, deployment))


class RunOrigin(msgspec.Struct, frozen=True):
    """Facts of the record about how the run was made, beyond its report.

    `command` makes the run again; secrets are not part of it. None is not recorded.
    """

    command: str | None = None
    path: str | None = None
    method: str | None = None
    locustfile: str | None = None
    user_classes: tuple[str, ...] = ()


class Analysis(msgspec.Struct, frozen=True):
    """An analysed run: everything that renderers are given; `tune` if a search was made for it."""

    report: Report
    charts: Charts
    origin: RunOrigin = RunOrigin()
    tune: TuneReport | None = None
