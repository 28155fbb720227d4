"""Reports on a record with thousands of replicas in twelve applications, as page and as JSON.

Time, CPU time, peak memory, and the size of what was written, beside a record with a tenth of them.
"""

import tempfile
from pathlib import Path
from typing import Final

from benchmarks.report_rows import MIB, report_on
from benchmarks.table import Cell, middle, parser, print_table, progress
from tests.support.built.crowd import write_crowd

SIZES: Final = (820, 8_196)
FORMATS: Final = ("json", "terminal", "html")


def main() -> None:
    """Print figures of each size and format."""
    options = parser(__doc__, rounds=1).parse_args()
    rows: list[list[Cell]] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            run = Path(folder) / str(size)
            write_crowd(run, replicas=size // 12)
            for output_format in FORMATS:
                found = [report_on(run, output_format) for _ in range(options.rounds)]
                is_page = output_format == "html"
                written = (run / "report.html").stat().st_size / MIB if is_page else None
                progress(f"{size} replicas, {output_format}: {found[-1][1]:.1f} s of CPU")
                figures = [middle([one[i] for one in found]) for i in range(3)]
                rows.append([size, output_format, *figures, written])
    print_table(("replicas", "format", "seconds", "CPU s", "peak MiB", "page, MiB"), rows)


if __name__ == "__main__":
    main()
