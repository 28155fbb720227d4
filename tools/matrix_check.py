"""`make matrix`: a slower constructor is found between versions of Ray, and nothing between equal ones.

Writes the table into docs/matrix.md. With `--read FOLDER` it makes no runs, and takes those there.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from reports.model.matrix import MatrixReport
from reports.render.terminal.matrix import render_markdown_matrix
from scalelag.cli.matrix import MATRIX_FILE
from scalelag.errors import EXIT_GATE_FAILED

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "matrix.md"
BEGIN, END = "<!-- matrix -->\n", "<!-- end of matrix -->"
SLOWER: Final = "2.60.0 init_time_s=5"
VERSIONS: Final = ("2.49.2", "2.55.1", "2.60.0", "2.60.0", SLOWER)
PLAN: Final = "5rps:8s,20rps:16s"
APP: Final = "slow_start"
"""Its constructor takes 2 s by default."""


def main() -> None:
    """Make the runs, write the table, and fail if it is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--read", type=Path, help="folder of a matrix that was made")
    parser.add_argument("--times", type=int, default=4)
    options = parser.parse_args()
    report = _read(options.read / MATRIX_FILE) if options.read else _made(options.times)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    table = render_markdown_matrix(report).decode().replace("## ", "### ", 1)
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}Measured on {day}.\n\n{table}{END}{after}", encoding="utf-8")
    sys.exit(wrong(report))


def wrong(report: MatrixReport) -> str | None:
    """Return what is not as it must be: all versions compared, and just the last one slower."""
    found = {one.candidate_label: one.verdict for one in report.comparisons}
    slower = [label for label, verdict in found.items() if verdict == "regression"]
    if len(found) != len(VERSIONS) - 1:
        return f"only {len(found)} comparisons: see the reasons in {PAGE}"
    return None if slower == [SLOWER] else f"slower: {', '.join(slower) or 'none'}"


def _made(times: int) -> MatrixReport:
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / MATRIX_FILE
        command = [sys.executable, "-m", "scalelag.cli", "matrix", "--ray", ", ".join(VERSIONS)]
        command += ["--app", APP, "--steps", PLAN, "--drain", "0", "--times", str(times)]
        command += ["--format", "json", "--output", str(answer)]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code not in (0, EXIT_GATE_FAILED):
            sys.exit(f"scalelag matrix ended with {code}")
        return _read(answer)


def _read(path: Path) -> MatrixReport:
    return msgspec.json.decode(path.read_bytes(), type=MatrixReport)


if __name__ == "__main__":
    main()
