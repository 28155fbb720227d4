"""`scalelag export`: the request rows of a run for other tools."""

from pathlib import Path

from scalelag.console import say
from scalelag.errors import EXIT_PASSED, UsageError
from scalelag.record.parquet import write_parquet
from scalelag.record.run_dir import REQUESTS_FILE
from scalelag.wording import count


def export(run: Path, parquet: Path) -> int:
    """Write a run's request rows to a file that other tools read."""
    if parquet.is_dir():
        raise UsageError(f"--parquet {parquet} is a folder: name a file.")
    rows, problem = write_parquet(run / REQUESTS_FILE, parquet)
    print(f"{parquet}: {count(rows, 'request')}")
    if problem is not None:
        say(problem)
    return EXIT_PASSED
