"""The load that the options ask for: stages, or a trace."""

import msgspec
import pytest

from scalelag.errors import UsageError
from scalelag.options.catalog import DEFAULT_STEPS, OPTIONS
from scalelag.options.run_options import Handed, RunOptions, run_options
from scalelag.plan.schedule import Schedule
from scalelag.plan.stages import parse_plan


@pytest.fixture
def trace(tmp_path) -> str:
    path = tmp_path / "mine.csv"
    path.write_text("arrival_s\n7\n7.25\n7.5\n")
    return str(path)


def asked(schedule: Schedule | None = None, **given: object) -> RunOptions:
    """Our options if only these are given."""
    return run_options({option.dest: option.default for option in OPTIONS} | given, schedule)


def refusal(**given: object) -> str:
    with pytest.raises(UsageError) as caught:
        asked(**given)
    return str(caught.value)


def test_without_a_trace_it_is_the_steps():
    options = asked(steps="10rps:2s", repeat=3, arrivals="poisson", seed=5)

    assert options.schedule == Schedule(parse_plan("10rps:2s", 3), "poisson", 5)
    assert options.trace is None


def test_a_trace_takes_the_place_of_the_steps(trace):
    options = asked(trace=trace)

    assert options.plan.text == "trace mine.csv"
    assert [block.tolist() for block in options.schedule.blocks()] == [[0, 0.25, 0.5]]
    assert options.trace is not None
    assert msgspec.to_builtins(options.trace) == {
        "file": "mine.csv",
        "kind": "arrivals",
        "column": "arrival_s",
        "time_column": None,
        "rows": 3,
    }


def test_the_default_of_the_steps_may_be_written_out_and_others_may_not(trace):
    assert asked(trace=trace, steps=DEFAULT_STEPS).trace is not None
    assert refusal(trace=trace, steps="10rps:2s") == "--steps and --trace: give one of the two."


def test_on_the_page_the_steps_may_be_emptied_for_a_trace_and_only_then(trace):
    assert asked(trace=trace, steps="").trace is not None
    assert "--steps: The load plan is empty." in refusal(trace="", steps="")


def test_fields_left_empty_on_the_page_are_not_given(trace):
    assert asked(trace=trace, trace_column="", trace_time_column="").trace is not None
    assert asked(trace="", trace_column="", trace_time_column="").trace is None


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"trace_column": "x"}, "--trace-column"),
        ({"trace_kind": "rates"}, "--trace-kind"),
        ({"trace_time_column": "t"}, "--trace-time-column"),
    ],
)
def test_what_describes_a_trace_is_refused_without_one(given, flag):
    assert refusal(**given) == f"{flag} goes with --trace."


def test_the_options_of_a_trace_reach_its_reader(trace):
    assert 'no column "x"' in refusal(trace=trace, trace_column="x")
    assert '0 hold numbers beside "arrival_s"' in refusal(
        trace=trace, trace_time_column="arrival_s"
    )
    rates = asked(trace=trace, trace_kind="rates", trace_column="arrival_s")
    assert rates.schedule.count() == 22  # 7 + 7.25 + 7.5, rounded up
    assert "which are replayed as they are" in refusal(trace=trace, arrivals="poisson")
    assert asked(trace=trace, repeat=2).schedule.count() == 6


def test_a_process_that_is_led_needs_no_trace(tmp_path):
    given = Schedule(parse_plan("10rps:2s")).share(1, 2)

    handed = Handed(given, {"body_file": b"there"})

    options = asked(
        handed, trace=str(tmp_path / "on-another-machine.csv"), body_file=str(tmp_path / "neither")
    )

    assert options.schedule == given
    assert options.request.body == b"there"
