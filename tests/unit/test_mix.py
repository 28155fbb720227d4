"""Arrivals of a mix: each request has a process of its own, and none is lost where they are merged."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalelag.plan.draws import Draws
from scalelag.plan.mix import Mix
from scalelag.plan.mixed_arrivals import MixedMarks, allotted
from scalelag.plan.schedule import DueTimes, RateTable, Schedule
from scalelag.plan.stages import parse_plan
from tests.unit.mix_cases import counts, turns_of

FOUR = ("a", "b", "c", "d")


def mix_of(*weights, arrivals="constant"):
    names = FOUR[: len(weights[0])]
    kinds = (arrivals,) * len(names) if isinstance(arrivals, str) else tuple(arrivals)
    return Mix(names, kinds, tuple(tuple(map(float, row)) for row in weights))


def test_each_stage_has_exactly_its_shares():
    mix = mix_of((4, 3, 2, 1), (0, 0, 1, 1), (1, 1, 1, 1))
    schedule = Schedule(parse_plan("500rps:2s,100rps:3s,0..200rps:4s")).mixed(mix)

    assert counts(schedule) == [(400, 300, 200, 100), (0, 0, 150, 150), (100, 100, 100, 100)]


def test_a_repeat_begins_again_with_the_weights_of_the_first_stage():
    schedule = Schedule(parse_plan("10rps:1s,20rps:1s", 2)).mixed(mix_of((1, 0), (0, 1)))

    assert counts(schedule) == [(10, 0), (0, 20), (10, 0), (0, 20)]


def test_constant_arrivals_of_a_request_are_evenly_spaced_and_no_two_requests_come_at_once():
    due_s, numbers = turns_of(Schedule(parse_plan("500rps:4s")).mixed(mix_of((4, 3, 2, 1))))

    for number, rate_rps in enumerate((200, 150, 100, 50)):
        assert np.diff(due_s[numbers == number]) == pytest.approx(1 / rate_rps)
    assert due_s[0] == 0.0
    assert np.diff(due_s).min() > 1e-4


@pytest.mark.parametrize(
    ("weights", "least_ms"),
    [((4, 3, 2, 1), 5 / 6), ((4, 1), 1.25), ((1, 1, 1), 2.0), ((9, 1), 1.11)],
)
def test_requests_of_different_rates_are_due_as_far_apart_as_they_can_be(weights, least_ms):
    mixed = MixedMarks(
        Mix(tuple("abcd"[: len(weights)]), ("constant",) * len(weights), (weights,)), 1
    )

    marks = np.concatenate([block for block, _ in mixed.of_stage(0, 9000.0)])

    assert np.diff(marks).min() * 2 == pytest.approx(least_ms, rel=0.01)  # at 500 rps
    assert marks.size == 9000


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12))
def test_whatever_the_rates_no_arrival_is_lost_and_all_come_within_the_stage(counts):
    names = tuple(f"r{number}" for number in range(len(counts)))
    mix = Mix(names, ("constant",) * len(counts), (tuple(map(float, counts)),))
    expected = float(sum(counts))

    blocks = list(MixedMarks(mix, 1).of_stage(0, expected))

    marks = np.concatenate([block for block, _ in blocks])
    numbers = np.concatenate([block for _, block in blocks])
    assert np.bincount(numbers, minlength=len(counts)).tolist() == counts
    assert 0 <= marks[0] <= marks[-1] < expected
    assert (np.diff(marks) >= 0).all()


def test_equal_weights_come_in_turn_as_without_a_mix():
    plan = parse_plan("80rps:5s")

    due_s, numbers = turns_of(Schedule(plan).mixed(mix_of((1, 1, 1, 1))))

    assert due_s == pytest.approx(np.concatenate(list(Schedule(plan).blocks())))
    assert numbers.tolist() == [0, 1, 2, 3] * 100


def test_what_rounding_takes_from_a_rare_request_is_made_up_in_later_stages():
    found = counts(Schedule(parse_plan("1rps:1s", 1000)).mixed(mix_of((9, 1))))

    assert [sum(of_name) for of_name in zip(*found, strict=True)] == [900, 100]
    rare = [index for index, (_, count) in enumerate(found) if count]
    assert set(np.diff(rare)) == {10}


weights = st.lists(st.integers(0, 1000), min_size=4, max_size=4).filter(any)
stages = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 50), st.integers(1, 30), weights),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60)
@given(stages=stages, repeat=st.integers(1, 3))
def test_together_they_are_as_many_as_without_a_mix_and_each_has_its_share(stages, repeat):
    plan = parse_plan(",".join(f"{a}..{b}rps:{t / 10}s" for a, b, t, _ in stages), repeat)
    schedule = Schedule(plan).mixed(mix_of(*(row for _, _, _, row in stages)))
    due_s, numbers = turns_of(schedule)
    found = counts(schedule)

    assert schedule.count() == Schedule(plan).count()
    assert (np.diff(due_s) >= 0).all()
    assert due_s.max() < plan.duration_s
    owed = np.zeros(4)
    for number, (stage, of_stage) in enumerate(zip(plan.stages, found, strict=True)):
        shares = np.array(schedule.mix.shares(number))
        # Rounded, the arrivals of a stage are up to one more than its rate times its time.
        owed += shares * sum(of_stage) - of_stage
        assert abs(sum(of_stage) - stage.expected) < 1
        assert all(n == 0 for n, share in zip(of_stage, shares, strict=True) if share == 0)
        assert (abs(owed) < 2).all()
    assert numbers.size == sum(map(sum, found))


@settings(max_examples=60)
@given(
    st.integers(0, 1000),
    st.lists(st.floats(-1, 1), min_size=1, max_size=6),
    st.lists(st.integers(0, 9), min_size=6, max_size=6),
)
def test_counts_sum_up_and_none_is_below_zero(total, owed, shares):
    some = np.array(shares[: len(owed)], float) + 0.01
    wanted = total * some / some.sum() + np.array(owed)

    found = allotted(total, wanted)

    assert found.sum() == total
    assert (found >= 0).all()


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_shares_of_processes_have_each_arrival_once_with_its_request(arrivals):
    mix = mix_of((4, 3, 2, 1), arrivals=arrivals)
    whole = Schedule(parse_plan("900rps:4s,100rps:1s"), seed=3).mixed(mix)

    parts = [turns_of(whole.share(index, 3)) for index in range(3)]

    due_s, numbers = turns_of(whole)
    for index, (of_part, its_numbers) in enumerate(parts):
        assert of_part.tolist() == due_s[index::3].tolist()
        assert its_numbers.tolist() == numbers[index::3].tolist()


def test_poisson_arrivals_of_a_request_are_independent_and_have_its_rate():
    mix = mix_of((3, 1), arrivals="poisson")

    due_s, numbers = turns_of(Schedule(parse_plan("1000rps:20s"), seed=7).mixed(mix))

    for number, rate_rps in enumerate((750, 250)):
        gaps_s = np.diff(due_s[numbers == number])
        assert gaps_s.mean() * rate_rps == pytest.approx(1, abs=0.05)
        # The coefficient of variation of exponential gaps is 1, that of even ones 0.
        assert gaps_s.std() / gaps_s.mean() == pytest.approx(1, abs=0.05)
    # Neighbours of the merged process change their request as often as by chance: 2 * 3/4 * 1/4.
    assert np.mean(np.diff(numbers.astype(int)) != 0) == pytest.approx(0.375, abs=0.02)


def test_a_constant_request_beside_a_poisson_one_keeps_its_exact_count():
    mix = mix_of((1, 1), arrivals=("constant", "poisson"))

    due_s, numbers = turns_of(Schedule(parse_plan("200rps:10s"), seed=1).mixed(mix))

    assert np.diff(due_s[numbers == 0]) == pytest.approx(0.01)
    assert np.count_nonzero(numbers == 0) == 1000
    assert 850 < np.count_nonzero(numbers == 1) < 1150


def test_the_same_seed_gives_the_same_arrivals_and_another_others():
    plan, mix = parse_plan("100rps:5s"), mix_of((1, 1), arrivals="poisson")
    one, same, other = (turns_of(Schedule(plan, seed=seed).mixed(mix)) for seed in (1, 1, 2))

    assert one[0].tolist() == same[0].tolist()
    assert one[0].tolist() != other[0].tolist()


def test_of_a_trace_of_rates_each_request_has_its_share_of_every_row():
    rates = RateTable.of(np.arange(11.0), np.array([40.0, 80.0] * 5))
    schedule = Schedule(parse_plan("60rps:10s"), trace=rates).mixed(mix_of((3, 1)))

    due_s, numbers = turns_of(schedule)

    assert [np.count_nonzero(numbers == n) for n in (0, 1)] == [450, 150]
    in_rows = np.histogram(due_s[numbers == 1], np.arange(11.0))[0]
    assert in_rows.tolist() == pytest.approx([10, 20] * 5, abs=1)


def test_arrivals_of_a_trace_stay_and_their_requests_are_drawn_by_weight():
    times_s = np.sort(np.random.default_rng(1).random(20_000)) * 60
    whole = Schedule(parse_plan("300rps:60s"), seed=5, trace=DueTimes.of(times_s))

    schedule = whole.mixed(mix_of((6, 3, 1)))
    due_s, numbers = turns_of(schedule)

    assert due_s.tolist() == times_s.tolist()
    assert np.bincount(numbers) / 20_000 == pytest.approx([0.6, 0.3, 0.1], abs=0.02)
    assert schedule == whole.mixed(mix_of((6, 3, 1)))
    share = schedule.share(1, 4)
    assert turns_of(share)[1].tolist() == numbers[1::4].tolist()


def test_users_draw_their_requests_by_the_weights_of_the_stage():
    schedule = Schedule(parse_plan("5users:10s,9users:10s"), seed=4).mixed(mix_of((3, 1), (0, 1)))
    draws = Draws.of(schedule, 0)
    assert draws is not None

    first = Counter(draws.at(5.0) for _ in range(4000))

    assert first[0] / 4000 == pytest.approx(0.75, abs=0.03)
    assert {draws.at(at_s) for at_s in (10.0, 12.0, 19.0, 25.0) * 50} == {1}
    again, other = Draws.of(schedule, 0), Draws.of(schedule, 1)
    assert again is not None
    assert other is not None
    drawn = [[one.at(5.0) for _ in range(100)] for one in (again, other)]
    assert drawn[0] != drawn[1]
    assert Draws.of(Schedule(parse_plan("5users:10s")), 0) is None
