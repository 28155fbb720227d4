"""Events of a simulation in the order of their moments."""

import heapq
from collections.abc import Callable

Action = Callable[[int], None]


class Agenda:
    """The present moment of a simulation, and what comes later. Moments are Unix seconds."""

    def __init__(self, from_s: float) -> None:
        self.now_s = from_s
        self._heap: list[tuple[float, int, Action, int]] = []
        self._number = 0

    def add(self, at_s: float, action: Action, argument: int = 0) -> None:
        """Call `action` with `argument` at a moment; those of one moment in the order of adding."""
        self._number += 1
        heapq.heappush(self._heap, (at_s, self._number, action, argument))

    def run_until(self, to_s: float) -> None:
        """Let everything happen that is due by `to_s`, which becomes the present moment."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= to_s:
            self.now_s, _, action, argument = pop(heap)
            action(argument)
        self.now_s = to_s
