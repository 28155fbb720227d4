"""`scalelag run` as a process of its own, and the report that it leaves."""

import contextlib
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from reports.model.report import Report
from scalelag.record.run_dir import REPORT_FILE

ROOT: Final = Path(__file__).parents[1]
_STOP_DEADLINE_S = 60.0


@contextlib.contextmanager
def begun(
    options: Sequence[str], said: Path, environ: Mapping[str, str]
) -> Generator[subprocess.Popen[bytes]]:
    """`scalelag run` under way, its words written to the file `said`; it has ended afterwards."""
    with said.open("wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "scalelag.cli", "run", *options],
            env=environ,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(_STOP_DEADLINE_S)


def last_report(out: Path) -> tuple[Path, Report] | None:
    """Directory and report of the last run in `out`; None if there is no report."""
    reports = sorted(out.glob(f"*/{REPORT_FILE}"))
    if not reports:
        return None
    return reports[-1].parent, msgspec.json.decode(reports[-1].read_bytes(), type=Report)


def report_again(out: Path) -> tuple[Path, Report] | None:
    """Directory of the last run in `out`, and its report as it is made today; None if there is none."""
    last = last_report(out)
    if last is None:
        return None
    command = [sys.executable, "-m", "scalelag.cli", "report", str(last[0]), "--format", "json"]
    made = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return last[0], msgspec.json.decode(made.stdout, type=Report)
