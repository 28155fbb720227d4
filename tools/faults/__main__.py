"""Faults under load, into docs/reliability.md: `python -m tools.faults`.

`--only TEXT` makes those with that text in their name; the others keep their results. It ends with 1 if
a fault left something else than it must, and then writes nothing of that one.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from scalelag.console import say
from tools.faults.cases import CASES, Case
from tools.faults.kept import Outcome, outcome_of, problems
from tools.faults.page import store
from tools.faults.scene import MissingToolError, Scene, on_ray, on_standin

_DEADLINE_S = 180.0


def main() -> int:
    """Make the faults, write the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="make the faults with this text in their name")
    only: str = parser.parse_args().only
    wrong: list[str] = []
    for case in CASES:
        if only in case.fault:
            wrong += _tried(case)
    say("\n".join(wrong) or "all is as it must be")
    return 1 if wrong else 0


def _tried(case: Case) -> list[str]:
    """Make one fault and store its outcome, or return what is wrong with it."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        try:
            outcome, said = _made(case, Path(folder))
        except (AssertionError, MissingToolError, subprocess.TimeoutExpired) as error:
            return [f"{case.fault}: not made: {error}"]
    found = problems(case, outcome, said)
    say(f"{case.fault}: {outcome.kept}; {outcome.says}; exit code {outcome.code}")
    if found:
        return [*found, said[-2000:]]
    store([outcome])
    return []


def _made(case: Case, folder: Path) -> tuple[Outcome, str]:
    with _scene(case, folder) as scene:
        scene.await_load()
        at_s = time.time()
        case.act(scene)
        code = scene.process.wait(_DEADLINE_S)
        made_on = datetime.now(UTC).date().isoformat()
        outcome = outcome_of(case, scene, at_s, code, made_on)
        return outcome, scene.said.read_text(errors="replace")


def _scene(case: Case, folder: Path) -> AbstractContextManager[Scene]:
    if case.on_ray:
        return on_ray(folder, case.options)
    return on_standin(folder, case.options, disk=case.disk, clock=case.clock)


if __name__ == "__main__":
    sys.exit(main())
