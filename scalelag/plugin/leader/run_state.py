"""The states of a run, and the one table of what may follow what.

```
IDLE       no run, or one that was stopped before it was opened
CHECKING   options and target are checked; may wait for the target
PREPARED   all is well: Locust may start the test
WAITING    the load shape has taken the run over; Locust fires test_start, then the run is opened
LOADING    the run directory is open; from the announcement of the plan to the last answer
DRAINING   the load is over, and the replicas are watched while they come down
FINISHING  the record is closed, the logs are read, the report is made
DONE       closed
REFUSED    not begun; the message says why
```

Nothing here knows Locust or gevent: `scalelag.plugin.leader.lifecycle` turns Locust's events into
moves. A move that is not in the table is a bug, and raises.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class RunState(Enum):
    """The state of the last run of a process."""

    IDLE = "idle"
    CHECKING = "checking"
    PREPARED = "prepared"
    WAITING = "waiting"
    LOADING = "loading"
    DRAINING = "draining"
    FINISHING = "finishing"
    DONE = "done"
    REFUSED = "refused"

    @property
    def is_unopened(self) -> bool:
        """True if a run has begun that has no directory yet: it can still be dropped."""
        return self in (RunState.CHECKING, RunState.PREPARED, RunState.WAITING)

    @property
    def is_open(self) -> bool:
        """True while rows are taken: the directory is open, and not being closed."""
        return self in (RunState.LOADING, RunState.DRAINING)

    @property
    def is_over(self) -> bool:
        """True if there is no run: another one may begin."""
        return self in (RunState.IDLE, RunState.DONE, RunState.REFUSED)


TRANSITIONS: Mapping[RunState, frozenset[RunState]] = MappingProxyType(
    {
        RunState.IDLE: frozenset({RunState.CHECKING}),
        RunState.CHECKING: frozenset({RunState.PREPARED, RunState.REFUSED, RunState.IDLE}),
        RunState.PREPARED: frozenset({RunState.WAITING, RunState.REFUSED, RunState.IDLE}),
        RunState.WAITING: frozenset({RunState.LOADING, RunState.REFUSED, RunState.IDLE}),
        RunState.LOADING: frozenset({RunState.DRAINING, RunState.FINISHING}),
        RunState.DRAINING: frozenset({RunState.FINISHING}),
        RunState.FINISHING: frozenset({RunState.DONE}),
        RunState.DONE: frozenset({RunState.CHECKING}),
        RunState.REFUSED: frozenset({RunState.CHECKING}),
    }
)


class TransitionError(RuntimeError):
    """A move that is not in the table: a bug of ours."""


class RunProgress:
    """The state of the last run. `move` is the only way to change it."""

    def __init__(self) -> None:
        self._state = RunState.IDLE

    @property
    def state(self) -> RunState:
        """The state now."""
        return self._state

    def move(self, to: RunState) -> None:
        """Go on to state `to`. Raises TransitionError if the table does not allow it."""
        if to not in TRANSITIONS[self._state]:
            raise TransitionError(f"a run that is {self._state.value} cannot become {to.value}")
        self._state = to
