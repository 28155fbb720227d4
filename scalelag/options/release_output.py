"""The file in which Ray's release tooling wants a test's results: `TEST_OUTPUT_JSON`."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from reports.model.formats import Format
from scalelag.errors import UsageError

VARIABLE: Final = "TEST_OUTPUT_JSON"


def release_output(reports: Collection[Format], environ: Mapping[str, str]) -> Path | None:
    """Return the path; None if the variable is unset, or `reports` have no perf-metrics.

    Raises UsageError if no file can be written there.
    """
    text = environ.get(VARIABLE, "")
    if not text or Format.PERF_METRICS not in reports:
        return None
    path = Path(text)
    wrong = _wrong(path)
    if wrong is not None:
        raise UsageError(f"{VARIABLE}={text}: {wrong}. Name a file in a folder that you may write.")
    return path


def _wrong(path: Path) -> str | None:
    """Return why no file can be written at `path`, None if one can."""
    if path.is_dir():
        return "this is a folder"
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    return None if os.access(path.parent, os.W_OK) else f"{path.parent} cannot be written"
