"""The grammar of load plans, and the load steps in a plan."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.errors import UsageError
from scalelag.plan.stages import LoadPlan, parse_plan


def stages(plan: LoadPlan) -> list[tuple[float, float, float, float]]:
    """(at, duration, start level, end level) of each stage."""
    return [(s.at_s, s.duration_s, s.start_level, s.end_level) for s in plan.stages]


def steps(text: str, watched_until_s: float = 0.0) -> list[tuple[float, float, float, float]]:
    """(at, hold until, from, to) of each load step."""
    found = parse_plan(text).steps(watched_until_s)
    assert [step.index for step in found] == list(range(len(found)))
    return [(s.at_s, s.hold_until_s, s.from_level, s.to_level) for s in found]


def error_of(text: str, repeat: int = 1) -> str:
    with pytest.raises(UsageError) as caught:
        parse_plan(text, repeat)
    return str(caught.value)


# --- what can be written ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10rps:20s", [(0, 20, 10, 10)]),
        ("10rps:20s,80rps:60s,10rps:60s", [(0, 20, 10, 10), (20, 60, 80, 80), (80, 60, 10, 10)]),
        ("10..80rps:60s", [(0, 60, 10, 80)]),
        ("80..10rps:60s", [(0, 60, 80, 10)]),
        ("0..80rps:60s", [(0, 60, 0, 80)]),
        ("10..10rps:60s", [(0, 60, 10, 10)]),
        ("0rps:5s,10rps:5s", [(0, 5, 0, 0), (5, 5, 10, 10)]),
        ("2.5rps:0.5s", [(0, 0.5, 2.5, 2.5)]),
        (".5rps:2.s", [(0, 2, 0.5, 0.5)]),
        ("1.5..3.25rps:2.5s", [(0, 2.5, 1.5, 3.25)]),
        (".5..0.75rps:1s", [(0, 1, 0.5, 0.75)]),
        ("5rps:1500ms", [(0, 1.5, 5, 5)]),
        ("5rps:2m", [(0, 120, 5, 5)]),
        ("5rps:0.5h", [(0, 1800, 5, 5)]),
        ("5rps:20", [(0, 20, 5, 5)]),
        (" 10 rps : 20 s , 10 .. 80 rps : 1 m ", [(0, 20, 10, 10), (20, 60, 10, 80)]),
        ("10rps:1s,\n20rps:2s\n", [(0, 1, 10, 10), (1, 2, 20, 20)]),
        ("007rps:010s", [(0, 10, 7, 7)]),
    ],
)
def test_a_plan_of_rps_reads_as_written(
    text: str, expected: list[tuple[float, float, float, float]]
):
    plan = parse_plan(text)

    assert plan.unit == "rps"
    assert stages(plan) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3users:10s", [(0, 10, 3, 3)]),
        ("1..30users:1m", [(0, 60, 1, 30)]),
        ("2.0users:10s,0users:5s", [(0, 10, 2, 2), (10, 5, 0, 0)]),
    ],
)
def test_a_plan_of_users_reads_as_written(
    text: str, expected: list[tuple[float, float, float, float]]
):
    plan = parse_plan(text)

    assert plan.unit == "users"
    assert stages(plan) == expected


def test_a_repeated_plan_is_its_list_written_out():
    repeated = parse_plan("5rps:2s,20..40rps:3s", repeat=3)

    written_out = parse_plan(",".join(["5rps:2s,20..40rps:3s"] * 3))
    assert stages(repeated) == stages(written_out)
    assert (repeated.repeat, repeated.text) == (3, "5rps:2s,20..40rps:3s")


def test_the_length_and_the_highest_level_of_a_plan():
    plan = parse_plan("5rps:2s,20..40rps:3s,1rps:500ms")

    assert plan.duration_s == 5.5


@pytest.mark.parametrize(
    ("t_s", "at_s"),
    [(-0.1, None), (0.0, 0.0), (1.999, 0.0), (2.0, 2.0), (4.999, 2.0), (5.0, None), (99.0, None)],
)
def test_the_stage_at_a_moment_begins_with_its_edge_and_ends_before_the_next(
    t_s: float, at_s: float | None
):
    plan = parse_plan("5rps:2s,20rps:3s")

    stage = plan.stage_at(t_s)

    assert (stage.at_s if stage else None) == at_s


@pytest.mark.parametrize(
    ("t_s", "level"), [(1.0, 10.0), (2.0, 10.0), (3.0, 25.0), (6.0, 70.0), (8.0, 70.0)]
)
def test_the_level_of_a_ramp_is_linear_and_clamped_to_its_ends(t_s: float, level: float):
    ramp = parse_plan("1rps:2s,10..70rps:4s").stages[1]

    assert ramp.level_at(t_s) == pytest.approx(level)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 500), st.integers(1, 500), st.integers(1, 99), st.sampled_from("ms")
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 4),
)
def test_stages_follow_one_another_without_a_gap(
    parts: list[tuple[int, int, int, str]], repeat: int
):
    text = ",".join(f"{a}..{b}rps:{d}{scale}" for a, b, d, scale in parts)

    plan = parse_plan(text, repeat)

    seconds = [d * {"m": 60.0, "s": 1.0}[scale] for _, _, d, scale in parts]
    assert [s.duration_s for s in plan.stages] == seconds * repeat
    assert plan.stages[0].at_s == 0.0
    assert all(a.end_s == b.at_s for a, b in zip(plan.stages, plan.stages[1:], strict=False))
    assert plan.duration_s == pytest.approx(sum(seconds) * repeat)


# --- what cannot -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "stage", "reason"),
    [
        ("10rps:20s,", 'Stage 2 ""', "empty"),
        (",10rps:20s", 'Stage 1 ""', "empty"),
        ("10rps:20s,,5rps:1s", 'Stage 2 ""', "empty"),
        ("10rps", 'Stage 1 "10rps"', "LEVEL UNIT:DURATION"),
        ("5rps:1s,hello world", 'Stage 2 "hello world"', "LEVEL UNIT:DURATION"),
        ("10rps:20s:30s", 'Stage 1 "10rps:20s:30s"', "LEVEL UNIT:DURATION"),
        ("1e3rps:20s", 'Stage 1 "1e3rps:20s"', "LEVEL UNIT:DURATION"),
        ("10:20s", 'Stage 1 "10:20s"', "unit is missing"),
        ("5rps:1s,10qps:20s", 'Stage 2 "10qps:20s"', 'unknown unit "qps"'),
        ("10RPS:20s", 'Stage 1 "10RPS:20s"', 'unknown unit "RPS"'),
        ("rps:20s", 'Stage 1 "rps:20s"', 'level "" is not a number'),
        ("-5rps:20s", 'Stage 1 "-5rps:20s"', 'level "-5" is not a number of 0 or more'),
        ("1,5rps:20s", 'Stage 1 "1"', "LEVEL UNIT:DURATION"),
        ("1.2.3rps:20s", 'Stage 1 "1.2.3rps:20s"', 'level "1.2.3" is not a number'),
        ("..10rps:20s", 'Stage 1 "..10rps:20s"', 'level "" is not a number'),
        ("10..rps:20s", 'Stage 1 "10..rps:20s"', 'level "" is not a number'),
        ("1..2..3rps:20s", 'Stage 1 "1..2..3rps:20s"', "not a number"),
        ("10...20rps:20s", 'Stage 1 "10...20rps:20s"', 'level "10...20" is not a number'),
        ("10rps:", 'Stage 1 "10rps:"', "not a positive time"),
        ("10rps:-5s", 'Stage 1 "10rps:-5s"', '"-5s" is not a positive time'),
        ("10rps:0s", 'Stage 1 "10rps:0s"', "duration is 0"),
        ("10rps:0.0m", 'Stage 1 "10rps:0.0m"', "duration is 0"),
        ("10rps:20d", 'Stage 1 "10rps:20d"', 'unknown unit of time "d"'),
        ("10rps:20S", 'Stage 1 "10rps:20S"', 'unknown unit of time "S"'),
        ("9" * 400 + "rps:20s", "Stage 1 ", "too long"),
        ("5rps:" + "9" * 400 + "s", "Stage 1 ", "too long"),
        ("2.5users:20s", 'Stage 1 "2.5users:20s"', "level 2.5 is not a whole number of users"),
        (
            "0.5..3users:20s",
            'Stage 1 "0.5..3users:20s"',
            "level 0.5 is not a whole number of users",
        ),
    ],
)
def test_a_bad_stage_is_named_with_the_reason(text: str, stage: str, reason: str):
    message = error_of(text)

    assert stage in message
    assert reason in message


def test_mixed_units_name_the_first_stage_that_differs():
    message = error_of("10rps:20s,20rps:5s,3users:5s")

    assert 'Stage 3 "3users:5s" is in users but stage 1 is in rps' in message


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_an_empty_plan_is_refused_with_an_example(text: str):
    message = error_of(text)

    assert "empty" in message
    assert "10rps:20s" in message


@pytest.mark.parametrize("text", ["0rps:5s", "0rps:5s,0..0rps:2s", "0users:5s"])
def test_a_plan_whose_levels_are_all_0_is_refused(text: str):
    message = error_of(text)

    assert text in message
    assert "every level is 0" in message


@pytest.mark.parametrize("repeat", [0, -1])
def test_a_plan_that_never_runs_is_refused(repeat: int):
    assert f"--repeat {repeat}" in error_of("5rps:1s", repeat)


def test_too_many_stages_are_refused_before_they_are_written_out():
    assert "20,002" in error_of("5rps:1s,6rps:1s", repeat=10_001)
    assert len(parse_plan("5rps:1s,6rps:1s", repeat=5_000).stages) == 10_000


@given(st.text(alphabet="0123456789.,: rpsuemh-", max_size=30))
def test_any_text_is_a_plan_or_a_usage_error(text: str):
    try:
        plan = parse_plan(text)
    except UsageError as error:
        assert str(error)  # noqa: PT017  both outcomes are right; the error must say something
    else:
        assert plan.duration_s > 0
        assert any(max(stage.start_level, stage.end_level) > 0 for stage in plan.stages)


# --- load steps ------------------------------------------------------------------------------


def test_each_change_of_level_is_a_step_and_so_is_the_end():
    assert steps("10rps:20s,80rps:60s,10rps:60s", watched_until_s=170.0) == [
        (0, 20, 0, 10),
        (20, 80, 10, 80),
        (80, 140, 80, 10),
        (140, 170, 10, 0),
    ]


@pytest.mark.parametrize(
    ("text", "directions"),
    [
        ("10rps:2s,80rps:6s,10rps:6s", ["up", "up", "down", "down"]),
        ("0rps:2s,80rps:6s", ["none", "up", "down"]),
        ("80..20rps:6s", ["up", "down", "down"]),
        ("20..80rps:6s", ["up", "down"]),
    ],
)
def test_a_step_knows_where_the_load_goes(text: str, directions: list[str]):
    assert [step.direction for step in parse_plan(text).steps(0.0)] == directions


def test_a_ramp_is_one_step_that_begins_with_the_ramp():
    assert steps("10rps:20s,10..80rps:60s,10rps:5s")[:2] == [(0, 20, 0, 10), (20, 80, 10, 80)]


def test_the_constant_stage_after_a_ramp_belongs_to_its_hold():
    assert steps("10..80rps:60s,80rps:40s,10rps:5s") == [
        (0, 100, 0, 80),
        (100, 105, 80, 10),
        (105, 105, 10, 0),
    ]


def test_a_ramp_after_a_ramp_is_a_step_of_its_own():
    assert steps("0..40rps:10s,40..80rps:10s") == [
        (0, 10, 0, 40),
        (10, 20, 40, 80),
        (20, 20, 80, 0),
    ]


def test_a_jump_against_its_ramp_is_a_step_of_its_own_for_the_first_half_of_the_ramp():
    assert steps("10rps:20s,100..10rps:40s,10rps:5s") == [
        (0, 20, 0, 10),
        (20, 40, 10, 100),
        (40, 65, 100, 10),
        (65, 65, 10, 0),
    ]
    assert steps("10rps:20s,2..10rps:6s")[1:3] == [(20, 23, 10, 2), (23, 26, 2, 10)]


def test_a_jump_in_the_direction_of_its_ramp_is_one_step_with_it():
    assert steps("10rps:20s,50..100rps:40s")[1] == (20, 60, 10, 100)


def test_repeated_equal_levels_are_one_hold():
    assert steps("10rps:20s,10rps:20s,10..10rps:5s,20rps:5s") == [
        (0, 45, 0, 10),
        (45, 50, 10, 20),
        (50, 50, 20, 0),
    ]


def test_a_plan_that_ends_at_level_0_has_no_further_step():
    assert steps("10rps:20s,0rps:10s", watched_until_s=60.0) == [(0, 20, 0, 10), (20, 60, 10, 0)]


def test_the_hold_of_the_last_step_ends_where_watching_did_but_not_before_the_plan():
    assert steps("10rps:20s", watched_until_s=65.5)[-1] == (20, 65.5, 10, 0)
    assert steps("10rps:20s", watched_until_s=3.0)[-1] == (20, 20, 10, 0)


def test_a_repeated_plan_steps_back_at_each_turn():
    found = parse_plan("5rps:2s,20rps:3s", repeat=2).steps(10.0)

    assert [(s.at_s, s.from_level, s.to_level) for s in found] == [
        (0, 0, 5),
        (2, 5, 20),
        (5, 20, 5),
        (7, 5, 20),
        (10, 20, 0),
    ]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_holds_follow_one_another_from_start_to_end(levels: list[tuple[int, int]]):
    text = ",".join(f"{a}..{b}rps:{i + 1}s" for i, (a, b) in enumerate([*levels, (1, 1)]))

    found = parse_plan(text).steps(1000.0)

    assert found[0].at_s == 0.0
    assert found[-1].hold_until_s == 1000.0
    assert all(
        (a.hold_until_s, a.to_level) == (b.at_s, b.from_level) for a, b in itertools.pairwise(found)
    )


def test_a_level_beyond_a_million_is_refused():
    with pytest.raises(UsageError, match=r'Stage 2 "2000000rps:5s".*over 1,000,000'):
        parse_plan("1000000rps:1s,2000000rps:5s")
