"""Messages between `scalelag run` and its load process, so that a failed run can be repeated."""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from scalelag.errors import RecordError
from scalelag.record.run_dir import write_file
from scalelag.record.run_info import EarlierTry

EMBEDDED_VARIABLE = "SCALELAG_EMBEDDED"


PARENT_VARIABLE = "SCALELAG_PARENT_PID"


WORKERS_WAIT_VARIABLE = "SCALELAG_WORKERS_WAIT_S"
"""Environment variables by which `scalelag run` tells its load process what it is part of."""


TRIES_VARIABLE = "SCALELAG_TRIES"
OUTCOME_VARIABLE = "SCALELAG_OUTCOME"
"""Environment variables: the earlier tries as JSON, and the file that the outcome is put into."""

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*@")
_MOST_CHARACTERS = 2000


class Outcome(msgspec.Struct, frozen=True):
    """Outcome of a load process: its run directory, or what it said instead of a run.

    `lasting`: another try would be refused as well. `unstaffed`: too few load processes came.
    """

    path: str | None = None
    refusal: str | None = None
    lasting: bool = False
    unstaffed: bool = False


def earlier_tries(environ: Mapping[str, str] = os.environ) -> tuple[EarlierTry, ...]:
    """Tries before this one, as `scalelag run` told; none where Locust was started by itself."""
    text = environ.get(TRIES_VARIABLE)
    return msgspec.json.decode(text, type=tuple[EarlierTry, ...]) if text else ()


def cluster_is_ours(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether `scalelag run` started the cluster for this run."""
    return environ.get(EMBEDDED_VARIABLE) == "1"


def tries_for_environment(tries: Sequence[EarlierTry]) -> dict[str, str]:
    """Variables by which a load process knows the `tries` before it."""
    return {TRIES_VARIABLE: msgspec.json.encode(tries).decode()} if tries else {}


def fit_for_record(reason: str) -> str:
    """`reason` without the credentials of URLs; of much, the end: it names the error."""
    text = _CREDENTIALS.sub("", reason).strip()
    return text if len(text) <= _MOST_CHARACTERS else "... " + text[-_MOST_CHARACTERS:]


def note_outcome(outcome: Outcome, environ: Mapping[str, str] = os.environ) -> None:
    """Tell `scalelag run`, if it started us."""
    path = environ.get(OUTCOME_VARIABLE)
    if path:
        # Without it the run is not tried again, and nothing else is lost.
        with suppress(RecordError):
            write_file(Path(path), msgspec.json.encode(outcome))


def read_outcome(path: Path) -> Outcome:
    """Read the outcome; an empty one if the load process ended before it could write it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Outcome)
    except (OSError, msgspec.MsgspecError):
        return Outcome()
