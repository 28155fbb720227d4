"""A recorded run in, its report out: what makes it invalid, which verdict it has."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from reports.analysis.analyse import analyse
from reports.analysis.gates import parse_gate
from reports.model.report import Report
from scalelag.plan.arrivals import arrival_blocks
from scalelag.plan.stages import parse_plan
from scalelag.record.error_kinds import NOT_SENT
from scalelag.record.evidence_rows import CLUSTER_STATUS, LogEvent, LogKind, NoLog
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import ControllerRestart, Gap, Poll, Row, StatusChange, Transition
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import (
    ClockInfo,
    DeploymentInfo,
    Edge,
    ProbeInfo,
    RunInfo,
    TargetInfo,
    Versions,
)

ZERO_S = 1_795_371_900.0
KEY = "app/Model"
PLAN = "5rps:20s,40rps:40s,5rps:20s"
LOAD_S = 80.0
WATCHED_S = 100.0
REQUESTS = 100 + 1600 + 100


def info(plan: str = PLAN, **changed: object) -> RunInfo:
    """A complete run of 80 s of load, watched for 100 s."""
    made = RunInfo(
        schema_version=1,
        name="demo",
        status="complete",
        reason=None,
        versions=Versions("0.1.0", "2.43", "3.11.2", "2.60.0"),
        options={},
        plan=parse_plan(plan),
        arrivals="constant",
        seed=0,
        clock=ClockInfo(ZERO_S - 2, 100.0, offset_s=0.03, error_s=0.002),
        target=TargetInfo(
            host="http://h",
            dashboard="http://d",
            embedded=False,
            deployments={KEY: DeploymentInfo(autoscaling={"min_replicas": 1})},
            watched=(KEY,),
        ),
        probe=ProbeInfo(rate_per_s=2.0, budget_ratio=0.02, busy_s=1.2, watched_s=120.0),
        workers=1,
        zero_s=ZERO_S,
        planned_requests=REQUESTS,
        load_ended_s=ZERO_S + LOAD_S,
        watched_until_s=ZERO_S + WATCHED_S,
    )
    return msgspec.structs.replace(made, **changed)


def requests(
    plan: str = PLAN, late: int = 0, lag_s: float = 5.0, not_sent: int = 0, keep: int | None = None
) -> RequestColumns:
    """Requests of `plan`, 50 ms each; the first `late` sent `lag_s` late, the last `not_sent` not."""
    due = np.concatenate(list(arrival_blocks(parse_plan(plan))))[:keep]
    n = due.size
    send_lag = np.zeros(n, np.float32)
    send_lag[:late] = lag_s
    latency = send_lag + np.float32(0.05)
    error = np.full(n, -1, np.int32)
    if not_sent:
        send_lag[-not_sent:] = latency[-not_sent:] = np.nan
        error[-not_sent:] = 0
    return RequestColumns(
        intended_s=ZERO_S + due,
        send_lag_s=send_lag,
        latency_s=latency,
        status=np.full(n, 200, np.uint16),
        name=np.zeros(n, np.int32),
        error=error,
        worker=np.zeros(n, np.uint16),
        names=("/",),
        errors=(NOT_SENT,),
    )


NO_REQUESTS = requests(keep=0)


def shown_at(t_s: float) -> tuple[int, dict[str, str]]:
    """Target and states of replicas: 1 to 3 for the step at 20 s, back to 1 for that at 60 s."""
    states = {"r0": "RUNNING"}
    if t_s < 25 or t_s >= 75:
        return (3 if 25 <= t_s < 70 else 1), states
    extra = "STARTING" if t_s < 27 else "RUNNING" if t_s < 71 else "STOPPING"
    return (3 if t_s < 70 else 1), states | {"r1": extra, "r2": extra}


def watch(
    from_s: float = -2.0, until_s: float = WATCHED_S, blind: Sequence[range] = ()
) -> list[Row]:
    """Rows of two polls a second, 50 ms each, with a gap row for each of `blind`."""
    tracker = ReplicaTracker()
    rows: list[Row] = [Gap(ZERO_S + gap.start, ZERO_S + gap.stop, "HTTP 503", 9) for gap in blind]
    for half in range(round(2 * from_s), round(2 * until_s)):
        t_s = half / 2
        if any(gap.start <= t_s < gap.stop for gap in blind):
            continue
        target, states = shown_at(t_s)
        replicas = [
            {"replica_id": name, "state": state, "node_id": "n"} for name, state in states.items()
        ]
        model = {"target_num_replicas": target, "replicas": replicas}
        body = msgspec.json.encode({"applications": {"app": {"deployments": {"Model": model}}}})
        rows += tracker.rows(parse_payload(body), ZERO_S + t_s, ZERO_S + t_s + 0.05)
    return rows


def recorded(
    run_info: RunInfo | None = None,
    columns: RequestColumns | None = None,
    rows: Sequence[Row] | None = None,
    problems: tuple[str, ...] = (),
) -> RecordedRun:
    rows = watch() if rows is None else rows
    return RecordedRun(
        info=run_info or info(),
        requests=requests() if columns is None else columns,
        polls=tuple(row for row in rows if isinstance(row, Poll)),
        transitions=tuple(row for row in rows if isinstance(row, Transition)),
        statuses=tuple(row for row in rows if isinstance(row, StatusChange)),
        gaps=tuple(row for row in rows if isinstance(row, Gap)),
        restarts=tuple(row for row in rows if isinstance(row, ControllerRestart)),
        problems=problems,
    )


def report_of(run: RecordedRun, *gates: str) -> Report:
    return analyse(run, [parse_gate(gate) for gate in gates]).report


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


# --- invalid runs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late", "lag_s", "verdict"),
    [(18, 5.0, "pass"), (19, 5.0, "invalid"), (1800, 0.099, "pass"), (19, 0.11, "invalid")],
)
def test_a_run_is_invalid_below_99_percent_on_time(late: int, lag_s: float, verdict: str):
    # 18 of 1,800 are 1 %.
    report = report_of(recorded(columns=requests(late=late, lag_s=lag_s)))

    assert report.verdict == verdict
    assert report.load.on_time_ratio == pytest.approx(1 - (late if lag_s > 0.1 else 0) / 1800)


def test_a_late_run_says_how_late_and_what_to_do():
    (reason,) = report_of(recorded(columns=requests(late=180))).reasons

    assert "90.0 %" in reason
    assert "--processes" in reason


def test_requests_that_were_not_sent_make_a_run_invalid_and_are_warned_of():
    report = report_of(recorded(columns=requests(not_sent=19)))

    assert report.verdict == "invalid"
    assert any("19 planned requests were not sent" in warning for warning in report.warnings)


def test_planned_requests_without_a_row_make_a_complete_run_invalid():
    report = report_of(recorded(columns=requests(keep=REQUESTS - 19)))

    assert report.verdict == "invalid"
    assert (report.load.planned, report.load.not_sent) == (REQUESTS, 19)


def test_a_closed_loop_is_not_invalid_for_being_late():
    users = info(plan="5users:80s", planned_requests=None)

    assert report_of(recorded(users, requests(late=900))).verdict == "pass"


@pytest.mark.parametrize(("blind_s", "verdict"), [(19.5, "pass"), (19.6, "invalid")])
def test_a_run_is_invalid_when_the_probe_was_blind_for_more_than_20_percent(
    blind_s: float, verdict: str
):
    # The last poll was over 0.45 s before the end of the 100 s.
    gap = Gap(ZERO_S + 30, ZERO_S + 30 + blind_s, "HTTP 503", 9)

    report = report_of(recorded(rows=[*watch(), gap]))

    assert report.verdict == verdict


def test_a_blind_run_says_for_how_long():
    (reason,) = report_of(recorded(rows=watch(blind=[range(30, 60)]))).reasons

    assert "saw nothing for 30." in reason
    assert "of 100.0 s" in reason


def test_gaps_add_up_and_overlap_counts_once():
    gaps: list[Row] = [
        Gap(ZERO_S + a, ZERO_S + b, "x", 1) for a, b in [(10, 16), (14, 20), (40, 43)]
    ]

    report = report_of(recorded(rows=[*watch(), *gaps]))

    assert report.probe.gap_s == pytest.approx(13.45, abs=0.01)
    assert report.probe.gaps == 3


def test_a_gap_before_the_plan_does_not_count():
    gaps: list[Row] = [Gap(ZERO_S - 50, ZERO_S + 1, "x", 1)]

    assert report_of(recorded(rows=[*watch(), *gaps])).probe.gap_s == pytest.approx(1.45, abs=0.01)


def test_time_without_polls_at_either_end_is_blind():
    late = report_of(recorded(rows=watch(from_s=30.0)))
    early = report_of(recorded(rows=watch(until_s=70.0)))

    assert late.probe.gap_s == pytest.approx(30.45, abs=0.01)
    assert early.probe.gap_s == pytest.approx(30.45, abs=0.01)
    assert (late.verdict, early.verdict) == ("invalid", "invalid")


def warmed_up(seconds: float, columns: RequestColumns | None = None) -> Report:
    options = {"warmup": seconds}
    return report_of(recorded(msgspec.structs.replace(info(), options=options), columns))


def test_replicas_of_the_warm_up_do_not_count():
    # One is RUNNING until 27 s, three until 71 s, and one again from 75 s.
    whole, late = warmed_up(0.0).deployments[KEY], warmed_up(30.0).deployments[KEY]
    later = warmed_up(80.0).deployments[KEY]

    assert (whole.replicas.min, whole.replicas.max) == (1, 3)
    assert (late.replicas.min, late.replicas.max) == (1, 3)
    assert (later.replicas.min, later.replicas.max) == (1, 1)


def test_elasticity_begins_after_the_warm_up():
    whole, late = (warmed_up(at_s).deployments[KEY].elasticity for at_s in (0.0, 30.0))

    assert whole.watched_s == pytest.approx(80.0)
    assert late.watched_s == pytest.approx(50.0)


def test_requests_that_failed_in_the_warm_up_are_no_failures():
    columns = requests()
    early = columns.intended_s < ZERO_S + 10
    columns = msgspec.structs.replace(
        columns, error=np.where(early, 0, -1).astype(np.int32), errors=("timeout",)
    )

    assert [one.count for one in warmed_up(0.0, columns).failures] == [np.count_nonzero(early)]
    assert warmed_up(10.0, columns).failures == ()


def test_a_warm_up_counts_in_no_figure_of_the_whole_run():
    options = {"warmup": 25.0}
    whole = report_of(recorded())
    warm = report_of(recorded(msgspec.structs.replace(info(), options=options)))

    rows = requests()
    left_out = int((rows.intended_s < ZERO_S + 25.0).sum())
    assert left_out > 0
    assert warm.load.planned == whole.load.planned - left_out
    assert warm.load.not_sent == whole.load.not_sent
    assert whole.deployments[KEY].scale_up.steps == 1
    assert warm.deployments[KEY].scale_up.steps == 0
    assert len(warm.deployments[KEY].steps) == len(whole.deployments[KEY].steps)


def test_a_run_without_any_poll_is_invalid_and_has_no_lag():
    report = report_of(recorded(rows=[]))

    assert report.verdict == "invalid"
    assert report.probe.gap_s == 100.0
    assert (report.probe.interval_s, report.probe.round_trip_p50_ms) == (None, None)
    found = report.deployments[KEY]
    assert found.replicas.final is None
    assert all(step.total_s is None and step.reason for step in found.steps)
    assert f"{KEY}: the probe never saw this deployment" in report.warnings


def test_an_interrupted_run_is_invalid_with_its_reason():
    report = report_of(recorded(info(status="interrupted", reason="Ctrl-C after 30 s")))

    assert report.verdict == "invalid"
    assert report.reasons[0] == "interrupted: Ctrl-C after 30 s"


def test_a_killed_run_ends_where_its_record_does():
    killed = info(status="interrupted", reason="killed", load_ended_s=None, watched_until_s=None)

    report = report_of(recorded(killed, requests(keep=500), watch(until_s=30.0)))

    # 100 requests in 20 s and 400 in 10 s; the last poll was received at 29.55 s.
    last_s = max(20 + 399 / 40, 29.55)
    assert report.run.duration_s == pytest.approx(last_s)
    assert [(s.at_s, s.hold_s) for s in report.deployments[KEY].steps] == [
        (0.0, 20.0),
        (20.0, pytest.approx(last_s - 20)),
    ]
    assert (report.load.planned, report.load.not_sent) == (500, 0)


def test_a_run_killed_before_anything_was_recorded_is_invalid():
    killed = info(status="interrupted", reason="killed", load_ended_s=None, watched_until_s=None)

    report = report_of(recorded(killed, NO_REQUESTS, []))

    assert report.verdict == "invalid"
    assert report.run.duration_s == 0.0
    assert "no request was recorded" in report.reasons
    assert report.deployments[KEY].steps == ()


def test_a_complete_run_without_a_request_is_invalid():
    report = report_of(recorded(info(planned_requests=None), NO_REQUESTS))

    assert report.verdict == "invalid"
    assert "no request was recorded" in report.reasons
    assert report.load.error_ratio is None


def test_the_load_of_a_step_that_was_interrupted_is_held_only_until_it_ended():
    # Ctrl-C at 30 s, 10 s into the second step; watching went on until 50 s.
    stopped = info(
        status="interrupted",
        reason="Ctrl-C",
        load_ended_s=ZERO_S + 30,
        watched_until_s=ZERO_S + 50,
    )

    report = report_of(recorded(stopped, requests(keep=500), watch(until_s=50.0)))

    assert report.load.steps[1].offered_rps == pytest.approx(40.0)


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
    assert "1 stages did not begin within 5 ms" in warning
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
        assert step.excess_s == pytest.approx(step.total_s.value - step.floor_s)


def test_a_decision_that_fell_sooner_than_its_delay_has_no_floor(good: Report):
    up = good.deployments[KEY].steps[1]

    assert (up.floor, up.excess_s) == (None, None)
    assert up.floor_reason == "decided sooner than the delay after the step: it was wanted before"


def test_a_step_without_a_lag_has_no_floor(good: Report):
    assert good.deployments[KEY].steps[0].floor is None


# --- elasticity --------------------------------------------------------------------------------


def scaling(*watched: str, **options: object) -> RunInfo:
    """A deployment that wants 1 replica for 5 rps of 50 ms, and 3 for 40 rps."""
    config = {"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 0.7}
    target = msgspec.structs.replace(
        info().target,
        deployments={KEY: DeploymentInfo(autoscaling=config)},
        watched=(KEY, *watched),
    )
    return info(target=target, options=dict(options))


def test_a_report_tells_how_well_the_replicas_followed():
    found = report_of(recorded(scaling())).deployments[KEY]

    # Of 80 s of load, 2 replicas too few from 20 to 27 s and 2 too many from 60 to 71 s.
    elastic = found.elasticity
    assert (elastic.demand, elastic.demand_reason, elastic.reason) == ("policy", None, None)
    assert (elastic.watched_s, elastic.unwatched_s) == (80.0, 0.0)
    for figure, truth in [
        (elastic.under_replica_s, 14),
        (elastic.over_replica_s, 22),
        (elastic.under_replicas, 14 / 80),
        (elastic.over_replicas, 22 / 80),
        (elastic.tau_u_pct, 100 * 7 / 80),
        (elastic.tau_o_pct, 100 * 11 / 80),
        (elastic.theta_u_pct, 100 * 7 * 2 / 3 / 80),
        (elastic.theta_o_pct, 100 * 11 * 2 / 80),
        (elastic.replica_hours, (80 + 2 * 44) / 3600),
        (elastic.replica_hours_over, 22 / 3600),
    ]:
        assert figure is not None
        assert figure.lo <= truth <= figure.upper
        assert figure.upper - figure.lo < 0.09 * truth
    assert elastic.jitter_per_min == 0
    assert found.flapping.direction_reversals == 0


def test_each_step_has_its_response():
    start, up, down, end = report_of(recorded(scaling())).deployments[KEY].steps

    assert [
        (s.response.demand_before, s.response.demand_after) for s in (start, up, down, end)
    ] == [
        (1, 1),
        (1, 3),
        (3, 1),
        (1, 1),
    ]
    assert start.response.reason == "the demand stayed at 1"
    for step, truth in ((up, 7), (down, 11)):
        for figure in (step.response.dead_time_s, step.response.settling_s):
            assert figure is not None
            assert figure.lo <= truth <= figure.upper
        assert step.response.overshoot_pct == 0


def test_a_gap_is_left_out_of_elasticity():
    found = report_of(recorded(scaling(), rows=watch(blind=[range(22, 32)]))).deployments[KEY]

    # 2 too few are left from 20 to 22 s.
    assert (found.elasticity.watched_s, found.elasticity.unwatched_s) == (70.0, 10.0)
    assert found.elasticity.under_replica_s is not None
    assert found.elasticity.under_replica_s.value == pytest.approx(4)


def test_the_demand_among_several_deployments_is_null_with_a_reason():
    found = report_of(recorded(scaling("app/Other"))).deployments

    model, other = found[KEY].elasticity, found["app/Other"].elasticity
    assert (model.demand, model.theta_u_pct) == (None, None)
    assert model.demand_reason is not None
    assert "this deployment of several cannot be told" in model.demand_reason
    assert model.replica_hours is not None
    assert other.reason == "the probe never saw this deployment"
    assert found[KEY].steps[1].response.reason == model.demand_reason


def test_the_capacity_of_a_replica_is_taken_from_the_runs_options():
    found = report_of(recorded(scaling(capacity_rps=10.0))).deployments[KEY]

    # 40 rps want 4 of 10 rps: 3 too few until 27 s, 1 from then until 60 s.
    assert (found.elasticity.demand, found.elasticity.capacity_rps) == ("capacity", 10.0)
    assert found.steps[1].response.demand_after == 4
    assert found.elasticity.under_replica_s is not None
    assert (
        found.elasticity.under_replica_s.lo <= 3 * 7 + 33 <= found.elasticity.under_replica_s.upper
    )


def test_a_run_killed_before_anything_was_recorded_has_no_elasticity():
    killed = info(status="interrupted", reason="killed", load_ended_s=None, watched_until_s=None)

    found = report_of(recorded(killed, NO_REQUESTS, [])).deployments[KEY]

    assert found.elasticity.reason == "the probe never saw this deployment"
    assert found.flapping.reason == "the probe never saw this deployment"


def test_gates_reach_elasticity_and_flapping():
    report = report_of(
        recorded(scaling()),
        "elasticity.theta_u_pct <= 15",
        "Model:elasticity.over_replicas <= 0.1",
        "flapping.reversals_per_min <= 1",
    )

    assert [gate.verdict for gate in report.gates] == ["pass", "fail", "pass"]
