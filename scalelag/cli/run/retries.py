"""Trying a run again: only what failed through the target, and with every try on record."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from reports.model.report import InvalidThrough
from scalelag.console import say
from scalelag.errors import EXIT_INVALID, EXIT_TARGET, TargetError
from scalelag.plugin.parent import Outcome, fit_for_record
from scalelag.record.run_dir import REPORT_FILE
from scalelag.record.run_info import EarlierTry

_LONGEST_PAUSE_S = 300.0

RunCount = Annotated[
    int, typer.Option(help="Runs to make, one after another, in one folder.", min=1)
]
RetryCount = Annotated[
    int,
    typer.Option(help="Try again this many times where the run failed through the target.", min=0),
]
RetryWait = Annotated[
    float, typer.Option(help="Seconds before the first retry; doubled each time.", min=0, max=3600)
]


class TryEnd(msgspec.Struct, frozen=True):
    """How a try ended: its exit code, its run directory, and its `fault`.

    `fault` says how the run failed through the target; None for everything else, a run that passed
    among it.
    """

    code: int
    path: str | None = None
    fault: str | None = None


class Judged(msgspec.Struct, frozen=True):
    """What a run's report says of its validity."""

    invalid_through: InvalidThrough | None = None
    reasons: tuple[str, ...] = ()


class Retries(msgspec.Struct, frozen=True):
    """How often a run is tried again, and how long after; the pause doubles each time."""

    count: int
    wait_s: float
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def run(self, attempt: Callable[[Sequence[EarlierTry]], TryEnd]) -> int:
        """Exit code of the last try. Each is handed the ones before it.

        Raises what the last try raises; a TargetError of one before it is a failed try, unless
        another would find the target so again.
        """
        tries: list[EarlierTry] = []
        while True:
            started_s, last = self.now(), len(tries) == self.count
            try:
                end = attempt(tuple(tries))
            except TargetError as error:
                if last or error.lasting:
                    raise
                end = TryEnd(error.exit_code, fault=str(error))
            if last or end.fault is None:
                return end.code
            tries.append(EarlierTry(started_s, fit_for_record(end.fault), end.path))
            self._pause(len(tries), tries[-1])

    def _pause(self, failed: int, one: EarlierTry) -> None:
        longest_s = max(_LONGEST_PAUSE_S, self.wait_s)
        pause_s = min(self.wait_s * 2 ** (failed - 1), longest_s)
        say(
            f"try {failed} of {self.count + 1} failed through the target: {one.reason}; "
            f"next in {pause_s:g} s" + (f"; its record: {one.path}" if one.path else "")
        )
        self.sleep(pause_s)


def fault_of(code: int, outcome: Outcome, judged: Judged) -> str | None:
    """How a load process that ended with `code` failed through the target; None where it did not.

    A gate that failed, a load generator that was too slow and an interrupt are none of the target's
    faults, and what would be the same at another try is not one to try again.
    """
    if code == EXIT_TARGET and outcome.refusal and not outcome.lasting:
        return outcome.refusal
    if code == EXIT_INVALID and judged.invalid_through == "target":
        return "; ".join(judged.reasons)
    return None


def read_judged(path: str | None) -> Judged:
    """Validity as the run in `path` was judged; nothing where there is no report."""
    if path is None:
        return Judged()
    try:
        return msgspec.json.decode((Path(path) / REPORT_FILE).read_bytes(), type=Judged)
    except (OSError, msgspec.MsgspecError):
        return Judged()
