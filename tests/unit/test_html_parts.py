"""Parts of a page: safe in their place, valid for plotly, and small enough."""

import json
from pathlib import Path

import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis.analyse import analyse
from reports.model.charts import DecisionMark, ReplicaCurve
from reports.render.html.figure import chart_text
from reports.render.html.lag_figure import lag_figure
from reports.render.html.load_figures import latency_figure, load_figure
from reports.render.html.replica_figures import lives_figure, replicas_figure, target_line
from reports.render.html.shell import data_block, plotly_script, policy, script
from reports.render.tables.table import Column, Table
from scalelag.record.run_dir import load_run

STORED = Path(__file__).parents[1] / "golden" / "stored"


@settings(deadline=None)  # a busy machine is slow now and then
@given(st.text())
def test_data_come_back_as_they_were_and_hold_nothing_that_ends_a_script(text):
    block = data_block({"name": text})

    assert json.loads(block) == {"name": text}
    assert not set(block) & set("<>&\u2028\u2029")


def test_data_that_mean_harm_stay_data():
    block = data_block(["</script><script>alert(1)</script>", "<!--", "\u2028"])

    assert block == (
        r'["\u003c/script\u003e\u003cscript\u003ealert(1)\u003c/script\u003e","\u003c!--","\u2028"]'
    )


@pytest.mark.parametrize("text", ["a</script>b", "x</SCRIPT >", "a <!-- b", "one\r\ntwo"])
def test_a_script_that_would_not_end_where_it_should_is_refused(text):
    with pytest.raises(ValueError, match="cannot stand within a page"):
        script(text)


def test_a_policy_names_scripts_by_what_they_hold():
    # From: printf 'alert(1)' | openssl dgst -sha256 -binary | base64
    known = script("alert(1)")

    assert known.source == "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"
    assert f"script-src {known.source};" in policy([known])


def test_plotly_comes_from_its_package_and_can_stand_within_a_page():
    text = plotly_script().text

    assert "plotly.js v" in text[:200]
    assert len(text) < 5_000_000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"),
        ("a&lt;b", "a&amp;lt;b"),
        ("%{y}", "%&#123;y}"),
        ("x\u202ey\x1b", "x\ufffdy\ufffd"),
    ],
)
def test_text_in_a_chart_is_text_and_isolated(text, shown):
    assert chart_text(text) == f"\u2068{shown}\u2069"


def test_groups_of_a_table_span_their_columns():
    columns = (Column("step"), Column("p50", group="ms"), Column("p99", group="ms"), Column("sent"))

    assert Table("t", columns, ()).groups == [("", 1), ("ms", 2), ("", 1)]
    assert Table("t", columns[:1], ()).groups == []


def colored(value):
    """With a colour for each CSS variable, as the page's script puts one in."""
    if isinstance(value, dict):
        return {key: colored(one) for key, one in value.items()}
    if isinstance(value, list):
        return [colored(one) for one in value]
    return "#123456" if isinstance(value, str) and value.startswith("var(--") else value


def figures_of(run):
    analysis = analyse(load_run(STORED / run))
    report, charts = analysis.report, analysis.charts
    ((key, deployment),) = report.deployments.items()
    return [
        load_figure(report, charts),
        latency_figure(report, charts),
        replicas_figure(key, "d", deployment, charts),
        lives_figure(key, "d", deployment, charts),
        lag_figure("d", deployment),
    ]


@pytest.mark.parametrize("run", ["demo", "node-started"])
def test_figures_are_what_plotly_takes(run):
    for figure in figures_of(run):
        drawn = go.Figure(colored(figure.plot))  # raises for a property that plotly does not know

        assert len(drawn.data) >= 1


@pytest.mark.parametrize("run", ["demo", "node-started"])
def test_every_colour_has_a_value_in_light_and_in_dark(run):
    style = Path("reports/render/html/assets/page.css")
    light, dark = (
        (Path(__file__).parents[2] / style).read_text(encoding="utf-8").split("@media", 2)[:2]
    )
    figures = figures_of(run)
    text = "".join(json.dumps(figure.plot) for figure in figures)

    names = {part.split(")")[0] for part in text.split("var(--")[1:]}
    names |= {key.color for figure in figures for key in figure.keys}
    assert {"text", "grid", "running", "offered", "p99"} <= names
    assert {name for name in names if f"--{name}:" not in light} == set()
    assert {name for name in names if f"--{name}:" not in dark} == set()


def test_linked_figures_share_one_time_axis():
    figures = figures_of("demo")

    axes = [figure.plot["layout"]["xaxis"] for figure in figures if figure.linked]
    margins = [figure.plot["layout"]["margin"] for figure in figures if figure.linked]
    assert len(axes) == 4
    assert all(axis == axes[0] for axis in axes)
    assert all(margin == margins[0] for margin in margins)


def test_the_budget_of_a_step_adds_up_to_its_total_and_its_floor():
    figure = figures_of("demo")[-1]
    report = analyse(load_run(STORED / "demo")).report

    steps = [s for s in report.deployments["default/Sleeper"].steps if s.total_s]
    sums = {}
    for bars in figure.plot["data"]:
        for row, length_s in zip(bars["y"], bars["x"], strict=True):
            sums[row] = sums.get(row, 0.0) + length_s
    totals = [value for step in steps for value in (step.total_s.value, step.floor_s)]
    assert [sums[row] for row in sorted(sums)] == pytest.approx(totals, abs=0.01)


def test_the_target_changes_at_its_decisions_where_they_are_known():
    curve = ReplicaCurve(
        times_s=(0.0, 1.57, 1.8, 9.0, 12.0),
        starting=(0,) * 5,
        running=(1, 1, 2, 4, 4),
        stopping=(0,) * 5,
        target=(1, 4, 4, 2, 2),
    )

    found = target_line(curve, [DecisionMark(1.31, 1.31, 1.31, 1, 4)])

    # The second change was polled only.
    assert found == ([0.0, 1.31, 9.0, 12.0], [1, 4, 2, 2])


def test_without_decisions_the_target_is_as_it_was_polled():
    curve = ReplicaCurve((0.5, 2.0, 3.0), (0,) * 3, (1,) * 3, (0,) * 3, (None, 3, 3))

    assert target_line(curve, []) == ([0.5, 2.0, 3.0], [None, 3, 3])
