"""Load plans: the grammar of `--steps`, and the load steps in a plan.

A plan is a list of stages: `10rps:20s,10..80rps:60s`. `rps` stages are open loop (an arrival rate),
`users` stages are closed loop (concurrent users); one plan has one unit. All times are seconds
after the start of the plan.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from scalelag.errors import UsageError
from scalelag.wording import count

Unit = Literal["rps", "users"]
Arrivals = Literal["constant", "poisson"]
Direction = Literal["up", "down", "none"]

_STAGE = re.compile(
    r"""(?:(?P<start>[^.:a-zA-Z]*(?:\.\d+)?)\.\.(?!\.))?(?P<end>[^:a-zA-Z]*)(?P<unit>[a-zA-Z]*)
        :(?P<settles>settle<=)?(?P<duration>[^a-zA-Z]*)(?P<scale>[a-zA-Z]*)""",
    re.VERBOSE,
)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_REPLICAS = "replicas"
_MAX_STAGES = 10_000
_MAX_STAGE_TEXT = 100
MAX_LEVEL = 1_000_000
MAX_REQUESTS = 100_000_000
"""Requests of a plan: each takes about 30 bytes of the record, and as much memory in the report."""
MAX_USERS = 100_000
MAX_DURATION_S = 31 * 24 * 3600.0


class Stage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stage of load: constant if `start_level == end_level`, else a linear ramp.

    A stage with `most_s` ends when replicas and latency have settled, and after `most_s` at the latest.
    Until it has ended, `duration_s` is `most_s`.
    """

    at_s: float
    duration_s: float
    start_level: float
    end_level: float
    most_s: float | None = None

    @property
    def at_most(self) -> "Stage":
        """The same stage if it never settles. Its arrivals are drawn, however early it ends."""
        if self.most_s is None:
            return self
        return msgspec.structs.replace(self, duration_s=self.most_s)

    @property
    def end_s(self) -> float:
        """End of the stage."""
        return self.at_s + self.duration_s

    @property
    def expected(self) -> float:
        """Integral of the level: for a rate, the number of its requests."""
        return self.duration_s * (self.start_level + self.end_level) / 2

    def turns_from(self, level: float) -> bool:
        """Return whether it jumps from `level` to its start, and then goes the other way."""
        return (self.start_level - level) * (self.end_level - self.start_level) < 0

    def level_at(self, t_s: float) -> float:
        """Level at `t_s` seconds after the plan's start; clamped to the stage."""
        share = min(max((t_s - self.at_s) / self.duration_s, 0.0), 1.0)
        return self.start_level + share * (self.end_level - self.start_level)


class LoadStep(msgspec.Struct, frozen=True):
    """A moment at which the load changes, and the hold that follows it.

    A ramp is one step, which begins when the ramp begins. A constant stage at the end level of the
    ramp belongs to its hold. The end of the plan is a step to level 0. A jump against the direction of
    the ramp that follows at once is a step of its own: it holds for the first half of the ramp.
    """

    index: int
    at_s: float
    hold_until_s: float
    from_level: float
    to_level: float

    def until(self, hold_until_s: float) -> "LoadStep":
        """Return the same step, its hold cut off at a moment."""
        return LoadStep(self.index, self.at_s, hold_until_s, self.from_level, self.to_level)

    @property
    def hold_s(self) -> float:
        """Seconds until the next step."""
        return self.hold_until_s - self.at_s

    @property
    def direction(self) -> Direction:
        """Direction in which the load changes."""
        if self.to_level == self.from_level:
            return "none"
        return "up" if self.to_level > self.from_level else "down"


class LoadPlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A parsed plan: `stages` follow one another without a gap, with repeats expanded.

    Levels of a plan `in_replicas` are numbers of replicas, until `at_capacity` makes rates of them.
    """

    text: str
    repeat: int
    unit: Unit
    stages: tuple[Stage, ...]
    in_replicas: bool = False

    @property
    def duration_s(self) -> float:
        """Length of the whole plan."""
        return self.stages[-1].end_s

    @property
    def expected_requests(self) -> float:
        """Number of requests of a plan in rps; 0 for one in users."""
        if self.unit == "users":
            return 0.0
        return sum(stage.expected for stage in self.stages)

    def repeated(self, times: int) -> "LoadPlan":
        """Return the plan that runs this one `times` times. Raises UsageError if it is too long."""
        if times < 1:
            raise UsageError(f"--repeat {times}: a plan runs at least once. Use 1 or more.")
        _check_length(len(self.stages) * times)
        stages = _in_a_row(self.stages * times)
        return check_size(msgspec.structs.replace(self, repeat=times, stages=stages))

    def at_capacity(self, capacity_rps: float) -> "LoadPlan":
        """Return the load of a plan in replicas, each of which serves `capacity_rps`.

        Raises UsageError if it is too much.
        """
        return self._with_levels(lambda replicas: replicas * capacity_rps)

    def at_rate(self, rate_rps: float) -> "LoadPlan":
        """Return the stages of a plan in replicas under a constant load. Raises UsageError as above."""
        return self._with_levels(lambda _: rate_rps)

    def _with_levels(self, level: Callable[[float], float]) -> "LoadPlan":
        stages = tuple(
            msgspec.structs.replace(
                stage, start_level=level(stage.start_level), end_level=level(stage.end_level)
            )
            for stage in self.stages
        )
        return check_size(msgspec.structs.replace(self, stages=stages, in_replicas=False))

    @property
    def settles(self) -> bool:
        """Return whether a stage ends when replicas and latency have settled."""
        return any(stage.most_s is not None for stage in self.stages)

    @property
    def at_most(self) -> "LoadPlan":
        """The same plan if no stage settles: as it was written."""
        stages = _in_a_row([stage.at_most for stage in self.stages])
        return msgspec.structs.replace(self, stages=stages)

    def ended(self, number: int, at_s: float) -> "LoadPlan":
        """Return the plan of which stage `number` (from 0) ends at `at_s`; later ones follow it."""
        stages = list(self.stages)
        begun_s = stages[number].at_s
        stages[number] = msgspec.structs.replace(stages[number], duration_s=at_s - begun_s)
        return msgspec.structs.replace(self, stages=_in_a_row(stages))

    def stage_at(self, t_s: float) -> Stage | None:
        """Stage at `t_s`; None before the plan and after its end."""
        return next((stage for stage in self.stages if stage.at_s <= t_s < stage.end_s), None)

    def steps(self, watched_until_s: float) -> tuple[LoadStep, ...]:
        """Load steps, including the one from 0 at the start and the one to 0 at the end.

        The hold of the last step ends at `watched_until_s`, the end of watching.
        """
        steps: list[tuple[float, float, float]] = []
        level = 0.0
        for stage in (*self.stages, Stage(self.duration_s, 0.0, 0.0, 0.0)):
            at_s = stage.at_s
            if stage.turns_from(level):
                steps.append((at_s, level, stage.start_level))
                at_s, level = at_s + stage.duration_s / 2, stage.start_level
            if stage.end_level != level or stage.start_level != level or not steps:
                steps.append((at_s, level, stage.end_level))
            level = stage.end_level
        ends = [at_s for at_s, _, _ in steps[1:]] + [max(watched_until_s, self.duration_s)]
        return tuple(
            LoadStep(i, at_s, end_s, before, after)
            for i, ((at_s, before, after), end_s) in enumerate(zip(steps, ends, strict=True))
        )


def parse_plan(text: str, repeat: int = 1) -> LoadPlan:
    """Return the plan that `text` describes, its list of stages run `repeat` times.

    Raises UsageError with the stage and the reason.
    """
    parts = [part.strip() for part in text.split(",")]
    if not text.strip():
        raise UsageError('The load plan is empty. Write stages such as "10rps:20s,80rps:60s".')
    _check_length(len(parts))
    parsed = [_parse_stage(i, part) for i, part in enumerate(parts, start=1)]
    units = {unit for unit, _ in parsed}
    if len(units) > 1:
        odd = next(i for i, (unit, _) in enumerate(parsed, start=1) if unit != parsed[0][0])
        raise UsageError(
            f'Stage {odd} "{parts[odd - 1]}" is in {parsed[odd - 1][0]} but stage 1 is in '
            f"{parsed[0][0]}: one plan has one unit: rps (open loop), users (closed loop) or replicas."
        )
    stages = [stage for _, stage in parsed]
    if not any(max(stage.start_level, stage.end_level) > 0 for stage in stages):
        raise UsageError(
            f'The load plan "{text}" never sends a request: every level is 0. Give a stage a level '
            "above 0."
        )
    unit: Unit = "users" if units == {"users"} else "rps"
    plan = LoadPlan(text, 1, unit, _in_a_row(stages), in_replicas=units == {_REPLICAS})
    return check_size(plan) if repeat == 1 else plan.repeated(repeat)


def check_size(plan: LoadPlan) -> LoadPlan:
    """Return `plan`. Raises UsageError if no machine could send it, or hold what it leaves."""
    requests = plan.expected_requests
    users = max(max(stage.start_level, stage.end_level) for stage in plan.stages)
    if requests > MAX_REQUESTS:
        reason = f"{count(round(requests), 'request')}, more than {MAX_REQUESTS:,}"
    elif plan.unit == "users" and users > MAX_USERS:
        reason = f"{count(round(users), 'user')}, more than {MAX_USERS:,}"
    elif plan.duration_s > MAX_DURATION_S:
        days = plan.duration_s / 86_400
        reason = f"{days:,.1f} days, more than {MAX_DURATION_S / 86_400:.0f}"
    else:
        return plan
    raise UsageError(
        f"The load plan has {reason}: no machine could hold it. Lower its levels, durations or "
        "--repeat."
    )


def _check_length(stages: int) -> None:
    if stages > _MAX_STAGES:
        raise UsageError(
            f"The load plan has {count(stages, 'stage')}, more than {_MAX_STAGES}. Use fewer "
            "stages, or a "
            "smaller --repeat."
        )


def _in_a_row(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages, each beginning when the one before it ends."""
    placed: list[Stage] = []
    at_s = 0.0
    for stage in stages:
        placed.append(msgspec.structs.replace(stage, at_s=at_s))
        at_s = placed[-1].end_s
    return tuple(placed)


def _parse_stage(number: int, part: str) -> tuple[str, Stage]:
    def bad(reason: str) -> UsageError:
        return UsageError(f'Stage {number} "{part}" of the load plan: {reason}.')

    if len(part) > _MAX_STAGE_TEXT:
        part = f"{part[:_MAX_STAGE_TEXT]}..."
        raise bad("it is no stage: it is too long")
    if not part:
        raise bad('it is empty; remove the extra comma, or write a stage such as "10rps:20s"')
    match = _STAGE.fullmatch(part.replace(" ", ""))
    if "settle" in part and (match is None or not match["settles"]):
        raise bad("a stage that ends when it has settled has a limit, such as 20rps:settle<=120s")
    if match is None:
        raise bad('a stage reads LEVEL UNIT:DURATION, such as "10rps:20s" or "10..80rps:60s"')
    unit = match["unit"]
    if unit not in ("rps", "users", _REPLICAS):
        named = f'unknown unit "{unit}"' if unit else "the unit is missing"
        raise bad(
            f"{named}; use rps (arrivals a second), users (concurrent users) or replicas (the load "
            "that they serve)"
        )
    texts = [text for text in (match["start"], match["end"]) if text is not None]
    levels = [_level(text, unit, bad) for text in texts]
    if match["settles"] and len(levels) > 1:
        raise bad("a ramp takes a time, and does not settle; write its duration, such as 60s")
    duration_s = _duration(match, bad)
    most_s = duration_s if match["settles"] else None
    return unit, Stage(0.0, duration_s, levels[0], levels[-1], most_s)


def _level(text: str, unit: str, bad: Callable[[str], UsageError]) -> float:
    level = _number(text)
    if level is None:
        raise bad(f'the level "{text}" is not a number of 0 or more')
    if level > MAX_LEVEL:
        raise bad(f"the level {text} is over {MAX_LEVEL:,}")
    if unit != "rps" and level != int(level):
        raise bad(f"the level {text} is not a whole number of {unit}")
    return level


def _duration(match: re.Match[str], bad: Callable[[str], UsageError]) -> float:
    duration = _number(match["duration"])
    if duration is None:
        raise bad(f'the duration "{match["duration"]}{match["scale"]}" is not a positive time')
    scale = match["scale"] or "s"
    if scale not in _SECONDS:
        raise bad(f'unknown unit of time "{scale}"; use ms, s, m or h')
    if duration == 0:
        raise bad("the duration is 0; a stage holds for some time")
    return duration * _SECONDS[scale]


def _number(text: str) -> float | None:
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
