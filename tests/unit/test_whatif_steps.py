"""Our calls of Ray's autoscaler give what Ray's own functions do, or the comparison tells where not."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reports.whatif.autoscaler import HandleReport, Series
from scalelag.autoscaler.ray_autoscaler import RayAutoscaler
from tools import whatif_steps as steps
from tools import whatif_versions as versions

BOUNDS = {"min_replicas": 1, "max_replicas": 8}
WITH_DELAYS = {**BOUNDS, **steps.SETTINGS[0], "aggregation_function": "mean"}


@pytest.mark.parametrize("function", steps.FUNCTIONS)
@pytest.mark.parametrize("settings", steps.SETTINGS)
def test_each_turn_decides_as_rays_functions_do(settings: Mapping[str, Any], function: str):
    found = steps.compared({**BOUNDS, **settings, "aggregation_function": function}, seed=5)

    assert (found.totals_differ, found.targets_differ) == (0, 0)
    assert found.decisions >= 2
    assert found.turns == steps.TURNS


def test_reports_of_which_a_part_is_lost_give_other_totals(monkeypatch: pytest.MonkeyPatch):
    take = RayAutoscaler.report

    def without_queue(self: RayAutoscaler, report: HandleReport) -> None:
        none = Series(report.queued.at_s, [0.0] * len(report.queued.at_s))
        take(self, report._replace(queued=none))

    monkeypatch.setattr(RayAutoscaler, "report", without_queue)

    assert steps.compared(WITH_DELAYS, seed=5).totals_differ > 50


def test_a_clock_that_runs_slow_gives_other_targets(monkeypatch: pytest.MonkeyPatch):
    decide = RayAutoscaler.decide

    def by_a_slow_clock(self: RayAutoscaler, now_s: float, targets: Mapping[str, int]):
        since_s = now_s - steps.START_S
        return decide(self, steps.START_S + 0.8 * since_s, targets)

    monkeypatch.setattr(RayAutoscaler, "decide", by_a_slow_clock)

    assert steps.compared(WITH_DELAYS, seed=5).targets_differ > 0


def test_a_comparison_in_a_process_of_its_own_is_read_back():
    found = versions.compare_with(Path(sys.executable), turns=5)

    assert found.turns == 5 * len(steps.SETTINGS) * len(steps.FUNCTIONS)
    assert (found.totals_differ, found.targets_differ) == (0, 0)


def test_the_table_has_a_row_a_version_and_its_day():
    one = steps.StepDifferences("2.55.1", 7200, 180, 0, 3)

    table = versions.table_of([one, msgspec.structs.replace(one, ray="2.52.1")], "2026-11-30")

    assert "| 2.55.1 | 7200 | 180 | 0 | 3 |" in table
    assert "| 2.52.1 | 7200 | 180 | 0 | 3 |" in table
    assert table.endswith("Compared on 2026-11-30.\n")


def test_the_page_has_the_installed_version_and_two_others_without_a_difference():
    text = versions.PAGE.read_text(encoding="utf-8")
    rows = text.partition(versions.MARKS[0])[2].partition(versions.MARKS[1])[0].splitlines()
    cells = [row.strip("| ").split(" | ") for row in rows if row.startswith("| 2.")]

    assert len({row[0] for row in cells}) >= 3
    assert all(row[-2:] == ["0", "0"] for row in cells)
    assert all(int(row[2]) > 0 for row in cells)
