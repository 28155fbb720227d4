"""The chart of a deployment's lag budget: the parts of each step's lag, beside its floor."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from reports.model.steps import DeploymentReport, StepReport
from reports.render.html.axes import MARGIN, axis, layout
from reports.render.html.figure import Figure, Key, arrows, color
from reports.render.tables.table import Column, Table
from reports.render.text import (
    NOT_MEASURED,
    is_shown,
    load_change,
    seconds,
    step_name,
    step_title,
)
from scalelag.wording import count

_ROW_PX = 26
_FRAME_PX = 60
_MOST_STEPS = 30
_ROOM_FOR_TOTALS = 1.45
_LEFT_PX = 112
_PARTS = {
    "decide": "decide",
    "detect": "detect: until more, or fewer, replicas are wanted",
    "delay": "delay: as configured",
    "create": "create",
    "restart": "restart: after replicas that failed to start",
    "allocate": "allocate",
    "initialize": "initialize",
    "mark_running": "mark running",
    "stop": "stop",
    "drain": "drain",
    "unattributed": "unattributed",
    "unfinished": "not over by the end of the hold",
    "loop": "loop: turns of the controller (floor only)",
    "start": "fastest start-up, or shortest drain (floor only)",
}


class _Part(NamedTuple):
    row: float
    name: str
    from_s: float
    length_s: float
    is_floor: bool


def lag_figure(id_: str, deployment: DeploymentReport) -> Figure | None:
    """Stacked bars of each measured step and of its floor; None if no step was measured."""
    measured = [step for step in deployment.steps if step.total_s is not None]
    steps = measured[:_MOST_STEPS]
    if not steps:
        return None
    parts = [part for place, step in enumerate(steps) for part in _parts(place, step)]
    names = [name for name in _PARTS if any(part.name == name for part in parts)]
    height_px = _FRAME_PX + 2 * _ROW_PX * len(steps)
    return Figure(
        id=f"{id_}-budget",
        title="Lag budget of each step, beside its floor",
        unit=f"seconds since the step{_left_out(len(measured))}",
        sentence=" ".join(map(_sentence, steps)),
        height_px=height_px,
        plot={
            "data": [_bars(parts, name, steps) for name in names],
            "layout": layout(
                height_px,
                xaxis=axis(
                    range=[0, round(_ROOM_FOR_TOTALS * _longest_s(parts), 3)],
                    ticksuffix=" s",
                    showline=True,
                ),
                yaxis=axis(
                    range=[2.5 * len(steps) - 0.9, -0.7],
                    showgrid=False,
                    tickvals=[row for place in range(len(steps)) for row in _rows(place)],
                    ticktext=[text for step in steps for text in (_row_name(step), "floor")],
                ),
                annotations=list(_totals(steps, parts)),
                barmode="overlay",
                margin=MARGIN | {"l": _LEFT_PX},
                hovermode="closest",
            ),
        },
        keys=tuple(Key(_color(name), _PARTS[name]) for name in names),
        table=_table(steps, parts),
    )


def _left_out(measured: int) -> str:
    return (
        f"; the first {_MOST_STEPS} of {count(measured, 'step')}" if measured > _MOST_STEPS else ""
    )


def _row_name(step: StepReport) -> str:
    levels = arrows(load_change(step.from_level, step.to_level))
    return f"{step_name(step)} {levels}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _rows(place: int) -> tuple[float, float]:
    """Rows of the bars of a step and of its floor."""
    return 2.5 * place, 2.5 * place + 1


def _parts(place: int, step: StepReport) -> Iterator[_Part]:
    row, floor_row = _rows(place)
    measured = _measured(step)
    yield from _in_a_row(row, [*measured, *_unfinished(step, measured)], is_floor=False)
    if step.floor is not None:
        floor = step.floor
        lengths = (
            ("backlog", floor.backlog_s),
            ("detect", floor.detect_s),
            ("delay", floor.delay_s),
            ("loop", floor.loop_s),
            ("start", floor.replica_s),
        )
        yield from _in_a_row(floor_row, lengths, is_floor=True)


def _in_a_row(
    row: float, lengths: Sequence[tuple[str, float]], *, is_floor: bool
) -> Iterator[_Part]:
    from_s = 0.0
    for name, length_s in lengths:
        if length_s > 0:
            yield _Part(row, name, from_s, length_s, is_floor)
        from_s += length_s


def _measured(step: StepReport) -> list[tuple[str, float]]:
    """The phases that add up to the total, `decide` in its parts where they are known."""
    values = {phase.name: phase.value for phase in step.phases if phase.value is not None}
    split = "detect" in values and "delay" in values
    left_out = {"decide"} if split else {"detect", "delay"}
    found = [
        (phase.name, phase.value)
        for phase in step.phases
        if phase.value is not None and phase.part_of != "recovery" and phase.name not in left_out
    ]
    if is_shown(step.unattributed_s):
        found.append(("unattributed", step.unattributed_s or 0.0))
    return found


def _unfinished(step: StepReport, measured: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """The time after the last known phase of a step that was not over by the end of its hold."""
    if step.total_s is None or step.total_s.value is not None:
        return []
    return [("unfinished", max(0.0, step.total_s.lo - sum(length for _, length in measured)))]


def _color(name: str) -> str:
    return {"drain": "stopping", "stop": "create", "restart": "restart-phase"}.get(name, name)


def _bars(parts: Sequence[_Part], name: str, steps: Sequence[StepReport]) -> dict[str, Any]:
    own = [part for part in parts if part.name == name]
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "base": [round(part.from_s, 3) for part in own],
        "x": [round(part.length_s, 3) for part in own],
        "y": [part.row for part in own],
        "width": [0.6 if part.is_floor else 0.9 for part in own],
        "text": [_of(part, steps) for part in own],
        "customdata": [round(part.length_s, 3) for part in own],
        "textposition": "none",
        "marker": {
            "color": color(_color(name)),
            "opacity": [0.62 if part.is_floor else 1 for part in own],
            "line": {"width": 0.7, "color": color("outline")},
        },
        "hovertemplate": f"%{{text}}: {_words(name)} %{{customdata:.2f}} s<extra></extra>",
    }


def _of(part: _Part, steps: Sequence[StepReport]) -> str:
    name = step_name(steps[int(part.row // 2.5)])
    return f"floor of {name}" if part.is_floor else name


def _longest_s(parts: Sequence[_Part]) -> float:
    return max((part.from_s + part.length_s for part in parts), default=1.0)


def _totals(steps: Sequence[StepReport], parts: Sequence[_Part]) -> Iterator[dict[str, Any]]:
    """The total behind each bar, and the floor behind its own."""
    for place, step in enumerate(steps):
        floor = NOT_MEASURED if step.floor_s is None else f"{step.floor_s:.2f} s"
        texts = (f"<b>{seconds(step.total_s)} s</b>", floor)
        for row, text in zip(_rows(place), texts, strict=True):
            ends_s = [part.from_s + part.length_s for part in parts if part.row == row]
            yield {
                "x": round(max(ends_s, default=0.0), 3),
                "y": row,
                "xanchor": "left",
                "xshift": 5,
                "showarrow": False,
                "text": text,
                "font": {"color": color("text")},
            }


def _sentence(step: StepReport) -> str:
    parts = ", ".join(f"{_words(name)} {length_s:.2f}" for name, length_s in _measured(step))
    floor = "not known" if step.floor_s is None else f"{step.floor_s:.2f} s"
    return (
        f"Step {arrows(step_title(step))}: {seconds(step.total_s)} s in all "
        f"({parts or 'no part measured'}); floor {floor}."
    )


def _table(steps: Sequence[StepReport], parts: Sequence[_Part]) -> Table:
    names = [name for name in _PARTS if any(part.name == name for part in parts)]
    columns = (Column("bar", "words"), *(Column(_words(name)) for name in names), Column("sum s"))
    rows: list[tuple[str, ...]] = []
    for place, step in enumerate(steps):
        for row, title in zip(_rows(place), (step_name(step), "floor"), strict=True):
            own = {part.name: part.length_s for part in parts if part.row == row}
            cells = (f"{own[name]:.2f}" if name in own else NOT_MEASURED for name in names)
            rows.append((title, *cells, f"{sum(own.values()):.2f}"))
    return Table("Parts of each step's lag, and of its floor, in seconds", columns, tuple(rows))
