"""The steps of a report as CSV: one line for each load step and deployment."""

import csv
import io
from typing import get_args

from reports.model.intervals import Span
from reports.model.load import LoadStepReport
from reports.model.report import Report
from reports.model.steps import Phase, PhaseName, StepReport
from scalelag.foreign import sanitized

_STEP = (
    "index",
    "direction",
    "at_s",
    "hold_s",
    "from_level",
    "to_level",
    "unit",
    "replicas_before",
    "replicas_after",
    "target_before",
    "target_after",
)
_SPANS = {"total_s": "total_s", "recovered_s": "recovered_s", "excess_s": "excess"}
"""Columns that have bounds, and the parts of a step that they are of."""
_MORE = ("censored", "unattributed_s", "floor_s", "critical_replica", "cause", "reason")
_LOAD = (
    "planned",
    "sent",
    "completed",
    "failed",
    "not_sent",
    "offered_rps",
    "completed_rps",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "latency_max_ms",
    "service_p50_ms",
    "service_p99_ms",
    "error_ratio",
)
_GOODPUT = ("ratio", "rps", "while_scaling_ratio", "otherwise_ratio")
_BOUNDS = ("", "_lo", "_hi")
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # full width too
_PHASES: tuple[PhaseName, ...] = get_args(PhaseName)
COLUMNS = (
    "run",
    "deployment",
    *_STEP,
    *(f"{name}{bound}" for name in _SPANS for bound in _BOUNDS),
    *(f"{name}_s{bound}" for name in _PHASES for bound in _BOUNDS),
    *_MORE,
    *_LOAD,
    *(f"goodput_{name}" for name in _GOODPUT),
)
"""Names as in `report.json`; `_lo` and `_hi` bound a figure. Empty is not measured."""


def render_csv(report: Report) -> bytes:
    """`report`'s steps as CSV in UTF-8 with a header line; requests are those of all deployments."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    load_steps = {step.index: step for step in report.load.steps}
    for key, deployment in report.deployments.items():
        for step in deployment.steps:
            cells = [report.run.name, key, *_cells(step, load_steps.get(step.index))]
            rows.writerow([plain_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue().encode()


def plain_cell(text: str) -> str:
    """`text` as one that no terminal obeys, and that no spreadsheet takes for a formula."""
    shown = sanitized(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def _cells(step: StepReport, load: LoadStepReport | None) -> list[object]:
    phases = {phase.name: phase for phase in step.phases}
    cells: list[object] = [getattr(step, name) for name in _STEP]
    for figure in [*(getattr(step, part) for part in _SPANS.values()), *map(phases.get, _PHASES)]:
        cells += _bounds(figure)
    cells += [getattr(step, name) for name in _MORE]
    cells += [None if load is None else getattr(load, name) for name in _LOAD]
    goodput = None if load is None else load.goodput
    cells += [None if goodput is None else getattr(goodput, name) for name in _GOODPUT]
    return cells


def _bounds(figure: Span | Phase | None) -> list[float | None]:
    return [None] * 3 if figure is None else [figure.value, figure.lo, figure.hi]
