"""`make test` and `make test-long`: the tiers of tests in lanes that run side by side.

Tests on a stand-in and in a browser are first, two at a time: each starts a Locust, and beside them a
replica takes ten times as long to start. Then tests on real clusters share one, one after another, and
those that start clusters of their own follow. Tests that only compute run beside both, with the lowest
priority there is, in what the others leave of the processor.

Tests with the mark `long` are left to `make test-long`, which has lanes of the same kinds: stand-in and
browser, then more real clusters, one after another, and last those of several nodes.

`python -m tests.support.lanes [--long | --again] TIER... [-- OPTION...]`; options are pytest's.
`--again` runs only the tests that failed last time, of both kinds, one after another.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

NONE_CHOSEN: Final = 5
"""Exit code of pytest if none of the tests was chosen."""
STOP_DEADLINE_S: Final = 60.0
HUMBLE: Final = ("--timeout", "1800")
"""Options of pytest for tests that are given little of the processor: they may take long."""
AGAIN: Final = ("--last-failed", "--last-failed-no-failures", "none")


class Part(NamedTuple):
    """One run of pytest: the tests with `marks` of the folders in `tiers`, `at_once` at a time.

    One that is `humble` takes only what nobody else wants of the processor, if others run beside it.
    """

    name: str
    tiers: tuple[str, ...]
    marks: str
    at_once: int = 1
    humble: bool = False

    def command(self, tiers: Sequence[str], options: Sequence[str], *, again: bool) -> list[str]:
        """Return the command for those of `tiers` that belong to this part, empty if none does."""
        chosen = [tier for tier in tiers if tier.startswith(self.tiers)]
        if not chosen:
            return []
        several = [] if again or self.at_once == 1 else ["-n", str(self.at_once)]
        # Each part notes by itself what failed: they run at the same time.
        cache = ["-o", f"cache_dir=.pytest_cache/{self.name}"]
        failed = AGAIN if again else ()
        pytest = [
            sys.executable,
            "-m",
            "pytest",
            "-m",
            self.marks,
            *(HUMBLE if self.humble else ()),
        ]
        return [*pytest, *several, *cache, *failed, *chosen, *options]


SHARED: Final = Part(
    "shared-cluster", ("tests/live", "tests/browser"), "live and not own_cluster and not long"
)
OWN: Final = Part(
    "own-clusters", ("tests/live", "tests/browser"), "live and own_cluster and not long"
)
WAITING: Final = Part("waiting", ("tests/sim", "tests/browser"), "not live and not long", at_once=2)
COMPUTING: Final = Part(
    "computing", ("tests/unit", "tests/golden"), "not live and not long", at_once=2, humble=True
)
LONG_WAITING: Final = Part(
    "long-waiting", ("tests/sim", "tests/browser"), "long and not live", at_once=2
)
LONG_COMPUTING: Final = Part(
    "long-computing", ("tests/unit", "tests/golden"), "long and not live", humble=True
)
LONG_SHARED: Final = Part("long-shared-cluster", ("tests/live",), "long and not own_cluster")
LONG_OWN: Final = Part(
    "long-own-clusters",
    ("tests/live", "tests/browser"),
    "live and long and own_cluster and not several_nodes",
)
NODES: Final = Part("several-nodes", ("tests/live",), "long and several_nodes")
LANES: Final = ((WAITING, SHARED, OWN), (COMPUTING,))
"""Lanes of `make test`."""
LONG_LANES: Final = ((LONG_WAITING, LONG_SHARED, LONG_OWN, NODES), (LONG_COMPUTING,))
"""Lanes of `make test-long`."""


class Pytest(NamedTuple):
    """A command, and whether it has to take what others leave of the processor."""

    words: Sequence[str]
    humble: bool


class Lane(threading.Thread):
    """Commands that run one after another, beside those of other lanes."""

    def __init__(self, commands: Sequence[Pytest]) -> None:
        super().__init__(daemon=True)
        self.codes: list[int] = []
        self.said: IO[bytes] | None = None
        self._commands = commands
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def run(self) -> None:
        """Run them all, also after one that failed."""
        for words, humble in self._commands:
            if self._ended:
                return
            self._process = subprocess.Popen(
                words, stdout=self.said, stderr=self.said, start_new_session=humble
            )
            if humble:
                lower(self._process.pid)
            self.codes.append(self._process.wait())

    def end(self) -> None:
        """End the command that is under way, and begin no other."""
        self._ended = True
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # pytest ends its fixtures, and thus clusters
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_DEADLINE_S)


def lower(pid: int) -> None:
    """Give a process, and all that it will start, what is left of the processor, and a little more.

    If Linux groups processes by session (autogroup), priorities count only within one: then the
    session of `pid` gets a low one too, a thirtieth of another's share: its tests have deadlines.
    """
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("15", encoding="ascii")


def run_side_by_side(lanes: Sequence[Lane]) -> None:
    """Run all lanes. The first one's output is seen at once, the others' in the end."""
    with contextlib.ExitStack() as stack:
        for lane in lanes[1:]:
            lane.said = stack.enter_context(tempfile.TemporaryFile())
        for lane in lanes:
            stack.callback(lane.end)
            lane.start()
        for lane in lanes:
            lane.join()
            if lane.said:
                lane.said.seek(0)
                sys.stdout.write(lane.said.read().decode(errors="replace"))
                sys.stdout.flush()


def run_tests(
    chosen: Sequence[Sequence[Part]], tiers: Sequence[str], options: Sequence[str]
) -> list[int]:
    """Run all parts of the `chosen` lanes, and return pytest's exit code of each."""
    lanes: list[Lane] = []
    for parts in chosen:
        commands = [
            Pytest(words, humble=part.humble and bool(lanes))
            for part in parts
            if (words := part.command(tiers, options, again=False))
        ]
        if commands:
            lanes.append(Lane(commands))
    run_side_by_side(lanes)
    return [code for lane in lanes for code in lane.codes]


def run_again(tiers: Sequence[str], options: Sequence[str]) -> list[int]:
    """Run what failed last time, each test by itself."""
    parts = [part for lane in (*LANES, *LONG_LANES) for part in lane]
    commands = [part.command(tiers, options, again=True) for part in parts]
    return [subprocess.call(command) for command in commands if command]


def main(arguments: Sequence[str]) -> int:
    """Return the first exit code of pytest that tells of a failure, 5 if no test was chosen, or 0."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    words, options = arguments[:at], arguments[at + 1 :]
    tiers = [word for word in words if not word.startswith("--")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if "--again" in words:
        codes = run_again(tiers, options)
    else:
        codes = run_tests(LONG_LANES if "--long" in words else LANES, tiers, options)
    failed = [code for code in codes if code not in (0, NONE_CHOSEN)]
    return failed[0] if failed else (0 if 0 in codes else NONE_CHOSEN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
