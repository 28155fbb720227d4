"""The table of gates."""

from collections.abc import Sequence

from reports.model.report import GateResult
from reports.render.tables.table import Column, Table
from reports.render.text import gate_figure, gate_subject
from scalelag.foreign import sanitized


def gate_table(gates: Sequence[GateResult]) -> Table | None:
    """Gates in their order; None without any."""
    if not gates:
        return None
    columns = (
        Column("verdict", "badge"),
        Column("gate", "code"),
        Column("measured [between]"),
        Column("of", "foreign"),
    )
    rows = tuple(
        (gate.verdict, sanitized(gate.expr), gate_figure(gate), gate_subject(gate))
        for gate in gates
    )
    return Table("Verdict of each gate, and what was measured [between]", columns, rows)
