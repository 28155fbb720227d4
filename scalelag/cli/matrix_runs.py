"""Runs of a matrix: the versions in turn, again and again, and what each came to."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from reports.model.report import Verdict
from scalelag.cli.run.attempt import Attempt
from scalelag.cli.run.retries import AttemptResult
from scalelag.console import say
from scalelag.errors import (
    EXIT_GATE_FAILED,
    EXIT_INTERRUPTED,
    EXIT_INVALID,
    EXIT_PASSED,
    UNREADABLE,
    InterruptedRunError,
    RecordError,
    TargetError,
    UsageError,
)
from scalelag.record.run_dir import REPORT_FILE, load_run_info

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


class _WithVerdict(msgspec.Struct, frozen=True):
    verdict: Verdict


def made_before(folder: Path, attempt: Attempt) -> list[Path]:
    """Complete runs in `folder` that are valid, the oldest first.

    Raises UsageError if one was asked for otherwise than `attempt`, RecordError if one is damaged.
    """
    found: list[Path] = []
    # As a record has it, in which a tuple is a list.
    launched = msgspec.json.decode(msgspec.json.encode(attempt.launched))
    for path in sorted(report.parent for report in folder.glob(f"*/{REPORT_FILE}")):
        info = load_run_info(path)
        if (info.plan.text, info.launched) != (attempt.options.plan.text, launched):
            raise UsageError(
                f"--folder: {path} is a run of another plan or application ({info.plan.text}): give "
                "the options of the matrix that was broken off, or another folder."
            )
        if info.status == "complete" and _verdict(path / REPORT_FILE) != "invalid":
            found.append(path)
    return found


def _verdict(report: Path) -> Verdict:
    try:
        return msgspec.json.decode(report.read_bytes(), type=_WithVerdict).verdict
    except (OSError, *UNREADABLE) as error:
        raise RecordError(
            f"--folder: {report} cannot be read ({error}). Move that run out of the folder, and it is "
            "made again."
        ) from error


def run_in_turn(
    entries: Sequence[Entry],
    times: int,
    run_once: Callable[[Entry], AttemptResult],
    made: Mapping[str, Sequence[Path]] | None = None,
) -> dict[str, EntryOutcome]:
    """Run each entry `times` times, in turn and back, so that the time affects all of them alike.

    Runs that were `made` before, by label, count. An entry whose first run was not made is not tried
    again. Returns the outcome of each by its label. Raises InterruptedRunError.
    """
    before = made or {}
    outcomes = {entry.label: EntryOutcome([*before.get(entry.label, ())]) for entry in entries}
    for number, entry in _in_turn(entries, times):
        outcome = outcomes[entry.label]
        if number <= len(before.get(entry.label, ())) or (number > 1 and not outcome.paths):
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
    """Yield the entries in their order, then in reverse, and so on, each with the number of its run.

    In one order an entry would always follow the same one, and start faster after its own Ray.
    """
    for number in range(1, times + 1):
        yield from ((number, entry) for entry in entries[:: 1 if number % 2 else -1])


def _note(outcome: EntryOutcome, number: int, result: AttemptResult) -> None:
    if result.code == EXIT_INTERRUPTED:
        raise InterruptedRunError("interrupted; the runs that were made are kept")
    if result.path is not None and result.code in _MADE:
        outcome.paths.append(Path(result.path))
        return
    fault = result.fault or f"the load process ended with exit code {result.code}"
    outcome.reasons.append(f"run {number}: {fault}")
