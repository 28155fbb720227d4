"""Locustfiles of every kind, run by plain Locust and by scalelag: `python -m tools.locustfiles`.

The table goes into docs/locustfiles.md. `--only TEXT` runs the kinds with that text in their name, and
writes nothing. It ends with 1 if the two sides differ where they must not (`differences`).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from scalelag.console import say
from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tools.locustfiles.cases import CASES, Case
from tools.locustfiles.page import PAGE, page_with, row
from tools.locustfiles.sides import both, differences


def main() -> int:
    """Run the cases, write the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="run the kinds with this text in their name")
    only: str = parser.parse_args().only
    wrong: list[str] = []
    with running_echo() as echo, running_standin(one_deployment(steady_replica())) as standin:
        chosen = [case for case in CASES if only in case.kind]
        rows = [_row(case, echo.url, standin.url, wrong) for case in chosen]
    if wrong:
        say("\n".join(wrong))
    elif not only:
        PAGE.write_text(page_with(rows), encoding="utf-8")
    return 1 if wrong else 0


def _row(case: Case, host: str, dashboard: str, wrong: list[str]) -> str:
    """Run the case and return its row; what is wrong is added to `wrong`."""
    with tempfile.TemporaryDirectory(prefix="locustfiles-") as folder:
        try:
            sides = both(case, Path(folder), host, dashboard)
        except (RuntimeError, AssertionError, subprocess.TimeoutExpired) as error:
            wrong.append(f"{case.kind}: it did not run: {error}")
            return f"| {case.kind} | did not run |"
    if found := differences(case, sides):
        wrong += [*found, sides.plain.said[-1500:], sides.ours.said[-3000:]]
    say(made := row(case, sides))
    return made


if __name__ == "__main__":
    sys.exit(main())
