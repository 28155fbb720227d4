"""Due times of a run as the leading process hands them to those that send."""

import math
from fractions import Fraction
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.errors import UsageError
from scalelag.plan import trace_plan
from scalelag.plan.arrivals import arrival_blocks
from scalelag.plan.schedule import DueTimes, RateTable, Schedule
from scalelag.plan.stages import LoadPlan, Stage, parse_plan
from scalelag.plan.trace import Trace
from scalelag.plan.trace_info import TraceInfo
from scalelag.plan.trace_plan import trace_schedule

PLAN = parse_plan("40rps:3s,10..90rps:4s,0rps:1s,64rps:1s")


def due(schedule: Schedule) -> np.ndarray:
    """All due times in one array."""
    return np.concatenate([np.empty(0), *schedule.blocks()])


def received(schedule: Schedule) -> Schedule:
    """The schedule after a transfer to another process: Locust sends builtins and bytes."""
    sent = msgspec.to_builtins(schedule, builtin_types=(bytes,))
    return msgspec.convert(sent, Schedule)


def of_rates(*rates: float, widths_s: list[float] | None = None, **options) -> Schedule:
    """The schedule of a trace of rates, a second each unless said."""
    edges_s = np.concatenate(([0.0], np.cumsum(widths_s or [1.0] * len(rates))))
    info = TraceInfo("rates.csv", "rates", "rps", None, len(rates))
    return trace_schedule(Trace(info, edges_s, np.array(rates, float)), **options)


def of_times(times_s: np.ndarray | list[float], **options) -> Schedule:
    """The schedule of a trace of arrivals."""
    info = TraceInfo("arrivals.csv", "arrivals", "arrival_s", None, len(times_s))
    return trace_schedule(Trace(info, np.array(times_s, float)), **options)


def stages(schedule: Schedule) -> list[tuple[float, float, float]]:
    """(at, duration, level) of each stage."""
    found = schedule.plan.stages
    assert all(stage.start_level == stage.end_level for stage in found)
    assert all(a.end_s == b.at_s for a, b in pairwise(found))
    return [(stage.at_s, stage.duration_s, stage.start_level) for stage in found]


# --- stages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_a_schedule_of_stages_has_the_arrivals_of_its_plan(arrivals):
    schedule = Schedule(PLAN, arrivals, 7)

    expected = np.concatenate(list(arrival_blocks(PLAN, arrivals, 7)))
    assert np.array_equal(due(schedule), expected)
    assert schedule.count() == expected.size
    assert schedule.kind == arrivals


def test_a_plan_of_users_has_no_due_times():
    schedule = Schedule(parse_plan("3users:10s"))

    assert list(schedule.blocks()) == []
    assert schedule.count() == 0


# --- shares ----------------------------------------------------------------------------------

WHOLES = [
    Schedule(PLAN),
    Schedule(PLAN, "poisson", 7),
    Schedule(parse_plan("60000rps:3s"), "poisson", 7),  # three blocks
    of_rates(20, 0, 0.3, 41, 7, repeat=3),
    of_rates(20, 0, 0.3, 41, 7, arrivals="poisson", seed=3),
    of_times([0, 0.25, 0.25, 1, 4, 4.5, 9, 9.125], repeat=2),
    of_times(np.arange(150_000) / 8192),
]


@pytest.mark.parametrize("whole", WHOLES)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_processes_take_turns_and_have_each_arrival_once(whole, count):
    times = due(whole)

    for index in range(count):
        share = received(whole.share(index, count))
        assert np.array_equal(due(share), times[index::count])
        assert share.count() == len(range(index, times.size, count))
        assert share.plan == whole.plan


@pytest.mark.parametrize("whole", WHOLES)
def test_a_share_can_be_shared(whole):
    share = whole.share(1, 3).share(1, 2)

    assert np.array_equal(due(share), due(whole)[1::3][1::2])


def test_a_process_gets_its_own_part_of_a_trace_and_no_more():
    random = np.random.default_rng(1)
    whole = of_times(np.cumsum(random.exponential(0.001, 100_000)))
    assert isinstance(whole.trace, DueTimes)

    sizes = [len(msgspec.msgpack.encode(whole.share(index, 4))) for index in range(4)]

    assert sum(sizes) < 1.2 * len(whole.trace.times_s)
    assert max(sizes) < 8 * 25_000


def test_blocks_hold_at_most_65536_arrivals():
    for whole in (of_times(np.arange(200_000) / 1e4), of_rates(100_000, 100_000)):
        sizes = [block.size for block in whole.blocks()]
        assert (max(sizes), sum(sizes)) == (65_536, 200_000)


# --- rates -----------------------------------------------------------------------------------


def test_rates_that_are_whole_numbers_have_the_arrivals_of_such_stages():
    assert due(of_rates(10, 10, 40, 40, 40, 0, 7)) == pytest.approx(
        np.concatenate(list(arrival_blocks(parse_plan("10rps:2s,40rps:3s,0rps:1s,7rps:1s")))),
        abs=1e-12,
    )


def test_parts_of_a_request_are_carried_from_row_to_row():
    assert due(of_rates(*[0.2] * 15)) == pytest.approx([0, 5, 10])
    assert due(of_rates(0.5, 0, 0.5, 2)) == pytest.approx([0, 3, 3.5])
    assert due(of_rates(1, 0, 0, 1)) == pytest.approx([0, 3])


def test_rows_have_the_length_that_their_times_say():
    times = due(of_rates(1, 4, widths_s=[10, 0.5]))

    assert times == pytest.approx([*range(10), 10, 10.25])


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 30)), min_size=1, max_size=30).filter(
        lambda rows: any(rate for rate, _ in rows)
    )
)
def test_the_number_due_is_the_integral_of_the_rate_and_they_ascend(rows):
    # Rates in tenths, durations in tenths: sums that no float holds exactly.
    schedule = of_rates(*(r / 10 for r, _ in rows), widths_s=[d / 10 for _, d in rows])

    times = due(schedule)

    total = sum(Fraction(r * d, 100) for r, d in rows)
    assert times.size == math.ceil(total)
    assert np.all(np.diff(times) >= 0)
    for number, at_s in enumerate(times):
        assert reached(rows, at_s) == pytest.approx(number, abs=1e-6)


def reached(rows: list[tuple[int, int]], at_s: float) -> float:
    """Integral of the rate up to `at_s`, row by row."""
    sum_, begin_s = 0.0, 0.0
    for rate, duration in rows:
        sum_ += rate / 10 * min(max(at_s - begin_s, 0.0), duration / 10)
        begin_s += duration / 10
    return sum_


def test_a_million_rows_lose_no_arrival():
    schedule = Schedule(PLAN, trace=RateTable.of(np.arange(1_000_001.0), np.full(1_000_000, 0.1)))

    assert schedule.count() == 100_000


def test_poisson_arrivals_of_rates_are_those_of_one_stage_with_that_integral():
    rates = due(of_rates(*[50.0] * 20, arrivals="poisson", seed=4))

    stage = np.concatenate(list(arrival_blocks(parse_plan("50rps:20s"), "poisson", 4)))
    assert rates == pytest.approx(stage, abs=1e-9)


def test_poisson_arrivals_follow_the_rate():
    # 30 rows each of 5, 80 and 20 a second: means of 4,500 and so on; 5 standard deviations.
    rates = [5.0] * 300 + [80.0] * 300 + [20.0] * 300
    times = due(of_rates(*rates, arrivals="poisson", seed=9))

    counts, _ = np.histogram(times, [0, 300, 600, 900])
    for count, mean in zip(counts, (1500, 24_000, 6000), strict=True):
        assert abs(count - mean) < 5 * math.sqrt(mean)


def test_rates_that_repeat_go_on_where_they_ended():
    once, thrice = due(of_rates(4, 0, 2)), due(of_rates(4, 0, 2, repeat=3))

    assert thrice == pytest.approx(np.concatenate([once, once + 3, once + 6]))


# --- arrival times ---------------------------------------------------------------------------


@given(st.lists(st.floats(0, 300), max_size=60))
def test_arrivals_are_replayed_to_the_last_bit_and_are_what_the_stages_say(times: list[float]):
    times = [0.0, *sorted(times)]
    schedule = of_times(times)

    assert due(received(schedule)).tolist() == times
    counted = sum(duration_s * level for _, duration_s, level in stages(schedule))
    assert counted == pytest.approx(len(times), rel=1e-3)


@pytest.mark.parametrize(
    ("times", "length_s"),
    [
        ([0, 0.1, 0.2, 0.3], 0.4),
        ([0, 5, 10], 11.0),  # a gap at the end is a second at most
        ([0, 0, 1, 1, 2, 2], 3.0),  # arrivals at one moment are no gap
        ([0], 1.0),
        ([0, 0, 0], 1.0),
        ([0, 1e-5, 2e-5], 0.00102),  # and a millisecond at least
        ([0, 4, *(4 + k / 10 for k in range(1, 11))], 5.1),  # the last ten gaps
    ],
)
def test_a_trace_of_arrivals_lasts_one_more_gap(times, length_s):
    schedule = of_times(times, repeat=3)

    assert schedule.plan.duration_s == pytest.approx(3 * length_s)
    expected = [time + k * length_s for k in range(3) for time in times]
    assert due(schedule) == pytest.approx(expected)


def test_arrivals_are_replayed_and_never_poisson():
    assert of_times([0, 1, 2]).kind == "replayed"
    with pytest.raises(UsageError) as caught:
        of_times([0, 1, 2], arrivals="poisson")

    assert str(caught.value) == (
        "--arrivals poisson: arrivals.csv holds arrival times, which are replayed as they are. "
        "Leave the option out, or use a trace of rates."
    )


def test_more_repeats_than_there_is_room_for_are_refused(monkeypatch):
    monkeypatch.setattr(trace_plan, "MAX_ROWS", 10)

    assert of_times([0, 1], repeat=5).count() == 10
    with pytest.raises(UsageError) as caught:
        of_times([0, 1], repeat=6)
    assert str(caught.value) == (
        "--repeat 6: that many times the 2 rows of arrivals.csv are more than 10 rows. Repeat it less "
        "often."
    )


# --- the plan of a trace ---------------------------------------------------------------------


def test_the_plan_of_a_trace_names_its_file_and_has_its_stretches_as_stages():
    schedule = of_rates(*[10.0] * 30, *[60.0] * 20, *[10.0] * 30)

    assert (schedule.plan.text, schedule.plan.unit) == ("trace rates.csv", "rps")
    assert stages(schedule) == [(0, 30, 10), (30, 20, 60), (50, 30, 10)]
    levels = [(step.at_s, step.from_level, step.to_level) for step in schedule.plan.steps(99)]
    assert levels == [(0, 0, 10), (30, 10, 60), (50, 60, 10), (80, 10, 0)]


def test_a_plan_replayed_from_its_own_arrivals_has_the_stages_it_had():
    text = "10rps:7.5s,50rps:7.7s,0rps:10s,5rps:20s,30rps:30s"
    times = np.concatenate(list(arrival_blocks(parse_plan(text))))

    found = stages(of_times(times))

    # A silence begins with the last arrival, a 50th of a second before the stage ended.
    assert [at_s for at_s, _, _ in found] == pytest.approx([0, 7.5, 15.2, 25.2, 45.2], abs=0.0201)
    assert [level for _, _, level in found] == pytest.approx([10, 50, 0, 5, 30], rel=0.01)
    assert of_times(times).plan.duration_s == pytest.approx(75.2)


@pytest.mark.parametrize("seed", range(10))
def test_steps_of_poisson_arrivals_are_found_to_a_few_gaps(seed):
    text = "10rps:30s,60rps:20s,10rps:30s"
    times = np.concatenate(list(arrival_blocks(parse_plan(text), "poisson", seed)))

    found = stages(of_times(times - times[0]))

    edges = [at_s + times[0] for at_s, _, _ in found]
    assert len(found) == 3
    assert edges[1:] == pytest.approx([30, 50], abs=0.5)
    assert [level for _, _, level in found] == pytest.approx([10, 60, 10], rel=0.3)


def test_moments_of_unix_times_are_as_good_as_others():
    times = np.concatenate(list(arrival_blocks(parse_plan("10rps:20s,50rps:20s"))))
    moved = (times + 1.7e9) - (times + 1.7e9)[0]

    assert [at_s for at_s, _, _ in stages(of_times(moved))] == pytest.approx([0, 20], abs=1e-6)


def test_requests_logged_in_whole_seconds_have_their_steps_at_whole_seconds():
    times = np.floor(np.concatenate(list(arrival_blocks(parse_plan("10rps:20s,50rps:20s")))))

    assert stages(of_times(times)) == [(0, 20, 10), (20, 20, 50)]


def test_a_long_trace_of_rates_is_cut_at_its_rows():
    hours = [3.0, 40.0, 3.5]
    schedule = of_rates(*(rate for rate in hours for _ in range(7200)))

    assert stages(schedule) == [(0, 7200, 3), (7200, 7200, 40), (14_400, 7200, 3.5)]


def test_hours_of_a_day_are_steps_where_they_differ():
    schedule = of_rates(10, 12, 15, 30, 30.5, 20, widths_s=[3600] * 6)

    assert [level for _, _, level in stages(schedule)] == [10, 12, 15, 30.25, 20]


def test_rows_shorter_than_a_second_are_counted_together():
    rates = [10.0] * 40 + [50.0] * 41

    found = stages(of_rates(*rates, widths_s=[0.3] * 81))

    assert [at_s for at_s, _, _ in found] == pytest.approx([0, 12])
    assert [level for _, _, level in found] == [10, 50]


def test_levels_have_four_digits():
    assert stages(of_rates(10, 10, 11.23456)) == [(0, 3, 10.41)]


def test_a_trace_that_repeats_is_one_plan():
    schedule = of_rates(*[10.0] * 10, *[60.0] * 10, repeat=2)

    assert schedule.plan.repeat == 2
    assert stages(schedule) == [(0, 10, 10), (10, 10, 60), (20, 10, 10), (30, 10, 60)]


def test_a_schedule_arrives_as_it_was_sent():
    plan = LoadPlan("5rps:1s", 1, "rps", (Stage(0, 1, 5, 5),))

    assert received(Schedule(plan, "poisson", 3)) == Schedule(plan, "poisson", 3)
