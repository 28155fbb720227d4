"""The lag of each load step of one deployment, for the terminal."""

from collections.abc import Mapping

from rich.console import Console, RenderableType
from rich.text import Text

from reports.model.steps import DeploymentReport
from reports.render.tables.elasticity import following_texts, trouble_texts
from reports.render.tables.lag import (
    bounds,
    idle_reasons,
    idle_steps,
    lag_tables,
    remarks,
    shared_tables,
    short_remarks,
)
from reports.render.terminal.layout import emit, flow, hanging, room
from reports.render.terminal.tables import print_table
from reports.render.text import listed
from scalelag.foreign import sanitized


def print_lag(console: Console, key: str, deployment: DeploymentReport) -> None:
    """Print the lag of every step, and why one has none."""
    heading = [Text(f"Scale lag: {sanitized(key)}", style="bold"), f"({bounds(deployment)})"]
    tables = list(lag_tables(deployment))
    if tables:
        heading.append("± (also + and -) is what polling cannot know")
    emit(console, flow(heading, room(console), "  "))
    for i, table in enumerate(tables):
        if i:
            console.print()
        print_table(console, table)
    _print_notes(console, deployment, is_first=not tables)


def print_shared_lag(console: Console, deployments: Mapping[str, DeploymentReport]) -> None:
    """Print the lag of several deployments in tables that they share, and what is odd of each."""
    for table in shared_tables(deployments):
        console.print()
        print_table(console, table)
    noted: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for key, one in deployments.items():
        noted.setdefault(_short_notes(one), []).append(key)
    noted.pop((), None)
    if noted:
        console.print()
    for notes, keys in noted.items():
        emit(console, Text(listed(keys), style="bold"))
        for name, text in notes:
            emit(console, hanging(Text(f"{name}:"), Text(text)), 3)


def _short_notes(deployment: DeploymentReport) -> tuple[tuple[str, str], ...]:
    """Name and text of each note on a deployment."""
    named = [("Settings", text) for text in deployment.around]
    named += short_remarks(deployment)
    named += [("Elasticity", text) for text in trouble_texts(deployment)]
    return tuple((name, sanitized(text)) for name, text in named)


def _print_notes(console: Console, deployment: DeploymentReport, *, is_first: bool) -> None:
    idle = idle_steps(deployment.steps)
    notes: list[RenderableType] = [
        hanging(Text(f"{name}:"), Text(text)) for name, text in remarks(deployment)
    ]
    if idle or not deployment.steps:
        notes.append(Text(idle_reasons(idle), style="dim"))
    if texts := following_texts(deployment):
        head = Text("Elasticity:")
        notes.append(hanging(head, flow(texts, room(console) - head.cell_len - 1, "  ")))
    if notes and not is_first:
        console.print()
    for note in notes:
        emit(console, note)
