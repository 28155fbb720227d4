"""The soak: what counts as flat, and its part of docs/reliability.md."""

import xml.etree.ElementTree as ET

import msgspec
import numpy as np
import pytest

from scalelag.record.error_kinds import NOT_SENT
from tests.support.standin.payload import payload_at
from tests.unit.request_rows import NAN, columns
from tools.soak.flat import ALL, BOUNDS, Curve, most_open, problems, spare_files, thinned, trend_of
from tools.soak.page import PAGE, picture_of, stored, text_of
from tools.soak.picture import drawn, label_places, round_up
from tools.soak.scene import FEW, MANY, Plan, swinging

HOUR_S = np.arange(0.0, 3600.0, 5.0)


def curve(values, figure="resident"):
    return Curve("load process", figure, tuple(float(one) for one in values))


def test_growth_is_told_per_hour_whatever_the_length_of_the_soak():
    for length_s in (180.0, 3600.0, 36_000.0):
        at_s = np.linspace(0.0, length_s, 400)

        trend = trend_of(at_s, curve(100 + 12 * at_s / 3600))

        assert trend.growth_per_hour == pytest.approx(12, rel=0.02)
        assert not trend.is_flat


def test_what_is_filled_at_the_start_and_a_peak_are_no_growth():
    values = 100 + 30 * np.minimum(HOUR_S / 800, 1)
    values[600:610] += 500

    trend = trend_of(HOUR_S, curve(values))

    assert (trend.second, trend.last, trend.growth_per_hour) == (130, 130, 0)
    assert problems([trend]) == []


def test_a_file_more_a_minute_is_found_and_said():
    (said,) = problems([trend_of(HOUR_S, curve(20 + HOUR_S // 60, "spare"))])

    assert said.startswith("load process: spare grew from 42.0 to 72.0 open files: 60.1 an hour")


def test_connections_of_requests_that_were_open_at_once_are_no_growth_and_a_file_beside_is():
    """Two at once from 10 s on, three from 20 s on, of one process; one of another."""
    rows = columns(
        [
            (10.0, 0.0, 5.0, 200, "/", None, 0),
            (11.0, 0.0, 1.0, 200, "/", None, 0),
            (11.5, 0.0, 1.0, 200, "/", None, 1),
            (20.0, 0.0, 1.0, 200, "/", None, 0),
            (20.1, 0.0, 1.0, 200, "/", None, 0),
            (20.2, 0.0, 1.0, 200, "/", None, 0),
            (21.5, 0.0, 1.0, 200, "/", None, 0),
            (22.0, NAN, NAN, 0, "/", NOT_SENT, 0),
        ],
        [],
        [],
    )
    at_s = [9.0, 10.5, 12.0, 30.0]
    files = [
        Curve("a", "files", (7.0, 8.0, 9.0, 10.0)),
        Curve("b", "files", (7.0, 7.0, 8.0, 9.0)),
    ]

    assert most_open(rows, at_s).tolist() == [0, 1, 3, 4]
    assert spare_files(at_s, files, rows).values == (14, 14, 14, 15)


@pytest.mark.parametrize("figure", BOUNDS)
def test_growth_up_to_the_bound_is_flat_and_beyond_it_is_not(figure):
    at = [trend_of(HOUR_S, curve(HOUR_S / 3600 * BOUNDS[figure] * by, figure)) for by in (0.9, 1.1)]

    assert [one.is_flat for one in at] == [True, False]


def test_a_process_that_ended_is_not_flat():
    ended = Curve("worker 1", "resident", (*(100.0,) * 719, None))

    trend = trend_of(HOUR_S, ended)

    assert not trend.is_flat
    assert problems([trend]) == ["worker 1: it ended, or was watched too shortly"]


def test_a_thinned_curve_keeps_its_ends():
    assert thinned(range(10), 4) == [0, 3, 6, 9]
    assert thinned([1, 2], 4) == [1, 2]


def test_replicas_of_the_stand_in_follow_every_step_and_are_back_before_the_next():
    plan = Plan(20, 40, 18, 3)
    script = swinging(plan, 5.0)

    def running(at_s):
        replicas = payload_at(script, at_s)["applications"]["default"]["deployments"]["Model"][
            "replicas"
        ]
        return sum(one["state"] == "RUNNING" for one in replicas), len(replicas)

    ends_s = [5.0 + plan.hold_s * (n + 1) - 0.1 for n in range(2 * plan.times)]
    assert [running(at_s) for at_s in ends_s] == [(FEW, FEW), (MANY, MANY)] * plan.times
    assert plan.seconds == 108


def test_the_picture_has_a_line_of_each_process_in_both_panels():
    at_s = [0.0, 5.0, 10.0]
    curves = [
        Curve(name, figure, (10.0, 20.0, None))
        for name in ("load process", "probe process")
        for figure in ("resident", "files", "threads")
    ]

    picture = ET.fromstring(drawn(at_s, curves))

    lines = picture.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4
    assert all(len(one.attrib["points"].split()) == 2 for one in lines)


def test_labels_are_not_drawn_over_one_another():
    assert label_places([30.0, 10.0, 12.0, 80.0]) == [40.0, 10.0, 25.0, 80.0]


def test_scales_end_at_round_numbers_above_the_most():
    assert [round_up(most) for most in (1, 23, 61, 130, 801)] == [1, 40, 80, 200, 1000]


def test_the_page_and_its_pictures_have_the_stored_soaks_and_all_is_flat():
    soaks = stored()

    assert {one.target for one in soaks} == {"stand-in", "real Ray"}
    assert [problem for one in soaks for problem in problems(one.trends)] == []
    assert text_of(soaks) in PAGE.read_text(encoding="utf-8")
    for one in soaks:
        assert picture_of(one).read_text(encoding="utf-8") == drawn(one.at_s, one.curves)
        processes = {trend.process for trend in one.trends}
        assert processes >= {"probe process", "page", ALL}
        assert processes & {"worker 2", "load process"}


def test_a_soak_that_is_not_flat_is_shown_as_such():
    grown = trend_of(HOUR_S, curve(100 + HOUR_S / 100))
    one = msgspec.structs.replace(stored()[0], trends=(grown,))

    text = text_of([one])

    assert "Not flat." in text
    assert "**113.5 → 131.5 (+36.1)**" in text
