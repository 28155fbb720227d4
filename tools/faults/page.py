"""Results of the faults: kept in results.json, and the page docs/reliability.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from tools.faults.cases import CASES
from tools.faults.kept import Outcome

RESULTS: Final = Path(__file__).with_name("results.json")
PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: make faults -->", "<!-- end of faults -->"
_HEADS: Final = ("fault", "done in mid-run", "on record", "the report", "exit code")


def stored() -> tuple[Outcome, ...]:
    """Return the stored outcomes."""
    if not RESULTS.exists():
        return ()
    return msgspec.json.decode(RESULTS.read_bytes(), type=tuple[Outcome, ...])


def store(new: Sequence[Outcome]) -> None:
    """Put new outcomes in the places of the older ones, and write the table into the page."""
    by_fault = {one.fault: one for one in (*stored(), *new)}
    outcomes = [by_fault[case.fault] for case in CASES if case.fault in by_fault]
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(outcomes), indent=1) + b"\n")
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), outcomes), encoding="utf-8")


def page_with(text: str, outcomes: Sequence[Outcome]) -> str:
    """Return the text of the page with a table of the outcomes."""
    before, _, rest = text.partition(BEGIN)
    days = sorted({one.made_on for one in outcomes})
    lines = [_HEADS, ("---",) * len(_HEADS), *map(_row, outcomes)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    lost = sum(one.lost for one in outcomes)
    said = f"Made on {' and '.join(days)}. Answered requests without a row, in all: {lost}."
    return f"{before}{BEGIN}\n\n{said}\n\n{table}\n\n{END}{rest.partition(END)[2]}"


def _row(one: Outcome) -> tuple[str, ...]:
    code = "killed" if one.code is None else str(one.code)
    return tuple(
        text.replace("|", "\\|") for text in (one.fault, one.done, one.kept, one.says, code)
    )
