"""Open requests over time, wherever they are known from."""

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from reports.model.intervals import Window


class OpenRequests(Protocol):
    """Open requests over time, times in Unix seconds; a value may be up to `blur_s` off its time."""

    @property
    def blur_s(self) -> float:
        """Seconds by which a value may be earlier or later than it says."""
        ...

    def mean(self, from_s: float, to_s: float) -> float | None:
        """Mean number between two moments; None for an empty time, or one that was not seen."""
        ...

    def means(self, edges_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean number between each two of `edges_s`, which ascend; NaN where it was not seen."""
        ...

    def within(self, hold: Window, /) -> Self:
        """The same, of values that can only be of the time of `hold`."""
        ...
