"""`scalelag export`: the request rows of a run for other tools."""

from pathlib import Path

from scalelag.cli.answer_output import check_output
from scalelag.console import say
from scalelag.errors import EXIT_PASSED
from scalelag.foreign import sanitized
from scalelag.record.parquet import write_parquet
from scalelag.record.run_dir import REQUESTS_FILE, check_run_dir
from scalelag.wording import count


def export(run: Path, parquet: Path) -> int:
    """Write a run's request rows to a file that other tools read."""
    check_run_dir(run)
    check_output("--parquet", parquet)
    rows, problem = write_parquet(run / REQUESTS_FILE, parquet)
    print(f"{sanitized(str(parquet))}: {count(rows, 'request')}")
    if problem is not None:
        say(problem)
    return EXIT_PASSED
