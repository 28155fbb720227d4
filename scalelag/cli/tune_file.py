"""The answer of `scalelag tune` that lies beside a record."""

from pathlib import Path

import msgspec

from reports.model.tune import TUNE_FILE, TuneReport
from scalelag.console import say
from scalelag.errors import UNREADABLE
from scalelag.record.input_file import read_file


def tune_of(run: Path) -> TuneReport | None:
    """Return the answer in a run directory; None if there is none, or none that can be read."""
    path = run / TUNE_FILE
    try:
        return msgspec.json.decode(read_file(path), type=TuneReport)
    except FileNotFoundError:
        return None
    except (OSError, *UNREADABLE) as error:
        say(f"{path} cannot be read, and is left out: {error}. scalelag tune writes it again")
        return None
