"""Times in which Serve hides a deployment while it rebuilds its application, filled from logs."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

from reports.analysis.lag.log_times import (
    Decision,
    ReplicaLog,
    agrees,
    logged_decisions,
    replica_logs,
)
from reports.model.intervals import Instant, Window
from scalelag.record.rows import (
    UPDATE_STARTED,
    DeploymentKey,
    DeploymentPoll,
    Poll,
    StatusChange,
    Transition,
)
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import ClockInfo

# A replica's states in the order in which it goes through them; before the first and after the last
# it is not listed.
_STATES = (None, "STARTING", "RUNNING", "STOPPING", None)
_STARTING, _RUNNING, _GONE = 1, 2, 4


class _Hole(msgspec.Struct, frozen=True):
    """Polls that hid the deployment, the last before them and the first after them that showed it."""

    before: Poll
    hidden: tuple[Poll, ...]
    after: Poll

    @property
    def whole(self) -> Instant:
        """The time in which nobody saw the deployment change."""
        return Instant(self.before.sent_s, self.after.received_s)

    def is_behind(self, row: Transition | StatusChange) -> bool:
        """Return True if a change is first shown by the first poll after it."""
        return row.hi_s == self.after.received_s


_Path = list[tuple[float, int]]


def unhidden(run: RecordedRun) -> RecordedRun:
    """`run` with what logs tell of deployments that polls did not show.

    If lines account for every replica that differs before and after, the polls between show the
    deployment as the log has it. Otherwise it stays hidden, and its changes came at an unknown time
    since the last poll that showed it.
    """
    for key in sorted({key for poll in run.polls for key in poll.hidden}):
        for hole in list(_holes(run.polls, key)):
            run = _told(_widened(run, key, hole), key, hole)
    return run


def hidden_windows(key: DeploymentKey, polls: Sequence[Poll]) -> tuple[Window, ...]:
    """Times from a last poll that showed a deployment to the next that does, or to the end.

    Nothing within them is seen.
    """
    found = [Window(hole.whole.lo_s, hole.whole.hi_s) for hole in _holes(polls, key)]
    shown = [poll for poll in polls if key not in poll.hidden]
    if shown and shown[-1] is not polls[-1]:
        found.append(Window(shown[-1].sent_s, polls[-1].received_s))
    return tuple(found)


def _holes(polls: Sequence[Poll], key: DeploymentKey) -> Iterator[_Hole]:
    before: Poll | None = None
    hidden: list[Poll] = []
    for poll in polls:
        if key in poll.hidden:
            hidden.append(poll)
            continue
        if hidden and before is not None:
            yield _Hole(before, tuple(hidden), poll)
        before, hidden = poll, []


def _widened(run: RecordedRun, key: DeploymentKey, hole: _Hole) -> RecordedRun:
    """`run` with changes placed anywhere in the hole; older records have them behind its last poll.

    Updates are left alone: an update begins once the application is built, which ends the hole.
    """

    def lies_in(row: Transition | StatusChange) -> bool:
        return row.deployment == key and hole.is_behind(row) and row.lo_s is not None

    lo_s = hole.before.sent_s
    return msgspec.structs.replace(
        run,
        transitions=tuple(
            msgspec.structs.replace(row, lo_s=lo_s) if lies_in(row) else row
            for row in run.transitions
        ),
        statuses=tuple(
            msgspec.structs.replace(row, lo_s=lo_s)
            if lies_in(row) and row.trigger != UPDATE_STARTED
            else row
            for row in run.statuses
        ),
    )


def _told(run: RecordedRun, key: DeploymentKey, hole: _Hole) -> RecordedRun:
    """`run` with the polls of the hole as logs tell them; unchanged if they do not tell all."""
    old, new = hole.before.deployments.get(key), hole.after.deployments.get(key)
    own = [row for row in run.transitions if row.deployment == key]
    behind = {row.replica: row for row in own if hole.is_behind(row)}
    states = _states(own, hole.before.received_s)
    logs = replica_logs(key, run.events)
    paths = {
        name: _path(states.get(name), row, _moments(row, logs.get(name), run.info.clock), hole)
        for name, row in behind.items()
    }
    known = {name: path for name, path in paths.items() if path is not None}
    if old is None or new is None or len(known) < len(paths):
        return run
    rows = [
        row
        for name, path in known.items()
        for row in _rows(behind[name], states.get(name), path, hole)
    ]
    others = [row for row in run.transitions if row.deployment != key or not hole.is_behind(row)]
    decided = [one for one in logged_decisions(key, run.events) if agrees(hole.whole, one.at)]
    shown = {
        poll.sent_s: _shown(poll, key, states, known, _target(old, decided, poll.sent_s))
        for poll in hole.hidden
    }
    return msgspec.structs.replace(
        run,
        polls=tuple(shown.get(poll.sent_s, poll) for poll in run.polls),
        transitions=tuple(sorted([*others, *rows], key=lambda row: row.hi_s)),
    )


def _states(rows: Sequence[Transition], at_s: float) -> dict[str, str]:
    """State of each replica that the poll received at a moment lists."""
    found = {row.replica: row.to_state for row in rows if row.hi_s <= at_s}
    return {name: state for name, state in found.items() if state is not None}


def _moments(
    row: Transition, log: ReplicaLog | None, clock: ClockInfo
) -> tuple[Instant | None, ...]:
    """Moments at which a replica reached each place in `_STATES`; its start is its own field, too."""
    log = log or ReplicaLog()
    began = log.submitted
    if began is None and row.start_time_s is not None and clock.offset_s is not None:
        at_s = row.start_time_s - clock.offset_s
        began = Instant(at_s, at_s, skew_s=clock.error_s or 0.0)
    return (None, began, log.running, log.stopping, log.gone)


def _path(
    before: str | None, row: Transition, moments: Sequence[Instant | None], hole: _Hole
) -> _Path | None:
    """Places in `_STATES` that a replica reached in the hole, and when; None if a moment is missing."""
    if before == row.to_state:
        return []
    if before not in _STATES or row.to_state not in _STATES:
        return None
    first = _STATES.index(before)
    last = _GONE if row.to_state is None else _STATES.index(row.to_state)
    found: _Path = []
    for place in range(first + 1, last + 1):
        at = moments[place]
        if at is None and place == _RUNNING < last:
            continue  # it was stopped before it ran
        if at is None or not agrees(hole.whole, at):
            return None
        found.append((max(at.mid_s, found[-1][0]) if found else at.mid_s, place))
    return found if first < last else None


def _place(before: str | None, path: _Path, at_s: float) -> int:
    """Place of a replica at a moment."""
    reached = [place for moment_s, place in path if moment_s <= at_s]
    return reached[-1] if reached else _STATES.index(before)


def _rows(row: Transition, before: str | None, path: _Path, hole: _Hole) -> Iterator[Transition]:
    """Rows of one replica at the polls of a hole; its node comes some time before it is RUNNING."""
    if not path:
        yield row
        return
    since_s, is_placed = hole.before.sent_s, before not in (None, "STARTING") or row.node is None
    place = _STATES.index(before)
    for old, new in pairwise((hole.before, *hole.hidden, hole.after)):
        is_last = new is hole.after
        reached = path[-1][1] if is_last else _place(before, path, new.sent_s)
        if not is_placed and place == _STARTING and (reached > place or is_last):
            is_placed = True
            at = {"lo_s": since_s, "hi_s": new.received_s}
            yield msgspec.structs.replace(row, from_state="STARTING", to_state="STARTING", **at)
        for step in (one for _, one in path if place < one <= reached):
            yield msgspec.structs.replace(
                row,
                from_state=_STATES[place],
                to_state=_STATES[step],
                node=row.node if is_placed else None,
                lo_s=old.sent_s,
                hi_s=new.received_s,
            )
            since_s, place = old.sent_s, step


def _target(old: DeploymentPoll, decided: Sequence[Decision], at_s: float) -> int | None:
    """Target at a hidden moment: the one before the hole, until the log has a decision."""
    made = [one.after for one in decided if one.at.mid_s <= at_s]
    return made[-1] if made else old.target


def _shown(
    poll: Poll,
    key: DeploymentKey,
    states: Mapping[str, str],
    paths: Mapping[str, _Path],
    target: int | None,
) -> Poll:
    """The poll with the deployment in it, as logs have it."""
    counts: dict[str, int] = {}
    for name in states.keys() | paths.keys():
        path = paths.get(name)
        state = _STATES[_place(states.get(name), path, poll.sent_s)] if path else states.get(name)
        if state is not None:
            counts[state] = counts.get(state, 0) + 1
    return msgspec.structs.replace(
        poll,
        deployments=poll.deployments | {key: DeploymentPoll(counts, target)},
        hidden=tuple(one for one in poll.hidden if one != key),
    )
