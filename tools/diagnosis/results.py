"""Results of the diagnosis runs: kept in results.json, summed up in docs/diagnosis.md."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec

from tools.diagnosis.ray_start import ROOT

RESULTS: Final = Path(__file__).with_name("results.json")
PAGE: Final = ROOT / "docs" / "diagnosis.md"
BEGIN, END = "<!-- runs: make diagnosis -->", "<!-- end of runs -->"
_HEADS: Final = ("cause", "right", "of these held out", "wrong")


class RunResult(msgspec.Struct, frozen=True):
    """One run: what was wrong on purpose, and what its report found.

    `expected` is None for a healthy run. `explains_s` is the part of the lag that the first finding
    explains, and `evidence` the first of its evidence.
    """

    run: str
    held_out: bool
    injected: str
    expected: str | None
    found: tuple[str, ...]
    explains_s: float | None
    evidence: tuple[str, ...]
    right: bool
    made_on: str


class Results(msgspec.Struct, frozen=True):
    """All runs of `make diagnosis`; `notes` say by hand what a reader should know of them."""

    ray: str
    cores: int
    runs: tuple[RunResult, ...]
    notes: tuple[str, ...] = ()


def load_results() -> Results:
    """Return the stored results."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=Results)


def merged(stored: Results, new: Results) -> Results:
    """Return the stored results, those of `new` in their places, and other new ones at the end."""
    found = {run.run: run for run in (*stored.runs, *new.runs)}
    return msgspec.structs.replace(new, runs=tuple(found.values()), notes=stored.notes)


def store_results(results: Results) -> None:
    """Write results.json, and its summary into the page."""
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{summary(results)}{after}", encoding="utf-8")


def summary(results: Results) -> str:
    """Part of docs/diagnosis.md between its marks, the marks included."""
    ordered = sorted(results.runs, key=lambda run: run.expected or "~")
    rows = [
        _row(cause, list(runs)) for cause, runs in groupby(ordered, key=lambda run: run.expected)
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in [_HEADS, ("---",) * len(_HEADS), *rows])
    days = sorted({run.made_on for run in results.runs})
    said = (
        f"{_right_of(results.runs)} right on {' and '.join(days)}, Ray {results.ray}, "
        f"{results.cores} cores."
    )
    return f"{BEGIN}\n\n{said}\n\n{table}\n\n{END}"


def _row(cause: str | None, runs: Sequence[RunResult]) -> tuple[str, ...]:
    name = f"`{cause}`" if cause else "none (healthy)"
    wrong = ", ".join(run.run for run in runs if not run.right) or "-"
    return (name, _right_of(runs), _right_of([run for run in runs if run.held_out]), wrong)


def _right_of(runs: Sequence[RunResult]) -> str:
    return f"{sum(run.right for run in runs)} of {len(runs)}"
