"""Goodput against an oracle over scripted token times."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.load.goodput import Limits, scaling_windows
from reports.analysis.load.latency import Circumstances, load_report
from reports.analysis.load.slo import parse_slo, recorded_slos
from reports.analysis.metrics import metric_names
from reports.model.intervals import Span, Window, longer_than
from reports.model.load import LoadReport
from reports.model.steps import StepReport
from reports.render.tables.load import goodput_table
from scalelag.errors import UsageError
from scalelag.plan.stages import parse_plan
from scalelag.record.requests_file import RequestColumns, StreamColumns

ZERO_S = 1_795_371_900.0
LIMITS = ("ttft<500ms", "itl<50ms", "p95<2s")


class Script(msgspec.Struct, frozen=True):
    """An answer: due at, and its tokens at so many seconds after that; none: it is no stream."""

    due_s: float
    tokens_s: tuple[float, ...] | None
    done_s: float
    error: bool = False


def rows_of(scripts: list[Script]) -> RequestColumns:
    streams = [(n, s.tokens_s) for n, s in enumerate(scripts) if s.tokens_s is not None]
    nan = float("nan")
    return RequestColumns(
        intended_s=np.array([ZERO_S + s.due_s for s in scripts]),
        send_lag_s=np.zeros(len(scripts), np.float32),
        latency_s=np.array([s.done_s for s in scripts], np.float32),
        status=np.full(len(scripts), 200, np.uint16),
        name=np.zeros(len(scripts), np.int32),
        error=np.array([0 if s.error else -1 for s in scripts], np.int32),
        worker=np.zeros(len(scripts), np.uint16),
        names=("/",),
        errors=("boom",),
        streams=StreamColumns(
            row=np.array([n for n, _ in streams], np.uint32),
            first_token_s=np.array([t[0] if t else nan for _, t in streams], np.float32),
            tokens=np.array([len(t) for _, t in streams], np.uint32),
            token_gap_max_s=np.array(
                [max(np.diff(t)) if len(t) > 1 else nan for _, t in streams], np.float32
            ),
            last_token_s=np.array([t[-1] if t else nan for _, t in streams], np.float32),
            timed_tokens=np.array([len(t) for _, t in streams], np.uint32),
        ),
    )


def load_of(
    scripts: list[Script],
    plan: str,
    *limits: str,
    planned: int | None = None,
    scaling: dict[int, list[Window]] | None = None,
) -> LoadReport:
    stages = parse_plan(plan)
    return load_report(
        rows_of(scripts),
        planned,
        stages.steps(stages.duration_s),
        stages.unit,
        ZERO_S,
        Circumstances(
            limits=Limits(tuple(parse_slo(limit) for limit in limits or LIMITS), scaling or {})
        ),
    )


def is_good(script: Script) -> bool:
    """The oracle: the script's own times against 500 ms, 50 ms and 2 s."""
    tokens_s = script.tokens_s
    if script.error or script.done_s > 2:
        return False
    if tokens_s is None:
        return True
    if not tokens_s or tokens_s[0] > 0.5:
        return False
    return len(tokens_s) < 2 or (tokens_s[-1] - tokens_s[0]) / (len(tokens_s) - 1) <= 0.05


TOKENS = st.tuples(
    st.sampled_from([0.1, 0.4, 0.6, 0.9]),
    st.sampled_from([0.01, 0.04, 0.06, 0.2]),
    st.integers(1, 9),
).map(lambda one: tuple(one[0] + n * one[1] for n in range(one[2])))
SCRIPTS = st.lists(
    st.builds(
        Script,
        st.integers(0, 39).map(lambda tick: tick / 2 + 0.1),
        st.none() | st.just(()) | TOKENS,
        st.sampled_from([0.5, 1.9, 2.1, 9.0]),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
).map(lambda scripts: sorted(scripts, key=lambda one: one.due_s))


@given(SCRIPTS, st.sampled_from([0.0, 3.0, 7.5]))
def test_goodput_is_that_of_the_oracle_by_step_and_while_replicas_scale(
    scripts: list[Script], scaled_s: float
):
    # Limits on tokens need an answer that was streamed.
    scripts = [Script(0.0, (0.1, 0.12), 0.2), *scripts]

    load = load_of(scripts, "2rps:10s,4rps:10s", scaling={1: [Window(10.0, 10.0 + scaled_s)]})

    for step, (from_s, to_s) in zip(load.steps, [(0, 10), (10, 20)], strict=True):
        inside = [is_good(one) for one in scripts if from_s <= one.due_s < to_s]
        found = step.goodput
        assert found is not None
        assert (found.good, found.planned) == (sum(inside), len(inside))
        assert found.rps == sum(inside) / 10
        assert found.ratio == (sum(inside) / len(inside) if inside else None)
    while_s = [is_good(one) for one in scripts if 10 <= one.due_s < 10 + scaled_s]
    after_s = [is_good(one) for one in scripts if 10 + scaled_s <= one.due_s < 20]
    found = load.steps[1].goodput
    assert found is not None
    assert found.scaling_s == scaled_s
    assert found.while_scaling_ratio == (sum(while_s) / len(while_s) if while_s else None)
    assert found.while_scaling_rps == (sum(while_s) / scaled_s if scaled_s else None)
    assert found.otherwise_ratio == (sum(after_s) / len(after_s) if after_s else None)
    whole = load.goodput
    assert whole is not None
    assert whole.good == sum(map(is_good, scripts))
    assert whole.scaling_s == scaled_s


@pytest.mark.parametrize(
    ("limit", "good"),
    [
        ("ttft<500ms", 3),
        ("ttft<100ms", 1),
        ("itl<50ms", 2),
        ("tpot<=0.05s", 2),
        ("gap<100ms", 3),
        ("latency<2s", 2),
        ("e2e<1s", 1),
        ("p95<2s", 2),
        ("max<100s", 4),
    ],
)
def test_each_limit_holds_for_each_request_alone(limit: str, good: int):
    scripts = [
        Script(0.0, (0.05, 0.1, 0.15), 0.2),
        Script(1.0, (0.2, 0.24, 0.28), 1.5),
        Script(2.0, (0.3, 0.32, 0.8), 9.0),
        Script(3.0, (0.9, 0.99), 50.0),
    ]
    found = load_of(scripts, "1rps:4s", limit).goodput

    assert found is not None
    assert found.good == good


def test_requests_without_a_row_are_planned_and_not_good():
    found = load_of([Script(0.0, None, 0.2)], "1rps:4s", "p95<1s", planned=4).goodput

    assert found is not None
    assert (found.good, found.planned, found.ratio) == (1, 4, 0.25)


def test_limits_on_tokens_without_any_stream_are_not_measured():
    load = load_of([Script(0.0, None, 0.2)], "1rps:4s", "ttft<1s")

    assert load.goodput is not None
    assert (load.goodput.ratio, load.goodput.good) == (None, 0)
    assert load.goodput.reason == "no answer was streamed, so that there are no times of tokens"
    table = goodput_table(load)
    assert table is not None
    assert table.note == load.goodput.reason


def test_without_limits_there_is_no_goodput():
    stages = parse_plan("1rps:4s")
    load = load_report(
        rows_of([Script(0.0, None, 0.2)]), None, stages.steps(4), stages.unit, ZERO_S
    )

    assert (load.goodput, load.limits, goodput_table(load)) == (None, (), None)


def step(
    index: int, at_s: float, total_s: Span | None, settled_s: Span | None = None
) -> StepReport:
    return StepReport(
        index, "up", at_s, 30.0, 1, 2, "rps", 1, 2, 1, 2, total_s=total_s, settled_s=settled_s
    )


def test_replicas_scale_from_the_step_until_its_last_target_is_reached():
    steps = (
        step(0, 0.0, None),
        step(1, 30.0, Span(5.0, 4.0, 6.0)),
        step(2, 60.0, Span(5.0, 4.0, 6.0), Span(9.0, 8.0, 10.0)),
        step(3, 90.0, longer_than(30.0)),
    )

    class Deployment:
        def __init__(self, steps: tuple[StepReport, ...]) -> None:
            self.steps = steps

    other = Deployment((step(1, 30.0, Span(2.0, 1.0, 12.0)),))

    assert scaling_windows([Deployment(steps), other]) == {  # pyright: ignore[reportArgumentType]
        1: (Window(30.0, 42.0),),
        2: (Window(60.0, 70.0),),
        3: (Window(90.0, 120.0),),
    }


def test_gates_can_name_it():
    assert {
        "requests.goodput.ratio",
        "requests.goodput.rps",
        "requests.goodput.while_scaling_ratio",
        "requests.steps.N.goodput.ratio",
    } <= set(metric_names())


def test_limits_of_any_record_are_read():
    assert [one.text for one in recorded_slos("p95<200ms")] == ["p95<200ms"]
    assert [one.text for one in recorded_slos(["ttft<1s", "p95<200ms"])] == ["ttft<1s", "p95<200ms"]
    assert recorded_slos(None) == recorded_slos("") == recorded_slos([]) == ()


@pytest.mark.parametrize("text", ["ttft", "ttft<5", "ttft<0ms", "tft<5ms", "ttft>5ms", "itl<-1s"])
def test_what_is_no_limit_is_refused(text: str):
    with pytest.raises(UsageError, match=r"NAME<LIMIT, such as ttft<500ms"):
        parse_slo(text)


def test_the_table_says_all():
    table = goodput_table(load_of([Script(0.0, (0.1, 0.14), 0.2)], "1rps:4s"))

    assert table is not None
    assert table.caption == (
        "Goodput: requests within ttft<500ms, itl<50ms, p95<2s, of all that were planned"
    )
    assert table.rows[-1][:6] == ("all", "", "1", "1", "100.0 %", "0.2")
