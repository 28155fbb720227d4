"""Runs of a matrix: the versions in turn, again and again, and what each came to."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from scalelag.cli.run.retries import AttemptResult
from scalelag.console import say
from scalelag.errors import (
    EXIT_GATE_FAILED,
    EXIT_INTERRUPTED,
    EXIT_INVALID,
    EXIT_PASSED,
    InterruptedRunError,
    TargetError,
    UsageError,
)

_MADE = (EXIT_PASSED, EXIT_GATE_FAILED, EXIT_INVALID)


class Entry(NamedTuple):
    """A version of Ray, with arguments of the application that hold for it alone."""

    label: str
    ray: str
    app_arg: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Name of the folder of its runs."""
        return re.sub(r"[^A-Za-z0-9.=_-]+", "-", f"ray-{self.label}")


def entries_of(text: str) -> tuple[Entry, ...]:
    """Return the entries of `VERSION [KEY=VALUE ..],..`. Raises UsageError for less than two.

    Equal ones are numbered: they show what chance makes.
    """
    entries: list[Entry] = []
    seen: Counter[str] = Counter()
    for part in text.split(","):
        version, *app_arg = part.split() or [""]
        if not version or any("=" not in one for one in app_arg):
            raise UsageError(
                f'--ray "{text}": give VERSION or "VERSION KEY=VALUE", separated by commas, such as '
                '"2.55.1, 2.60.0, 2.60.0 init_time_s=3".'
            )
        label = " ".join([version, *app_arg])
        seen[label] += 1
        again = f" ({seen[label]})" if seen[label] > 1 else ""
        entries.append(Entry(f"{label}{again}", version, tuple(app_arg)))
    if len(entries) < 2:
        raise UsageError(
            f"--ray {text}: give two or more versions to compare, such as 2.55.1,2.60.0."
        )
    return tuple(entries)


class EntryOutcome(msgspec.Struct):
    """Run directories of one entry so far, and why others are missing."""

    paths: list[Path] = []
    reasons: list[str] = []


def run_in_turn(
    entries: Sequence[Entry], times: int, run_once: Callable[[Entry], AttemptResult]
) -> dict[str, EntryOutcome]:
    """Run each entry `times` times, in turn, so that the time of day affects all of them alike.

    An entry whose first run was not made is not tried again. Returns what came of each by its label.
    Raises InterruptedRunError.
    """
    outcomes = {entry.label: EntryOutcome() for entry in entries}
    for number, entry in _in_turn(entries, times):
        outcome = outcomes[entry.label]
        if number > 1 and not outcome.paths:
            continue
        say(f"matrix: Ray {entry.label}, run {number} of {times}")
        try:
            result = run_once(entry)
        except (TargetError, UsageError) as error:
            outcome.reasons.append(f"run {number}: {error}")
        else:
            _note(outcome, number, result)
        if outcome.reasons and not outcome.paths:
            say(f"matrix: Ray {entry.label} is left out: {outcome.reasons[-1]}")
    return outcomes


def _in_turn(entries: Sequence[Entry], times: int) -> Iterator[tuple[int, Entry]]:
    return ((number, entry) for number in range(1, times + 1) for entry in entries)


def _note(outcome: EntryOutcome, number: int, result: AttemptResult) -> None:
    if result.code == EXIT_INTERRUPTED:
        raise InterruptedRunError("interrupted; the runs that were made are kept")
    if result.path is not None and result.code in _MADE:
        outcome.paths.append(Path(result.path))
        return
    fault = result.fault or f"the load process ended with exit code {result.code}"
    outcome.reasons.append(f"run {number}: {fault}")
