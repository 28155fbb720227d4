"""The probe at a controller that restarts, behind a token, with another clock, and at an old Ray."""

import threading
import time

import msgspec
import pytest

from probes.dashboard import APPLICATIONS_PATH, Dashboard, DashboardError
from reports.analysis.lag.step_lag import step_lag
from reports.analysis.lag.timeline import build_timeline
from scalelag.plan.stages import parse_plan
from scalelag.record.rows import ControllerRestart, Gap, Poll, StatusChange, Transition
from tests.sim.probe_faults import HAIR_S, gap_reasons, watch_through
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, random_script, steady_replica
from tests.support.standin.script import DeploymentScript, Fault, ReplicaScript, Script

KEY = "default/Model"

SECRET = "correct-horse-battery-staple"


def restarting(recovers_in_s: float) -> Script:
    """One replica that is there, and one that starts while the controller is away."""
    starting = ReplicaScript("bbbbbbbb", 0.5, 0.7, 2.5)
    deployment = DeploymentScript(
        targets=((-60.0, 1), (0.4, 2)), replicas=(steady_replica(), starting)
    )
    return Script(
        applications={"default": {"Model": deployment}},
        faults=(Fault("restart", at_s=1.2, seconds=recovers_in_s),),
    )


def test_a_restarted_controller_is_a_row_with_both_start_times(watching, until):
    script = restarting(recovers_in_s=0.5)

    with running_standin(script) as standin, watching(standin.url) as watch:
        until(lambda: watch.of(ControllerRestart), what="a restart")

    (row,) = watch.of(ControllerRestart)
    restarted_s = standin.zero_s + 1.2
    assert row.old_start_s == pytest.approx(standin.zero_s - script.controller_age_s, abs=1e-6)
    assert row.new_start_s == pytest.approx(restarted_s, abs=1e-6)
    assert row.lo_s - HAIR_S <= restarted_s <= row.hi_s + HAIR_S


def test_a_replica_that_is_recovering_has_not_reached_running(watching, until):
    """It was starting when the controller restarted: RECOVERING until 2.5 s, and only then RUNNING."""
    script = restarting(recovers_in_s=0.5)

    with running_standin(script) as standin, watching(standin.url) as watch:
        until(lambda: standin.now_s() > 3.2, what="the end of the script")

    polls, transitions = watch.of(Poll), watch.of(Transition)
    states = [row.to_state for row in transitions if row.replica == "bbbbbbbb"]
    assert "RECOVERING" in states
    plan = parse_plan("1rps:0.3s,5rps:2.7s")
    timeline = build_timeline(KEY, polls, transitions)
    report = step_lag(plan.steps(3.0)[1], standin.zero_s, timeline)
    assert report.critical_replica == "bbbbbbbb"
    assert report.total_s.lo - HAIR_S <= 2.5 - 0.3 <= report.total_s.hi + HAIR_S


def test_a_replica_that_recovers_reaches_running_no_second_time(watching, until):
    script = restarting(recovers_in_s=0.6)

    with running_standin(script) as standin, watching(standin.url) as watch:
        until(lambda: standin.now_s() > 2.2, what="the recovery")

    polls, transitions = watch.of(Poll), watch.of(Transition)
    assert any(poll.deployments[KEY].counts.get("RECOVERING") for poll in polls)
    life = next(r for r in build_timeline(KEY, polls, transitions).replicas if r.replica == "a" * 8)
    assert life.running.hi_s < standin.zero_s + 1.2  # when it was first seen
    assert life.stopping is None
    assert life.gone is None


def test_a_step_during_a_recovery_that_needs_no_new_replica_has_no_lag(watching, until):
    """The one replica is there all the time; that it is RECOVERING for a while is no scaling."""
    restart = Fault("restart", at_s=1.0, seconds=1.0)
    script = one_deployment(steady_replica(), faults=(restart,))

    with running_standin(script) as standin, watching(standin.url, rate_per_s=10.0) as watch:
        until(lambda: standin.now_s() > 3.0, what="the end of the script")

    timeline = build_timeline(KEY, watch.of(Poll), watch.of(Transition))
    step = parse_plan("1rps:1.5s,5rps:1.4s").steps(2.9)[1]
    report = step_lag(step, standin.zero_s, timeline)
    assert (report.target_before, report.target_after) == (1, 1)
    assert report.total_s is None
    assert "the target did not rise" in report.reason


def test_the_token_is_sent_and_a_netrc_does_not_replace_it(watching, until, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1\nlogin somebody\npassword something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    with (
        running_standin(one_deployment(steady_replica(), token=SECRET)) as standin,
        watching(standin.url, token=SECRET) as watch,
    ):
        until(lambda: len(watch.of(Poll)) >= 3 or watch.probe.blind_reason)

    assert watch.of(Gap) == []
    assert len(watch.of(Poll)) >= 3


def test_without_a_token_a_netrc_is_not_sent_either(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1\nlogin somebody\npassword something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    with running_standin(one_deployment(steady_replica(), token=SECRET)) as standin:
        dashboard = Dashboard(standin.url, time.time)
        with pytest.raises(DashboardError) as caught:
            dashboard.get(APPLICATIONS_PATH)
        dashboard.close()

    assert caught.value.status == 401  # 403 would mean that something was sent


@pytest.mark.parametrize(
    "fault",
    [Fault("http_status", status=401), Fault("garbage"), Fault("refuse"), Fault("reset")],
    ids=lambda fault: fault.kind,
)
def test_the_token_is_in_no_row_and_in_no_error(watching, until, fault, caplog):
    caplog.set_level("DEBUG")
    script = one_deployment(steady_replica(), token=SECRET)

    with running_standin(script) as standin, watching(standin.url, token=SECRET) as watch:
        watch_through(standin, watch, until, fault)
        standin.control(fault)
        texts: list[str] = []
        dashboard = Dashboard(standin.url, time.time, SECRET)
        for _ in range(2):
            try:
                dashboard.get(APPLICATIONS_PATH)
            except DashboardError as error:
                texts += [str(error), repr(error), error.reason, str(error.__cause__)]
        dashboard.close()
        standin.control(clear=True)

    rows = msgspec.json.encode(watch.rows).decode()
    assert watch.of(Gap)
    assert SECRET not in rows
    assert SECRET not in "\n".join(texts)
    assert SECRET not in caplog.text


def test_a_wrong_token_is_a_gap_that_says_so(watching, until):
    script = one_deployment(steady_replica(), token=SECRET)

    with running_standin(script) as standin, watching(standin.url, token="other") as watch:
        until(lambda: watch.probe.blind_reason)

    assert gap_reasons(watch) == ["HTTP 403"]


@pytest.mark.parametrize("offset_s", [37.5, -37.5, 0.0])
def test_the_clusters_clock_is_known_within_the_stated_error(watching, until, offset_s):
    script = one_deployment(steady_replica(), clock_offset_s=offset_s)

    with running_standin(script) as standin, watching(standin.url, rate_per_s=20.0) as watch:
        until(lambda: len(watch.of(Poll)) >= 10, what="ten polls")

    offset = watch.probe.offset
    assert abs(offset.offset_s - offset_s) <= offset.error_s + HAIR_S
    assert 0 < offset.error_s < 0.05
    fastest_s = min(poll.received_s - poll.sent_s for poll in watch.of(Poll))
    assert offset.error_s == pytest.approx(fastest_s / 2)


def test_a_skewed_clock_moves_no_interval(watching, until):
    """All bounds are of the load generator's own clock, however the cluster's may stand."""
    arriving = ReplicaScript("bbbbbbbb", 0.6, 0.9, 1.2)
    deployment = DeploymentScript(
        targets=((-60.0, 1), (0.5, 2)), replicas=(steady_replica(), arriving)
    )
    script = Script(applications={"default": {"Model": deployment}}, clock_offset_s=37.5)

    with running_standin(script) as standin, watching(standin.url) as watch:
        until(lambda: standin.now_s() > 1.6)

    timeline = build_timeline(KEY, watch.of(Poll), watch.of(Transition))
    life = next(r for r in timeline.replicas if r.replica == "bbbbbbbb")
    for at, truth_s in ((life.listed, 0.6), (life.allocated, 0.9), (life.running, 1.2)):
        assert at.lo_s - HAIR_S <= standin.zero_s + truth_s <= at.hi_s + HAIR_S


def several_apps() -> Script:
    """Three applications; two deployments share one name."""
    first, second, third = (random_script(seed).applications["default"] for seed in (1, 2, 3))
    return Script(
        applications={
            "chat": {"Model": first["Model0"], "Router": second["Model0"]},
            "search": {"Model": third["Model0"]},
        }
    )


def test_deployments_of_several_apps_are_told_apart(watching, until):
    script = several_apps()

    with running_standin(script) as standin, watching(standin.url) as watch:
        until(lambda: len(watch.of(Poll)) >= 2)

    names = {"chat/Model", "chat/Router", "search/Model"}
    for poll in watch.of(Poll):
        assert set(poll.deployments) == names
    listed = {
        key: {row.replica for row in watch.of(Transition) if row.deployment == key} for key in names
    }
    scripted = {
        f"{app}/{name}": {r.replica_id for r in deployment.replicas if r.created_s < 0}
        for app, deployments in script.applications.items()
        for name, deployment in deployments.items()
    }
    assert listed == scripted
    assert {row.deployment for row in watch.of(StatusChange)} == names


def test_only_the_named_deployments_are_watched(watching, until):
    only = frozenset({"search/Model"})

    with running_standin(several_apps()) as standin, watching(standin.url, watched=only) as watch:
        until(lambda: len(watch.of(Poll)) >= 2)

    assert {key for poll in watch.of(Poll) for key in poll.deployments} == only
    assert {row.deployment for row in watch.of(Transition)} == only


def test_an_application_that_is_deleted_takes_its_replicas_with_it(watching, until):
    with running_standin(several_apps()) as standin, watching(standin.url) as watch:
        until(lambda: watch.of(Poll))
        script = several_apps()
        del script.applications["chat"]
        standin.control(script=script)
        until(lambda: set(watch.of(Poll)[-1].deployments) == {"search/Model"})

    gone = {row.replica for row in watch.of(Transition) if row.to_state is None}
    came = {
        row.replica
        for row in watch.of(Transition)
        if row.from_state is None and row.deployment.startswith("chat/")
    }
    assert gone == came


def test_what_an_old_ray_does_not_tell_is_null_and_the_rest_is_measured(watching, until):
    arriving = ReplicaScript("bbbbbbbb", 0.6, 0.9, 1.2)
    deployment = DeploymentScript(
        targets=((-60.0, 1), (0.5, 2)), replicas=(steady_replica(), arriving)
    )
    script = Script(applications={"default": {"Model": deployment}}, schema="2.10")

    with running_standin(script) as standin, watching(standin.url) as watch:
        until(lambda: standin.now_s() > 1.6)

    assert watch.of(Gap) == []
    assert {poll.controller for poll in watch.of(Poll)} == {None}
    assert watch.probe.offset is None
    timeline = build_timeline(KEY, watch.of(Poll), watch.of(Transition))
    step = parse_plan("1rps:0.4s,5rps:1.1s").steps(1.5)[1]
    report = step_lag(step, standin.zero_s, timeline)
    assert report.total_s.lo - HAIR_S <= 1.2 - 0.4 <= report.total_s.hi + HAIR_S
    assert all(phase.value is not None or phase.reason for phase in report.phases)


def test_a_payload_without_targets_gives_no_lag_but_the_reason(watching, until):
    """Before 2.10 there was no `target_num_replicas`; the stand-in is asked to leave it out."""
    with running_standin(one_deployment(steady_replica(), schema="2.10")) as standin:
        with watching(standin.url) as watch:
            until(lambda: len(watch.of(Poll)) >= 5)
        zero_s = watch.of(Poll)[2].sent_s

    older = [
        msgspec.structs.replace(
            poll,
            deployments={
                key: msgspec.structs.replace(seen, target=None)
                for key, seen in poll.deployments.items()
            },
        )
        for poll in watch.of(Poll)
    ]
    timeline = build_timeline(KEY, older, watch.of(Transition))
    report = step_lag(parse_plan("1rps:0.1s,5rps:9s").steps(9.1)[1], zero_s, timeline)

    assert report.total_s is None
    assert "2.10" in report.reason


def test_the_probe_ends_soon_after_it_is_told_to(watching, until):
    with running_standin(one_deployment(steady_replica())) as standin:
        with watching(standin.url, rate_per_s=0.1) as watch:  # it would wait for ten seconds
            until(lambda: watch.of(Poll))
            begun_s = time.monotonic()
        took_s = time.monotonic() - begun_s

    assert took_s < 5.0
    assert len(watch.of(Poll)) == 2  # the last look is taken after it was told
    assert threading.active_count() < 50
