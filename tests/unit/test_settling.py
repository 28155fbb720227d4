"""Stages that end when replicas and latency have settled (`settle<=120s`)."""

import gevent.event
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.comparing.run_differences import OptionSet, run_differences
from scalelag.errors import UsageError
from scalelag.plan.draws import Draws
from scalelag.plan.mix import Mix
from scalelag.plan.schedule import Schedule
from scalelag.plan.stages import parse_plan
from scalelag.plugin.leader.stages.settling import Signs, quiet_s_of
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import DeploymentPoll, Gap, Poll
from scalelag.record.run_info import DeploymentInfo
from scalelag.users.engine.current_turns import current_turns
from tests.unit.recorded_runs import KEY, info, recorded, report_of

PLAN = "20rps:settle<=60s,50rps:10s,5rps:settle<=30s,10rps:5s"
MIX = Mix(("a", "b", "c"), ("constant", "poisson", "constant"), ((1, 2, 4),))


# --- the plan --------------------------------------------------------------------------------


def test_a_stage_that_settles_is_planned_for_its_full_length():
    plan = parse_plan(PLAN)

    assert plan.settles
    assert [(s.at_s, s.duration_s, s.most_s) for s in plan.stages] == [
        (0, 60, 60),
        (60, 10, None),
        (70, 30, 30),
        (100, 5, None),
    ]
    assert not parse_plan("20rps:60s").settles


def test_what_follows_a_stage_that_ended_early_moves_up():
    plan = parse_plan(PLAN).ended(0, 12.5).ended(2, 30.0)

    assert [(s.at_s, s.duration_s) for s in plan.stages] == [
        (0, 12.5),
        (12.5, 10),
        (22.5, 7.5),
        (30, 5),
    ]
    assert [(s.at_s, s.to_level) for s in plan.steps(60)] == [
        (0, 20),
        (12.5, 50),
        (22.5, 5),
        (30, 10),
        (35, 0),
    ]
    assert plan.at_most == parse_plan(PLAN)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("20rps:settle", "has a limit, such as 20rps:settle<=120s"),
        ("20rps:settle<120s", "has a limit, such as 20rps:settle<=120s"),
        ("20rps:settle<=", "is not a positive time"),
        ("20rps:settle<=0s", "the duration is 0"),
        ("20rps:settle<=2d", 'unknown unit of time "d"'),
        ("1..20rps:settle<=60s", "a ramp takes a time, and does not settle"),
    ],
)
def test_what_cannot_settle_is_refused(text: str, reason: str):
    with pytest.raises(UsageError, match=reason):
        parse_plan(text)


# --- its arrivals ----------------------------------------------------------------------------


def turns(schedule: Schedule) -> list[tuple[float, int]]:
    return [
        (at_s, number)
        for due_s, numbers in schedule.turns()
        for at_s, number in zip(due_s.tolist(), numbers.tolist(), strict=True)
    ]


@given(
    st.floats(0.5, 59.5),
    st.sampled_from(["constant", "poisson", "mix"]),
    st.integers(0, 2),
    st.integers(0, 5),
)
def test_arrivals_until_the_end_stay_and_later_ones_move_up(end_s, kind, first, lines):
    whole = Schedule(parse_plan(PLAN), "poisson" if kind == "poisson" else "constant", lines=lines)
    whole = whole.mixed(MIX) if kind == "mix" else whole
    ended = whole.ended(0, end_s)
    before = [turn for turn in turns(whole) if turn[0] < end_s]
    after = [(at_s - (60 - end_s), number) for at_s, number in turns(whole) if at_s >= 60]

    found = turns(ended)

    assert found[: len(before)] == before
    assert [n for _, n in found[len(before) :]] == [n for _, n in after]
    assert np.allclose([at_s for at_s, _ in found[len(before) :]], [at_s for at_s, _ in after])
    share = [turn for turn in turns(whole.share(first, 3)) if turn[0] < end_s]
    assert turns(ended.share(first, 3))[: len(share)] == share


def test_the_shares_of_a_plan_that_ended_early_are_all_of_it():
    ended = Schedule(parse_plan(PLAN)).ended(0, 12.3)

    shares = [turns(ended.share(index, 3)) for index in range(3)]

    assert sorted(turn for share in shares for turn in share) == turns(ended)


def test_users_of_a_mix_draw_by_the_stage_that_it_really_is():
    mix = Mix(("a", "b"), ("constant", "constant"), ((1, 0), (0, 1)))
    plan = parse_plan("2users:settle<=60s,2users:60s")
    draws = Draws(mix, plan.stages, "1 0")

    assert draws.at(20) == 0
    draws.follow(plan.ended(0, 10).stages)
    assert draws.at(20) == 1


def test_a_change_is_followed_in_the_middle_of_a_wait():
    whole = Schedule(parse_plan("1rps:settle<=60s,10rps:1s"))
    now_s, known = 0.0, whole
    stop = gevent.event.Event()
    found: list[float] = []

    class Stop:
        """Passes the time that is waited for; at 2.35 s the end of the stage is told."""

        def is_set(self) -> bool:
            return stop.is_set()

        def wait(self, for_s: float) -> bool:
            nonlocal now_s, known
            now_s += max(for_s, 0.001)
            if now_s > 2.35 and known is whole:
                known = whole.ended(0, 3.5)
            return False

    for due_s, _ in current_turns(lambda: known, 0.0, lambda: now_s, Stop()):  # pyright: ignore[reportArgumentType]
        assert due_s - now_s <= 0.2 + 1e-9
        found.append(due_s)

    assert np.allclose(found, [0, 1, 2, 3, *(3.5 + np.arange(10) / 10)])


# --- what has settled ------------------------------------------------------------------------


def poll(at_s: float, running: int, target: int | None = None, starting: int = 0) -> Poll:
    counts = {"RUNNING": running} | ({"STARTING": starting} if starting else {})
    target = running if target is None else target
    return Poll(at_s - 0.01, at_s, 200, {"a/D": DeploymentPoll(counts, target, "HEALTHY")})


def signs_of(*rows: Poll | Gap) -> Signs:
    signs = Signs()
    for row in rows:
        signs.add_rows([row])
    return signs


def polls(from_s: int, to_s: int, running: int, **state: int) -> list[Poll]:
    return [poll(float(at_s), running, **state) for at_s in range(from_s, to_s)]


def test_replicas_have_settled_once_nothing_changed_for_long_enough():
    signs = signs_of(*polls(0, 10, 1), *polls(10, 20, 1, target=3, starting=2), *polls(20, 30, 3))

    assert not signs.are_quiet(0, 29, 9.5)
    assert signs.are_quiet(0, 29, 9)
    assert not signs.are_quiet(25, 29, 9), "what was before the stage does not count"


def test_replicas_that_are_not_the_target_have_not_settled():
    assert not signs_of(*polls(0, 30, 2, target=3)).are_quiet(0, 30, 5)
    assert not signs_of(*polls(0, 30, 2, target=2, starting=1)).are_quiet(0, 30, 5)


def test_a_gap_of_the_probe_and_few_polls_are_no_rest():
    rows = [*polls(0, 20, 2), Gap(20, 27, "no answer in time", 3)]

    assert not signs_of(*rows, *polls(27, 30, 2)).are_quiet(0, 40, 10)
    assert not signs_of(*rows, *polls(27, 33, 2)).are_quiet(0, 33, 10)
    assert signs_of(*rows, *polls(27, 38, 2)).are_quiet(0, 38, 10)


def answers(at_s: np.ndarray, latency_s: np.ndarray | float, error: int = -1) -> RequestColumns:
    n = at_s.size
    return RequestColumns(
        intended_s=at_s,
        send_lag_s=np.zeros(n, np.float32),
        latency_s=np.broadcast_to(np.float32(latency_s), n),
        status=np.full(n, 200, np.uint16),
        name=np.zeros(n, np.int32),
        error=np.full(n, error, np.int32),
        worker=np.zeros(n, np.uint16),
        names=("/",),
        errors=("timeout",),
    )


def steady(at_s: np.ndarray, latency_s: np.ndarray | float, error: int = -1) -> bool:
    signs = Signs()
    signs.add_requests(answers(at_s, latency_s, error))
    return signs.is_latency_steady(0.0, 20.0)


def test_latency_has_settled_when_its_median_stays_within_its_noise():
    at_s = np.arange(0, 20, 0.05)
    noise = np.random.default_rng(1).exponential(0.1, at_s.size)

    assert steady(at_s, 0.1)
    assert steady(at_s, 0.05 + noise)
    assert not steady(at_s, 0.05 + 0.03 * at_s), "it still rises"
    assert not steady(at_s, np.where(at_s < 15, 0.05, 0.5) + noise)


def test_latency_of_few_answers_and_of_failures_has_no_say():
    at_s = np.arange(0, 20, 0.05)

    assert steady(at_s[::30], np.where(at_s[::30] < 15, 0.05, 0.5))
    assert steady(at_s, np.where(at_s < 15, 0.05, 0.5), error=0)
    assert not Signs().is_latency_steady(12.0, 20.0), "the stage is too young to tell"


def test_the_autoscaler_is_given_the_time_in_which_it_can_answer():
    given = {"upscale_delay_s": 3, "downscale_delay_s": 40, "look_back_period_s": 5}
    scaled = {"a/D": DeploymentInfo(autoscaling={**given, "metrics_interval_s": 1})}
    noticed_s = 1 + 5 + 0.4

    assert quiet_s_of({}, 0, 10) == 5
    assert quiet_s_of({"a/D": DeploymentInfo()}, 0, 10) == 5
    assert quiet_s_of(scaled, 0, 10) == pytest.approx(5 + noticed_s + 3)
    assert quiet_s_of(scaled, 10, 0) == pytest.approx(5 + noticed_s + 40)
    assert quiet_s_of(scaled, 10, 10) == pytest.approx(5 + noticed_s + 40)


# --- in the report ---------------------------------------------------------------------------


def test_the_report_has_the_steps_where_they_were_and_names_a_stage_that_did_not_settle():
    plan = parse_plan("5rps:settle<=120s,40rps:settle<=40s,5rps:20s").ended(0, 20.0)

    report = report_of(recorded(msgspec.structs.replace(info(), plan=plan)))

    assert [(s.at_s, s.to_level) for s in report.deployments[KEY].steps][:2] == [(0, 5), (20, 40)]
    found = [line for line in report.warnings if "settled" in line]
    assert [line[:41] for line in found] == ["stage 2 had not settled within 40 s, the "]


def test_runs_of_one_plan_that_settled_at_other_times_can_be_compared():
    plan = parse_plan(PLAN)
    runs = [msgspec.structs.replace(info(), plan=plan.ended(0, end_s)) for end_s in (12.0, 30.0)]

    assert run_differences(runs, OptionSet()) == ()
