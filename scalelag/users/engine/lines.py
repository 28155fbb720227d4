"""Lines of arrivals that wait for one another, such as the turns of a conversation."""

from collections import deque
from collections.abc import Callable, Iterator

LineOf = Callable[[int], int | None]


class Lines:
    """Keeps the arrivals that are due before the one ahead of them in their line has ended.

    `line_of` returns the line of an arrival by its number, None for one that waits for none.
    """

    def __init__(self, line_of: LineOf) -> None:
        self._line_of = line_of
        # Arrivals behind the one that is under way; a line without that is not there.
        self._behind: dict[int, deque[tuple[float, int]]] = {}

    @property
    def are_busy(self) -> bool:
        """Return whether an arrival of any line is under way, or about to be."""
        return bool(self._behind)

    def enters(self, due_s: float, number: int) -> bool:
        """Return True if an arrival goes ahead now; else it stands in its line."""
        line = self._line_of(number)
        if line is None:
            return True
        behind = self._behind.get(line)
        if behind is None:
            self._behind[line] = deque()
            return True
        behind.append((due_s, number))
        return False

    def next_after(self, number: int) -> tuple[float, int] | None:
        """Return due time and number of the one behind arrival `number`, which has ended."""
        line = self._line_of(number)
        if line is None or line not in self._behind:
            return None
        behind = self._behind[line]
        if behind:
            return behind.popleft()
        del self._behind[line]
        return None

    def left(self) -> Iterator[float]:
        """Take out all that still wait, and yield when they were due."""
        for behind in self._behind.values():
            yield from (due_s for due_s, _ in behind)
        self._behind.clear()
