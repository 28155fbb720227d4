"""Predictions of `scalelag whatif` against real runs on real Ray: `python -m tools.whatif_check`.

Of each application one run is made with its usual settings, and one with each change. Each change is
predicted from the first run alone, and then measured. The table goes into docs/whatif.md. Pairs marked
as held out were not looked at while the simulation was written.

`--only NAME` makes and compares some applications, `--out` names the folder of the runs. A run that is
there is not made again.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from reports.analysis.analyse import analyse
from reports.model.intervals import Span
from reports.model.whatif import Estimate, FigureName, WhatIfReport
from reports.whatif.answer import RecordedSteps, recorded_steps
from reports.whatif.from_record import recorded_scenario
from scalelag.cli.whatif import WhatIfOptions, ask
from scalelag.errors import ScalelagError
from scalelag.record.run_dir import load_run

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "whatif.md"
BEGIN, END = "<!-- pairs -->\n", "<!-- end of pairs -->\n"
HEAD = (
    "| app | change | held out | step | decide s: predicted, measured | total s | p95 ms |"
    " replica-hours |\n|---|---|---|---|---|---|---|---|\n"
)


class App(NamedTuple):
    """An application, the load on it, and its arguments."""

    name: str
    app: str
    steps: str
    arguments: tuple[str, ...] = ()


class Pair(NamedTuple):
    """A change of an application's settings; names and values are both Ray's and the builder's."""

    app: App
    changes: tuple[str, ...]
    held_out: bool = False

    @property
    def run_name(self) -> str:
        """Name of its run."""
        return "-".join([self.app.name, *(text.replace("=", "-") for text in self.changes)])


SLEEPER = App("sleeper", "sleeper", "5rps:20s,40rps:45s,5rps:30s", ("max_ongoing_requests=50",))
USERS = App("users", "sleeper", "2users:20s,14users:45s,2users:30s", ("max_ongoing_requests=50",))
CPU = App("cpu", "cpu_bound", "4rps:20s,30rps:45s,4rps:30s")
PAIRS = (
    Pair(SLEEPER, ("upscale_delay_s=5",)),
    Pair(SLEEPER, ("target_ongoing_requests=4",)),
    Pair(SLEEPER, ("look_back_period_s=6",)),
    Pair(SLEEPER, ("min_replicas=2",)),
    Pair(SLEEPER, ("downscale_delay_s=10",), held_out=True),
    Pair(SLEEPER, ("metrics_interval_s=3", "look_back_period_s=6"), held_out=True),
    Pair(USERS, ("upscale_delay_s=5",)),
    Pair(USERS, ("target_ongoing_requests=4",), held_out=True),
    Pair(CPU, ("upscale_delay_s=5",)),
    Pair(CPU, ("downscale_delay_s=10",)),
    Pair(CPU, ("target_ongoing_requests=2",), held_out=True),
)


class Compared(NamedTuple):
    """One figure of one pair, predicted and measured."""

    name: FigureName
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
        """Return True if the measured figure lies within the predicted interval."""
        found = self.predicted.span if self.predicted else None
        if found is None or self.measured is None or self.measured.value is None:
            return False
        return found.lo <= self.measured.value <= found.upper


def main() -> None:
    """Make what runs are missing, compare, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "whatif-check")
    parser.add_argument("--only", choices=("sleeper", "users", "cpu"), action="append")
    given = parser.parse_args()
    pairs = [pair for pair in PAIRS if given.only is None or pair.app.name in given.only]
    rows: list[str] = []
    compared: list[Compared] = []
    for pair in pairs:
        before = _run(given.out, Pair(pair.app, ()))
        after = _run(given.out, pair)
        try:
            found = _compared(before, after, pair)
        except ScalelagError as error:
            sys.stderr.write(f"{pair.run_name}: {error}\n")
            continue
        rows += found[0]
        compared += found[1]
    text = HEAD + "".join(rows) + "\n" + _summary(compared)
    sys.stdout.write(text)
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")


def _run(out: Path, pair: Pair) -> Path:
    """Directory of the run of a pair, which is made if it is not there."""
    there = sorted(out.glob(f"*-{pair.run_name}/report.json"))
    if not there:
        arguments = [*pair.app.arguments, *pair.changes]
        command = [sys.executable, "-m", "scalelag.cli", "run", "--app", pair.app.app]
        command += ["--steps", pair.app.steps, "--name", pair.run_name, "--out", str(out)]
        command += [word for text in arguments for word in ("--app-arg", text)]
        subprocess.run([*command, "--drain", "40"], check=False, cwd=ROOT, env=os.environ)
        there = sorted(out.glob(f"*-{pair.run_name}/report.json"))
    if not there:
        raise SystemExit(f"the run {pair.run_name} was not made")
    return there[-1].parent


def _compared(before: Path, after: Path, pair: Pair) -> tuple[list[str], list[Compared]]:
    """Rows of a pair, and its figures. Raises ScalelagError if there is no prediction."""
    predicted = ask(load_run(before), WhatIfOptions(pair.changes))
    if predicted.whatif is None:
        reasons = "; ".join(predicted.validation.reasons)
        changes = ", ".join(pair.changes)
        return [f"| {pair.app.name} | {changes} | | no prediction: {reasons} | | | | |\n"], []
    measured_run = load_run(after)
    recorded = recorded_scenario(measured_run, predicted.deployment)
    measured = recorded_steps(recorded, analyse(measured_run).report, None)
    return list(_rows(pair, predicted, measured)), list(_figures(predicted, measured))


def _figures(predicted: WhatIfReport, measured: RecordedSteps) -> Iterator[Compared]:
    names: tuple[FigureName, ...] = ("decide_s", "total_s", "p95_ms")
    for step in predicted.steps:
        for name in names:
            span = measured.figures[step.index].get(name)
            yield Compared(name, step.figures[name].whatif, span)
    hours: FigureName = "replica_hours"
    yield Compared(hours, predicted.whole[hours].whatif, measured.whole[hours])


def _rows(pair: Pair, predicted: WhatIfReport, measured: RecordedSteps) -> Iterator[str]:
    hours = predicted.whole["replica_hours"].whatif
    for step in predicted.steps:
        figures = measured.figures[step.index]
        if step.figures["total_s"].whatif is None or figures.get("total_s") is None:
            continue
        cells = [
            _cell(step.figures["decide_s"].whatif, figures.get("decide_s"), 2),
            _cell(step.figures["total_s"].whatif, figures.get("total_s"), 2),
            _cell(step.figures["p95_ms"].whatif, figures.get("p95_ms"), 0),
            _cell(hours, measured.whole["replica_hours"], 4),
        ]
        about = [pair.app.name, ", ".join(pair.changes), "yes" if pair.held_out else ""]
        yield f"| {' | '.join([*about, f'{step.index} {step.direction}', *cells])} |\n"


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


def _summary(compared: Sequence[Compared]) -> str:
    totals = [one for one in compared if one.name == "total_s" and one.error is not None]
    hours = [one for one in compared if one.name == "replica_hours" and one.error is not None]
    if not totals:
        return "No pair could be compared.\n"
    errors = [abs(one.error or 0.0) for one in totals]
    shares = [abs(one.error or 0.0) / (one.measured.value or 1.0) for one in hours if one.measured]
    within = sum(one.within for one in totals)
    return (
        f"Of {len(totals)} steps the median error of `total_s` is {median(errors):.2f} s; {within} of "
        f"them lie within the printed interval. Median error of replica-hours: {median(shares):.1%}.\n"
    )


if __name__ == "__main__":
    main()
