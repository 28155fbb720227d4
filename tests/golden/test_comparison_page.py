"""The page of a comparison: as expected for the two stored runs, and read for what it must say."""

import functools
import json
import re
from itertools import pairwise

import msgspec
import numpy as np
import plotly.graph_objects as go
import pytest

from reports.analysis.charts.of_run import MOST_CHANGES
from reports.analysis.comparing.curves import RunLines, compared_lines
from reports.model.comparison import Line
from tests.golden.expected_files import EXPECTED, checked
from tests.golden.rendered import PLOTLY
from tests.support.built import sides
from tests.support.built.drawn import HOSTILE
from tests.support.page import Page, structure

NAMES = tuple(sides.BUILT)
SIX_MB = 6_000_000


@functools.cache
def compared(name: str) -> sides.ComparedSides:
    return sides.BUILT[name]()


@functools.cache
def text_of(name: str) -> str:
    return compared(name).page(PLOTLY).decode()


def figures_in(text: str) -> dict[str, dict]:
    data = next(one for one in Page(text).scripts if one.startswith("[{"))
    return {figure["id"]: figure for figure in json.loads(data)}


def test_the_comparison_of_the_stored_runs_is_as_expected():
    checked(EXPECTED / "comparison" / "stored.html", structure(text_of("stored").encode()))


# --- as every page ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_elements_are_closed_ids_are_one_of_a_kind_and_names_lead_somewhere(name):
    found = Page(text_of(name))

    ids = [attributes["id"] for _, attributes in found.found if "id" in attributes]
    named = [
        id_
        for _, attributes in found.found
        for key in ("aria-labelledby", "for")
        for id_ in (attributes.get(key) or "").split()
    ]
    links = [(a["href"] or "").removeprefix("#") for a in found.all("a")]
    assert found.open == []
    assert len(ids) == len(set(ids))
    assert set(named) | set(links) <= set(ids)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_blank_and_nothing_is_fetched(name):
    text = text_of(name)
    found = Page(text)

    refers = [
        value
        for _, attributes in found.found
        for key, value in attributes.items()
        if key in ("src", "href", "action", "data", "poster", "srcset")
    ]
    assert not re.search(r"\bNone\b|\bnan\b", found.text)
    assert [value for value in refers if not (value or "").startswith("#")] == []
    (policy,) = (m["content"] or "" for m in found.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_told_in_words_tables_have_captions_and_headings_their_order(name):
    found = Page(text_of(name))

    plots = [a for a in found.all("div") if a.get("role") == "img"]
    levels = [int(tag[1]) for tag, _ in found.found if re.fullmatch(r"h[1-6]", tag)]
    assert len(plots) == len(found.all("figure")) >= 2
    assert all(len((a["aria-label"] or "").split()) >= 8 for a in plots)
    assert len(found.all("table")) == len(found.all("caption"))
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert [len(found.all(tag)) for tag in ("main", "header", "nav", "footer")] == [1, 1, 1, 1]


# --- names from outside ----------------------------------------------------------------------


def test_text_from_outside_makes_no_element_and_is_isolated():
    text = text_of("hostile")

    found = Page(text)
    assert len(found.all("script")) == 3
    assert found.all("red") == []
    assert [c for c in text if c in "\u202e\x1b\u2028\u2029"] == []
    assert found.text.count(HOSTILE) >= 10
    bodies = text.replace("\n", " ")
    escaped = re.escape("[red]x[/red]&lt;script&gt;")
    starts = re.findall(rf"(.{{5}}){escaped}", bodies)
    # The others stand behind words of ours, in one bdi with them or in the label of a chart.
    assert sum(start == "<bdi>" for start in starts) >= 9


def test_names_in_charts_are_text():
    figures = figures_in(text_of("hostile"))

    names = [one["text"] for one in figures["ratios"]["layout"]["annotations"]]
    hovers = [text for trace in figures["ratios"]["data"] for text in trace["text"]]
    assert all("<" not in text for text in (*names, *hovers))
    assert any("&lt;script&gt;" in text for text in hovers)


# --- what it says ----------------------------------------------------------------------------


def test_verdict_evidence_and_both_sides_come_first():
    text = Page(text_of("five")).text

    top = text[: text.index("Skip") + 1500]
    assert "REGRESSION candidate against base" in top
    assert "5 runs against 5; the smallest p that they can give is 0.0079." in top
    for side in ("base", "candidate"):
        assert all(f"{side}/20261122-17450{i}-nightly" in top for i in range(5))


def test_what_differs_is_said_and_how_curves_are_aligned_then():
    text = Page(text_of("stored")).text

    assert "plan: 5rps:10s,40rps:20s,5rps:20s and 4rps:3s,25rps:12s" in text
    assert "The plans differ: each run is drawn from the start of its own" in text
    assert "Both sides ran one plan" in Page(text_of("five")).text


def test_figures_that_cannot_be_compared_are_there_with_their_reason():
    text = Page(text_of("stored")).text

    assert "CANNOT BE TOLD candidate against base" in text
    assert "One run a side cannot tell a slower build from an unlucky run" in text
    assert "No figure could be compared." in text
    assert re.search(r"load\.latency_p99_ms ?: ?cannot be told with 2 steps; 6 steps can", text)


def test_every_figure_has_a_row_with_its_ratio_interval_p_and_n():
    page, found = Page(text_of("two")).text, compared("two").found

    told = [one for one in found.figures if one.effect is not None]
    assert {one.figure.rpartition(":")[2] for one in told} >= {
        "scale_up.total_s", "scale_down.total_s", "scale_up.initialize_s", "load.latency_p99_ms",
    }  # fmt: skip
    assert [one.figure for one in told if one.main] == [f"{sides.KEY}:scale_up.total_s"]
    for one in told:
        effect = one.effect
        row = (
            rf"{one.verdict.upper()} ?{re.escape(one.figure)} ?\S+ \S+ "
            rf"{effect.value:.3f} \[{effect.lo:.3f}, {effect.hi:.3f}\] {one.p_adjusted:.4f} {effect.n} "
        )
        assert re.search(row, page), row


def test_ratios_are_drawn_with_their_intervals_beside_1_and_what_counts():
    figure, found = figures_in(text_of("two"))["ratios"], compared("two").found

    drawn = {
        (x, x - low, x + high)
        for trace in figure["data"]
        for x, low, high in zip(
            trace["x"], trace["error_x"]["arrayminus"], trace["error_x"]["array"], strict=True
        )
    }
    expected = {(e.value, e.lo, e.hi) for e in (one.effect for one in found.figures) if e}
    assert {tuple(round(v, 6) for v in one) for one in drawn} == {
        tuple(round(v, 6) for v in one) for one in expected
    }
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [
        1.0,
        1.1,
        pytest.approx(1 / 1.1),
    ]


def test_curves_of_one_run_a_side_are_those_of_the_runs():
    figure, made = figures_in(text_of("two"))["deployment-1-replicas"], compared("two")

    names = [trace["name"] for trace in figure["data"]]
    assert names == [
        "base RUNNING", "base target", "candidate RUNNING", "candidate target",
    ]  # fmt: skip
    running = made.lines.base.replicas[sides.KEY]["running"].median
    assert figure["data"][0]["y"] == [*running.values, running.values[-1]]
    assert figure["linked"] is True


def test_curves_of_several_runs_are_thin_and_in_one_trace_below_their_median():
    figure = figures_in(text_of("five"))["load"]

    names = [trace["name"] for trace in figure["data"]]
    thin = figure["data"][1]
    assert names == [
        "offered", "base runs", "base completed", "candidate runs", "candidate completed",
    ]  # fmt: skip
    assert thin["x"].count(None) == 5
    assert thin["line"]["width"] < figure["data"][2]["line"]["width"]


def test_elastic_speedup_is_there_with_its_direction():
    made = compared("five")
    text = Page(text_of("five")).text

    (speedup,) = made.found.elastic_speedup
    assert speedup.value is not None
    assert "above 1 the candidate's replicas followed the demand more closely" in text
    assert f"{sides.KEY} {speedup.value:.3f}" in text


def test_no_speedup_has_its_reason():
    text = Page(text_of("hostile")).text

    assert f"{HOSTILE}/Proxy\ufffd[31m\ufffd: {HOSTILE}" in text


def test_very_many_figures_are_drawn_in_part_and_said():
    made = compared("two")
    figures = tuple(
        msgspec.structs.replace(made.found.figures[0], figure=f"app/{i}:scale_up.total_s")
        for i in range(100)
    )
    found = msgspec.structs.replace(made.found, figures=figures)

    text = made._replace(found=found).page(PLOTLY).decode()

    assert "40 of 100 are drawn." in text
    assert "app/99:scale_up.total_s" in Page(text).text
    assert len(figures_in(text)["ratios"]["layout"]["annotations"]) == 40


@pytest.mark.parametrize("name", NAMES)
def test_charts_are_what_plotly_takes_in_colours_that_the_style_has(name):
    text = text_of(name)
    data = next(one for one in Page(text).scripts if one.startswith("[{"))
    light, dark = text[text.index(":root") :].split("@media", 2)[:2]

    for figure in json.loads(re.sub(r"var\(--[\w-]+\)", "#123456", data)):
        go.Figure({"data": figure["data"], "layout": figure["layout"]})  # raises for what it is not
    used = set(re.findall(r"var\(--([\w-]+)\)", data + "".join(re.findall("<svg.*?</svg>", text))))
    assert {"base", "candidate", "mark"} <= used
    assert {one for one in used if f"--{one}:" not in light or f"--{one}:" not in dark} == set()


def crowded(random: np.random.Generator) -> RunLines:
    """Five hours of twelve deployments that change all the time, as thinned as a run can be."""
    end_s = 18_000.0

    def line(times_s: np.ndarray, values: np.ndarray) -> Line:
        return Line(tuple(times_s.tolist()), tuple(values.tolist()), end_s)

    def changes() -> Line:
        times_s = np.sort(random.uniform(0, end_s, MOST_CHANGES // 12))
        return line(times_s, random.integers(0, 90, times_s.size))

    bins_s = np.arange(0, end_s, 30)
    return RunLines(
        end_s,
        30.0,
        {
            name: line(bins_s, random.uniform(0, 9000, bins_s.size))
            for name in ("offered_rps", "completed_rps", "latency_p95_ms")
        },
        {f"app/{i}": {"running": changes(), "target": changes()} for i in range(12)},
        (),
        (),
    )


def test_very_many_long_runs_make_a_page_of_less_than_six_megabytes():
    random = np.random.default_rng(1)
    lines = compared_lines(*([crowded(random) for _ in range(20)] for _ in range(2)))

    page = compared("two")._replace(lines=lines).page()

    assert len(page) < SIX_MB
    text = Page(page.decode()).text
    assert "of the 20 runs of the base 8 are drawn; the median is of all" in text
    assert "The first 150 of" in text
