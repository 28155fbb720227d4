"""The charts of one deployment's replicas: their number by state, and the life of each."""

from collections.abc import Iterable, Sequence
from typing import Any

from reports.model.charts import (
    BarState,
    Charts,
    DecisionMark,
    DeploymentCharts,
    ReplicaBar,
    ReplicaCurve,
)
from reports.model.steps import DeploymentReport
from reports.render.html.axes import axis, chart_marks, layout, time_axis
from reports.render.html.figure import Figure, Key, chart_text, color, rounded
from reports.render.tables.table import Column, Table
from reports.render.text import NOT_MEASURED, shortened, shortened_name
from scalelag.foreign import sanitized
from scalelag.wording import count

_HEIGHT_PX = 220
_FRAME_PX = 56
_ROW_PX = 20
_MOST_NAMED = 60
_MOST_HEIGHT_PX = 900
_NAME_LENGTH = 9
_MOST_TOLD = 6
_LATEST_S = 2.0
_STATES: tuple[tuple[BarState, str], ...] = (
    ("allocate", "allocate: waits for its place"),
    ("initialize", "initialize: its constructor"),
    ("mark_running", "mark running: first health check"),
    ("RUNNING", "RUNNING"),
    ("STOPPING", "STOPPING"),
)


def replicas_figure(key: str, id_: str, deployment: DeploymentReport, charts: Charts) -> Figure:
    """Replicas by state, stacked, and the target with its decisions."""
    own = charts.deployments[key]
    shapes, labels = chart_marks(charts, deployment.steps, key)
    states = ("running", "starting", "stopping")
    return Figure(
        id=f"{id_}-replicas",
        title="Replicas by state",
        unit="replicas",
        sentence=_replicas_sentence(deployment, own),
        height_px=_HEIGHT_PX,
        plot={
            "data": [
                *(_area(own.curve, state) for state in states),
                _target(own),
                _decisions(own.decisions),
            ],
            "layout": layout(
                _HEIGHT_PX,
                xaxis=time_axis(charts.end_s),
                yaxis=replica_axis((*own.curve.running, *own.curve.target)),
                shapes=shapes,
                annotations=labels,
                hovermode="x unified",
            ),
        },
        keys=(
            Key("running", "RUNNING"),
            Key("starting", "STARTING"),
            Key("stopping", "STOPPING"),
            Key("target", "target", "dashed"),
            Key("target", "decision of the autoscaler", "diamond"),
        ),
        table=_curve_table(own),
        linked=True,
    )


def _area(curve: ReplicaCurve, state: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": {"running": "RUNNING", "starting": "STARTING", "stopping": "STOPPING"}[state],
        "x": rounded(curve.times_s),
        "y": list(getattr(curve, state)),
        "stackgroup": "replicas",
        # Where there are none of a state, its line would lie upon that of the others.
        "line": {"color": color(state), "width": 1.5 if state == "running" else 0, "shape": "hv"},
        "fillcolor": color(f"{state}-fill"),
        "hovertemplate": "%{y}",
    }


def _target(own: DeploymentCharts) -> dict[str, Any]:
    times_s, targets = target_line(own.curve, own.decisions)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "target",
        "x": rounded(times_s),
        "y": targets,
        "line": {"color": color("target"), "width": 1.8, "shape": "hv", "dash": "4px,3px"},
        "connectgaps": False,
        "hovertemplate": "%{y}",
    }


def target_line(
    curve: ReplicaCurve, decisions: Sequence[DecisionMark]
) -> tuple[list[float], list[int | None]]:
    """The polled target, each change of it at the moment of its decision, if that is known.

    Decisions have the time of the log, which comes before the poll that shows them.
    """
    points: list[tuple[float, int | None]] = [(mark.at_s, mark.after) for mark in decisions]
    last: int | None = None
    for at_s, target in zip(curve.times_s, curve.target, strict=True):
        near = {mark.after for mark in decisions if abs(at_s - mark.at_s) <= _LATEST_S}
        if (target != last or at_s == curve.times_s[0]) and target not in near:
            points.append((at_s, target))
        last = target
    if curve.times_s:
        points.append((max(curve.times_s[-1], *(at_s for at_s, _ in points), 0.0), last))
    latest: dict[float, int | None] = dict(sorted(points, key=lambda point: point[0]))
    return list(latest), list(latest.values())


def _decisions(decisions: Sequence[DecisionMark]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "decision",
        "x": rounded([mark.at_s for mark in decisions]),
        "y": [mark.after for mark in decisions],
        "text": [_decision_text(mark) for mark in decisions],
        "marker": {"color": color("target"), "size": 9, "symbol": "diamond"},
        "cliponaxis": False,
        "hovertemplate": "%{text}",
    }


def _decision_text(mark: DecisionMark) -> str:
    when = (
        f"at {mark.at_s:.2f} s"
        if mark.lo_s == mark.hi_s
        else f"between {mark.lo_s:.2f} and {mark.hi_s:.2f} s"
    )
    return f"{mark.before} to {mark.after} {when}"


def replica_axis(counts: Iterable[float | None]) -> dict[str, Any]:
    """An axis for `counts` of replicas. Few need a tick each; plotly would put halves between."""
    most = max((number for number in counts if number is not None), default=0)
    return axis(nticks=6, tickformat="d", dtick=1 if most <= _MOST_TOLD else None)


def _replicas_sentence(deployment: DeploymentReport, own: DeploymentCharts) -> str:
    seen = deployment.replicas
    if seen.min is None:
        return "All polls that show this deployment lie in the warm-up."
    told = "; ".join(_decision_text(mark) for mark in own.decisions[:_MOST_TOLD])
    more = len(own.decisions) - _MOST_TOLD
    rest = f"; and {count(more, 'more')}" if more > 0 else ""
    return (
        f"RUNNING replicas lie between {seen.min} and {seen.max} and end at {seen.final}. "
        f"{count(len(own.decisions), 'decision')} of the autoscaler"
        f"{f': {told}{rest}' if told else ''}."
    )


def _curve_table(own: DeploymentCharts) -> Table:
    curve = own.curve
    columns = tuple(map(Column, ("from s", "STARTING", "RUNNING", "STOPPING", "target")))
    rows = zip(
        (f"{at_s:.2f}" for at_s in curve.times_s),
        map(str, curve.starting),
        map(str, curve.running),
        map(str, curve.stopping),
        (NOT_MEASURED if target is None else str(target) for target in curve.target),
        strict=True,
    )
    return Table("Replicas by state, whenever they changed", columns, tuple(rows))


def lives_figure(key: str, id_: str, deployment: DeploymentReport, charts: Charts) -> Figure:
    """A Gantt chart: each replica's states from its beginning to its end."""
    own = charts.deployments[key]
    bars = own.bars
    is_named = len(bars) <= _MOST_NAMED
    height_px = _FRAME_PX + (
        _ROW_PX * max(2, len(bars)) if is_named else min(_MOST_HEIGHT_PX, 8 * len(bars))
    )
    shapes, labels = chart_marks(charts, deployment.steps, key)
    used = [
        state for state in _STATES if any(s.state == state[0] for b in bars for s in b.stretches)
    ]
    return Figure(
        id=f"{id_}-lives",
        title="Life of each replica",
        unit="one row a replica",
        sentence=_lives_sentence(own, charts),
        height_px=height_px,
        plot={
            "data": [_stretches(own, state, outlined=is_named) for state, _ in used],
            "layout": layout(
                height_px,
                xaxis=time_axis(charts.end_s),
                yaxis=_rows_axis(len(bars), bars if is_named else ()),
                shapes=shapes,
                annotations=labels,
                barmode="overlay",
                bargap=0.25 if is_named else 0,
                hovermode="closest",
            ),
        },
        keys=tuple(Key(_color(state), name) for state, name in used),
        table=_lives_table(id_, own),
        linked=True,
    )


def _rows_axis(rows: int, named: Sequence[ReplicaBar]) -> dict[str, Any]:
    """An axis of `rows`, with the names of those that are `named`."""
    return axis(
        range=[rows - 0.4, -0.6],
        showgrid=False,
        tickvals=list(range(len(named))),
        ticktext=[_row_name(bar.replica, critical=bool(bar.critical_in)) for bar in named],
    )


def _color(state: BarState) -> str:
    return {"RUNNING": "running", "STOPPING": "stopping"}.get(state, state)


def _row_name(replica: str, *, critical: bool) -> str:
    short = replica if len(replica) <= _NAME_LENGTH else f"{replica[: _NAME_LENGTH - 1]}\u2026"
    return f"{chart_text(short)}{' *' if critical else ''}"


def _stretches(own: DeploymentCharts, state: BarState, *, outlined: bool) -> dict[str, Any]:
    rows = [
        (row, bar.replica, stretch)
        for row, bar in enumerate(own.bars)
        for stretch in bar.stretches
        if stretch.state == state
    ]
    words = state.replace("_", " ")
    return {
        "type": "bar",
        "orientation": "h",
        "name": state,
        "base": rounded([stretch.from_s for _, _, stretch in rows]),
        "x": rounded([stretch.to_s - stretch.from_s for _, _, stretch in rows]),
        "y": [row for row, _, _ in rows],
        "text": [chart_text(shortened_name(replica, 40)) for _, replica, _ in rows],
        "textposition": "none",
        "marker": {
            "color": color(_color(state)),
            "line": {"width": 0.7 if outlined else 0, "color": color("outline")},
        },
        "hovertemplate": f"%{{text}}: {words} from %{{base:.2f}} to %{{x:.2f}} s<extra></extra>",
    }


def _lives_sentence(own: DeploymentCharts, charts: Charts) -> str:
    came = sum(bar.stretches[0].from_s > 0 for bar in own.bars)
    went = sum(bar.stretches[-1].to_s < charts.end_s for bar in own.bars)
    never = sum(all(s.state != "RUNNING" for s in bar.stretches) for bar in own.bars)
    failed = f", {never} of them never RUNNING" if never else ""
    critical = " A star marks the critical replica of a step." if _has_critical(own) else ""
    return (
        f"{count(len(own.bars), 'replica')}{failed}; {came:,} came during the run and {went:,} went."
        f"{critical}"
    )


def _has_critical(own: DeploymentCharts) -> bool:
    return any(bar.critical_in for bar in own.bars)


def _lives_table(id_: str, own: DeploymentCharts) -> Table:
    columns = (
        Column("replica", "foreign"),
        Column("node", "foreign"),
        *(Column(state.replace("_", " "), group="from s") for state, _ in _STATES),
        Column("until s"),
        Column("critical in step", "words"),
        Column("log file on the node", "foreign"),
    )
    rows = tuple(
        (
            shortened_name(bar.replica, 60),
            shortened(bar.node or NOT_MEASURED, 12),
            *_froms({stretch.state: stretch.from_s for stretch in bar.stretches}),
            f"{bar.stretches[-1].to_s:.2f}",
            ", ".join(map(str, bar.critical_in)) or "",
            shortened_name((bar.log_file or NOT_MEASURED).lstrip("/"), 160),
        )
        for bar in own.bars
    )
    return Table(
        "Replicas, when each began a state, and its log",
        columns,
        rows,
        row_ids=tuple(f"{id_}-replica-{row}" for row in range(len(rows))),
    )


def replica_links(id_: str, own: DeploymentCharts) -> dict[str, str]:
    """Ids of the rows of replicas, by the replica's name as tables show it."""
    return {sanitized(bar.replica): f"{id_}-replica-{row}" for row, bar in enumerate(own.bars)}


def _froms(from_s: dict[BarState, float]) -> list[str]:
    return [f"{from_s[state]:.2f}" if state in from_s else NOT_MEASURED for state, _ in _STATES]
