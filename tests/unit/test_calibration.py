"""Calibration: which loads are tried, what a stage says, what comes of it all, and its words."""

import json
from io import StringIO

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from reports.analysis.analyse import analyse
from reports.analysis.calibration import ALONE, calibration_of, hold_for, judge_stage, next_load
from reports.analysis.load.slo import parse_slo
from reports.model.calibration import CalibrationStage, StageLoad
from reports.model.report import Report
from reports.model.steps import Replicas
from reports.render.terminal.calibration import print_calibration, render_json_calibration
from scalelag.record.error_kinds import NOT_SENT
from scalelag.record.requests_file import RequestColumns
from tests.support.built.step_facts import KEY, ZERO_S, run

SLO = parse_slo("p95<200ms")


def stage(level: float, kept: bool | None, unit: str = "rps", rps: float = 10.0):
    reason = "the load generator was too slow" if kept is None else None
    return CalibrationStage(
        load=StageLoad(level, unit),
        hold_s=15.0,
        planned=150,
        failed=0,
        not_sent=0,
        completed_rps=rps,
        within_ratio=1.0 if kept else 0.5,
        latency_ms=101.0,
        kept=kept,
        reason=reason,
        record="stage",
    )


def searched(alone_rps: float, capacity_rps: float) -> list[CalibrationStage]:
    """The stages of a search on a server that keeps the limit up to `capacity_rps`."""
    stages: list[CalibrationStage] = []
    while (load := next_load(stages)) is not None:
        kept = load == ALONE or load.level <= capacity_rps
        stages.append(stage(load.level, kept, load.unit, alone_rps))
    return stages


# --- which loads ------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.floats(0.1, 1000), st.floats(0.05, 500))
def test_the_search_ends_with_the_capacity_between_two_rates_that_are_close(alone_rps, times):
    capacity_rps = alone_rps * times

    found = calibration_of(SLO, [KEY], searched(alone_rps, capacity_rps))

    assert found.complete
    assert found.capacity_rps <= capacity_rps < found.exceeded_rps
    # Rates have three digits, so that a tenth apart may come out a little more.
    assert found.exceeded_rps / found.capacity_rps <= 1.11
    assert len(found.stages) <= 17


def test_rates_double_and_then_close_in():
    levels = [one.load.level for one in searched(10.0, 47.0)]

    assert levels == [1, 10, 20, 40, 80, 56.6, 47.6, 43.6, 47.6]


def test_a_limit_that_one_request_at_a_time_exceeds_ends_the_search():
    stages = [stage(1, False, "users")] * 2

    found = calibration_of(SLO, [KEY], stages)

    assert next_load(stages[:1]) == ALONE
    assert next_load(stages) is None
    assert (found.complete, found.capacity_rps) == (True, None)
    assert found.reason == "not even one request at a time is within the limit"


def test_a_server_that_keeps_the_limit_at_no_rate_ends_the_search():
    found = calibration_of(SLO, [KEY], searched(10.0, 0.0))

    assert (found.complete, found.capacity_rps) == (True, None)
    assert found.exceeded_rps == pytest.approx(10 / 64, rel=0.01)
    assert found.reason == "no rate that was tried is within the limit"


def test_a_stage_that_says_nothing_is_made_once_more():
    begun = [stage(1, True, "users"), stage(10, True), stage(20, None)]

    assert next_load(begun) == StageLoad(20, "rps")
    assert next_load([*begun, stage(20, True)]) == StageLoad(40, "rps")
    assert next_load([*begun, stage(20, None)]) is None


def test_a_rate_that_was_exceeded_by_chance_is_found_out_at_the_end():
    begun = [stage(1, True, "users"), stage(10, False), stage(5, True), stage(7.07, True)]
    close = [*begun, stage(8.41, True), stage(9.17, True)]

    assert next_load(close) == StageLoad(10, "rps")
    assert next_load([*close, stage(10, False)]) is None
    assert next_load([*close, stage(10, True)]) == StageLoad(20, "rps")


def test_one_that_says_nothing_twice_leaves_the_search_open_with_what_was_found():
    stages = [stage(1, True, "users"), stage(10, True), stage(20, None), stage(20, None)]

    found = calibration_of(SLO, [KEY], stages)

    assert (found.complete, found.capacity_rps, found.exceeded_rps) == (False, 10, None)
    assert found.reason == "the load generator was too slow"


# --- how long ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "rps", "least_s", "expected_s"),
    [
        ("p95<200ms", 50, 15, 15),  # 100 requests take 2 s, twenty limits 4 s
        ("p95<200ms", 2, 15, 50),  # 100 requests
        ("p99<200ms", 10, 15, 50),  # 500 requests: five beyond the quantile
        ("p95<2s", 50, 15, 40),  # twenty limits
        ("p95<200ms", 0.1, 15, 120),  # never longer than that,
        ("p95<200ms", 0.1, 300, 300),  # unless told
        ("max<200ms", 10, 1, 10),
    ],
)
def test_a_low_rate_a_high_quantile_and_a_high_limit_take_longer(limit, rps, least_s, expected_s):
    held_s = hold_for(StageLoad(rps, "rps"), parse_slo(limit), least_s)

    assert held_s == pytest.approx(expected_s, abs=1e-6)


def test_one_user_is_held_for_the_limit_alone():
    assert hold_for(ALONE, parse_slo("p99<2s"), 15) == 40


# --- what a stage says ------------------------------------------------------------------------


def rows(latency_s, send_lag_s=0.0, errors=()) -> RequestColumns:
    """A request every 0.1 s; `errors` are kinds by row."""
    n = len(latency_s)
    codes = np.full(n, -1, np.int32)
    texts = tuple(dict.fromkeys(kind for _, kind in errors))
    for row, kind in errors:
        codes[row] = texts.index(kind)
    return RequestColumns(
        intended_s=ZERO_S + 0.1 * np.arange(n),
        send_lag_s=np.broadcast_to(np.float32(send_lag_s), n).copy(),
        latency_s=np.asarray(latency_s, np.float32),
        status=np.full(n, 200, np.uint16),
        name=np.zeros(n, np.int32),
        error=codes,
        worker=np.zeros(n, np.uint16),
        names=("/",),
        errors=texts,
    )


def judged(requests: RequestColumns, slo: str = "p95<200ms", **replicas: int | None):
    made = msgspec.structs.replace(run(), requests=requests)
    report = analyse(made).report
    return judge_stage(
        StageLoad(10, "rps"), 10.0, with_replicas(report, **replicas), requests, parse_slo(slo), "r"
    )


def with_replicas(report: Report, lowest: int | None = 1, highest: int | None = 1) -> Report:
    changed = {
        key: msgspec.structs.replace(one, replicas=Replicas(lowest, highest, highest))
        for key, one in report.deployments.items()
    }
    return msgspec.structs.replace(report, deployments=changed)


def test_the_limit_is_kept_by_the_share_of_its_quantile():
    fast, slow = [0.05] * 95, [0.5] * 5

    assert judged(rows(fast + slow)).kept is True
    assert judged(rows(fast[1:] + slow + slow[:1])).kept is False
    assert judged(rows(fast + slow), "max<200ms").kept is False
    assert judged(rows([0.05] * 100), "max<200ms").kept is True


def test_what_a_stage_shows_is_what_was_measured():
    found = judged(rows([0.05] * 90 + [0.1] * 10))

    assert (found.planned, found.failed, found.not_sent) == (100, 0, 0)
    assert found.completed_rps == 10
    assert found.within_ratio == 1
    assert found.latency_ms == pytest.approx(100)


def test_requests_that_failed_or_were_not_sent_are_beyond_the_limit():
    fast = [0.05] * 100
    unsent = [*fast[:94], *[float("nan")] * 6]

    assert judged(rows(fast, errors=[(row, "HTTP 500") for row in range(5)])).kept is True
    assert judged(rows(fast, errors=[(row, "HTTP 500") for row in range(6)])).kept is False
    assert judged(rows(unsent, errors=[(row, NOT_SENT) for row in range(94, 100)])).kept is False


def test_a_load_generator_that_was_late_leaves_it_open():
    late = rows([0.35] * 100, send_lag_s=0.3)

    found = judged(late)

    assert found.kept is None
    assert "too slow" in found.reason


def test_a_server_that_is_too_slow_from_the_send_exceeds_it_however_late_we_were():
    assert judged(rows([0.8] * 100, send_lag_s=0.3)).kept is False


def test_another_number_of_replicas_says_nothing_and_a_lost_one_exceeds():
    good = rows([0.05] * 100)

    assert judged(good, highest=2).kept is None
    assert judged(good, lowest=None, highest=None).kept is None
    assert judged(good, lowest=0).kept is False


def test_a_run_that_was_broken_off_says_nothing():
    made = run()
    broken = msgspec.structs.replace(made.info, status="interrupted", reason="Ctrl-C")
    requests = rows([0.05] * 100)
    report = analyse(msgspec.structs.replace(made, info=broken, requests=requests)).report

    found = judge_stage(ALONE, 10.0, report, requests, SLO, "r")

    assert (found.kept, found.reason) == (None, "interrupted: Ctrl-C")


# --- how it is shown --------------------------------------------------------------------------


def shown(stages, width=100) -> str:
    text = StringIO()
    found = calibration_of(SLO, ["app/Mo[/]del"], stages)
    print_calibration(Console(file=text, width=width), found, "runs/x-calibration")
    return text.getvalue()


def test_the_rate_its_bounds_and_how_to_use_it_are_printed():
    text = shown(searched(10.0, 47.0))

    assert "CALIBRATED  app/Mo[/]del · one replica · p95<200ms" in text
    assert "kept at 43.6 requests/s; exceeded at 47.6" in text
    assert "Use it: --capacity-rps 43.6" in text
    assert "Record: runs/x-calibration" in text
    assert [line.split()[-1] for line in text.splitlines() if " rps " in line and "ms" not in line]


def test_an_open_search_says_what_is_in_its_way():
    text = shown([stage(1, True, "users"), stage(10, None), stage(10, None)])

    assert "NOT CALIBRATED" in text
    assert "10 rps: the load generator was too slow" in text
    assert "--capacity-rps" not in text


def test_a_narrow_console_gets_lines_of_at_most_its_width():
    lines = shown(searched(10.0, 47.0), width=40).splitlines()

    assert max(map(len, lines)) <= 40
    assert any("10 rps" in line for line in lines)


def test_the_json_is_what_was_found():
    found = calibration_of(SLO, [KEY], searched(10.0, 47.0))

    read = json.loads(render_json_calibration(found))

    assert (read["schema_version"], read["slo"]) == (1, "p95<200ms")
    assert (read["capacity_rps"], read["exceeded_rps"], read["complete"]) == (43.6, 47.6, True)
    assert read["stages"][0]["load"] == {"level": 1.0, "unit": "users"}
