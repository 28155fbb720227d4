"""Lag of each load step while the run goes on: from polling alone, as far as it is known yet."""

from collections.abc import Sequence
from math import inf

import msgspec

from reports.analysis.lag.step_lag import step_lag
from reports.analysis.lag.timeline import build_timeline
from scalelag.plan.stages import LoadPlan, LoadStep
from scalelag.plugin.web.series import Numbers
from scalelag.record.rows import DeploymentKey, Gap, Poll, Row, Transition

MOST_LAGS = 2000
_MOST_ROWS = 5000
_TOO_MANY = "too many changes to follow live: the report has it"
_UNCHANGED = "its replicas stayed as they were"


class LiveLag(msgspec.Struct, frozen=True, rename="camel"):
    """A step's lag for one deployment as far as it is known; `over` once it can change no more.

    Until then there is no figure before the replicas have followed, and no reason why.
    """

    step: int
    deployment: int
    value_s: float | None = None
    lo_s: float | None = None
    hi_s: float | None = None
    reason: str | None = None
    over: bool = False


class _Changes:
    """Changes of one deployment since the step under way began: the polls around each of them."""

    def __init__(self) -> None:
        self.polls: list[Poll] = []
        self.transitions: list[Transition] = []
        self.changed = True


class LiveLags:
    """Follows every deployment through the steps of a plan."""

    def __init__(
        self, numbers: Numbers, plan: LoadPlan, zero_s: float, keys: tuple[DeploymentKey, ...]
    ) -> None:
        self._numbers = numbers
        self.revise(plan)
        self._zero_s = zero_s
        self._keys = keys
        self._next = 0
        self._followed = {key: _Changes() for key in keys}
        self._latest: Poll | None = None
        self._gaps: list[tuple[float, float]] = []
        self._lags: dict[tuple[int, int], tuple[int, LiveLag]] = {}

    def revise(self, plan: LoadPlan) -> None:
        """Follow the plan as it is now: a stage of it ends earlier."""
        self._plan = plan
        self._steps = [step for step in plan.steps(plan.duration_s) if step.direction != "none"]

    def add(self, rows: Sequence[Row]) -> None:
        """Take the rows of one poll."""
        self._gaps += [
            (row.from_s - self._zero_s, row.to_s - self._zero_s)
            for row in rows
            if isinstance(row, Gap)
        ]
        for row in rows:
            if isinstance(row, Poll):
                self._take_poll(row)
            elif isinstance(row, Transition) and row.deployment in self._followed:
                followed = self._followed[row.deployment]
                followed.transitions.append(row)
                followed.changed = True
        self._measure()

    def _take_poll(self, poll: Poll) -> None:
        at_s = poll.received_s - self._zero_s
        while self._has_next and self._steps[self._next].at_s < at_s:
            self._begin_step()
        for key, followed in self._followed.items():
            last = followed.polls[-1] if followed.polls else None
            if last is not None and last.deployments.get(key) == poll.deployments.get(key):
                continue
            # The poll before a change bounds it.
            if self._latest is not None and self._latest is not last:
                followed.polls.append(self._latest)
            followed.polls.append(poll)
            followed.changed = True
        self._latest = poll

    def _begin_step(self) -> None:
        """Close the step before, and forget what only it needed."""
        self._measure(over=True)
        self._next += 1
        begins_s = self._steps[self._next - 1].at_s
        self._gaps = [gap for gap in self._gaps if gap[1] > begins_s]
        for followed in self._followed.values():
            followed.polls = [self._latest] if self._latest else []
            alive: dict[str, list[Transition]] = {}
            for row in followed.transitions:
                alive.setdefault(row.replica, []).append(row)
            followed.transitions = [
                row for rows in alive.values() if rows[-1].to_state is not None for row in rows
            ]
            followed.changed = True

    def stop(self) -> None:
        """Note that the load has ended: no further step begins, except the last one to 0."""
        if self._next < len(self._steps) - 1:
            self._steps = self._steps[: self._next]

    def finish(self) -> None:
        """Note that nothing more comes."""
        self._measure(over=True)

    def _measure(self, *, over: bool = False) -> None:
        if self._next == 0 or self._latest is None:
            return
        step = self._steps[self._next - 1]
        ends_s = self._latest.received_s - self._zero_s
        until_s = min(step.hold_until_s, ends_s) if over and self._has_next else ends_s
        held = LoadStep(step.index, step.at_s, until_s, step.from_level, step.to_level)
        for place, (key, followed) in enumerate(self._followed.items()):
            if followed.changed or over:
                followed.changed = False
                self._note(self._lag(held, place, key, followed, over=over))

    @property
    def _has_next(self) -> bool:
        return self._next < len(self._steps)

    def _lag(
        self, step: LoadStep, place: int, key: DeploymentKey, followed: _Changes, *, over: bool
    ) -> LiveLag:
        if len(followed.polls) <= 1:
            # Nothing changed: at a step's end most of many deployments are spared the sums.
            reason = (self._blind_reason() or _UNCHANGED) if over else None
            return LiveLag(step.index, place, reason=reason, over=over)
        if len(followed.polls) + len(followed.transitions) > _MOST_ROWS:
            followed.polls, followed.transitions = followed.polls[-1:], []
            return LiveLag(step.index, place, reason=_TOO_MANY, over=over)
        polls = followed.polls
        if self._latest is not None and polls[-1] is not self._latest:
            polls = [*polls, self._latest]
        timeline = build_timeline(key, polls, followed.transitions)
        found = step_lag(step, self._zero_s, timeline)
        total = found.total_s
        if not over and (total is None or total.hi is None):
            return LiveLag(step.index, place)
        reason = found.reason if over else None
        if over and total is None:
            reason = self._blind_reason() or reason
        lag = LiveLag(step.index, place, reason=reason, over=over)
        if total is None:
            return lag
        value, lo, hi = map(_rounded, (total.value, total.lo, total.hi))
        return msgspec.structs.replace(lag, value_s=value, lo_s=lo, hi_s=hi)

    def _blind_reason(self) -> str | None:
        """Say for how much of the hold under way the probe saw nothing; None if it saw all of it."""
        step = self._steps[self._next - 1]
        ends_s = step.hold_until_s if self._has_next else inf
        blind_s = sum(
            max(0.0, min(to_s, ends_s) - max(from_s, step.at_s)) for from_s, to_s in self._gaps
        )
        return f"not known: the probe saw nothing for {blind_s:.1f} s" if blind_s > 0 else None

    def _note(self, lag: LiveLag) -> None:
        place = (lag.step, lag.deployment)
        _, known = self._lags.get(place, (0, None))
        if known == lag or (known is not None and known.reason == _TOO_MANY):
            return
        # At the end of the dictionary: what changed last is thrown away last.
        self._lags.pop(place, None)
        self._lags[place] = (self._numbers.next(), lag)
        while len(self._lags) > MOST_LAGS:
            del self._lags[next(iter(self._lags))]

    def since(self, number: int) -> list[tuple[int, LiveLag]]:
        """Return the lags above `number`, each with its own number, the oldest first."""
        return [found for found in self._lags.values() if found[0] > number]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
