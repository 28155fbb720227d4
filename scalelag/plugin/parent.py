"""Messages between `scalelag run` and its load process, so that a failed run can be repeated."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from scalelag.cluster.urls import hide_credentials
from scalelag.errors import UNREADABLE, RecordError, RetryAdvice
from scalelag.record.output_file import write_file
from scalelag.record.run_info import EarlierAttempt

EMBEDDED_VARIABLE = "SCALELAG_EMBEDDED"
PARENT_VARIABLE = "SCALELAG_PARENT_PID"
WORKERS_WAIT_VARIABLE = "SCALELAG_WORKERS_WAIT_S"
"""Environment variables in which `scalelag run` tells its load process about the run."""

LAUNCHED_VARIABLE = "SCALELAG_LAUNCHED"
"""Environment variable: options of `scalelag run` that a record keeps, as JSON."""

TRIES_VARIABLE = "SCALELAG_TRIES"
OUTCOME_VARIABLE = "SCALELAG_OUTCOME"
"""Environment variables: earlier attempts as JSON, and the file to write the outcome to."""

SECRET_VARIABLES = {
    "--host": "LOCUST_HOST",  # Locust's own
    "--dashboard": "SCALELAG_DASHBOARD_URL",
    "--prometheus": "SCALELAG_PROMETHEUS_URL",
    "--path": "SCALELAG_PATH",
    "--json-body": "SCALELAG_JSON_BODY",
    "--header": "SCALELAG_HEADERS",
    "--dashboard-header": "SCALELAG_DASHBOARD_HEADERS",
}
"""Environment variables of options that may hold a secret: arguments are seen by everybody.

What can be repeated is a JSON list.
"""

_MOST_CHARACTERS = 2000


class Outcome(msgspec.Struct, frozen=True):
    """Outcome of a load process: its run directory, or what it said instead of a run.

    `retry` says whether another attempt may succeed. `unstaffed`: too few load processes came.
    """

    path: str | None = None
    refusal: str | None = None
    retry: RetryAdvice = RetryAdvice.WAIT
    unstaffed: bool = False


def earlier_attempts(environ: Mapping[str, str]) -> tuple[EarlierAttempt, ...]:
    """Return the attempts before this one; none if `scalelag run` did not start Locust."""
    text = environ.get(TRIES_VARIABLE)
    return msgspec.json.decode(text, type=tuple[EarlierAttempt, ...]) if text else ()


def cluster_is_ours(environ: Mapping[str, str]) -> bool:
    """Return whether `scalelag run` started the cluster for this run."""
    return environ.get(EMBEDDED_VARIABLE) == "1"


class ParentFacts(TypedDict):
    """Facts that `scalelag run` tells its load process; none if it did not start Locust."""

    embedded: bool
    earlier_attempts: tuple[EarlierAttempt, ...]
    launched: dict[str, Any]


def told_by_parent(environ: Mapping[str, str]) -> ParentFacts:
    """Return what `scalelag run` told about the cluster, earlier attempts and its own options."""
    text = environ.get(LAUNCHED_VARIABLE)
    return ParentFacts(
        embedded=cluster_is_ours(environ),
        earlier_attempts=earlier_attempts(environ),
        launched=msgspec.json.decode(text, type=dict[str, Any]) if text else {},
    )


def attempts_for_environment(attempts: Sequence[EarlierAttempt]) -> dict[str, str]:
    """Return the environment variables that tell a load process about the attempts before it."""
    return {TRIES_VARIABLE: msgspec.json.encode(attempts).decode()} if attempts else {}


def fit_for_record(reason: str) -> str:
    """Return `reason` without credentials in URLs; of a long text the end, which names the error."""
    text = hide_credentials(reason).strip()
    return text if len(text) <= _MOST_CHARACTERS else "... " + text[-_MOST_CHARACTERS:]


def note_outcome(outcome: Outcome, environ: Mapping[str, str]) -> None:
    """Tell `scalelag run`, if it started us."""
    path = environ.get(OUTCOME_VARIABLE)
    if path:
        # Without it the run is not attempted again, and nothing else is lost.
        with suppress(RecordError):
            write_file(Path(path), msgspec.json.encode(outcome))


def read_outcome(path: Path) -> Outcome:
    """Read the outcome; an empty one if the load process ended before it could write it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Outcome)
    except (OSError, *UNREADABLE):
        return Outcome()
