"""Smoke size of every suite, one after another, and their verdicts in docs/suites.md (`make suites`).

`--out` names the folder of the runs; a suite with a complete and valid run in it is not run again, so
that this can be broken off and go on. `--no-runs` writes the table of those that are there.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from reports.model.report import GateResult, Report
from scalelag.cli.suite import suites
from scalelag.record.run_dir import REPORT_FILE
from tools.marked_page import write_between
from tools.scalelag_run import ROOT

PAGE: Final = ROOT / "docs" / "suites.md"
MARKS: Final = ("<!-- smoke -->\n", "<!-- end of smoke -->\n")
HEAD: Final = (
    "| suite | measured on | seconds | verdict | gates | those that did not pass |\n"
    "|---|---|--:|---|--:|---|\n"
)
_NO_RUN: Final = "no complete run"


class EndedSuite(msgspec.Struct, frozen=True):
    """A suite and its last complete run; None without one."""

    name: str
    report: Report | None

    @property
    def verdict(self) -> str:
        """Verdict of the run, or that there is none."""
        return self.report.verdict if self.report else _NO_RUN


def main() -> None:
    """Make the runs that are missing, write the table, and fail if a suite did not pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="suites to run; default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "suites")
    parser.add_argument("--no-runs", action="store_true")
    given = parser.parse_args()
    everything = [one.name for one in suites()]
    if not given.no_runs:
        for name in given.names or everything:
            run_suite(name, given.out)
    ended = [EndedSuite(name, complete_run(given.out / name)) for name in everything]
    text = table(ended)
    write_between(PAGE, MARKS, text)
    sys.stdout.write(f"{text}\nRecords and pages: {given.out}\n")
    bad = [one.name for one in ended if one.verdict != "pass"]
    sys.exit(f"not passed: {', '.join(bad)}" if bad else None)


def run_suite(name: str, out: Path) -> None:
    """Run the smoke size of a suite into its folder below `out`, unless a complete run is there."""
    folder = out.resolve() / name
    if complete_run(folder) is None:
        command = [sys.executable, "-m", "scalelag.cli", "suite", name, "--smoke"]
        command += ["--out", str(folder), "--report", "html"]
        subprocess.run(command, cwd=ROOT, check=False)


def complete_run(folder: Path) -> Report | None:
    """Report of the last complete and valid run in `folder`; None if there is none."""
    for path in sorted(folder.glob(f"*/{REPORT_FILE}"), reverse=True):
        report = msgspec.json.decode(path.read_bytes(), type=Report)
        if report.run.status == "complete" and report.verdict != "invalid":
            return report
    return None


def table(ended: Sequence[EndedSuite]) -> str:
    """Table of the suites in Markdown; each row has the day of its run."""
    return HEAD + "".join(map(_row, ended))


def _row(one: EndedSuite) -> str:
    report = one.report
    if report is None:
        return f"| `{one.name}` | - | - | {_NO_RUN} | - | - |\n"
    day = time.strftime("%Y-%m-%d", time.gmtime(report.run.started_s))
    failed = [gate for gate in report.gates if gate.verdict != "pass"]
    passed = f"{len(report.gates) - len(failed)} of {len(report.gates)}"
    why = ", ".join(map(_told, failed)) or "-"
    cells = [f"`{one.name}`", day, f"{report.run.duration_s:.0f}", one.verdict, passed, why]
    return f"| {' | '.join(cells)} |\n"


def _told(gate: GateResult) -> str:
    value = "not measured" if gate.value is None else f"{gate.value:.3g}"
    return f"`{gate.expr}` ({value})"


if __name__ == "__main__":
    main()
