"""Start-up of each command: the CPU time of its `--help`, beside `python -c pass`.

`scalelag report` is measured too, on a stored run of a demo: most of its time is start-up.
"""

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import typer

from benchmarks.report_rows import STORED
from benchmarks.server import ROOT
from benchmarks.table import middle, parser, print_table, progress, ratio
from scalelag.cli.main import app

PYTHON: Final = "python -c pass"
BYTECODE: Final = "PYTHONPYCACHEPREFIX"
NO_BYTECODE: Final = "PYTHONDONTWRITEBYTECODE"
ENDS: Final = (0, 4, 5)
"""Exit codes of a report that was made, with the verdict of its run."""


def main() -> None:
    """Print medians of all rounds, and their ratio to Python alone."""
    options = parser(__doc__, rounds=10).parse_args()
    names = sorted(typer.main.get_group(app).commands)
    ours = ["--version", "--help", *(f"{name} --help" for name in names), f"report {STORED}"]
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as bytecode:
        for number in range(options.rounds + 1):
            for words in (PYTHON, *ours):
                cpu_ms = start_ms(words, bytecode)
                if number:  # the first one compiles
                    found[words].append(cpu_ms)
            progress(f"round {number} of {options.rounds}")
    print_table(("command", "CPU ms", "ratio to python -c pass"), rows_of(found))


def start_ms(words: str, bytecode: str) -> float:
    """Start a command, with its bytecode in the folder `bytecode`; return its CPU time.

    Ends this process if it fails.
    """
    rest = ["-c", "pass"] if words == PYTHON else ["-m", "scalelag.cli", *words.split()]
    process = subprocess.Popen(
        [sys.executable, *rest],
        cwd=ROOT,
        env=os.environ | {BYTECODE: bytecode, NO_BYTECODE: ""},
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ENDS:
        sys.exit(f"{words} ended with {process.returncode}")
    return 1000 * (used.ru_utime + used.ru_stime)


def rows_of(found: dict[str, list[float]]) -> Sequence[list[str | float | None]]:
    """Return a row for each command; a stored run is called RUN."""
    return [
        [
            words if words == PYTHON else f"scalelag {words.replace(str(STORED), 'RUN')}",
            middle(starts_ms),
            ratio(starts_ms, found[PYTHON]),
        ]
        for words, starts_ms in found.items()
    ]


if __name__ == "__main__":
    main()
