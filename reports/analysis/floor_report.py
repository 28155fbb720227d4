"""What the configuration makes unavoidable in a step, and the delay in effect: as reported."""

import msgspec

from reports.model.intervals import Span


class FloorReport(msgspec.Struct, frozen=True):
    """What the configuration makes unavoidable, in parts that add up to the floor, in seconds.

    `replica_s` is the fastest start-up seen in the run on the way up, and the shortest drain on the
    way down. `worst_s` is the longest that it can take without any fault.
    """

    detect_s: float
    delay_s: float
    loop_s: float
    replica_s: float
    worst_s: float

    @property
    def total_s(self) -> float:
        """The floor."""
        return self.detect_s + self.delay_s + self.loop_s + self.replica_s

    @property
    def configured_s(self) -> float:
        """What of it is the autoscaler's configuration."""
        return self.detect_s + self.delay_s + self.loop_s


class DelayReport(msgspec.Struct, frozen=True):
    """The delay as configured, and as it was: from when more, or fewer, replicas could be wanted.

    `loop_s` is what one turn of the controller's loop took (0.1 s if nothing slows it), None if
    it does not tell.
    """

    configured_s: float
    effective_s: Span
    loop_s: float | None
