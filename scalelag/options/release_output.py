"""The file in which Ray's release tooling wants a test's results: `TEST_OUTPUT_JSON`."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from reports.model.formats import Format
from scalelag.errors import RecordError, UsageError
from scalelag.record.output_file import check_named

VARIABLE: Final = "TEST_OUTPUT_JSON"


def release_output(reports: Collection[Format], environ: Mapping[str, str]) -> Path | None:
    """Return the path; None if the variable is unset, or `reports` have no perf-metrics.

    Raises UsageError if no file can be written there.
    """
    text = environ.get(VARIABLE, "")
    if not text or Format.PERF_METRICS not in reports:
        return None
    path = Path(text)
    try:
        check_named(path)
    except RecordError as error:
        raise UsageError(
            f"{VARIABLE}: {error} Name a file in a folder that you may write."
        ) from error
    return path
