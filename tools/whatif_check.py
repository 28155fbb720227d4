"""Predictions of `scalelag whatif` against real runs on real Ray: `python -m tools.whatif_check`.

Of each application one run is made with its usual settings, and one with each change. Each change is
predicted from the first run alone, and then measured. The table goes into docs/whatif.md. Pairs marked
as held out were not looked at while the simulation was written. `tools/whatif_pairs.py` lists them.

`--out` names the folder of the runs; a complete run that is there is not made again, so that the check
can be broken off and go on. `--only NAME` makes and compares some applications, `--no-runs` compares
what is there. `--swing` makes the oscillating settings instead, and lets `scalelag tune` end the swing.
`--steps` compares with Ray's own functions on several versions instead (`tools/whatif_versions.py`).
"""

import argparse
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

import yaml

from reports.analysis.analyse import analyse
from reports.model.intervals import Span
from reports.model.whatif import Estimate, FigureName, WhatIfReport
from reports.whatif.answer import RecordedSteps, measured_steps
from reports.whatif.from_record import watched_as_long, watched_of
from reports.whatif.start_up import PACE_SIGMA, start_ups
from scalelag.cli.whatif import WhatIfOptions, ask
from scalelag.errors import ScalelagError
from scalelag.record.run_dir import load_run
from tools.marked_page import write_between
from tools.whatif_pairs import APPS, PAIRS, Pair
from tools.whatif_swing import RunOf, swing_lines
from tools.whatif_versions import compare_versions

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "whatif.md"
PAIRS_MARKS = ("<!-- pairs -->\n", "<!-- end of pairs -->\n")
SWING_MARKS = ("<!-- swing -->\n", "<!-- end of swing -->\n")
HEAD = (
    "| app | change | held out | measured on | step | decide s: predicted, measured | total s |"
    " p95 ms | replica-hours | start of a replica s: recorded, measured |\n"
    f"|{'---|' * 10}\n"
)
_CELLS = 5
_TIMEOUT_S = 600.0
_TRIES = 2


class MissingRunError(ScalelagError):
    """A run that could not be made."""


class RefusedError(ScalelagError):
    """A record that does not reproduce itself, so that nothing is predicted from it."""


class MadeRun(NamedTuple):
    """A run with a change: its day, and how long its starts took over those it was predicted from."""

    day: str
    recorded_start_s: float
    start_s: float | None

    @property
    def pace(self) -> float | None:
        """Factor between the two runs; None if none started."""
        return self.start_s / self.recorded_start_s if self.start_s else None

    @property
    def cell(self) -> str:
        """Both start-ups."""
        told = "-" if self.start_s is None else f"{self.start_s:.1f}"
        return f"{self.recorded_start_s:.1f}, {told}"


class ComparedFigure(NamedTuple):
    """One figure of one pair, predicted and measured."""

    name: FigureName
    held_out: bool
    predicted: Estimate | None
    measured: Span | None

    @property
    def error(self) -> float | None:
        """Predicted minus measured; None where one of them is missing or was not over."""
        found = self.predicted.span if self.predicted else None
        if found is None or found.value is None:
            return None
        if self.measured is None or self.measured.value is None:
            return None
        return found.value - self.measured.value

    @property
    def within(self) -> bool:
        """Return True if the predicted and the measured interval have a value in common."""
        found = self.predicted.span if self.predicted else None
        if found is None or self.measured is None or self.measured.value is None:
            return False
        return found.lo <= self.measured.upper and self.measured.lo <= found.upper


def main() -> None:
    """Make what runs are missing, compare, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "whatif-check")
    parser.add_argument("--only", choices=[app.name for app in APPS], action="append")
    parser.add_argument("--no-runs", action="store_true")
    parser.add_argument("--swing", action="store_true")
    parser.add_argument("--steps", action="store_true")
    given = parser.parse_args()
    if given.steps:
        sys.exit(compare_versions())

    def run_of(pair: Pair) -> Path:
        return made_run(given.out, pair, may_make=not given.no_runs)

    if given.swing:
        text = "".join(swing_lines(run_of, given.out, may_make=not given.no_runs))
        write_between(PAGE, SWING_MARKS, text)
    else:
        pairs = [pair for pair in PAIRS if given.only is None or pair.app.name in given.only]
        text = table_of(pairs, run_of)
        write_between(PAGE, PAIRS_MARKS, text)
    sys.stdout.write(text)


def table_of(pairs: Sequence[Pair], run_of: RunOf) -> str:
    """Table of all pairs with a prediction and a measurement; others are said on stderr."""
    rows: list[str] = []
    compared: list[ComparedFigure] = []
    made: list[MadeRun] = []
    for pair in pairs:
        try:
            predicted, measured, one = _compared(run_of(Pair(pair.app)), run_of(pair), pair)
        except ScalelagError as error:
            sys.stderr.write(f"{pair.run_name}: {error}\n")
            rows.append(_row(pair, "", "", [f"none: {_cell_text(str(error))}"]))
            continue
        rows += _rows(pair, predicted, measured, one)
        compared += _figures(pair, predicted, measured)
        made.append(one)
    return f"{HEAD}{''.join(rows)}\n{_summary(compared)}{_paces(made)}"


def made_run(out: Path, pair: Pair, *, may_make: bool) -> Path:
    """Directory of the run of a pair, which is made if it is not there.

    Raises MissingRunError if it cannot be.
    """
    out.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        if there := _complete(out, pair.run_name):
            return there[-1]
        if not may_make:
            break
        _make(out, pair)
    if there := _complete(out, pair.run_name):
        return there[-1]
    raise MissingRunError("there is no complete run of it")


def _complete(out: Path, name: str) -> list[Path]:
    """Complete and valid runs of that name, oldest first."""
    named = re.compile(rf"\d{{8}}-\d{{6}}-{re.escape(name)}(-\d+)?")
    return [one for one in sorted(out.iterdir()) if named.fullmatch(one.name) and _is_whole(one)]


def _is_whole(folder: Path) -> bool:
    if not (folder / "report.json").is_file():
        return False
    try:
        return load_run(folder).info.status == "complete"
    except ScalelagError:
        return False


def _make(out: Path, pair: Pair) -> None:
    settings = out / f"{pair.run_name}.yaml"
    deployment = {"name": pair.app.deployment, "autoscaling_config": pair.settings}
    document = {"applications": [{"name": "default", "deployments": [deployment]}]}
    settings.write_text(yaml.safe_dump(document), encoding="utf-8")
    command = [sys.executable, "-m", "scalelag.cli", "run", "--app", pair.app.app]
    command += ["--autoscaling", str(settings), "--steps", pair.app.steps]
    command += ["--name", pair.run_name, "--out", str(out), "--drain", "30"]
    command += ["--deployment", f"default/{pair.app.deployment}"] if pair.app.arguments else []
    command += [word for text in pair.app.arguments for word in ("--app-arg", text)]
    try:
        subprocess.run(command, check=False, cwd=ROOT, env=os.environ, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"{pair.run_name}: not over after {_TIMEOUT_S:.0f} s\n")


def _compared(before: Path, after: Path, pair: Pair) -> tuple[WhatIfReport, RecordedSteps, MadeRun]:
    """The prediction of a pair, and what was measured. Raises ScalelagError if there is none."""
    recorded = load_run(before)
    predicted = ask(recorded, WhatIfOptions(pair.changes))
    if predicted.whatif is None:
        raise RefusedError(f"refused: {'; '.join(predicted.validation.reasons)}")
    run = load_run(after)
    watched = watched_of(run, predicted.deployment)
    if watched is None:
        raise MissingRunError(f"the run {after.name} did not watch {predicted.deployment}")
    watched = watched_as_long(watched, run.info.zero_s, recorded, predicted.deployment)
    measured = measured_steps(run, predicted.deployment, watched, analyse(run).report, None)
    starts_s = start_ups(watched.timeline, 0.0).starts_s
    day = time.strftime("%Y-%m-%d", time.gmtime(run.info.zero_s))
    made = MadeRun(day, predicted.service.start_p50_s, median(starts_s) if starts_s else None)
    return predicted, measured, made


def _figures(
    pair: Pair, predicted: WhatIfReport, measured: RecordedSteps
) -> Iterator[ComparedFigure]:
    names: tuple[FigureName, ...] = ("decide_s", "total_s", "p95_ms")
    for step in predicted.steps:
        for name in names:
            span = measured.figures.get(step.index, {}).get(name)
            yield ComparedFigure(name, pair.held_out, step.figures[name].whatif, span)
    hours: FigureName = "replica_hours"
    yield ComparedFigure(hours, pair.held_out, predicted.whole[hours].whatif, measured.whole[hours])


def _rows(
    pair: Pair, predicted: WhatIfReport, measured: RecordedSteps, made: MadeRun
) -> Iterator[str]:
    hours = predicted.whole["replica_hours"].whatif
    for step in predicted.steps:
        figures = measured.figures.get(step.index, {})
        total = step.figures["total_s"].whatif
        if (total is None or total.span is None) and figures.get("total_s") is None:
            continue
        cells = [
            _cell(step.figures["decide_s"].whatif, figures.get("decide_s"), 2),
            _cell(total, figures.get("total_s"), 2),
            _cell(step.figures["p95_ms"].whatif, figures.get("p95_ms"), 0),
            _cell(hours, measured.whole["replica_hours"], 4),
            made.cell if step.direction == "up" else "",
        ]
        yield _row(pair, made.day, f"{step.index} {step.direction}", cells)


def _row(pair: Pair, day: str, step: str, cells: Sequence[str]) -> str:
    about = [pair.app.name, ", ".join(pair.changes), "yes" if pair.held_out else "", day, step]
    none = [""] * (_CELLS - len(cells))
    return f"| {' | '.join([*about, *cells, *none])} |\n"


def _cell_text(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")[:200]


def _cell(predicted: Estimate | None, measured: Span | None, digits: int) -> str:
    span = predicted.span if predicted else None
    told = "-"
    if span is not None and span.value is not None:
        high = "..." if span.hi is None else f"{span.hi:.{digits}f}"
        told = f"{span.value:.{digits}f} [{span.lo:.{digits}f}, {high}]"
    elif span is not None:
        told = f"> {span.lo:.{digits}f}"
    if measured is None:
        return f"{told}, -"
    known = measured.value
    return f"{told}, {f'> {measured.lo:.{digits}f}' if known is None else f'{known:.{digits}f}'}"


def _summary(compared: Sequence[ComparedFigure]) -> str:
    lines = [
        _summary_of("All pairs", compared),
        _summary_of("Held out", [one for one in compared if one.held_out]),
    ]
    return "".join(f"{line}\n" for line in lines if line) or "No pair could be compared.\n"


def _paces(made: Sequence[MadeRun]) -> str:
    """Spread of start-ups around those that they were predicted from, which measures PACE_SIGMA."""
    logarithms = [math.log(one.pace) for one in made if one.pace]
    if not logarithms:
        return ""
    spread = math.sqrt(fmean(one * one for one in logarithms))
    return (
        f"- Start-ups: over {len(logarithms)} pairs the logarithm of measured over recorded has a root "
        f"mean square of {spread:.2f}; predictions assume {PACE_SIGMA:g}.\n"
    )


def _summary_of(name: str, compared: Sequence[ComparedFigure]) -> str:
    totals = [one for one in compared if one.name == "total_s" and one.error is not None]
    hours = [one for one in compared if one.name == "replica_hours" and one.error is not None]
    if not totals or not hours:
        return ""
    errors = [abs(one.error or 0.0) for one in totals]
    parts = [abs(one.error or 0.0) / (_known(one) or 1.0) for one in totals]
    shares = [abs(one.error or 0.0) / (_known(one) or 1.0) for one in hours]
    within = sum(one.within for one in totals)
    return (
        f"- {name}: of {len(totals)} steps the median error of `total_s` is {median(errors):.2f} s "
        f"({median(parts):.0%}); {within} lie within the printed interval. Median error of "
        f"replica-hours: {median(shares):.1%}."
    )


def _known(one: ComparedFigure) -> float | None:
    return one.measured.value if one.measured else None


if __name__ == "__main__":
    main()
