"""A clock that stands in for the `time` module of other modules."""

import time
from types import ModuleType
from typing import Any


class VirtualClock:
    """The `time` module with a present moment of our own; all else is Python's."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._stand_ins: dict[int, Any] = {
            id(time): self,
            id(time.time): self.time,
            id(time.monotonic): self.time,
            id(time.perf_counter): self.time,
        }

    def time(self) -> float:
        """Return the virtual moment, in Unix seconds."""
        return self.now_s

    monotonic = perf_counter = time

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  as the module has it
        return getattr(time, name)

    def install(self, module: ModuleType) -> None:
        """Replace the `time` module, and the clocks taken from it, among the names of `module`."""
        for name, value in list(vars(module).items()):
            if id(value) in self._stand_ins:
                setattr(module, name, self._stand_ins[id(value)])
