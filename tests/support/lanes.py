"""`make test`: the tiers of tests in lanes, two of which run side by side.

Tests on real clusters come one after another, each with the machine's attention. Tests that only
compute run beside them, with the lowest priority there is, in what the others leave of the processor.
Tests that wait by the clock come afterwards, several at once.

`python -m tests.support.lanes [--again] TIER... [-- OPTION...]`; options are pytest's. With `--again`,
only the tests that failed last time, one after another.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

NONE_CHOSEN = 5
"""Exit code of pytest if none of the tests was chosen."""
AGAIN = ("--last-failed", "--last-failed-no-failures", "none")


class Lane(NamedTuple):
    """One run of pytest: the tests with `marks` of the folders in `tiers`, `at_once` at a time."""

    name: str
    tiers: tuple[str, ...]
    marks: str
    at_once: int = 1

    def command(self, tiers: Sequence[str], options: Sequence[str], *, again: bool) -> list[str]:
        """Return the command for those of `tiers` that belong to this lane, empty if none does."""
        chosen = [tier for tier in tiers if tier.startswith(self.tiers)]
        if not chosen:
            return []
        shared = [] if again or self.at_once == 1 else ["-n", str(self.at_once)]
        # What failed is noted by each lane for itself: they end at different times.
        cache = ["-o", f"cache_dir=.pytest_cache/{self.name}"]
        failed = AGAIN if again else ()
        pytest = [sys.executable, "-m", "pytest", "-m", self.marks]
        return [*pytest, *shared, *cache, *failed, *chosen, *options]


COMPUTING = Lane("computing", ("tests/unit", "tests/golden"), "not live", at_once=2)
CLUSTERS = Lane("clusters", ("tests/live", "tests/browser"), "live")
WAITING = Lane("waiting", ("tests/sim", "tests/browser"), "not live", at_once=4)


def lower(pid: int) -> None:
    """Give a process, and all that it will start, what nobody else wants of the processor.

    If Linux groups processes by session (autogroup), priorities count only within one: then the
    session of `pid` has the lowest too.
    """
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("19", encoding="ascii")


@contextlib.contextmanager
def beside(command: Sequence[str], said: IO[bytes]) -> Generator[subprocess.Popen[bytes] | None]:
    """Run `command` with the lowest priority while the block runs; it is ended if the block fails."""
    if not command:
        yield None
        return
    process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
    lower(process.pid)
    try:
        yield process
        process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def run_tests(tiers: Sequence[str], options: Sequence[str]) -> list[int]:
    """Run all lanes, and return pytest's exit code of each."""
    clusters, computing, waiting = (
        lane.command(tiers, options, again=False) for lane in (CLUSTERS, COMPUTING, WAITING)
    )
    if not clusters:  # nothing to be beside of
        return [subprocess.call(command) for command in (computing, waiting) if command]
    codes = []
    with tempfile.TemporaryFile() as said:
        with beside(computing, said) as process:
            codes.append(subprocess.call(clusters))
        if process:
            codes.append(process.returncode)
            said.seek(0)
            sys.stdout.write(said.read().decode(errors="replace"))
            sys.stdout.flush()
    return codes + ([subprocess.call(waiting)] if waiting else [])


def run_again(tiers: Sequence[str], options: Sequence[str]) -> list[int]:
    """Run what failed last time, each by itself."""
    lanes = (COMPUTING, CLUSTERS, WAITING)
    commands = [lane.command(tiers, options, again=True) for lane in lanes]
    return [subprocess.call(command) for command in commands if command]


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: the first of pytest's that is not 0, or 5 if no test was chosen."""
    again = arguments[:1] == ["--again"]
    at = arguments.index("--") if "--" in arguments else len(arguments)
    tiers, options = arguments[again:at], arguments[at + 1 :]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    codes = (run_again if again else run_tests)(tiers, options)
    failed = [code for code in codes if code not in (0, NONE_CHOSEN)]
    return failed[0] if failed else (0 if again or 0 in codes else NONE_CHOSEN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
