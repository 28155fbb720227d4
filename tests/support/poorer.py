"""A poorer record of the same run: logs are missing or of a clock that is off, polls failed."""

from collections.abc import Iterable, Sequence

import msgspec

from scalelag.record.evidence_rows import NOT_THE_CONTROLLERS, LogEvent
from scalelag.record.rows import Gap, Poll, StatusChange, Transition
from scalelag.record.run_dir import RecordedRun

OF_REPLICAS = frozenset(NOT_THE_CONTROLLERS)
OF_DECISIONS = frozenset({"upscaling", "downscaling"})
OF_STARTS = frozenset({"starting", "started"})
OF_STOPS = frozenset({"stopping", "stopped"})


def without_lines(run: RecordedRun, kinds: Iterable[str]) -> RecordedRun:
    """`run` as it is where the log has no lines of these kinds."""
    missing = set(kinds)
    events = tuple(event for event in run.events if event.kind not in missing)
    return msgspec.structs.replace(run, events=events)


def with_clock_off(run: RecordedRun, off_s: float, kinds: Iterable[str] = ()) -> RecordedRun:
    """`run` as it is if the clock of its log is off: of all lines, or of those of `kinds`."""
    moved = set(kinds)
    events = [
        msgspec.structs.replace(event, at_s=event.at_s + off_s)
        if not moved or event.kind in moved
        else event
        for event in run.events
    ]
    return msgspec.structs.replace(run, events=tuple(sorted(events, key=_at_s)))


def _at_s(event: LogEvent) -> float:
    return event.at_s


def with_gap(run: RecordedRun, from_s: float, to_s: float) -> RecordedRun:
    """`run` as it is if no poll between two Unix times was answered; the same if there was none."""
    before = [poll for poll in run.polls if poll.received_s <= from_s]
    after = [poll for poll in run.polls if poll.sent_s >= to_s]
    if not before or not after or len(before) + len(after) == len(run.polls):
        return run
    last, then = before[-1], after[0]
    gap = Gap(last.sent_s, then.received_s, "no answer in time", 4)
    kept = [one for one in run.gaps if not last.sent_s <= one.from_s < then.received_s]
    return msgspec.structs.replace(
        run,
        polls=(*before, *after),
        transitions=_transitions(run.transitions, last, then),
        statuses=_statuses(run.statuses, last, then),
        gaps=tuple(sorted([*kept, gap], key=lambda one: one.from_s)),
    )


def _is_within(hi_s: float, last: Poll, then: Poll) -> bool:
    return last.received_s < hi_s <= then.received_s


def _transitions(rows: Sequence[Transition], last: Poll, then: Poll) -> tuple[Transition, ...]:
    """One row for all that a replica went through between two polls; none if it came and went."""
    kept = [row for row in rows if not _is_within(row.hi_s, last, then)]
    unseen: dict[tuple[str, str], list[Transition]] = {}
    for row in rows:
        if _is_within(row.hi_s, last, then):
            unseen.setdefault((row.deployment, row.replica), []).append(row)
    for of_one in unseen.values():
        begun, ended = of_one[0], of_one[-1]
        if begun.from_state is None and ended.to_state is None:
            continue
        first_s = min((row.lo_s for row in of_one if row.lo_s is not None), default=None)
        lo_s = None if first_s is None else min(first_s, last.sent_s)
        kept.append(
            msgspec.structs.replace(
                ended,
                lo_s=lo_s,
                hi_s=then.received_s,
                from_state=begun.from_state,
                node=next((row.node for row in reversed(of_one) if row.node), None),
                start_time_s=next((row.start_time_s for row in of_one if row.start_time_s), None),
            )
        )
    return tuple(sorted(kept, key=lambda row: row.hi_s))


def _statuses(rows: Sequence[StatusChange], last: Poll, then: Poll) -> tuple[StatusChange, ...]:
    """The last status of each deployment between two polls."""
    kept = [row for row in rows if not _is_within(row.hi_s, last, then)]
    unseen = {row.deployment: row for row in rows if _is_within(row.hi_s, last, then)}
    kept += [
        msgspec.structs.replace(row, lo_s=last.sent_s, hi_s=then.received_s)
        for row in unseen.values()
    ]
    return tuple(sorted(kept, key=lambda row: row.hi_s))
