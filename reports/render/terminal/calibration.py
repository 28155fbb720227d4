"""A calibration (the rate that one replica serves within a limit), for the terminal and as JSON."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from reports.model.calibration import Calibration, CalibrationStage, StageLoad
from reports.render.json_report import as_json
from reports.render.tables.table import Column, Table
from reports.render.terminal.layout import emit, flow, hanging, room
from reports.render.terminal.tables import print_table
from reports.render.text import level, milliseconds, percent
from scalelag.foreign import sanitized
from scalelag.wording import count

_KEPT = {True: "kept", False: "exceeded", None: "not judged"}


def print_calibration(console: Console, found: Calibration, record: str) -> None:
    """Print the rate, the stages that led to it, and what to do with it."""
    if found.capacity_rps is not None and found.complete:
        badge = Text(" CALIBRATED ", style="bold black on green")
    else:
        badge = Text(" NOT CALIBRATED ", style="bold black on yellow")
    about = (sanitized(", ".join(found.deployments)) or "no deployment", "one replica", found.slo)
    emit(console, hanging(badge, flow(about, room(console) - badge.cell_len - 1)))
    emit(console, Text(_finding(found)))
    console.print()
    print_table(console, stage_table(found), caption=False)
    _print_notes(console, found.stages)
    console.print()
    if found.capacity_rps is not None:
        emit(console, Text(f"Use it: --capacity-rps {found.capacity_rps:g}"))
    emit(console, Text(f"Record: {sanitized(record)}", overflow="fold"))


def render_json_calibration(found: Calibration) -> bytes:
    """The calibration as indented JSON in UTF-8."""
    return as_json(found)


def stage_table(found: Calibration) -> Table:
    """The stages of a calibration, one a row."""
    quantile = found.slo.partition("<")[0]
    columns = (
        Column("load"),
        Column("s"),
        Column("requests"),
        Column("failed"),
        Column("not sent"),
        Column(f"{quantile} ms"),
        Column("within"),
        Column("limit", "words"),
    )
    return Table("Stages", columns, tuple(map(_cells, found.stages)))


def load_words(load: StageLoad) -> str:
    """`12.5 rps`, `1 user`."""
    if load.unit == "rps":
        return f"{level(load.level)} rps"
    return count(int(load.level), "user")


def _finding(found: Calibration) -> str:
    parts: list[str] = []
    if found.capacity_rps is not None:
        parts.append(f"kept at {level(found.capacity_rps)} requests/s")
    if found.exceeded_rps is not None:
        parts.append(f"exceeded at {level(found.exceeded_rps)}")
    if found.reason is not None:
        parts.append(sanitized(found.reason))
    return "; ".join(parts)


def _cells(stage: CalibrationStage) -> tuple[str, ...]:
    return (
        load_words(stage.load),
        f"{stage.hold_s:g}",
        f"{stage.planned:,}",
        f"{stage.failed:,}",
        f"{stage.not_sent:,}",
        milliseconds(stage.latency_ms),
        percent(stage.within_ratio),
        _KEPT[stage.kept],
    )


def _print_notes(console: Console, stages: Sequence[CalibrationStage]) -> None:
    for stage in stages:
        if stage.reason is not None:
            text = f"{load_words(stage.load)}: {sanitized(stage.reason)}"
            emit(console, hanging(Text("!", style="bold"), Text(text)))
