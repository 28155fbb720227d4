"""Lines that a comparison draws: medians of stairs, of the runs that were watched then."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.analyse import analyse
from reports.analysis.comparing.curves import compared_lines, median_line, run_lines
from reports.model.charts import Band
from reports.model.comparison import Line
from scalelag.record.run_dir import load_run

STORED = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"


def value_at(line: Line, at_s: float) -> float | None:
    """By reading on, from the left."""
    if not line.times_s or at_s < line.times_s[0] or at_s >= line.end_s:
        return None
    return [
        value for since_s, value in zip(line.times_s, line.values, strict=True) if since_s <= at_s
    ][-1]


@pytest.fixture(scope="module")
def demo():
    return run_lines(analyse(load_run(STORED)).charts)


def test_a_line_keeps_its_value_until_the_next_and_has_none_beyond():
    line = Line((1.0, 3.0), (5.0, None), 4.0)

    found = line.at(np.array([0.9, 1.0, 2.9, 3.0, 4.0]))

    assert found.tolist() == pytest.approx([np.nan, 5, 5, np.nan, np.nan], nan_ok=True)


def test_of_two_values_at_one_moment_the_last_counts():
    assert Line((0.0, 0.0), (1.0, 2.0), 4.0).at(np.array([0.0])).tolist() == [2]


def test_the_median_changes_where_one_of_the_lines_does():
    found = median_line(
        [
            Line((0.0, 4.0), (1.0, 7.0), 10.0),
            Line((0.0, 5.0), (1.0, 3.0), 10.0),
            Line((0.0, 6.0), (1.0, 5.0), 10.0),
        ]
    )

    assert found == Line((0.0, 4.0, 5.0, 6.0), (1.0, 1.0, 3.0, 5.0), 10.0)


def test_where_fewer_than_half_are_known_there_is_no_median():
    found = median_line([Line((0.0,), (v,), end_s) for v, end_s in ((1.0, 3), (2.0, 5), (6.0, 9))])

    assert (found.times_s, found.end_s) == ((0.0, 3.0, 5.0), 9.0)
    assert found.values == (2.0, 4.0, None)


lines = st.lists(st.integers(0, 9), min_size=1, max_size=8).map(
    lambda values: Line(
        tuple(float(i) for i in range(len(values))),
        tuple(map(float, values)),
        float(len(values)),
    )
)


@given(st.lists(lines, min_size=1, max_size=5), st.integers(0, 8))
def test_the_median_is_that_of_the_values_at_each_moment(of, second):
    at_s = second + 0.5
    known = [value for line in of if (value := value_at(line, at_s)) is not None]

    found = value_at(median_line(of), at_s)

    assert found == (float(np.median(known)) if known and 2 * len(known) >= len(of) else None)


def test_very_many_changes_are_sampled():
    busy = Line(tuple(i / 10 for i in range(5000)), tuple(float(i) for i in range(5000)), 500.0)

    found = median_line([busy, busy], most=100)

    assert len(found.times_s) == 100
    assert found.values == tuple(float(i * 50) for i in range(100))


def test_one_run_a_side_is_drawn_as_it_is(demo):
    found = compared_lines([demo], [demo])

    running = found.base.replicas[KEY]["running"]
    assert running.runs == ()
    assert running.median == demo.replicas[KEY]["running"]
    # What the stored polls show, read from replicas.jsonl: 4 at 16.1 s, 1 again at 36.6 s.
    assert value_at(running.median, 20.0) == 4
    assert value_at(running.median, 38.0) == 1
    assert found.thinned == ()


def test_of_very_many_runs_some_are_drawn_and_that_is_said(demo):
    found = compared_lines([demo] * 12, [demo] * 4)

    assert len(found.base.load["completed_rps"].runs) == 8
    assert len(found.candidate.load["completed_rps"].runs) == 4
    assert found.thinned == ("of the 12 runs of the base 8 are drawn; the median is of all",)


def test_a_deployment_that_one_side_has_not_is_drawn_of_the_other(demo):
    renamed = msgspec.structs.replace(demo, replicas={"default/New": demo.replicas[KEY]})

    found = compared_lines([demo], [renamed])

    assert found.deployments == (KEY, "default/New")
    assert set(found.base.replicas) == {KEY}
    assert set(found.candidate.replicas) == {"default/New"}


def test_the_longest_run_and_what_was_unseen_in_any_are_shown(demo):
    longer = msgspec.structs.replace(demo, end_s=200.0, unseen=(Band(3.0, 4.0, "503"),))

    found = compared_lines([demo], [longer])

    assert found.end_s == 200.0
    assert found.unseen == (Band(3.0, 4.0, "503"),)


def test_many_deployments_are_drawn_in_part_and_that_is_said(demo):
    many = msgspec.structs.replace(
        demo, replicas={f"app/{i}": demo.replicas[KEY] for i in range(15)}
    )

    found = compared_lines([many], [many])

    assert len(found.deployments) == len(found.base.replicas) == 12
    assert found.thinned == ("3 more scaling deployments not drawn",)
