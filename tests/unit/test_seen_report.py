"""Demand, floor and blindness of one deployment among several, from scripted gauges (METRICS 3a)."""

import msgspec
import pytest

from reports.analysis.analyse import analyse
from reports.model.seen import SeenPoint, SeenReport
from reports.render.tables.seen import seen_texts
from reports.render.terminal.seen import seen_lines
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.rows import DeploymentPoll
from scalelag.record.run_dir import RecordedRun
from scalelag.record.run_info import DeploymentInfo
from scalelag.record.seen_rows import DeploymentGauges, SeenRow
from scalelag.wording import count
from tests.support.built.step_facts import KEY, ZERO_S, info, run

APP = KEY.rpartition("/")[0]
FRONT = f"{APP}/Front"
BOTH = ApplicationInfo((FRONT, KEY), "/", FRONT, {FRONT: (KEY,)})
END_S = 40


def gauges_at(at_s: float, model: DeploymentGauges, reason: str | None = None) -> SeenRow:
    sent_s = ZERO_S + at_s
    return SeenRow(sent_s, sent_s + 0.01, "ports", 1.0, {KEY: model}, reason)


def among_several(*rows: SeenRow, app: ApplicationInfo = BOTH) -> RecordedRun:
    """The run of step_facts, on a fixed front before the model."""
    made = run()
    fixed = DeploymentInfo(config={"num_replicas": 1, "max_ongoing_requests": 100})
    target = msgspec.structs.replace(
        made.info.target,
        deployments={KEY: info(), FRONT: fixed},
        watched=(FRONT, KEY),
        applications={APP: app},
    )
    three = DeploymentPoll({"RUNNING": 3}, 3)
    return msgspec.structs.replace(
        made,
        info=msgspec.structs.replace(made.info, target=target),
        polls=tuple(
            msgspec.structs.replace(poll, deployments={KEY: three, FRONT: three})
            for poll in made.polls
        ),
        seen=rows,
    )


def steady(**values: float) -> list[SeenRow]:
    return [gauges_at(at_s, DeploymentGauges(**values)) for at_s in range(-1, END_S + 1)]


def model_of(recorded: RecordedRun):
    return analyse(recorded).report.deployments[KEY]


def test_one_among_several_has_the_demand_of_what_its_policy_was_given():
    """8 requests at a target of 2 a replica call for 4; the client's own do not count."""
    found = model_of(among_several(*steady(total=5.9, queued=1, running=5)))

    assert found.requests_from == "seen"
    assert found.elasticity.demand == "policy"
    # 5.9 / 2 rounded up, within 1 to 4.
    assert {step.response.demand_after for step in found.steps} == {3}


@pytest.mark.parametrize("ingress", [FRONT, None])
def test_a_model_chosen_alone_takes_the_clients_requests_only_if_it_may_be_the_ingress(ingress):
    app = ApplicationInfo(
        (FRONT, KEY), "/", ingress, BOTH.calls, reason=None if ingress else "not told"
    )
    both = among_several(app=app)
    target = msgspec.structs.replace(both.info.target, watched=(KEY,))
    alone = msgspec.structs.replace(both, info=msgspec.structs.replace(both.info, target=target))

    assert model_of(alone).requests_from == (None if ingress else "client")


def test_a_fixed_front_hides_nobody_and_has_no_demand_of_its_own():
    report = analyse(among_several(*steady(total=3.0))).report

    assert "fixed" in (report.deployments[FRONT].elasticity.demand_reason or "")
    assert report.deployments[KEY].elasticity.demand_reason is None


def test_alone_the_clients_own_requests_count_with_the_gauges_beside_them():
    alone = ApplicationInfo((KEY,), "/", KEY)
    recorded = among_several(*steady(total=1000.0), app=alone)

    found = model_of(recorded)

    assert found.requests_from == "client"
    assert found.seen.ongoing[5].total == 1000
    assert found.seen.ongoing[5].client is not None


def test_without_gauges_there_is_no_demand_and_the_reason_is_that_of_the_ports():
    silent = SeenRow(
        ZERO_S, ZERO_S + 1, "ports", 1.0, {}, "2 of 2 metrics ports: connection refused"
    )

    found = model_of(among_several(silent))

    assert found.requests_from is None
    assert "2 of 2 metrics ports: connection refused" in (found.elasticity.demand_reason or "")
    assert (found.seen.source, found.seen.blind_s) == (None, None)
    assert found.seen.reason == "Serve's gauges: 2 of 2 metrics ports: connection refused"


@pytest.mark.parametrize("at_s", [(1.0,), (1.0, 35.0)])
def test_gauges_that_were_read_too_seldom_tell_nothing_of_the_load_and_say_so(at_s):
    rows = [gauges_at(at, DeploymentGauges(total=0.0, running=0.0)) for at in at_s]
    slow = [msgspec.structs.replace(row, received_s=row.sent_s + 0.9) for row in rows]

    found = model_of(among_several(*slow))

    assert found.requests_from is None
    assert (
        f"Serve's gauges were read {count(len(at_s), 'time')} only: an answer took the nodes' ports "
        "0.9 s, and --observer-budget allows no more" in (found.elasticity.demand_reason or "")
    )


def test_the_ingress_without_gauges_takes_the_clients():
    scaling_front = among_several()
    target = scaling_front.info.target
    target = msgspec.structs.replace(target, deployments={KEY: info(), FRONT: info()})
    recorded = msgspec.structs.replace(
        scaling_front, info=msgspec.structs.replace(scaling_front.info, target=target)
    )

    deployments = analyse(recorded).report.deployments

    assert deployments[FRONT].requests_from == "client"
    assert deployments[KEY].requests_from is None


def test_an_older_ray_without_what_the_policy_was_given_takes_what_was_open():
    found = model_of(among_several(*steady(queued=1.0, running=4.9)))

    assert found.requests_from == "seen"
    assert {step.response.demand_after for step in found.steps} == {3}
    assert found.seen.blind_s is None
    assert "does not export what the policy is given" in (found.seen.reason or "")


def test_an_autoscaler_that_is_given_less_than_half_is_blind():
    """0 of 100 from 10 to 30 s: 20 s, since push interval and look-back are far shorter."""
    rows = [
        gauges_at(at_s, DeploymentGauges(total=0 if 10 <= at_s < 30 else 90, queued=60, running=40))
        for at_s in range(-1, END_S + 1)
    ]

    assert model_of(among_several(*rows)).seen.blind_s == pytest.approx(20.0)


def test_half_is_not_under_half_and_short_times_are_the_settings_doing():
    half = among_several(*steady(total=50, queued=60, running=40))
    short = [
        gauges_at(at_s, DeploymentGauges(total=0 if at_s == 10 else 90, queued=60, running=40))
        for at_s in range(-1, END_S + 1)
    ]

    assert model_of(half).seen.blind_s == 0
    assert model_of(among_several(*short)).seen.blind_s == 0


def test_served_counts_what_was_added_also_where_a_replica_took_its_count_along():
    counts = {-1: 100, 0: 100, 10: 160, 20: 220, 30: 50, 39: 90}
    rows = [
        gauges_at(at_s, DeploymentGauges(total=1, served=count)) for at_s, count in counts.items()
    ]

    assert model_of(among_several(*rows)).seen.served == 60 + 60 + 40


def test_the_front_is_the_limit_where_its_slots_are_all_in_use():
    rows = [
        SeenRow(
            ZERO_S + at_s,
            ZERO_S + at_s,
            "ports",
            1.0,
            {
                KEY: DeploymentGauges(total=1, queued=0, running=1),
                FRONT: DeploymentGauges(queued=900, running=300),
            },
        )
        for at_s in range(-1, END_S + 1)
    ]

    app = analyse(among_several(*rows)).report.applications[APP]

    front = next(node for node in app.deployments if node.deployment == FRONT)
    assert front.slots == 100
    assert front.slots_used is not None
    assert front.slots_used >= 0.95
    assert [node.deployment for node in app.deployments if node.is_limit] == [FRONT]


def test_words_say_what_was_given_how_old_it_is_and_what_it_missed():
    points = (SeenPoint(1.0, total=7.5, queued=0, running=7, client=41), SeenPoint(2.0, total=3))
    seen = SeenReport("ports", 1.2, points, 0.98, 12.3, 440)
    deployment = msgspec.structs.replace(model_of(among_several(*steady(total=1))), seen=seen)

    assert seen_texts(deployment) == [
        (
            "its autoscaler was given 7.5 requests at most in 2 readings (known in 98.0 %), 41.0 open "
            "at the client then"
        ),
        "Serve's gauges from the nodes' metrics ports, 1.2 s old at most",
        "BLIND for 12.3 s: given under half of what was open",
        "at least 440 requests answered by its replicas, as last exported",
    ]


@pytest.mark.parametrize(
    ("at_s", "known", "age_s", "said"),
    [
        # One reading before the load, as of a run whose gauges are read every 20 s.
        ((-6.9,), 0.31, 10.0, "is not known: 0 readings of the load (known in 31.0 %)"),
        ((-6.9, 7.0), 0.81, 10.0, "is not known: 1 reading of the load (known in 81.0 %)"),
        ((1.0, 31.0), 0.3, 10.0, "is not known: 2 readings of the load (known in 30.0 %)"),
        # What the client had open when a value was written that is up to 10 s old is not known.
        (
            (1.0, 11.0),
            0.9,
            10.0,
            "was given 138.5 requests at most in 2 readings (known in 90.0 %)",
        ),
    ],
)
def test_no_maximum_is_said_of_too_few_readings(at_s, known, age_s, said):
    points = tuple(SeenPoint(one, total=138.5, queued=0, running=0, client=55.7) for one in at_s)
    seen = SeenReport("ports", age_s, points, known)
    deployment = msgspec.structs.replace(model_of(among_several(*steady(total=1))), seen=seen)

    assert seen_texts(deployment)[0].endswith(said)


def test_bars_stand_where_the_readings_are_and_nothing_where_there_are_none():
    points = [SeenPoint(0.0, total=8, client=4), SeenPoint(3.0, total=0)]

    assert seen_lines(points, 4.0, 4) == [
        "open at the client      ▅     4.0",
        "given to its autoscaler █  ▁  8.0",
    ]


def test_before_2_53_the_reason_names_the_version_whatever_the_ports_said_at_first():
    """As seen live on 2.52: the first reading had no gauge at all."""
    silent = SeenRow(ZERO_S - 2, ZERO_S - 1, "ports", 1.0, {}, "the ports show no gauge")
    run = among_several(silent, *steady(queued=1.0, running=4.9))
    versions = msgspec.structs.replace(run.info.versions, ray="2.52.1")
    old = msgspec.structs.replace(run, info=msgspec.structs.replace(run.info, versions=versions))

    assert model_of(old).seen.reason == (
        "Ray 2.52.1 does not tell what its policy is given: Ray 2.53 and later do"
    )
