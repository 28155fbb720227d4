"""The check of predictions on real Ray: its pairs, its runs, and what it writes, without Ray."""

import re
from pathlib import Path

import msgspec
import pytest

from reports.analysis.simulable import is_scaled
from reports.model.intervals import Span
from reports.model.whatif import Curve, Estimate
from scalelag.cli.whatif import WhatIfOptions, prepare
from scalelag.plan.stages import parse_plan
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.run_dir import load_run
from tools.marked_page import write_between
from tools.whatif_check import (
    PAGE,
    PAIRS_MARKS,
    SWING_MARKS,
    ComparedFigure,
    MissingRunError,
    _complete,
    _summary,
    made_run,
    table_of,
)
from tools.whatif_pairs import APPS, CALM, PAIRS, SLEEPER, SWING, Pair
from tools.whatif_swing import swing_period_s

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"


def test_there_are_ten_pairs_on_three_applications_and_some_are_held_out():
    assert len(PAIRS) >= 10
    assert {app.app for app in APPS} >= {"sleeper", "cpu_bound", "pipeline"}
    assert {parse_plan(pair.app.steps).unit for pair in PAIRS} == {"rps", "users"}
    assert len([pair for pair in PAIRS if pair.held_out]) >= 3


def test_every_kind_of_setting_is_changed():
    changed = {text.partition("=")[0] for pair in PAIRS for text in pair.changes}

    assert changed >= {
        "upscale_delay_s",
        "downscale_delay_s",
        "target_ongoing_requests",
        "look_back_period_s",
        "aggregation_function",
        "upscaling_factor",
        "min_replicas",
        "max_replicas",
    }


def test_every_plan_is_short():
    for app in (*APPS, CALM):
        assert 40 <= parse_plan(app.steps).duration_s <= 90


def test_a_run_has_all_settings_of_its_application_and_the_changes():
    settings = Pair(SLEEPER, ("upscale_delay_s=5", "aggregation_function=max")).settings

    assert settings["upscale_delay_s"] == 5
    assert settings["aggregation_function"] == "max"
    assert settings["max_replicas"] == SLEEPER.settings["max_replicas"]
    assert SWING.settings["upscaling_factor"] == 3


def stored(out: Path, name: str, *, status: str = "complete") -> Path:
    folder = out / name
    folder.mkdir()
    for file in DEMO.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    info = folder / "run.json"
    info.write_text(info.read_text().replace('"status": "complete"', f'"status": "{status}"'))
    (folder / "report.json").write_text("{}")
    return folder


def test_a_complete_run_is_found_by_its_whole_name(tmp_path: Path):
    made = stored(tmp_path, "20261122-174501-sleeper")
    stored(tmp_path, "20261122-174502-other-sleeper")
    stored(tmp_path, "20261122-174503-sleeper-upscale_delay_s-5")
    stored(tmp_path, "20261122-174504-sleeper", status="interrupted")
    (tmp_path / "20261122-174505-sleeper").mkdir()

    assert _complete(tmp_path, "sleeper") == [made]
    assert made_run(tmp_path, Pair(SLEEPER), may_make=True) == made


def test_a_run_that_is_not_there_is_a_row_and_not_the_end(tmp_path: Path):
    def run_of(pair: Pair) -> Path:
        return made_run(tmp_path, pair, may_make=False)

    table = table_of([Pair(SLEEPER, ("upscale_delay_s=5",))], run_of)

    assert "| sleeper | upscale_delay_s=5 |" in table
    assert "none: there is no complete run of it" in table
    assert "No pair could be compared." in table
    with pytest.raises(MissingRunError):
        run_of(Pair(SLEEPER))


def test_a_pair_is_predicted_and_laid_beside_the_measurement():
    table = table_of([Pair(SLEEPER, ("upscale_delay_s=2",), held_out=True)], lambda _pair: DEMO)

    assert "| sleeper | upscale_delay_s=2 | yes | 2026-11-25 | 1 up |" in table
    assert "- All pairs: of 2 steps the median error of `total_s` is 0." in table
    assert "- Held out: of 2 steps" in table
    rows = [row for row in table.splitlines() if row.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    # The run that it is predicted from is the measured one: the same starts.
    assert re.search(r"\| (\d+\.\d), \1 \|$", rows[2])
    assert (
        "over 1 pairs the logarithm of measured over recorded has a root mean square of 0.00"
        in table
    )


def test_a_measurement_within_polling_of_the_prediction_is_within():
    predicted = Estimate(Span(5.0, 4.5, 5.5), 20)

    assert ComparedFigure("total_s", False, predicted, Span(5.6, 5.4, 5.8)).within
    assert not ComparedFigure("total_s", False, predicted, Span(5.6, 5.6, 5.6)).within
    assert not ComparedFigure("total_s", False, predicted, None).within
    assert _summary([]) == "No pair could be compared.\n"


def test_what_stood_between_the_marks_is_replaced(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())

    write_between(page, PAIRS_MARKS, "a table\n")
    write_between(page, SWING_MARKS, "a period\n")

    text = page.read_text()
    assert f"{PAIRS_MARKS[0]}a table\n{PAIRS_MARKS[1]}" in text
    assert f"{SWING_MARKS[0]}a period\n{SWING_MARKS[1]}" in text
    assert text.startswith(PAGE.read_text()[:200])


def test_the_period_of_a_swing_is_from_one_upward_turn_to_the_next():
    swings = Curve((0, 10, 22, 26, 30, 34, 38, 42, 60), (1, 6, 3, 6, 3, 6, 3, 6, 6))

    assert swing_period_s(swings) == 8.0
    assert swing_period_s(Curve((0, 10, 60), (1, 6, 6))) is None


def test_equal_bounds_fix_the_number_of_replicas():
    def scaled(**config: int) -> bool:
        return is_scaled(DeploymentInfo(autoscaling=config))

    assert scaled(min_replicas=1, max_replicas=4)
    assert scaled()
    assert not scaled(min_replicas=2, max_replicas=2)
    assert not is_scaled(DeploymentInfo())
    assert not is_scaled(None)


def test_the_neighbour_with_equal_bounds_leaves_the_other_to_be_simulated():
    run = load_run(DEMO)
    fixed = DeploymentInfo(autoscaling={"min_replicas": 1, "max_replicas": 1})
    deployments = {"default/A": fixed, **run.info.target.deployments}
    target = msgspec.structs.replace(
        run.info.target, deployments=deployments, watched=("default/A", "default/Sleeper")
    )
    two = msgspec.structs.replace(run, info=msgspec.structs.replace(run.info, target=target))

    assert prepare(two, (), WhatIfOptions()).recorded.scenario.settings.key == "default/Sleeper"
