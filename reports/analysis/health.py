"""Health of deployments apart from any step: replicas that died, statuses, a shortage at the end."""

from collections.abc import Iterator

from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import BUILD_FAILED, OF_APPLICATION, DeploymentKey, StatusChange
from scalelag.record.run_dir import RecordedRun
from scalelag.wording import count, last_line

_SICK = ("UNHEALTHY", BUILD_FAILED)
_CRASHED = "crashed, marking it unhealthy"
"""Words of the controller on a replica whose process has ended (`deployment_state.py`)."""
_MOST_TOLD = 3


def is_of_dead(event: LogEvent) -> bool:
    """Return True for the controller's line on a replica whose process it found ended."""
    return event.kind == "unhealthy_stopped" and _CRASHED in (event.raw or "")


def health_warnings(run: RecordedRun) -> list[str]:
    """Sentences on replicas that Serve gave up, unhealthy times, and a shortage at the end.

    `run` is without the effects of its own events.
    """
    found: list[str] = []
    for key in run.info.target.watched:
        about = [*_given_up(run, key), *_sick(run, key), *_shortage(run, key)]
        found += [f"{key}: {text}" for text in about]
    return found


def _given_up(run: RecordedRun, key: DeploymentKey) -> Iterator[str]:
    lines = [e for e in run.events if e.kind == "unhealthy_stopped" and e.deployment == key]
    died = {e.replica: e.at_s for e in reversed(lines) if e.replica and is_of_dead(e)}
    failed = {e.replica: e.at_s for e in reversed(lines) if e.replica and e.replica not in died}
    for what, replicas in (("died", died), ("failed its health checks", failed)):
        by_time = sorted(replicas, key=lambda name: replicas[name])
        for replica in by_time[:_MOST_TOLD]:
            yield f"replica {replica} {what}: noticed at {_at(run, replicas[replica])}"
        if len(by_time) > _MOST_TOLD:
            yield f"{count(len(by_time) - _MOST_TOLD, 'more replica')} {what}, by the log"


def _sick(run: RecordedRun, key: DeploymentKey) -> Iterator[str]:
    """Times of one status each, from the poll that first showed it."""
    rows = [row for row in run.statuses if row.deployment == key]
    spells: list[tuple[StatusChange, float | None]] = []
    for number, row in enumerate(rows):
        if row.status not in _SICK or (number and rows[number - 1].status == row.status):
            continue
        over = next((one.hi_s for one in rows[number:] if one.status != row.status), None)
        spells.append((row, over))
    for row, over_s in spells[:_MOST_TOLD]:
        said = last_line(row.message) if row.trigger == OF_APPLICATION else row.trigger
        why = f" ({said})" if said else ""
        until = "the end of watching" if over_s is None else _at(run, over_s)
        yield f"it was {row.status}{why} from {_at(run, row.hi_s)} to {until}"
    if len(spells) > _MOST_TOLD:
        yield f"it was unwell {count(len(spells) - _MOST_TOLD, 'more time')}"


def _shortage(run: RecordedRun, key: DeploymentKey) -> Iterator[str]:
    """Fewer replicas than the target at the last poll."""
    seen = run.polls[-1].deployments.get(key) if run.polls else None
    if seen is None or seen.target is None:
        return
    running = seen.counts.get("RUNNING", 0)
    if running < seen.target:
        others = [
            f"{number} {state}" for state, number in seen.counts.items() if state != "RUNNING"
        ]
        beside = f" ({', '.join(others)})" if others else ""
        yield f"{running} RUNNING{beside} when watching ended, target {seen.target}"


def _at(run: RecordedRun, at_s: float) -> str:
    return f"{at_s - run.info.zero_s:.1f} s"
