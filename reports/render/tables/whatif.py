"""Tables of a what-if: figures of steps and of the whole run, and the proof."""

from collections.abc import Iterator, Mapping

from reports.model.whatif import (
    Check,
    Figure,
    FigureName,
    Validation,
    WhatIfReport,
    WhatIfStep,
)
from reports.render.tables.table import Cell, Column, Table, estimated_cell, measured_cell
from reports.render.text import NOT_MEASURED, direction_words, load_change
from scalelag.foreign import sanitized
from scalelag.wording import count

_STEP_NAMES: Mapping[FigureName, str] = {
    "decide_s": "decide s",
    "total_s": "total s",
    "recovered_s": "recovered s",
    "p95_ms": "p95 ms",
    "failed": "failed",
    "reversals": "reversals",
}
_RUN_NAMES: Mapping[FigureName, str] = {
    "p95_ms": "p95 ms",
    "failed": "failed",
    "beyond_slo_s": "beyond SLO s",
    "reversals": "reversals",
    "replica_hours": "replica-hours",
}
_DIGITS: Mapping[FigureName, int] = {
    "decide_s": 2,
    "total_s": 2,
    "recovered_s": 0,
    "p95_ms": 0,
    "failed": 0,
    "reversals": 0,
    "replica_hours": 4,
    "beyond_slo_s": 0,
    "lag_s": 2,
}
_KINDS = ("recorded", "simulated", "what if")


def headline(report: WhatIfReport) -> str:
    """The changes in one line."""
    parts = [
        f"{sanitized(one.setting)} {_value(one.before)} -> {_value(one.after)}"
        for one in report.changes
    ]
    if report.policy:
        parts.append(f"policy {sanitized(report.policy)}")
    if report.load:
        parts.append(f"load {sanitized(report.load)}")
    return ", ".join(parts) or "the run's own settings, replayed"


def _value(value: object) -> str:
    return (
        "unset"
        if value is None
        else sanitized(f"{value:g}" if isinstance(value, float) else str(value))
    )


def proof(report: WhatIfReport) -> str:
    """The validation in one sentence."""
    found = report.validation
    area = f"the target curves differ by {found.area_ratio:.1%} of their area{_swings(found)}"
    if found.passed:
        return f"Replayed with its own settings, the run comes out as it was recorded: {area}."
    return (
        "No prediction: replayed with its own settings, the run does not come out as it was "
        f"recorded; {area}."
    )


def _swings(found: Validation) -> str:
    """Words for an area of curves with their values in ascending order, if it is one."""
    alike = [one for one in found.checks if one.what.endswith(" period_s") and one.within]
    said = [
        f"both swing, with a period of {one.simulated:.1f} s (recorded {one.recorded:.1f} s)"
        for one in alike
    ]
    return "".join(f"; {one}" for one in said) + (
        "; of swings the time at each level counts, not when they turn" if said else ""
    )


def service_words(report: WhatIfReport) -> str:
    """Costs of a request and of a start in the simulation."""
    one = report.service
    if not one.varied:
        grows = "how they grow with the requests on one replica cannot be told from an even load"
    elif one.sharing == 0:
        grows = f"they do not grow with the requests on one replica (seen up to {one.highest:.0f})"
    else:
        grows = (
            f"each further request on a replica makes all of them {one.sharing:.0%} of that longer "
            f"(seen up to {one.highest:.0f} on one)"
        )
    return (
        f"Service times from {count(one.requests, 'request')}: median {one.p50_ms:.0f} ms, p95 "
        f"{one.p95_ms:.0f} ms alone on a replica; {grows}. Start of a replica: median "
        f"{one.start_p50_s:.1f} s of {one.starts}."
    )


def step_table(report: WhatIfReport) -> Table:
    """Each step's figures as recorded, simulated and with the change, one row each."""
    columns = (
        Column("step", "words", key=True),
        Column("load", "words", room="wide"),
        Column("as", "words", key=True),
        *(Column(name, part=place // 3) for place, name in enumerate(_STEP_NAMES.values())),
    )
    rows = [row for step in report.steps for row in _step_rows(step)]
    return Table(
        f"Steps of {sanitized(report.deployment)}", columns, tuple(rows), note=_note(report)
    )


def run_table(report: WhatIfReport) -> Table:
    """The whole run."""
    columns = (Column("as", "words", key=True), *(Column(name) for name in _RUN_NAMES.values()))
    rows = [
        (kind, *(_cell(report.whole[name], kind, name) for name in _RUN_NAMES))
        for kind in _shown_kinds(report.whole)
    ]
    return Table("The whole run", columns, tuple(rows))


def check_table(report: WhatIfReport) -> Table:
    """Recorded figures beside those of the replay, with the bound where there is one."""
    columns = (
        Column("figure", "words", key=True),
        Column("recorded"),
        Column("simulated"),
        Column("error"),
        Column("bound"),
        Column("within", "words"),
    )
    shown = [
        one
        for one in report.validation.checks
        if one.recorded is not None or one.simulated is not None or one.within is False
    ]
    return Table("The run's own settings, replayed", columns, tuple(map(_check_row, shown)))


def _check_row(check: Check) -> tuple[str, ...]:
    return (
        check.what.replace("_ms", " ms").replace("_s", " s"),
        *(_plain(value) for value in (check.recorded, check.simulated, check.error, check.bound)),
        "" if check.within is None else ("yes" if check.within else "NO"),
    )


def _plain(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.2f}"


def _note(report: WhatIfReport) -> str:
    return (
        f"Simulated figures: the median of {report.repetitions} repetitions, with its 5 % and 95 % "
        "quantiles."
    )


def _step_rows(step: WhatIfStep) -> Iterator[tuple[Cell, ...]]:
    """Rows of a step; the first one names it."""
    name, load = (
        f"{step.index} {direction_words(step.direction)}",
        load_change(step.from_level, step.to_level),
    )
    for number, kind in enumerate(_shown_kinds(step.figures)):
        head = (name, f"{load} {step.unit}") if number == 0 else ("", "")
        yield (*head, kind, *(_cell(step.figures[key], kind, key) for key in _STEP_NAMES))


def _shown_kinds(figures: Mapping[FigureName, Figure]) -> list[str]:
    known = {
        "recorded": any(one.recorded is not None for one in figures.values()),
        "simulated": any(one.simulated is not None for one in figures.values()),
        "what if": any(one.whatif is not None for one in figures.values()),
    }
    return [kind for kind in _KINDS if known[kind]]


def _cell(figure: Figure, kind: str, name: FigureName) -> Cell:
    if kind == "recorded":
        return measured_cell(figure.recorded, _DIGITS[name])
    estimate = figure.simulated if kind == "simulated" else figure.whatif
    return estimated_cell(estimate.span if estimate else None, _DIGITS[name])
