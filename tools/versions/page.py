"""The measured tables of docs/versions.md: how each version shows each phase, and live checks."""

from collections.abc import Iterable, Sequence

import msgspec

from reports.model.report import Report
from reports.model.steps import DOWN_PHASES, UP_PHASES, Phase, StepReport

BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"
HOW = {"log": "exact", "poll": "polls", "requests": "exact", "config": "exact"}
MISSING = "missing"
UP_NAMES = tuple(dict.fromkeys((*UP_PHASES, "mark_running", "route")))
NO_TOKENS = "-"
"""Before Ray 2.52."""


class Row(msgspec.Struct, frozen=True):
    """Source of each phase in one version, by `up decide` and the like, and why phases are missing."""

    version: str
    token: str
    shown: dict[str, str]
    reasons: tuple[str, ...]


class Check(msgspec.Struct, frozen=True):
    """A live check on one version, and whether it was right."""

    version: str
    what: str
    found: str
    right: bool


def row_of(report: Report, token: str) -> Row:
    """The row of a run: each phase as the best step of its direction shows it."""
    steps = [step for one in report.deployments.values() for step in one.steps if step.total_s]
    shown: dict[str, str] = {}
    reasons: list[str] = []
    for direction, names in (("up", UP_NAMES), ("down", DOWN_PHASES)):
        own = [step for step in steps if step.direction == direction]
        for name in names:
            if name == "restart":
                continue  # only where a replica failed to start
            shown[f"{direction} {name}"] = _shown(_phases(own, name))
            if shown[f"{direction} {name}"] == MISSING:
                reasons += _reasons(f"{direction} {name}", _phases(own, name), report)
    reasons += [f"{what}: {why}" for what, why in report.not_measured.items()]
    return Row(report.run.versions.ray or "?", token, shown, tuple(dict.fromkeys(reasons)))


def _phases(steps: Iterable[StepReport], name: str) -> list[Phase]:
    return [phase for step in steps for phase in step.phases if phase.name == name]


def _shown(phases: Sequence[Phase]) -> str:
    ways = [HOW[phase.source] for phase in phases if phase.value is not None and phase.source]
    return min(ways, default=MISSING)


def _reasons(what: str, phases: Sequence[Phase], report: Report) -> list[str]:
    known = [phase.reason for phase in phases if phase.reason]
    none = [step.reason for d in report.deployments.values() for step in d.steps if step.reason]
    return [f"{what}: {why}" for why in (known or none)[:1]]


def blind_cells(row: Row) -> list[str]:
    """Phases that are missing without a reason."""
    told = {reason.partition(":")[0] for reason in row.reasons}
    return [name for name, how in row.shown.items() if how == MISSING and name not in told]


def tables(rows: Sequence[Row], checks: Sequence[Check], made_on: str) -> str:
    """Markdown of the measured part."""
    names = list(dict.fromkeys(name for row in rows for name in row.shown))
    heads = ["Ray", "token", *names]
    lines = [f"Measured on {made_on}, with the plan of `make demo`.", "", _line(heads)]
    lines.append(_line(["---"] * len(heads)))
    lines += [
        _line([row.version, row.token, *(row.shown.get(n, MISSING) for n in names)]) for row in rows
    ]
    lines += ["", "What is missing, and why:", ""]
    lines += [
        f"- {row.version}{_with(row)}: {'; '.join(row.reasons)}" for row in rows if row.reasons
    ]
    lines += ["", "| Ray | live check | found | right |", "|---|---|---|---|"]
    lines += [_line([c.version, c.what, c.found, "yes" if c.right else "**no**"]) for c in checks]
    return "\n".join(lines) + "\n"


def _with(row: Row) -> str:
    return "" if row.token == NO_TOKENS else f" (token {row.token})"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def with_tables(page: str, measured: str) -> str:
    """`page` with `measured` between its two marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{measured}\n{END}{tail}"
