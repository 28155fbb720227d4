"""The load that the options ask for: stages, or a trace."""

import msgspec
import pytest

from scalelag.errors import UsageError
from scalelag.options.catalog import DEFAULT_STEPS, OPTIONS
from scalelag.options.run_options import LoadOptions, RunOptions, run_options
from scalelag.plan.schedule import Schedule
from scalelag.plan.stages import parse_plan


@pytest.fixture
def trace(tmp_path) -> str:
    path = tmp_path / "mine.csv"
    path.write_text("arrival_s\n7\n7.25\n7.5\n")
    return str(path)


def asked(**given: object) -> RunOptions:
    """Our options if only these are given."""
    return run_options({option.dest: option.default for option in OPTIONS} | given)


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
    assert len(options.trace.sha256 or "") == 64
    assert {
        "unit": "s",
        "requests": 3,
        "span_s": 0.5,
        "peak_rps": 3.0,
        "rows_left": 0,
        "rate_scale": 1.0,
        "time_scale": 1.0,
        "file": "mine.csv",
        "kind": "arrivals",
        "column": "arrival_s",
        "time_column": None,
        "rows": 3,
    }.items() <= msgspec.to_builtins(options.trace).items()


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


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"scale": "D"}, "--scale"),
        ({"calibration": "c.json"}, "--calibration"),
        ({"rate": 2.0}, "--rate"),
    ],
)
def test_options_of_replicas_are_refused_beside_a_trace(trace, given, flag):
    assert refusal(trace=trace, **given).startswith(f"{flag} goes with --steps in replicas")


def test_the_options_of_a_trace_reach_its_reader(trace):
    assert 'no column "x"' in refusal(trace=trace, trace_column="x")
    assert '0 hold numbers beside "arrival_s"' in refusal(
        trace=trace, trace_time_column="arrival_s"
    )
    rates = asked(trace=trace, trace_kind="rates", trace_column="arrival_s")
    assert rates.schedule.count() == 22  # 7 + 7.25 + 7.5, rounded up
    assert "which are replayed as they are" in refusal(trace=trace, arrivals="poisson")
    assert asked(trace=trace, repeat=2).schedule.count() == 6


def test_a_worker_gets_its_share_typed_and_needs_none_of_the_files(tmp_path):
    body, rows = tmp_path / "body", tmp_path / "rows.jsonl"
    body.write_bytes(b"{{ row | tojson }}")
    rows.write_text('{"id": 1, "tags": ["a"]}\n')
    options = asked(steps="10rps:2s", body_file=str(body), data=str(rows), models="a,b")

    wire = msgspec.to_builtins(options.for_share(1, 2), builtin_types=(bytes,))
    received = msgspec.convert(wire, LoadOptions)

    assert received == options.for_share(1, 2)
    assert type(received) is LoadOptions
    assert received.schedule == options.schedule.share(1, 2)
    assert received.request.payloads().of(0).body == b'{"id": 1, "tags": ["a"]}'


def test_values_are_typed_and_the_record_has_them_as_they_were_given():
    options = asked(observer_budget="5%", slo="p95<200ms", method="post", gate=["probe.gaps <= 1"])

    assert options.observer_budget_ratio == 0.05
    assert options.slo is not None
    assert (options.slo.quantile, options.slo.limit_s) == (0.95, 0.2)
    assert options.request.method == "POST"
    assert [gate.limit for gate in options.gates if not gate.default] == [1.0]
    assert options.raw["observer_budget"] == "5%"
    assert options.raw["gate"] == ["probe.gaps <= 1"]


@pytest.mark.parametrize("method", ["GE T", "GET / HTTP/1.1\r\nX-In: 1\r\n\r\nGET", "", "GÉT"])
def test_a_method_that_http_does_not_have_is_refused_before_the_load(method):
    with pytest.raises(UsageError, match=r"--method.*one word"):
        run_options({"method": method})


def test_a_method_is_written_in_capitals():
    assert run_options({"method": "purge"}).request.method == "PURGE"


@pytest.mark.parametrize("warmup_s", [30.0, 5000.0])
def test_a_warm_up_that_leaves_nothing_of_the_load_is_refused(warmup_s):
    with pytest.raises(UsageError, match=r"--warmup.*of a load of 30 s"):
        run_options({"steps": "1rps:30s", "warmup": warmup_s})


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"steps": "5rps:1s"}, "--steps"),
        ({"trace": "t.csv"}, "--trace"),
        ({"repeat": 2}, "--repeat"),
        ({"arrivals": "poisson"}, "--arrivals"),
        ({"rate": 3.0}, "--rate"),
        ({"trace_column": "x"}, "--trace-column"),
        ({"rate_scale": 0.5}, "--rate-scale"),
    ],
)
def test_options_of_a_plan_are_refused_beside_a_shape_class(given, flag):
    with pytest.raises(UsageError) as caught:
        run_options(given, shape="Waves")

    assert str(caught.value).startswith(f"{flag}: the shape class Waves of the locustfile drives")


def test_a_seed_and_defaults_go_with_a_shape_class():
    options = run_options(
        {"seed": 4, "arrivals": "constant", "repeat": 1, "trace": "", "steps": DEFAULT_STEPS},
        shape="Waves",
    )

    assert options.shape == "Waves"
