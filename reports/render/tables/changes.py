"""The table of changes during the run."""

from collections.abc import Sequence

from reports.model.changes import ChangeReport
from reports.render.tables.table import Column, Table, rest_of
from reports.render.text import MeasuredText
from scalelag.foreign import sanitized

_MOST = 40
_KINDS = {
    "config": "configuration",
    "update": "new version",
    "deleted": "deleted",
    "deployed": "deployed",
    "capacity": "capacity",
}


def change_table(changes: Sequence[ChangeReport]) -> Table | None:
    """Changes by time; None without any."""
    if not changes:
        return None
    columns = (
        Column("at s [between]"),
        Column("change", "words", key=True),
        Column("deployment", "foreign"),
        Column("what", "foreign"),
    )
    rows = tuple(
        (
            MeasuredText(f"{change.at_s:.1f}", f"[{change.lo_s:.1f}, {change.hi_s:.1f}]"),
            _KINDS[change.kind],
            sanitized(change.deployment or "all"),
            sanitized(change.what),
        )
        for change in changes[:_MOST]
    )
    note = rest_of(len(changes), _MOST)
    return Table(
        "What was changed during the run, by others than the autoscaler", columns, rows, note
    )
