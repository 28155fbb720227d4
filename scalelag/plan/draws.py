"""Requests that the users of a mix send: drawn by the weights of the stage that it is."""

import random
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate

from scalelag.plan.mix import Mix
from scalelag.plan.schedule import Schedule
from scalelag.plan.stages import Stage


class Draws:
    """Numbers of requests drawn for one process, the same ones for the same seed."""

    def __init__(self, mix: Mix, stages: Sequence[Stage], seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311  a load, and no secret
        self._begins_s = [stage.at_s for stage in stages[1:]] if mix.is_by_stage else []
        self._numbers = range(len(mix.names))
        self._sums = [
            list(accumulate(mix.shares(stage))) for stage in range(len(self._begins_s) + 1)
        ]

    def follow(self, stages: Sequence[Stage]) -> None:
        """Take the stages as they are now, of which one ended early."""
        if self._begins_s:
            self._begins_s = [stage.at_s for stage in stages[1:]]

    @classmethod
    def of(cls, schedule: Schedule, process: int) -> "Draws | None":
        """Return the draws of number `process`; None without a mix."""
        mix = schedule.mix
        return mix and cls(mix, schedule.plan.stages, f"{schedule.seed} {process}")

    def at(self, at_s: float) -> int:
        """Return the next number, by the weights at `at_s` seconds after the plan's start."""
        sums = self._sums[bisect(self._begins_s, at_s)]
        return self._random.choices(self._numbers, cum_weights=sums)[0]
