"""The time of each tier of tests, as a table at the end of `make test`.

`make test` runs pytest more than once. Each run adds a line for each of its tiers to the file that
TIMES_VARIABLE names, and `python -m tests.support.tier_times FILE` prints them as one table.
"""

import json
import os
import sys
import time
from pathlib import Path

TIMES_VARIABLE = "SCALELAG_TEST_TIMES"


class TierTimes:
    """A plugin of pytest that adds up what it is told of each test."""

    def __init__(self) -> None:
        self.begun_s = time.time()
        self.tests: dict[str, set[str]] = {}
        self.work_s: dict[str, float] = {}

    def pytest_runtest_logreport(self, report) -> None:
        tier = "/".join(report.nodeid.split("/")[:2])
        self.tests.setdefault(tier, set()).add(report.nodeid)
        self.work_s[tier] = self.work_s.get(tier, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        lasted_s = time.time() - self.begun_s
        rows = [[t, len(self.tests[t]), self.work_s[t], lasted_s] for t in sorted(self.tests)]
        with Path(os.environ[TIMES_VARIABLE]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows) + "\n")


def register(config) -> None:
    """Register the plugin, if times are wanted, in the process that is told of all tests."""
    if TIMES_VARIABLE in os.environ and not hasattr(config, "workerinput"):
        config.pluginmanager.register(TierTimes(), "tier-times")


def main(path: str) -> None:
    """Print the table. Tiers that ran at once share the time of that run."""
    file = Path(path)
    lines_of = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    runs = [rows for rows in map(json.loads, lines_of) if rows]
    lines = [f"{'tier':<16}{'tests':>7}{'seconds of tests':>18}{'seconds':>9}"]
    for rows in runs:
        for number, (tier, tests, work_s, lasted_s) in enumerate(rows):
            lasted = f"{lasted_s:.0f}" if number == 0 else '"'
            lines.append(f"{tier:<16}{tests:>7}{work_s:>18.0f}{lasted:>9}")
    tests = sum(row[1] for rows in runs for row in rows)
    lasted_s = sum(rows[0][3] for rows in runs)
    lines.append(f"{'all':<16}{tests:>7}{'':>18}{lasted_s:>9.0f}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
