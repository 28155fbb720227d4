"""The lag of each load step of one deployment, for the terminal."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.analysis.lag.policy import DEFAULT_LOOP_S
from reports.model.steps import DOWN_PHASES, UP_PHASES, DeploymentReport, PhaseName, StepReport
from reports.render.tables.elasticity import following_texts
from reports.render.terminal.layout import columns, emit, first_fitting, flow, hanging, room
from reports.render.text import (
    NOT_MEASURED,
    Measured,
    is_shown,
    load_change,
    recovered,
    replica_change,
    sanitized,
    seconds,
    step_name,
)

_UP = "up: from the load step until the last replica it needed is RUNNING"
_DOWN = "down: from the load step until the last replica to leave is gone"
_UNCERTAIN = "seconds; ± is what polling cannot know"
_WORDS = frozenset({"step", "replicas", "critical replica"})
_COMMON_COLUMNS = 4
_LAST = ("recovered", "floor", "excess")
_SHORT: dict[str, str] = {"mark_running": "mark"}


def print_lag(console: Console, key: str, deployment: DeploymentReport) -> None:
    """Print the lag of every step, and why one has none."""
    measured = [step for step in deployment.steps if step.total_s]
    emit(console, _heading(key, deployment, room(console), uncertain=bool(measured)))
    blocks = [*_tables(console, measured), _notes(deployment, room(console))]
    for i, block in enumerate(block for block in blocks if block.renderables):
        if i:
            console.print()
        emit(console, block)


def _tables(console: Console, measured: Sequence[StepReport]) -> Iterator[Group]:
    widths = _common_widths(measured)
    for direction, title, phases in (("up", _UP, UP_PHASES), ("down", _DOWN, DOWN_PHASES)):
        steps = [step for step in measured if step.direction == direction]
        if steps:
            table = _table(console, steps, _phase_names(steps, phases), widths)
            yield Group(Text(title, style="italic"), table)


def _notes(deployment: DeploymentReport, width: int) -> Group:
    steps = deployment.steps
    idle = idle_steps(steps)
    notes: list[RenderableType] = [
        hanging(Text(f"{step_name(step)}:"), Text(about))
        for step in steps
        if step not in idle and (about := remark(step, deployment))
    ]
    if idle or not steps:
        notes.append(Text(idle_reasons(idle), style="dim"))
    if texts := following_texts(deployment):
        head = Text("Elasticity:")
        notes.append(hanging(head, flow(texts, width - head.cell_len - 1, "  ")))
    return Group(*notes)


def _heading(key: str, deployment: DeploymentReport, width: int, *, uncertain: bool) -> Text:
    name = Text(f"Scale lag: {sanitized(key)}", style="bold")
    config = deployment.autoscaling
    if config is None:
        bounds = "(does not scale by itself)"
    else:
        low, high = (config.get(name, "?") for name in ("min_replicas", "max_replicas"))
        bounds = sanitized(f"({low}..{high} replicas)")
    return flow([name, bounds, *([_UNCERTAIN] if uncertain else [])], width, "  ")


def _phase_names(steps: Iterable[StepReport], always: Sequence[PhaseName]) -> tuple[PhaseName, ...]:
    """The phases that have a column: those of polling, and any other that was measured."""
    names = list(always)
    for phase in (phase for step in steps for phase in step.phases):
        if phase.value is not None and phase.name not in names and phase.part_of != "decide":
            names.append(phase.name)
    return tuple(names)


def _table(
    console: Console,
    steps: Sequence[StepReport],
    phases: Sequence[PhaseName],
    widths: Sequence[int],
) -> RenderableType:
    """One line a step; where that is too wide, margins below the figures; else step by step."""
    figures = [_figures(step, phases) for step in steps]
    names = ["total", *(_SHORT.get(name, name) for name in phases), *_LAST]
    headers = [*_common_headers(steps), *names]
    left = _WORDS | frozenset(names)
    critical = _critical_replicas(steps, room(console))

    def in_line() -> RenderableType:
        rows = _rows(steps, _side_by_side(figures))
        return Group(columns(headers, rows, left, widths), *critical)

    def with_critical() -> Table:
        named = (
            (*row, sanitized(step.critical_replica or NOT_MEASURED))
            for step, row in zip(steps, _side_by_side(figures), strict=True)
        )
        return columns([*headers, "critical replica"], _rows(steps, named), left, widths)

    def stacked() -> RenderableType:
        below = (tuple("\n".join(filter(None, figure)) for figure in row) for row in figures)
        return Group(columns(headers, _rows(steps, below), _WORDS, widths), *critical)

    def step_by_step() -> Text:
        described = (
            _described(step, names, row, room(console))
            for step, row in zip(steps, figures, strict=True)
        )
        return Text("\n").join([*described, *critical])

    layouts = [with_critical, in_line, stacked] if critical else [in_line, stacked]
    return first_fitting(console, layouts) or step_by_step()


def _figures(step: StepReport, phases: Sequence[PhaseName]) -> list[Measured]:
    by_name = {phase.name: phase for phase in step.phases}
    return [
        seconds(step.total_s),
        *(seconds(by_name.get(name)) for name in phases),
        Measured(recovered(step)),
        *(_figure(value) for value in (step.floor_s, step.excess_s)),
    ]


def _figure(value_s: float | None) -> Measured:
    return Measured(NOT_MEASURED if value_s is None else f"{value_s:.2f}")


def _side_by_side(figures: Sequence[Sequence[Measured]]) -> list[tuple[str, ...]]:
    """Figures and margins of a column each below one another."""
    by_column = [_aligned(column) for column in zip(*figures, strict=True)]
    return list(zip(*by_column, strict=True))


def _aligned(column: Sequence[Measured]) -> list[str]:
    value = max(len(figure.value) for figure in column)
    margin = max(len(figure.margin) for figure in column)
    return [
        f"{f.value:>{value}} {f.margin:<{margin}}" if margin else f"{f.value:>{value}}"
        for f in column
    ]


def _common_headers(steps: Sequence[StepReport]) -> list[str]:
    return ["step", "at", f"load {steps[0].unit}", "replicas"]


def _common(step: StepReport) -> tuple[str, ...]:
    load = load_change(step.from_level, step.to_level)
    return (step_name(step), f"{step.at_s:.1f}", load, replica_change(step))


def _rows(steps: Sequence[StepReport], cells: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
    return [(*_common(step), *row) for step, row in zip(steps, cells, strict=True)]


def _common_widths(steps: Sequence[StepReport]) -> list[int]:
    """Widths that let the tables of up and down stand below one another."""
    return [
        max((len(_common(step)[i]) for step in steps), default=0) for i in range(_COMMON_COLUMNS)
    ]


def _critical_replicas(steps: Sequence[StepReport], width: int) -> list[Text]:
    """One text that names them, or none."""
    named = [f"{step_name(s)} {sanitized(s.critical_replica)}" for s in steps if s.critical_replica]
    if not named:
        return []
    text = flow(["critical replica:", *named], width, "  ")
    text.stylize("dim")
    return [text]


def _described(
    step: StepReport, names: Sequence[str], figures: Sequence[Measured], width: int
) -> Text:
    """A step without a table, for consoles too narrow for one."""
    head = (
        f"{step_name(step)} at {step.at_s:.1f}",
        f"{load_change(step.from_level, step.to_level)} {step.unit}",
        f"{replica_change(step)} replicas",
    )
    parts = [f"{name} {figure}" for name, figure in zip(names, figures, strict=True)]
    return Text("\n").join([flow(head, width), flow(parts, width)])


def remark(step: StepReport, deployment: DeploymentReport) -> str:
    """What a reader must know of a step beyond its figures; empty if nothing."""
    if step.total_s is None:
        return sanitized(step.reason or "not measured")
    found = [sanitized(step.reason)] if step.reason else []
    found += [text for text in (_share(step, deployment), _delay(step)) if text]
    if step.cause:
        found.append(f"cause: {step.cause}")
    if is_shown(step.unattributed_s):
        found.append(f"{step.unattributed_s:.2f} s unattributed")
    always = UP_PHASES if step.direction == "up" else DOWN_PHASES
    found += [
        f"{phase.name}: {sanitized(phase.reason)}"
        for phase in step.phases
        if phase.name in always and phase.value is None and phase.reason
    ]
    return "; ".join(found)


def _share(step: StepReport, deployment: DeploymentReport) -> str:
    """How much of a step's lag its configuration makes unavoidable, as a sentence."""
    floor, config = step.floor, deployment.autoscaling or {}
    if floor is None or step.total_s is None:
        return ""
    names = (("metrics_interval_s", "push"), ("look_back_period_s", "average"))
    settings = [f"{config[name]:g} s {word}" for name, word in names if config.get(name)]
    settings.append(f"{floor.delay_s:g} s delay")
    rest = "the fastest start-up" if step.direction == "up" else "the shortest drain"
    total = seconds(step.total_s).value
    return (
        f"{total} s, of which {floor.configured_s:.1f} s is your configuration "
        f"({', '.join(settings)}) and {floor.replica_s:.1f} s {rest}"
    )


def _delay(step: StepReport) -> str:
    """The delay in effect, where it is not the configured one or a slow loop stretched it."""
    delay = step.delay
    if delay is None or delay.effective_s.hi is None:
        return ""
    effective = delay.effective_s
    slow = delay.loop_s is not None and delay.loop_s >= 2 * DEFAULT_LOOP_S
    if effective.lo <= delay.configured_s and not slow:
        return ""
    loop = f" (a turn of the controller's loop takes {delay.loop_s:.2f} s)" if delay.loop_s else ""
    return (
        f"delay: {delay.configured_s:g} s configured, {effective.lo:.1f} to {effective.hi:.1f} s "
        f"in effect{loop}"
    )


def idle_steps(steps: Sequence[StepReport]) -> list[StepReport]:
    """Steps without a lag that nobody wonders at: the load stayed, or the run began or ended."""
    return [
        step
        for i, step in enumerate(steps)
        if step.total_s is None
        and (step.direction == "none" or (i in (0, len(steps) - 1) and _suffices(step)))
    ]


def _suffices(step: StepReport) -> bool:
    """Whether there were enough replicas before a step up, or no more than enough before one down."""
    before, target = step.replicas_before, step.target_after
    if before is None or target is None:
        return False
    return target <= before if step.direction == "up" else target >= before


def idle_reasons(steps: Iterable[StepReport]) -> str:
    """Why each of these steps has no lag, on one line; without any, that no step was reached."""
    by_reason: dict[str, list[str]] = {}
    for step in steps:
        by_reason.setdefault(sanitized(step.reason or "not measured"), []).append(step_name(step))
    listed = (f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())
    return f"nothing to measure: {'; '.join(listed) or 'the run ended before the first load step'}"


def unmeasured_phases(deployments: Iterable[DeploymentReport]) -> dict[str, str]:
    """Phases that have no column since no step measured them, with the reason."""
    phases = [p for d in deployments for step in d.steps if step.total_s for p in step.phases]
    with_column = {*UP_PHASES, *DOWN_PHASES, *(p.name for p in phases if p.value is not None)}
    return {
        p.name: sanitized(p.reason)
        for p in phases
        if p.name not in with_column and p.reason and p.part_of != "decide"
    }
