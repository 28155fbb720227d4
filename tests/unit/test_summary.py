"""A recorded run in, its report out: its figures, its verdict, its warnings."""

import math

import msgspec
import pytest

from reports.analysis.analyse import analyse
from reports.model.report import Report
from scalelag.record.evidence_rows import CLUSTER_STATUS, LogEvent, LogKind, NodeClock, NoLog
from scalelag.record.rows import ControllerRestart, Row
from scalelag.record.run_info import (
    DeploymentInfo,
    Edge,
    ProbeInfo,
)
from tests.unit.recorded_runs import (
    KEY,
    PLAN,
    REQUESTS,
    ZERO_S,
    info,
    recorded,
    report_of,
    requests,
    watch,
)

# --- a good run ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good() -> Report:
    return report_of(recorded())


def test_a_good_run_passes_without_warnings(good: Report):
    assert (good.verdict, good.reasons, good.warnings, good.gates) == ("pass", (), (), ())


def test_a_report_says_what_was_run(good: Report):
    assert good.schema_version == 1
    assert (good.run.name, good.run.status, good.run.steps) == ("demo", "complete", PLAN)
    assert (good.run.started_s, good.run.load_s, good.run.duration_s) == (ZERO_S, 80.0, 100.0)


def test_a_report_holds_every_step_of_every_deployment(good: Report):
    found = good.deployments[KEY]

    assert [(s.index, s.direction, s.at_s, s.hold_s) for s in found.steps] == [
        (0, "up", 0.0, 20.0),
        (1, "up", 20.0, 40.0),
        (2, "down", 60.0, 20.0),
        (3, "down", 80.0, 20.0),
    ]
    assert found.autoscaling == {"min_replicas": 1}


def test_the_lags_of_a_report_contain_the_truth(good: Report):
    found = good.deployments[KEY]

    # The step at 20 s is answered at 27 s, the one at 60 s at 75 s; the others need nothing.
    up, down = found.scale_up, found.scale_down
    assert (up.steps, up.censored, down.steps, down.censored) == (1, 0, 1, 0)
    assert up.total_s is not None
    assert up.total_s.max.lo <= 7.0 <= up.total_s.max.hi
    assert up.total_s.max.hi - up.total_s.max.lo == pytest.approx(0.55, abs=1e-6)
    assert down.total_s is not None
    assert down.total_s.max.lo <= 15.0 <= down.total_s.max.hi
    assert found.steps[0].total_s is None
    assert found.steps[0].reason


def test_the_phases_of_a_report_contain_the_truth(good: Report):
    up, down = good.deployments[KEY].scale_up, good.deployments[KEY].scale_down

    for stat, truth in [
        (up.decide_s, 5.0),
        (up.initialize_s, 2.0),
        (down.decide_s, 10.0),
        (down.stop_s, 1.0),
        (down.drain_s, 4.0),
    ]:
        assert stat is not None
        assert stat.p50.lo <= truth <= stat.p50.hi


def test_a_report_tells_the_range_of_replicas(good: Report):
    found = good.deployments[KEY].replicas

    assert (found.min, found.max, found.final) == (1, 3, 1)


def test_a_report_counts_requests_and_their_steps(good: Report):
    assert (good.load.planned, good.load.completed) == (REQUESTS, REQUESTS)
    assert [(s.at_s, s.planned, s.offered_rps) for s in good.load.steps] == [
        (0.0, 100, 5.0),
        (20.0, 1600, 40.0),
        (60.0, 100, 5.0),
    ]


def test_a_report_tells_how_well_replicas_were_watched(good: Report):
    assert (good.probe.polls, good.probe.gaps, good.probe.restarts) == (204, 0, 0)
    assert good.probe.interval_s == pytest.approx(0.5)
    assert good.probe.round_trip_p50_ms == pytest.approx(50, abs=0.01)
    assert good.probe.observer_share == pytest.approx(0.01)
    assert (good.probe.clock_offset_s, good.probe.clock_error_s) == (0.03, 0.002)
    assert good.probe.gap_s == pytest.approx(0.45, abs=0.01)  # after the last poll


def test_charts_count_requests_in_bins_of_a_second():
    charts = analyse(recorded()).charts

    assert charts.load.bin_s == 1.0
    assert len(charts.load.from_s) == len(charts.load.offered_rps) == 100
    assert charts.load.offered_rps[:20] == (5.0,) * 20
    assert charts.load.offered_rps[20:60] == (40.0,) * 40
    assert sum(charts.load.offered_rps) == sum(charts.load.completed_rps) == REQUESTS
    assert charts.deployments[KEY].curve.running[-1] == 1
    assert max(charts.deployments[KEY].curve.running) == 3


def test_a_report_survives_its_file(good: Report):
    assert msgspec.json.decode(msgspec.json.encode(good), type=Report) == good


# --- verdicts --------------------------------------------------------------------------------

PASSES = "scale_up.total_s.max <= 20"
FAILS = "scale_up.total_s.max <= 2"
UNDECIDED = "scale_up.total_s.max <= 7"


@pytest.mark.parametrize(
    ("gates", "verdict"),
    [
        ([PASSES], "pass"),
        ([UNDECIDED], "inconclusive"),
        ([FAILS], "fail"),
        ([PASSES, UNDECIDED], "inconclusive"),
        ([UNDECIDED, FAILS, PASSES], "fail"),
    ],
)
def test_the_worst_gate_is_the_verdict(gates: list[str], verdict: str):
    report = report_of(recorded(), *gates)

    assert report.verdict == verdict
    assert [gate.expr for gate in report.gates] == gates


def test_an_invalid_run_is_invalid_whatever_its_gates_say():
    report = report_of(recorded(columns=requests(late=900)), FAILS, PASSES)

    assert report.verdict == "invalid"
    assert [gate.verdict for gate in report.gates] == ["fail", "pass"]


def test_a_gate_on_a_deployment_that_was_not_watched_loses_no_report():
    report = report_of(recorded(), "Nobody:scale_up.total_s.max <= 20")

    assert report.verdict == "inconclusive"
    assert report.load.planned == REQUESTS


def test_a_scale_up_that_was_not_reached_fails_a_shorter_gate_and_leaves_a_longer_open():
    # r1 and r2 are STARTING until 27 s, past the end of the hold at 26 s.
    short = info(plan="5rps:20s,40rps:6s,5rps:54s", planned_requests=None)

    report = report_of(recorded(short), PASSES, FAILS)

    assert report.deployments[KEY].steps[1].censored
    assert (report.deployments[KEY].scale_up.steps, report.deployments[KEY].scale_up.censored) == (
        1,
        1,
    )
    assert [gate.verdict for gate in report.gates] == ["inconclusive", "fail"]


# --- warnings and edges ----------------------------------------------------------------------


def test_gaps_restarts_and_unreadable_rows_are_warned_of():
    rows: list[Row] = [
        *watch(blind=[range(40, 45)]),
        ControllerRestart(ZERO_S + 50, ZERO_S + 51, 1.0, 2.0),
    ]

    report = report_of(recorded(rows=rows, problems=("replicas.jsonl: 1 lines cannot be read",)))

    assert report.verdict == "pass"
    assert report.warnings[0] == "replicas.jsonl: 1 lines cannot be read"
    assert "from 40.0 to 45.0 s (HTTP 503)" in report.warnings[1]
    assert "controller restarted between 50.0 and 51.0 s" in report.warnings[2]
    assert report.probe.restarts == 1


def test_what_was_known_before_the_load_began_is_warned_of_first():
    run = recorded(info(warnings=("no room: 3 of 4 replicas fit",)), problems=("torn",))

    report = report_of(run)

    assert report.warnings == ("no room: 3 of 4 replicas fit", "torn")
    assert report.verdict == "pass"


def test_lag_counts_from_the_moment_at_which_a_stage_really_began():
    late = info(edges=(Edge(0, 0.0, 0.0), Edge(1, 20.0, 21.5), Edge(2, 60.0, 60.004)))

    report = report_of(recorded(late))

    step = report.deployments[KEY].steps[1]
    assert (step.at_s, step.hold_s) == (21.5, pytest.approx(38.504))
    assert step.total_s is not None
    assert step.total_s.lo <= 27 - 21.5 <= step.total_s.hi
    (warning,) = report.warnings
    assert "1 stage did not begin within 5 ms" in warning
    assert "stage 2, 1500 ms late" in warning


def test_the_share_of_the_observer_is_null_where_it_was_not_measured():
    report = report_of(recorded(info(probe=ProbeInfo(rate_per_s=5.0, budget_ratio=0.02))))

    assert report.probe.observer_share is None


def test_what_this_version_does_not_measure_is_named_with_a_reason(good: Report):
    assert all(good.not_measured.values())


def test_no_number_of_a_report_is_infinite_or_nan(good: Report):
    def numbers(value: object) -> list[float]:
        if isinstance(value, dict):
            return [n for one in value.values() for n in numbers(one)]
        if isinstance(value, list):
            return [n for one in value for n in numbers(one)]
        return [value] if isinstance(value, float) else []

    found = numbers(msgspec.to_builtins(good))

    assert found
    assert all(math.isfinite(number) for number in found)


# --- what logs tell ----------------------------------------------------------------------------


def logged(kind: LogKind, t_s: float, **more: object) -> LogEvent:
    return LogEvent(kind, ZERO_S + t_s, 0.003, "n", kind, KEY, **more)


def test_without_logs_polling_stands_and_the_reason_is_given():
    refused = NoLog("HTTP 403: the dashboard refuses access to logs")
    report = report_of(msgspec.structs.replace(recorded(), unread=(refused,)))

    assert report.evidence.reason == "HTTP 403: the dashboard refuses access to logs"
    assert report.not_measured["exact moments of phases"] == report.evidence.reason
    up = report.deployments[KEY].steps[1]
    assert {p.source for p in up.phases if p.value is not None and p.part_of == "total"} == {"poll"}


def test_logs_without_a_line_on_the_run_are_no_missing_logs():
    read = NodeClock("head", 0.0, 0.003, 40)
    report = report_of(msgspec.structs.replace(recorded(), node_clocks=(read,)))

    assert report.evidence.reason is None
    assert "exact moments of phases" not in report.not_measured


def test_a_cluster_status_that_could_not_be_read_is_no_missing_log():
    silent = NoLog("HTTP 500", file=CLUSTER_STATUS)
    report = report_of(msgspec.structs.replace(recorded(), unread=(silent,)))

    assert report.not_measured["cluster status"] == "HTTP 500"
    assert report.evidence.reason == "no log was read"


def test_a_logged_decision_is_a_point_in_the_report_and_beyond_polling_a_warning():
    true = logged("upscaling", 24.8, before=1, after=3)
    far = logged("upscaling", 21.5, before=1, after=3)

    told = report_of(msgspec.structs.replace(recorded(), events=(true,)))
    denied = report_of(msgspec.structs.replace(recorded(), events=(far,)))

    decide = told.deployments[KEY].steps[1].phases[0]
    assert (decide.value, decide.source) == (pytest.approx(4.8), "log")
    assert told.warnings == ()
    assert denied.deployments[KEY].steps[1].phases[0].source == "poll"
    assert any("contradict each other on the decision" in text for text in denied.warnings)


def test_each_measured_step_stands_beside_its_floor():
    quick = {"upscale_delay_s": 1, "downscale_delay_s": 2, "look_back_period_s": 1}
    each = {"metrics_interval_s": 0.5, "target_ongoing_requests": 0.6}
    config = DeploymentInfo(autoscaling=quick | each)
    target = msgspec.structs.replace(info().target, deployments={KEY: config})

    up, down = report_of(recorded(info(target=target))).deployments[KEY].steps[1:3]

    for step in (up, down):
        assert step.floor is not None
        assert step.total_s is not None
        assert step.floor_s == pytest.approx(step.floor.total_s)
        assert step.excess is not None
        total, floor, excess = step.total_s, step.floor, step.excess
        assert step.excess_s == excess.value
        assert (excess.value, excess.lo, excess.hi) == pytest.approx(
            (total.value - floor.total_s, total.lo - floor.most_s, total.hi - floor.least_s)
        )


def test_a_decision_that_fell_sooner_than_its_delay_has_no_floor(good: Report):
    up = good.deployments[KEY].steps[1]

    assert (up.floor, up.excess_s) == (None, None)
    assert up.floor_reason == "decided sooner than the delay after the step: it was wanted before"


def test_a_step_without_a_lag_has_no_floor(good: Report):
    assert good.deployments[KEY].steps[0].floor is None
