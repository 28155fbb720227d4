"""Repeated attempts at a run: only after a failure of the target, each with its own record."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from reports.model.report import InvalidThrough
from scalelag.console import say
from scalelag.errors import EXIT_INVALID, EXIT_TARGET, UNREADABLE, RetryAdvice, TargetError
from scalelag.plugin.parent import Outcome, fit_for_record
from scalelag.record.run_dir import REPORT_FILE
from scalelag.record.run_info import EarlierAttempt

_LONGEST_PAUSE_S = 300.0


class AttemptResult(msgspec.Struct, frozen=True):
    """Exit code and run directory of an attempt.

    `fault` is the failure of the target that made it fail; None in all other cases, success included.
    """

    code: int
    path: str | None = None
    fault: str | None = None


class Validity(msgspec.Struct, frozen=True):
    """Part of a run's report that says whether the run is valid."""

    invalid_through: InvalidThrough | None = None
    reasons: tuple[str, ...] = ()


class Retries(msgspec.Struct, frozen=True):
    """Number of repeated attempts, and the pause before the first, which doubles each time."""

    count: int
    wait_s: float
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def run(self, attempt: Callable[[Sequence[EarlierAttempt]], AttemptResult]) -> int:
        """Return the exit code of the last attempt. Each is given the ones before it.

        Raises what the last attempt raises. A TargetError before it counts as a failed attempt,
        unless another one would fail in the same way.
        """
        earlier: list[EarlierAttempt] = []
        while True:
            started_s, last = self.now(), len(earlier) == self.count
            try:
                result = attempt(tuple(earlier))
            except TargetError as error:
                if last or error.retry is RetryAdvice.NEVER:
                    raise
                result = AttemptResult(error.exit_code, fault=str(error))
            if last or result.fault is None:
                return result.code
            earlier.append(EarlierAttempt(started_s, fit_for_record(result.fault), result.path))
            self._pause(len(earlier), earlier[-1])

    def _pause(self, failed: int, one: EarlierAttempt) -> None:
        longest_s = max(_LONGEST_PAUSE_S, self.wait_s)
        pause_s = min(self.wait_s * 2 ** (failed - 1), longest_s)
        say(
            f"attempt {failed} of {self.count + 1} failed through the target: {one.reason}; "
            f"next in {pause_s:g} s" + (f"; its record: {one.path}" if one.path else "")
        )
        self.sleep(pause_s)


def fault_of(code: int, outcome: Outcome, validity: Validity) -> str | None:
    """Return the failure of the target that ended a load process with `code`; None if it was another.

    A failed gate, a load generator that was too slow, and an interrupt are not failures of the
    target. A failure that would recur does not count either.
    """
    if code == EXIT_TARGET and outcome.refusal and outcome.retry is not RetryAdvice.NEVER:
        return outcome.refusal
    if code == EXIT_INVALID and validity.invalid_through == "target":
        return "; ".join(validity.reasons)
    return None


def read_validity(path: str | None) -> Validity:
    """Return the validity of the run in `path`; an empty one if there is no report."""
    if path is None:
        return Validity()
    try:
        return msgspec.json.decode((Path(path) / REPORT_FILE).read_bytes(), type=Validity)
    except (OSError, *UNREADABLE):
        return Validity()
