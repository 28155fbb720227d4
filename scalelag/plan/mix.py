"""Mixes: several requests in one load, and how often each is sent in each stage of the plan."""

import math

import msgspec

from scalelag.plan.stages import Arrivals


class Mix(msgspec.Struct, frozen=True):
    """Requests of a load by number: their names, arrivals, and weights.

    `weights` has a row for each stage of the plan as it was written, or one row for all stages. A
    request of weight 0 is not sent in that stage.
    """

    names: tuple[str, ...]
    arrivals: tuple[Arrivals, ...]
    weights: tuple[tuple[float, ...], ...]

    @property
    def is_by_stage(self) -> bool:
        """Return whether the stages of the plan have weights of their own."""
        return len(self.weights) > 1

    def shares(self, stage: int) -> tuple[float, ...]:
        """Return the share of each request in stage number `stage`; a repeat begins again at row 0."""
        row = self.weights[stage % len(self.weights)]
        whole = math.fsum(row)
        return tuple(weight / whole for weight in row)
