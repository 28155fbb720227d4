"""Steps, their phases, and how a deployment answered them."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from reports.model.causes import Cause, Evidence, Finding
from reports.model.controller import OverTarget
from reports.model.elasticity import ElasticityReport, FlappingReport, ResponseReport
from reports.model.intervals import Span, Stat
from reports.model.load import StoppingReport
from reports.model.seen import SeenReport
from scalelag.plan.stages import Direction, Unit
from scalelag.wording import count


class FloorReport(msgspec.Struct, frozen=True):
    """Lag that the configuration makes unavoidable, in parts that add up to the floor, in seconds.

    `replica_s` is the fastest start-up seen in the run on the way up (`replica` with its bounds), as
    often as `starts` have to follow one another, and the shortest drain on the way down. `worst_s` is
    the longest that it can take without any fault. `push_s` and `average_s` are the settings behind
    `detect_s` (metrics_interval_s, look_back_period_s) that were in force; None if the demand is not
    known from them. `backlog_s` is how long requests from before a step down still asked for all
    replicas.
    """

    detect_s: float
    delay_s: float
    loop_s: float
    replica_s: float
    worst_s: float
    push_s: float | None = None
    average_s: float | None = None
    backlog_s: float = 0.0
    replica: Span | None = None
    starts: int = 1

    def replica_words(self, direction: Direction) -> str:
        """Words on what `replica_s` is, on the way up or down."""
        if direction != "up":
            return "the shortest drain"
        if self.starts == 1:
            return "the fastest start-up"
        return f"{count(self.starts, 'start-up')}, one after another"

    @property
    def least_s(self) -> float:
        """Lower bound of the floor."""
        return self.total_s - self.replica_s + (self.replica.lo if self.replica else self.replica_s)

    @property
    def most_s(self) -> float:
        """Upper bound of the floor."""
        most_s = self.replica.upper if self.replica else self.replica_s
        return self.total_s - self.replica_s + most_s

    @property
    def total_s(self) -> float:
        """The floor."""
        return self.backlog_s + self.configured_s + self.replica_s

    @property
    def configured_s(self) -> float:
        """Part of it that the autoscaler's configuration causes."""
        return self.detect_s + self.delay_s + self.loop_s


class DelayReport(msgspec.Struct, frozen=True):
    """The delay as configured, and as it was: from when more, or fewer, replicas could be wanted.

    `loop_s` is what one turn of the controller's loop took (0.1 s if nothing slows it), None if
    it does not tell. `in_turns`: Ray counts the delay in such turns (before 2.55), so that what slows
    the loop stretches the delay.
    """

    configured_s: float
    effective_s: Span
    loop_s: float | None
    in_turns: bool = False


Source = Literal["log", "poll", "requests", "config"]


PhaseName = Literal[
    "decide",
    "detect",
    "delay",
    "create",
    "restart",
    "allocate",
    "initialize",
    "mark_running",
    "route",
    "stop",
    "drain",
]


NOT_OVER = "not over by the end of the hold"
"""Reason of the phase in which a hold ended, and of those after it."""


BLIND_S = 2.0
"""Seconds without a poll from which on the end of a hold counts as not seen."""


JOINED = "polling cannot tell it from initialize"
"""Reason of `mark_running` without the replica's log: `initialize` lasts until RUNNING then."""


PhasePart = Literal["total", "decide", "recovery"]


UP_PHASES: tuple[PhaseName, ...] = ("decide", "create", "allocate", "initialize")


DOWN_PHASES: tuple[PhaseName, ...] = ("decide", "stop", "drain")


class Phase(msgspec.Struct, frozen=True):
    """One part of a step's lag, in seconds.

    Phases that are `part_of` the total add up to it, with what is unattributed; `detect` and
    `delay` are what `decide` consists of, and `route` comes after the total. `restart` stands
    only if replicas failed to start: from the first of them to the one that replaced it.
    """

    name: PhaseName
    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    source: Source | None = None
    reason: str | None = None
    part_of: PhasePart = "total"

    @property
    def span(self) -> Span:
        """Its length, which was measured."""
        return Span(self.value, self.lo or 0.0, self.hi)


def measured_phase(phases: Sequence[Phase], name: PhaseName) -> Phase | None:
    """The phase of that name, None if it was not measured."""
    return next((p for p in phases if p.name == name and p.value is not None), None)


class MovementReport(msgspec.Struct, frozen=True, rename={"before": "from", "after": "to"}):
    """One further movement of the target within a hold (docs/metrics.md#movements).

    `at_s` counts from the plan's start, `decided` from the step to its first decision. `total_s` is
    from that decision until its level was reached, censored for `reason`. `index` counts all movements
    of the hold, the step's answer among them.
    """

    index: int
    at_s: float
    direction: Direction
    before: int
    after: int
    decided: Span
    total_s: Span | None = None
    reason: str | None = None


def bounded_phases(phases: Sequence[Phase], censored_s: Span | None) -> tuple[Phase, ...]:
    """`phases` of a total, with a lower bound for the one in which its hold ended if it is censored."""
    parts = [phase for phase in phases if phase.part_of == "total"]
    open_ = next((phase for phase in parts if phase.hi is None), None)
    if censored_s is None or open_ is None or open_.reason != NOT_OVER:
        return tuple(phases)
    before_s = sum(phase.hi or 0.0 for phase in parts[: parts.index(open_)])
    bounded = Phase(open_.name, lo=max(0.0, censored_s.lo - before_s), reason=open_.reason)
    return tuple(bounded if phase is open_ else phase for phase in phases)


def longest_phase(phases: Sequence[Phase], censored_s: Span | None) -> Phase | None:
    """The phase that took most of a total, over by its end or not; None if none is known."""
    bounded = bounded_phases(phases, censored_s)
    known = [phase for phase in bounded if phase.part_of == "total" and phase.lo is not None]
    return max(known, key=least_s, default=None)


def least_s(phase: Phase) -> float:
    """Seconds that a phase took, at least those if it was not over."""
    return (phase.lo if phase.value is None else phase.value) or 0.0


class StepReport(msgspec.Struct, frozen=True):
    """One load step as one deployment answered it. `at_s` counts from the plan's start.

    `cause` is None if nothing made it late, or if several `findings` fit; its
    evidence is repeated in `evidence`. `total_s` ends when the level of the first movement that
    answers the step is reached; `settled_s` when the last target of the hold is. `movements` are the
    further ones, `reversals` counts how often the target turned. `wanted_before` says that the
    decision came sooner than its delay allows: it was wanted before the step. `recovered_s` is
    that of all requests of the step: when latency was back in its band, None for
    `recovered_reason`, censored if it was not. `excess` is `total_s` beyond `floor_s`, as uncertain as
    that, and `excess_s` its value. `absent`: the deployment was deleted before the step,
    and was not back, so that nothing of it could follow.
    """

    index: int
    direction: Direction
    at_s: float
    hold_s: float
    from_level: float
    to_level: float
    unit: Unit
    replicas_before: int | None
    replicas_after: int | None
    target_before: int | None
    target_after: int | None
    total_s: Span | None = None
    censored: bool = False
    reason: str | None = None
    phases: tuple[Phase, ...] = ()
    unattributed_s: float | None = None
    critical_replica: str | None = None
    recovered_s: Span | None = None
    recovered_reason: str | None = None
    floor_s: float | None = None
    excess_s: float | None = None
    excess: Span | None = None
    floor: FloorReport | None = None
    floor_reason: str | None = None
    delay: DelayReport | None = None
    cause: Cause | None = None
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[Finding, ...] = ()
    response: ResponseReport = ResponseReport()
    wanted_before: bool = False
    settled_s: Span | None = None
    movements: tuple[MovementReport, ...] = ()
    reversals: int = 0
    absent: bool = False

    @property
    def bounded_phases(self) -> tuple[Phase, ...]:
        """Phases, with a lower bound for the one in which the hold of a censored step ended."""
        return bounded_phases(self.phases, self.total_s if self.censored else None)

    @property
    def lacks_excess(self) -> bool:
        """True if it was not answered, and its excess is not known; not of what was wanted before."""
        return self.censored and self.excess is None and not self.wanted_before

    @property
    def longest_phase(self) -> Phase | None:
        """The phase in which most of its lag went; None if none was measured."""
        return longest_phase(self.phases, self.total_s if self.censored else None)

    def phase(self, name: PhaseName) -> Phase | None:
        """The phase of that name, if it was measured."""
        return measured_phase(self.phases, name)


class ScaleUp(msgspec.Struct, frozen=True):
    """All measured scale-ups of a deployment, censored ones among them (their upper bound is open)."""

    steps: int = 0
    censored: int = 0
    total_s: Stat | None = None
    decide_s: Stat | None = None
    create_s: Stat | None = None
    allocate_s: Stat | None = None
    initialize_s: Stat | None = None
    mark_running_s: Stat | None = None
    route_s: Stat | None = None
    excess_s: Stat | None = None


class ScaleDown(msgspec.Struct, frozen=True):
    """All measured scale-downs of a deployment."""

    steps: int = 0
    censored: int = 0
    total_s: Stat | None = None
    decide_s: Stat | None = None
    stop_s: Stat | None = None
    drain_s: Stat | None = None
    excess_s: Stat | None = None


class Replicas(msgspec.Struct, frozen=True):
    """RUNNING replicas as polled; None if no poll was answered."""

    min: int | None = None
    max: int | None = None
    final: int | None = None


class DeploymentReport(msgspec.Struct, frozen=True):
    """One deployment. `autoscaling` is its configuration as deployed, None if it does not scale.

    `around` is what else is in effect, in words: target_capacity, a policy of its application.
    `requests_from` tells whose open requests demand, floor and `bounds` are computed of: the client's
    own, or those that Serve's gauges show (`seen`); None if neither is known. `target_reversals` is how
    often the target turned within holds: it may thrash while replicas are STARTING, and RUNNING not.
    """

    autoscaling: dict[str, Any] | None
    steps: tuple[StepReport, ...]
    scale_up: ScaleUp
    scale_down: ScaleDown
    replicas: Replicas
    elasticity: ElasticityReport = ElasticityReport()
    flapping: FlappingReport = FlappingReport()
    stopping: StoppingReport = StoppingReport()
    around: tuple[str, ...] = ()
    requests_from: Literal["client", "seen"] | None = None
    seen: SeenReport = SeenReport()
    target_reversals: int = 0
    running_over_target: OverTarget = OverTarget()

    def lacks_excess(self, direction: str | None, warmup_s: float) -> bool:
        """Return whether a step in that direction, after the warm-up, lacks its excess."""
        counted = (one for one in self.steps if one.at_s >= warmup_s)
        return any(one.lacks_excess for one in counted if one.direction == direction)
