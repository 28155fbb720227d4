"""Steps that wanted replicas and got no decision: their lag is longer than the hold."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from reports.analysis.analyse import analyse
from reports.analysis.gates import parse_gates
from reports.model.formats import Details
from reports.render.tables.deployments import deployment_table, detailed
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.rows import DeploymentPoll
from scalelag.record.run_dir import load_run
from scalelag.record.seen_rows import DeploymentGauges, SeenRow
from tests.support.built.step_facts import facts

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"
CAUSES = DEMO.parent / "causes"
KEY = "default/Sleeper"
MODEL = "default/Model"


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({}, True),
        ({"unmoved": False}, False),  # something else is why it has no lag
        ({"direction": "down"}, False),
        ({"ongoing": 2.1}, False),  # one replica is enough
        ({"ongoing": None}, False),  # what was open is not known
        ({"replicas_after": 4}, False),  # all that max_replicas allows
        ({"ongoing": 5.0, "ongoing_earlier": 9.0}, False),  # a backlog that is gone soon
        ({"default": False}, False),  # a policy of the user's own knows what it wants
    ],
)
def test_a_step_is_missed_if_more_were_wanted_and_allowed_and_the_target_never_rose(
    changed, missed
):
    given = {"total_s": None, "replicas_after": 1, "unmoved": True, "ongoing": 9.0} | changed

    assert facts(**given).is_missed is missed


def test_a_step_that_was_never_answered_counts_in_statistics_and_gates():
    run = never_scaled(slower_s=1.0)

    report = analyse(run, parse_gates(["scale_up.total_s.max <= 15"])).report

    deployment = report.deployments[KEY]
    step = deployment.steps[1]
    assert (step.direction, step.censored, step.total_s.lo) == ("up", True, 20.0)
    assert step.reason.startswith("the target did not rise: 1 RUNNING before, target 1 at the end")
    assert step.reason.endswith(" were wanted")
    assert deployment.scale_up.censored == 1
    assert report.gates[0].verdict == "fail"


@pytest.mark.parametrize(("replicas_after", "missed"), [(2, "0"), (1, "1")])
def test_a_step_that_replicas_of_an_earlier_decision_answered_is_not_missed(replicas_after, missed):
    report = analyse(load_run(DEMO)).report
    step = msgspec.structs.replace(
        report.deployments[KEY].steps[1],
        total_s=None,
        reason="already under way, decided 1.9 s before: from 1 to 2 replicas",
        replicas_before=1,
        replicas_after=replicas_after,
        target_after=2,
    )
    one = msgspec.structs.replace(report.deployments[KEY], steps=(step,))
    changed = msgspec.structs.replace(report, deployments={KEY: one, "default/Other": one})

    (row, _) = deployment_table(changed).rows

    assert row[2] == missed


def test_a_step_for_which_one_replica_is_enough_has_no_lag():
    deployment = analyse(never_scaled(of=0.04), ()).report.deployments[KEY]

    assert [step.total_s for step in deployment.steps] == [None] * len(deployment.steps)


@pytest.mark.parametrize(("sent_s", "is_known"), [((18.0, 35.0), False), ((21.0, 35.0), True)])
def test_a_gauge_that_may_be_of_before_the_step_does_not_make_it_missed(sent_s, is_known):
    read = [(9.0, 0.0), (sent_s[0], 9.0), *((at_s, 0.0) for at_s in (sent_s[1], 45.0, 55.0))]
    run = behind_a_front(never_scaled(of=0.04), read, 10.0)

    deployment = analyse(run, ()).report.deployments[KEY]

    # Exported each 10 s: read at 18, it may have been written at 8, and the step is at 10.
    assert deployment.steps[1].censored is is_known
    assert ("whether more were wanted is not known" in deployment.steps[1].reason) is not is_known


def test_the_low_count_of_a_blind_autoscaler_clears_no_step_and_is_no_demand():
    run = load_run(CAUSES / "blind-0.15")
    every_s = [run.info.zero_s + second for second in range(60)]
    low = {
        MODEL: DeploymentGauges(total=0.4, queued=0.0, running=1.0),
        "default/Front": DeploymentGauges(queued=0.0, running=250.0),
    }
    seen = tuple(SeenRow(at_s, at_s, "ports", 1.0, low) for at_s in every_s)

    report = analyse(
        msgspec.structs.replace(run, seen=seen), parse_gates(["scale_up.censored <= 0"])
    ).report

    deployment = report.deployments[MODEL]
    assert [step.censored for step in deployment.steps] == [False, True, False]
    assert deployment.steps[1].total_s.lo == pytest.approx(14.0)
    assert "its autoscaler was blind" in deployment.steps[1].reason
    assert report.gates[0].verdict == "fail"
    assert "blind in step 1" in deployment.elasticity.demand_reason
    assert deployment.elasticity.theta_u_pct is None


def test_a_step_behind_a_full_front_is_decided_by_what_reached_the_deployment():
    report = analyse(load_run(CAUSES / "front-full-2"), ()).report

    step = report.deployments[MODEL].steps[1]
    assert (step.total_s, step.cause) == (None, "bounds")
    assert "not known" not in step.reason


def test_without_gauges_a_note_says_what_cannot_be_told_and_the_deployment_is_shown():
    run = load_run(CAUSES / "blind-0.15")

    report = analyse(msgspec.structs.replace(run, seen=()), ()).report

    failure = report.failures[0]
    assert failure.findings == ()
    assert f"what reached {MODEL} is not known" in failure.notes[-1]
    assert "Serve's gauges were not read" in failure.notes[-1]
    assert [*detailed(report, Details.MOVED)] == [MODEL]


def behind_a_front(run, read, age_s: float):
    """The run as of a model behind a front, with `read` totals of its gauge (second, value)."""
    front = "default/Front"
    app = ApplicationInfo(
        deployments=(front, KEY), ingress=front, calls={front: (KEY,)}, route_prefix="/"
    )
    described = run.info.target.deployments[KEY]
    # So long a delay that a target that was kept does not show that no more were wanted.
    slow = {**described.autoscaling, "upscale_delay_s": 30.0}
    target = msgspec.structs.replace(
        run.info.target,
        applications={"default": app},
        deployments={KEY: msgspec.structs.replace(described, autoscaling=slow)},
    )
    seen = tuple(
        SeenRow(at_s, at_s, "ports", age_s, {KEY: DeploymentGauges(total=total)})
        for at_s, total in ((run.info.zero_s + second, total) for second, total in read)
    )
    info = msgspec.structs.replace(run.info, target=target)
    return msgspec.structs.replace(run, info=info, seen=seen)


def never_scaled(slower_s: float = 0.0, of: float = 1.0):
    """The stored run with a target of 1 all through; requests take `of` their time, and longer."""
    run = load_run(DEMO)
    one = {KEY: DeploymentPoll(counts={"RUNNING": 1}, target=1, status="HEALTHY")}
    polls = tuple(msgspec.structs.replace(poll, deployments=one) for poll in run.polls)
    begun_s = run.info.zero_s + 10.0
    late = (run.requests.intended_s >= begun_s) & (run.requests.intended_s < begun_s + 20.0)
    latency_s = np.where(late, run.requests.latency_s * of + slower_s, run.requests.latency_s * of)
    requests = msgspec.structs.replace(run.requests, latency_s=latency_s)
    return msgspec.structs.replace(
        run, polls=polls, requests=requests, events=(), transitions=(), statuses=(), seen=()
    )
