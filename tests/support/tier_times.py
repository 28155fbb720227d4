"""The time of each tier of tests, as a table at the end of `make test`.

`make test` runs pytest several times, also side by side. Each run adds a line for each of its tiers to
the file that TIMES_VARIABLE names, and `python -m tests.support.tier_times FILE` prints one table.
"""

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

TIMES_VARIABLE = "SCALELAG_TEST_TIMES"


class TierTime(NamedTuple):
    """Tests of a tier, for how long they worked in all, and from when to when, in Unix seconds."""

    tier: str
    tests: int
    work_s: float
    begun_s: float
    ended_s: float

    def joined(self, other: "TierTime") -> "TierTime":
        """Return this one and `other` as one."""
        return TierTime(
            self.tier,
            self.tests + other.tests,
            self.work_s + other.work_s,
            min(self.begun_s, other.begun_s),
            max(self.ended_s, other.ended_s),
        )


class TierTimes:
    """A plugin of pytest that adds up what it is told of each test."""

    def __init__(self) -> None:
        self._times: dict[str, TierTime] = {}

    def pytest_runtest_logreport(self, report) -> None:
        tier = "/".join(report.nodeid.split("/")[:2])
        tests = 1 if report.when == "setup" else 0
        found = TierTime(tier, tests, report.duration, report.start, report.stop)
        known = self._times.get(tier)
        self._times[tier] = known.joined(found) if known else found

    def pytest_sessionfinish(self) -> None:
        with Path(os.environ[TIMES_VARIABLE]).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(one) + "\n" for one in self._times.values())


def register(config) -> None:
    """Register the plugin, if times are wanted, in the process that is told of all tests."""
    if TIMES_VARIABLE in os.environ and not hasattr(config, "workerinput"):
        config.pluginmanager.register(TierTimes(), "tier-times")


def table(found: list[TierTime]) -> list[str]:
    """Lines of the table. Tiers run side by side: their times overlap."""
    tiers: dict[str, TierTime] = {}
    for one in found:
        known = tiers.get(one.tier)
        tiers[one.tier] = known.joined(one) if known else one
    rows = list(tiers.values())
    lines = [f"{'tier':<16}{'tests':>7}{'seconds of tests':>18}{'seconds':>9}"]
    for row in rows:
        lasted_s = row.ended_s - row.begun_s
        lines.append(f"{row.tier:<16}{row.tests:>7}{row.work_s:>18.0f}{lasted_s:>9.0f}")
    if rows:
        lasted_s = max(row.ended_s for row in rows) - min(row.begun_s for row in rows)
        tests = sum(row.tests for row in rows)
        lines.append(f"{'all':<16}{tests:>7}{sum(r.work_s for r in rows):>18.0f}{lasted_s:>9.0f}")
    return lines


def main(path: str) -> None:
    """Print the table."""
    file = Path(path)
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = [TierTime(*json.loads(line)) for line in lines]
    sys.stdout.write("\n".join(table(found)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
