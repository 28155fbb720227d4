"""`make matrix`: a slower constructor is found between versions of Ray, and nothing between equal ones.

Writes the table into docs/matrix.md. `--out` names the folder of the runs; complete ones in it are not
made again, so that this can be broken off and go on. `--read` makes no runs, and takes those there.

The plan, thought out beforehand. The verdict is that of `scale_up.total_s`, one step of one replica:
`max_replicas` 2 leaves one decision to make, and short delays leave little chance in it. Five runs a
side: their smallest p is 2 / C(10, 5) = 0.008, and the slower side is still found if one of its runs
ranks below two of the base (0.032); with four a side (0.029) one below another hides it. A step that is
not over ranks above all, and one of the base would hide it with five as well. A step with the slower
constructor takes some 9 s here, and longer if the machine is busy: so the hold is 18 s.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from reports.model.matrix import MatrixReport
from reports.render.terminal.matrix import render_markdown_matrix
from scalelag.cli.matrix import MATRIX_FILE
from scalelag.errors import EXIT_GATE_FAILED
from tools.marked_page import write_between

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "matrix.md"
MARKS: Final = ("<!-- matrix -->\n", "<!-- end of matrix -->\n")
EQUAL: Final = "2.60.0 (2)"
SLOWER: Final = "2.60.0 init_time_s=5"
"""By default the constructor of `slow_start` takes 2 s."""
VERSIONS: Final = ("2.49.2", "2.55.1", "2.60.0", "2.60.0", SLOWER)
TIMES: Final = 5
PLAN: Final = "5rps:4s,20rps:18s"
APP: Final = (
    *("--app", "slow_start", "--app-arg", "max_replicas=2", "--app-arg", "upscale_delay_s=0.5"),
    *("--app-arg", "metrics_interval_s=0.5", "--app-arg", "look_back_period_s=1"),
)


def main() -> None:
    """Make the runs that are missing, write the table, and fail if it is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "matrix-check")
    parser.add_argument("--read", action="store_true")
    given = parser.parse_args()
    if not given.read:
        make(given.out)
    report = msgspec.json.decode((given.out / MATRIX_FILE).read_bytes(), type=MatrixReport)
    write_between(PAGE, MARKS, page_of(report))
    sys.exit(wrong(report))


def make(out: Path) -> None:
    """Make the runs that `out` lacks. Exits if the command does not come to an answer."""
    command = [sys.executable, "-m", "scalelag.cli", "matrix", "--ray", ", ".join(VERSIONS), *APP]
    command += ["--steps", PLAN, "--drain", "0", "--gate", "none", "--times", str(TIMES)]
    command += ["--folder", str(out.resolve()), "--name", "matrix-check", "--format", "html"]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code not in (0, EXIT_GATE_FAILED):
        sys.exit(f"scalelag matrix ended with {code}")


def page_of(report: MatrixReport) -> str:
    """Part of the page: the day of the last run, and the table."""
    runs = [Path(run).name for entry in report.entries for run in entry.runs]
    # Run directories begin with their time.
    day = time.strftime("%Y-%m-%d", time.strptime(max(runs)[:8], "%Y%m%d"))
    table = render_markdown_matrix(report).decode().replace("## ", "### ", 1)
    return f"Measured on {day}.\n\n{table}"


def wrong(report: MatrixReport) -> str | None:
    """Return what is not as it must be: the equal version not slower, and the slower one found.

    What there is between one version of Ray and the next is for the reader.
    """
    found = {one.candidate_label: one.verdict for one in report.comparisons}
    if len(found) != len(VERSIONS) - 1:
        return f"only {len(found)} comparisons: see the reasons in {PAGE}"
    if found[EQUAL] != "no difference shown":
        return f"{EQUAL} against itself: {found[EQUAL]}"
    return None if found[SLOWER] == "regression" else f"{SLOWER} is not found: {found[SLOWER]}"


if __name__ == "__main__":
    main()
