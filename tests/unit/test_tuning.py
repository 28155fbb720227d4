"""The search of settings: its space, its front and order, and the same answer from the same seed."""

from itertools import product
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from reports.analysis.lag.policy import policy_of
from reports.analysis.load.slo import parse_slo
from reports.model.intervals import Span, longer_than
from reports.whatif.from_record import recorded_scenario
from reports.whatif.outcome import beyond_slo, worst_lag
from reports.whatif.tuning.objectives import (
    Goals,
    dominates,
    front,
    goals_of,
    in_order,
    is_worse,
    spread,
)
from reports.whatif.tuning.search import guesses, search
from reports.whatif.tuning.space import (
    changes_of,
    config_of,
    info_of,
    own_place,
    repaired,
    rests_on_one_report,
    space_of,
    without,
)
from scalelag.errors import UsageError
from scalelag.plan.stages import LoadStep
from scalelag.record.effective import adjusted
from scalelag.record.run_dir import load_run
from tests.unit.request_rows import columns

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"


@pytest.fixture(scope="module")
def settings():
    return recorded_scenario(load_run(DEMO), KEY).scenario.settings


def rows(at_s, latency_s, failed=()):
    made = [
        (at, 0.0, latency, 200, "/", "HTTP 500" if number in failed else None, 0)
        for number, (at, latency) in enumerate(zip(at_s, latency_s, strict=True))
    ]
    return columns(made, [], [])


def goals(lag_s=5.0, beyond_slo_s=5.0, reversals=0.0, replica_hours=1.0):
    return Goals(lag_s, beyond_slo_s, reversals, replica_hours)


def with_changes(settings, changes):
    info = info_of(settings.info, changes)
    return msgspec.structs.replace(settings, info=info, policy=policy_of(info))


def values(space, name):
    return next(one.values for one in space if one.setting == name)


def test_the_runs_own_value_is_in_every_dimension(settings):
    space = space_of(settings, 4, ())

    assert changes_of(own_place(space), space) == {}
    assert 2.0 in values(space, "upscale_delay_s")
    assert 5.0 in values(space, "downscale_delay_s")


def test_bounds_leave_room_for_the_recorded_peak(settings):
    space = space_of(settings, 4, ())

    assert values(space, "min_replicas") == (1, 2, 3, 4)
    assert values(space, "max_replicas") == (4, 6, 8)


def test_no_target_is_above_the_requests_that_a_replica_takes(settings):
    assert settings.max_ongoing == 8
    assert max(values(space_of(settings, 4, ()), "target_ongoing_requests")) <= 8


def test_a_kept_setting_is_not_searched(settings):
    names = [one.setting for one in space_of(settings, 4, ("max_replicas",))]

    assert "max_replicas" not in names
    assert "min_replicas" in names


def test_an_unknown_setting_to_keep_is_refused_with_near_names(settings):
    with pytest.raises(UsageError, match="near it: max_replicas"):
        space_of(settings, 4, ("max_replica",))


def test_with_all_kept_there_is_nothing_to_search(settings):
    names = [one.setting for one in space_of(settings, 4, ())]

    with pytest.raises(UsageError, match="nothing to search"):
        space_of(settings, 4, names)


def test_a_push_interval_is_brought_within_the_look_back(settings):
    space = space_of(settings, 4, ())
    place = {one.setting: one.own for one in space}
    place["look_back_period_s"] = 0
    place["metrics_interval_s"] = len(values(space, "metrics_interval_s")) - 1
    place["upscale_delay_s"] = 0

    found = changes_of(repaired(tuple(place.values()), space), space)

    assert found == {"upscale_delay_s": 0.0}  # 1 s within the 2 s of the run


def test_no_candidate_rests_on_one_report(settings):
    space = space_of(settings, 4, ())
    own = own_place(space)
    at = {one.setting: number for number, one in enumerate(space)}
    push, look_back = at["metrics_interval_s"], at["look_back_period_s"]

    for pushed, kept in product(
        range(len(space[push].values)), range(len(space[look_back].values))
    ):
        place = list(own)
        place[push], place[look_back] = pushed, kept

        assert not rests_on_one_report(repaired(tuple(place), space), space)


@pytest.mark.parametrize(
    ("keep", "searched", "values_s"),
    [
        ("metrics_interval_s", "look_back_period_s", (2.0, 5.0, 10.0, 20.0, 30.0)),
        ("look_back_period_s", "metrics_interval_s", (1.0,)),
    ],
)
def test_beside_a_kept_interval_the_other_one_fits_it(settings, keep, searched, values_s):
    space = {one.setting: one.values for one in space_of(settings, 4, (keep,))}

    assert space.get(searched, (1.0,)) == values_s


def test_the_runs_own_settings_are_searched_as_they_are(settings):
    space = space_of(with_changes(settings, {"metrics_interval_s": 10.0}), 4, ())
    asked = []

    def figures(places):
        asked.extend(places)
        return [goals()] * len(places)

    search(SimpleNamespace(space=space, seed=1), SimpleNamespace(goals=figures), 10)

    assert rests_on_one_report(own_place(space), space)
    assert [place for place in asked if rests_on_one_report(place, space)] == [own_place(space)]


@pytest.mark.parametrize("capacity", [50.0, 33.0, None])
def test_the_recorded_peak_fits_below_what_a_capacity_leaves(settings, capacity):
    info = msgspec.structs.replace(settings.info, target_capacity=capacity)
    changed = with_changes(msgspec.structs.replace(settings, info=info), {"max_replicas": 6})

    found = values(space_of(changed, 4, ()), "max_replicas")

    assert min(adjusted(one, capacity) for one in found if one != 6) >= 4


def test_the_guesses_begin_with_the_runs_own_settings(settings):
    space = space_of(settings, 4, ())
    found = guesses(space)

    assert found[0] == own_place(space)
    assert {"min_replicas": 4} in [changes_of(place, space) for place in found]


def test_a_setting_is_put_back_alone(settings):
    space = space_of(settings, 4, ())
    place = tuple(0 for _ in space)

    assert "upscale_delay_s" not in changes_of(without(place, "upscale_delay_s", space), space)
    assert "downscale_delay_s" in changes_of(without(place, "upscale_delay_s", space), space)


def test_what_is_pasted_has_all_settings_but_unset_ones_and_rays_policy(settings):
    config = config_of(info_of(settings.info, {"upscale_delay_s": 0.0}))

    assert config == {
        "min_replicas": 1,
        "max_replicas": 4,
        "target_ongoing_requests": 2.0,
        "metrics_interval_s": 1.0,
        "look_back_period_s": 2.0,
        "downscale_delay_s": 5.0,
        "upscale_delay_s": 0.0,
        "aggregation_function": "mean",
    }


def test_the_front_holds_what_no_other_dominates():
    found = [goals(5), goals(4), goals(6, 1), goals(4, 6)]

    assert dominates(found[1], found[0])
    assert not dominates(found[2], found[1])
    assert front(found) == [1, 2]
    assert front([goals(), goals()]) == [0]


def test_the_time_beyond_the_limit_orders_before_replica_hours():
    cheap, quick = goals(beyond_slo_s=20, replica_hours=1), goals(beyond_slo_s=2, replica_hours=2)

    assert in_order([cheap, quick]) == [1, 0]


def test_a_second_beyond_the_limit_does_not_decide():
    cheap, dear = goals(beyond_slo_s=2.5, replica_hours=1), goals(beyond_slo_s=2, replica_hours=2)

    assert in_order([dear, cheap]) == [1, 0]


def test_a_difference_within_the_slack_is_not_worse():
    assert not is_worse(goals(lag_s=5.2), goals(lag_s=5.0))
    assert is_worse(goals(lag_s=5.5), goals(lag_s=5.0))
    assert is_worse(goals(replica_hours=1.02), goals(replica_hours=1.0))


def test_a_few_of_many_hold_the_best_choice_and_the_least_of_each_figure():
    found = [goals(lag, 10 - lag, 0, lag / 10 + 1) for lag in range(11)]

    chosen = spread(found, 3)

    assert chosen[0] == in_order(found)[0]
    assert {0, 10} <= set(chosen)
    assert len(chosen) == 3


def outcome(lag):
    exact = Span(0.0, 0.0, 0.0)
    return SimpleNamespace(
        whole={"lag_s": lag, "beyond_slo_s": exact, "reversals": exact, "replica_hours": exact}
    )


def test_a_lag_that_was_not_over_counts_more_than_every_measured_one():
    measured, endless = outcome(Span(29.0, 29.0, 29.0)), outcome(longer_than(30.0))

    assert goals_of([endless]).lag_s > goals_of([measured]).lag_s


def test_seconds_beyond_the_limit_are_those_with_too_few_good_requests():
    # 20 requests each second: all good, one slow, two slow, one failed.
    made = rows(
        at_s=[second + n / 20 for second in range(4) for n in range(20)],
        latency_s=[0.1] * 20 + [0.1] * 19 + [0.9] + [0.1] * 18 + [0.9] * 2 + [0.1] * 20,
        failed=[60, 61],
    )

    found = beyond_slo(made, 0.0, 4.0, parse_slo("p95<200ms"))

    assert found is not None
    assert found.tolist() == [False, False, True, True]


def test_without_a_limit_no_second_is_beyond_it():
    made = rows(at_s=[0.0], latency_s=[0.1])

    assert beyond_slo(made, 0.0, 1.0, None) is None
    assert beyond_slo(made, 0.0, 1.0, parse_slo("ttft<200ms")) is None


def test_a_step_that_got_no_replica_and_ends_beyond_the_limit_is_longer_than_its_hold():
    step = LoadStep(1, 0.0, 10.0, 1.0, 5.0)
    late = rows(at_s=[n / 2 for n in range(20)], latency_s=[1.0] * 20)
    good = rows(at_s=[n / 2 for n in range(20)], latency_s=[0.1] * 20)
    limit = parse_slo("p95<200ms")

    assert worst_lag(late, [step], {1: {"total_s": None}}, 0.0, limit) == longer_than(10.0)
    assert worst_lag(good, [step], {1: {"total_s": None}}, 0.0, limit) == Span(0.0, 0.0, 0.0)


def test_the_longest_lag_of_the_steps_up_counts():
    steps = [LoadStep(1, 0.0, 10.0, 1.0, 5.0), LoadStep(2, 10.0, 20.0, 5.0, 1.0)]
    up, down = Span(3.0, 3.0, 3.0), Span(9.0, 9.0, 9.0)
    made = rows(at_s=[0.0], latency_s=[0.1])

    assert worst_lag(made, steps, {1: {"total_s": up}, 2: {"total_s": down}}, 0.0, None) == up
