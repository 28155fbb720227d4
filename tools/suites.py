"""Smoke size of every suite, one after another, and a table of their verdicts (`make suites`)."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from scalelag.cli.suite import suites
from scalelag.errors import EXIT_PASSED
from tools.scalelag_run import ROOT, last_report


class Ended(msgspec.Struct, frozen=True):
    """A suite that was run: its exit code, the time that it took, and what its gates said."""

    name: str
    code: int
    took_s: float
    verdict: str
    failed: str


def run_suite(name: str, out: Path) -> Ended:
    """Run the smoke size of a suite; what it writes goes into `out`."""
    folder, began_s = out / name, time.monotonic()
    command = [sys.executable, "-m", "scalelag.cli", "suite", name, "--smoke", "--out", str(folder)]
    code = subprocess.run([*command, "--report", "html"], cwd=ROOT, check=False).returncode
    took_s, found = time.monotonic() - began_s, last_report(folder)
    if found is None:
        return Ended(name, code, took_s, "no report", "")
    _, report = found
    failed = ", ".join(gate.expr for gate in report.gates if gate.verdict != "pass")
    return Ended(name, code, took_s, report.verdict, failed)


def main() -> int:
    """Run the suites, and return the worst exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="suites to run; default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "suites")
    given = parser.parse_args()
    names = given.names or [one.name for one in suites()]
    ended = [run_suite(name, given.out.resolve()) for name in names]
    table = Table(title="Suites, smoke sizes", box=None, header_style="bold")
    for title in ("suite", "verdict", "exit", "seconds", "gates that did not pass"):
        table.add_column(title, no_wrap=title == "suite")
    for one in ended:
        table.add_row(one.name, one.verdict, str(one.code), f"{one.took_s:.0f}", one.failed)
    Console().print(table)
    Console().print(f"Records and pages: {given.out}", soft_wrap=True)
    return max((one.code for one in ended), default=EXIT_PASSED)


if __name__ == "__main__":
    sys.exit(main())
