"""The lag of each load step of one deployment: tables, and words beside them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reports.model.controller import DEFAULT_LOOP_S
from reports.model.intervals import Span
from reports.model.report import Report
from reports.model.steps import (
    DOWN_PHASES,
    UP_PHASES,
    DelayReport,
    DeploymentReport,
    PhaseName,
    StepReport,
    least_s,
)
from reports.render.tables.table import Column, Table, rest_of
from reports.render.text import (
    NOT_MEASURED,
    MeasuredText,
    is_shown,
    leading_words,
    load_change,
    phase_words,
    recovered,
    replica_change,
    seconds,
    step_name,
)
from scalelag.foreign import sanitized
from scalelag.ray_versions import DELAYS_BY_CLOCK, named
from scalelag.wording import count

_MOST_STEPS = 250
UNCERTAIN = (
    "± (also + and -) is what polling cannot know; > was not over by the end of the hold; "
    "- was not measured"
)
BELOW_FLOOR = "below"
_MOVED = (
    "Further movements of the target: decided that long after the step, and carried out in, in "
    "seconds"
)
_MOVEMENTS = (
    Column("step", "words", key=True),
    Column("at s", key=True),
    Column("target"),
    Column("decided"),
    Column("took", strong=True),
    Column("note", "words"),
)
_OWNER = Column("deployment", "foreign", key=True)
_KINDS = (
    ("up", "Scale up: from the load step until the last replica it needed is RUNNING", UP_PHASES),
    ("down", "Scale down: from the load step until the last replica to leave is gone", DOWN_PHASES),
)


def lag_tables(deployment: DeploymentReport, of_deployments: int = 1) -> Iterator[Table]:
    """The lag of each measured step, on the way up and down; of very many the first."""
    most = max(5, _MOST_STEPS // of_deployments)
    for direction, caption, phases in _KINDS:
        steps = [s for s in deployment.steps if s.total_s and s.direction == direction]
        if steps:
            names = _measured_names(steps, phases)
            rows = tuple(_lag_row(step, names) for step in steps[:most])
            columns = _lag_columns(steps[0], names)
            yield Table(f"{caption}, in seconds", columns, rows, rest_of(len(steps), most))
    yield from _movement_table(deployment, most)


def shared_tables(deployments: Mapping[str, DeploymentReport]) -> Iterator[Table]:
    """The lag of the measured steps of several deployments, on the way up and down, in two tables.

    What is the same for all of them, or stands elsewhere, is shown where there is room.
    """
    for direction, caption, phases in _KINDS:
        rows = [
            (key, step)
            for key, deployment in deployments.items()
            for step in deployment.steps
            if step.total_s and step.direction == direction
        ]
        if rows:
            names = _measured_names([step for _, step in rows], phases)
            yield Table(
                f"{caption}, in seconds",
                (_OWNER, *map(_shared, _lag_columns(rows[0][1], names))),
                tuple((sanitized(key), *_lag_row(s, names)) for key, s in rows[:_MOST_STEPS]),
                rest_of(len(rows), _MOST_STEPS),
            )
    moves = [
        (sanitized(key), *row) for key, one in deployments.items() for row in _movement_rows(one)
    ]
    if moves:
        columns = (_OWNER, *map(_shared, _MOVEMENTS))
        note = rest_of(len(moves), _MOST_STEPS)
        yield Table(_MOVED, columns, tuple(moves[:_MOST_STEPS]), note)


def _shared(column: Column) -> Column:
    if column.name in ("at s", "recovered", "critical replica") or column.name.startswith("load "):
        return column._replace(room="wide", key=False)
    return column


def _movement_table(deployment: DeploymentReport, most: int) -> Iterator[Table]:
    """Movements of the target beyond the one that answered each step; nothing without any."""
    if rows := _movement_rows(deployment):
        yield Table(_MOVED, _MOVEMENTS, tuple(rows[:most]), rest_of(len(rows), most))


def _movement_rows(deployment: DeploymentReport) -> list[tuple[str | MeasuredText, ...]]:
    return [
        (
            step_name(step),
            f"{movement.at_s:.1f}",
            f"{movement.before} -> {movement.after}",
            seconds(movement.decided),
            seconds(movement.total_s),
            movement.reason or "",
        )
        for step in deployment.steps
        for movement in step.movements
    ]


def _measured_names(
    steps: Sequence[StepReport], always: Sequence[PhaseName]
) -> tuple[PhaseName, ...]:
    """The phases that have a column: those of polling, and any other that was measured."""
    found = list(always)
    for phase in (phase for step in steps for phase in step.phases):
        if phase.value is not None and phase.name not in found and phase.part_of != "decide":
            found.append(phase.name)
    return tuple(found)


def _lag_columns(first: StepReport, names: Sequence[PhaseName]) -> tuple[Column, ...]:
    return (
        Column("step", "words", key=True),
        Column("at s", key=True),
        Column(f"load {first.unit}"),
        Column("replicas"),
        Column("total", strong=True),
        *(Column(phase_words(name), group="of which", part=1) for name in names),
        Column("recovered"),
        Column("floor"),
        Column("excess"),
        Column("critical replica", "foreign", room="below"),
    )


def _lag_row(step: StepReport, names: Sequence[PhaseName]) -> tuple[str | MeasuredText, ...]:
    by_name = {phase.name: phase for phase in step.phases}
    return (
        step_name(step),
        f"{step.at_s:.1f}",
        load_change(step.from_level, step.to_level),
        replica_change(step),
        seconds(step.total_s),
        *(seconds(by_name.get(name)) for name in names),
        recovered(step),
        NOT_MEASURED if step.floor_s is None else f"{step.floor_s:.2f}",
        _excess(step.excess),
        sanitized(step.critical_replica or NOT_MEASURED),
    )


def _excess(excess: Span | None) -> str | MeasuredText:
    return BELOW_FLOOR if _is_below(excess) else seconds(excess)


def _is_below(excess: Span | None) -> bool:
    """Return True if a step was quicker than its floor, however its bounds are taken."""
    most_s = None if excess is None else excess.hi
    return most_s is not None and most_s < 0 and is_shown(most_s)


def bounds(deployment: DeploymentReport) -> str:
    """Bounds of the autoscaler, and what else is in effect: `1 to 8 replicas; gangs of 2`."""
    config = deployment.autoscaling
    if config is None:
        return sanitized("; ".join(("does not scale by itself", *deployment.around)))
    low, high = (config.get(name, "?") for name in ("min_replicas", "max_replicas"))
    return sanitized("; ".join((f"{low} to {count(high, 'replica')}", *deployment.around)))


def remarks(deployment: DeploymentReport) -> list[tuple[str, str]]:
    """Step and remark of each step that has one, without the idle steps."""
    idle = idle_steps(deployment.steps)
    found = ((step_name(s), remark(s)) for s in deployment.steps if s not in idle)
    return [(name, text) for name, text in found if text]


def short_remarks(deployment: DeploymentReport) -> list[tuple[str, str]]:
    """Step and remark of each step that was not over, turned, or has a gap in its measurement.

    The configuration's share and the cause stand in the tables.
    """
    steps = [s for s in deployment.steps if not needs_nothing(s)]
    found = [(step_name(s), _short_remark(s)) for s in steps]
    return [(name, text) for name, text in found if text]


def _short_remark(step: StepReport) -> str:
    found = [sanitized(step.reason)] if step.reason else []
    if step.total_s is None:
        return found[0] if found else "not measured"
    if step.reversals:
        found.append(_swing(step))
    if is_shown(step.unattributed_s):
        found.append(f"{step.unattributed_s:.2f} s unattributed")
    return "; ".join(found)


def remark(step: StepReport) -> str:
    """Facts about a step beyond its figures; empty without any."""
    if step.total_s is None:
        return sanitized(step.reason or "not measured")
    found = [sanitized(step.reason)] if step.reason else []
    found += [text for text in (share(step), _delay(step)) if text]
    if step.floor_reason:
        found.append(sanitized(("" if step.floor else "no floor: ") + step.floor_reason))
    if step.cause:
        found.append(f"cause: {leading_words(step.cause, step.findings)}")
    if step.reversals:
        found.append(_swing(step))
    if is_shown(step.unattributed_s):
        found.append(f"{step.unattributed_s:.2f} s unattributed")
    if step.excess_s is not None and _is_below(step.excess):
        found.append(f"{-step.excess_s:.2f} s quicker than its floor, which is made of mean times")
    always = UP_PHASES if step.direction == "up" else DOWN_PHASES
    found += [
        f"{phase_words(phase.name)}: {sanitized(phase.reason)}"
        for phase in step.phases
        if phase.name in always and phase.value is None and phase.reason
    ]
    return "; ".join(found)


def no_cause(step: StepReport) -> str:
    """Words on a late step without a cause, with the phase that took most of its lag; else empty."""
    if step.total_s is None or step.findings or not (step.evidence or step.censored):
        return ""
    longest = step.longest_phase
    if longest is None:
        return "no cause found"
    at_least = "at least " if longest.value is None else ""
    took = f"{at_least}{least_s(longest):.1f} s of it went to {phase_words(longest.name)}"
    return f"no cause found, {took}"


def _swing(step: StepReport) -> str:
    """Sentence on a target that turned within the hold."""
    turned = f"the target turned {count(step.reversals, 'time')} within the hold"
    if step.settled_s is None or step.settled_s.value is None:
        return f"{turned} and had not settled by its end"
    return f"{turned}; settled after {seconds(step.settled_s)} s"


def share(step: StepReport) -> str:
    """The part of a step's lag that its configuration makes unavoidable, as a sentence."""
    floor = step.floor
    if floor is None or step.total_s is None:
        return ""
    detected = ((floor.push_s, "push"), (floor.average_s, "average"))
    settings = [f"{setting_s:g} s {word}" for setting_s, word in detected if setting_s]
    settings.append(f"{floor.delay_s:g} s delay")
    rest = f"{'for ' if floor.starts > 1 else ''}{floor.replica_words(step.direction)}"
    total, made_of = seconds(step.total_s), ", ".join(settings)
    if step.total_s.value is not None and step.total_s.value < floor.configured_s:
        return (
            f"{total} s, less than the {floor.configured_s:.1f} s that your configuration takes "
            f"(settings: {made_of})"
        )
    backlog = f", {floor.backlog_s:.1f} s its backlog" if floor.backlog_s else ""
    return (
        f"{total} s, of which {floor.configured_s:.1f} s is your configuration (settings: {made_of})"
        f"{backlog} and {floor.replica_s:.1f} s {rest}"
    )


def _delay(step: StepReport) -> str:
    """The delay in effect, if it is not the configured one or a slow loop stretched it."""
    delay = step.delay
    if delay is None or delay.effective_s.hi is None:
        return ""
    effective = delay.effective_s
    slow = delay.loop_s is not None and delay.loop_s >= 2 * DEFAULT_LOOP_S
    if effective.lo <= delay.configured_s and not slow:
        return ""
    return (
        f"delay: {delay.configured_s:g} s configured, {effective.lo:.1f} to {effective.hi:.1f} s "
        f"in effect{_turns(delay)}"
    )


def _turns(delay: DelayReport) -> str:
    """The reason of a stretched delay in brackets, as far as it is known."""
    known = [f"a turn of the controller's loop takes {delay.loop_s:.2f} s"] if delay.loop_s else []
    if delay.in_turns:
        known.append(
            "this version of Ray counts the delay in turns of the controller's loop, of 0.1 s and its "
            f"work each; {named(DELAYS_BY_CLOCK)} and later count seconds"
        )
    return f" ({'; '.join(known)})" if known else ""


def idle_steps(steps: Sequence[StepReport]) -> list[StepReport]:
    """Steps that need no lag: the load stayed, or the run began or ended."""
    return [
        step
        for i, step in enumerate(steps)
        if step.total_s is None
        and (step.direction == "none" or (i in (0, len(steps) - 1) and _suffices(step)))
    ]


def needs_nothing(step: StepReport) -> bool:
    """Return True if no replica had to come or go: the load stayed, or the target did."""
    return step.total_s is None and (step.direction == "none" or _suffices(step))


def _suffices(step: StepReport) -> bool:
    """Return True if a step up had enough replicas before, or one down no more than enough."""
    before, target = step.replicas_before, step.target_after
    if before is None or target is None:
        return False
    return target <= before if step.direction == "up" else target >= before


def idle_reasons(steps: Iterable[StepReport]) -> str:
    """Reasons that these steps have no lag, on one line; without any, that no step was reached."""
    by_reason: dict[str, list[str]] = {}
    for step in steps:
        by_reason.setdefault(sanitized(step.reason or "not measured"), []).append(step_name(step))
    listed = (f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())
    return f"nothing to measure: {'; '.join(listed) or 'the run ended before the first load step'}"


def not_measured(report: Report) -> list[str]:
    """Phases that no step measured, and other figures, with reasons if they are short."""
    phases = _unmeasured_phases(report.deployments.values())
    names = ", ".join(sanitized(name) for name in report.not_measured)
    return [
        *(f"{phase_words(name)} ({reason})" for name, reason in phases.items()),
        *([f"{names} (report.json says why)"] if names else []),
    ]


def _unmeasured_phases(deployments: Iterable[DeploymentReport]) -> dict[PhaseName, str]:
    """Phases that have no column since no step measured them, with the reason."""
    phases = [p for d in deployments for step in d.steps if step.total_s for p in step.phases]
    with_column = {*UP_PHASES, *DOWN_PHASES, *(p.name for p in phases if p.value is not None)}
    return {
        p.name: sanitized(p.reason)
        for p in phases
        if p.name not in with_column and p.reason and p.part_of != "decide"
    }
