"""The page docs/locustfiles.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.locustfiles.cases import Case
from tools.locustfiles.runs import Outcome
from tools.locustfiles.sides import Sides

PAGE: Final = Path(__file__).parents[2] / "docs" / "locustfiles.md"
_HEAD: Final = """\
# Locustfiles, with plain Locust and with scalelag

Written by `make locustfiles` ([tools/locustfiles](../tools/locustfiles/cases.py)).

- Each locustfile runs twice against the same endpoint: with `locust -f`, and as it is with
  `scalelag run -f`; with `--master` and `--worker`, with `locust -f locustfiles/attached.py,FILE`.
- Each cell has **plain Locust's figure, then ours**: Locust's from its `--csv`, ours from
  `report.json`.
- Users ask a fixed number of times, so that the numbers do not depend on timing.
- An exit code is never milder than Locust's. One that is stricter has its reason beside it.
- [users.md](users.md#locustfiles-of-your-own) says what else to know.

| locustfile | requests | failures | exceptions | exit code | files and output |
|---|---|---|---|---|---|
"""


def row(case: Case, sides: Sides) -> str:
    """Return the row of a case."""
    counts = [
        f"{plain}, {ours}"
        for plain, ours in zip(sides.plain.counts, sides.ours.counts, strict=True)
    ]
    codes = f"{sides.plain.exit_code}, {sides.ours.exit_code}"
    code = f"{codes}: {case.why}" if case.why else codes
    marks = f"{_marks(case, sides.plain)}, {_marks(case, sides.ours)}" if case.marks else ""
    return f"| {case.kind} | {' | '.join(counts)} | {code} | {marks} |"


def _marks(case: Case, side: Outcome) -> str:
    """Return how much of what must be there was found."""
    return "all" if side.found == case.marks else f"{len(side.found)} of {len(case.marks)}"


def page_with(rows: Sequence[str]) -> str:
    """Return the text of the page."""
    return _HEAD + "\n".join(rows) + "\n"
