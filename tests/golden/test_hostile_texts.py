"""No text from outside does anything but stand there, in any format of any answer."""

import csv
import io
import json
import re
from functools import cache
from xml.etree import ElementTree as ET

import msgspec
import pytest
from markdown_it import MarkdownIt

from reports.model.charts import Analysis
from reports.model.comparison import TrendPoint
from reports.model.formats import Details, Format
from reports.render.formats import Rendering, render
from reports.render.html.report_page import render_html
from reports.render.terminal.comparison import (
    print_comparison,
    render_json_comparison,
    render_markdown_comparison,
)
from reports.render.terminal.history import print_runs, print_trend
from reports.render.terminal.report import render_terminal
from tests.golden.rendered import PLOTLY
from tests.support.built import samples, traced
from tests.support.built.sides import ComparedSides, two
from tests.support.hostile import (
    HARM,
    elements,
    hostile,
    leads_away,
    obeyed,
    orders,
    printed,
    without_isolates,
)
from tests.support.stored_runs import RUNS, analysed

ANALYSES = {
    "busy": samples.busy,
    "calm": samples.calm,
    "interrupted": samples.interrupted,
    "traced": traced.traced,
    **{name: (lambda name=name: analysed(name)) for name in RUNS},
}
_RECORD = f"runs/x{HARM}"


@cache
def world(name: str) -> Analysis:
    return hostile(ANALYSES[name]())


def page_of(analysis: Analysis) -> bytes:
    return render_html(analysis, PLOTLY, record=_RECORD, details=Details.ALL)


@pytest.mark.parametrize("name", ANALYSES)
@pytest.mark.parametrize("width", [60, 120, 200])
def test_a_terminal_is_told_nothing_and_ci_neither(name, width):
    shown = printed(
        lambda console: render_terminal(world(name), console, _RECORD, Details.ALL), width
    )

    assert obeyed(shown) == []
    assert orders(shown) == []


@pytest.mark.parametrize("name", ANALYSES)
def test_a_page_has_no_more_elements_than_without(name):
    page, harmless = page_of(world(name)), page_of(ANALYSES[name]())

    assert obeyed(without_isolates(page)) == []
    assert elements(page) == elements(harmless)
    assert leads_away(page) == []


@pytest.mark.parametrize("name", ANALYSES)
@pytest.mark.parametrize("kind", [Format.JSON, Format.MARKDOWN, Format.JUNIT, Format.CSV])
def test_no_file_holds_what_a_terminal_obeys(name, kind):
    shown = render(Rendering(world(name), _RECORD, details=Details.ALL), kind).decode()

    assert obeyed(shown.replace("\r\n", "\n")) == []
    assert orders(shown) == []


@pytest.mark.parametrize("name", ANALYSES)
def test_json_has_the_texts_as_they_were(name):
    report = world(name).report

    shown = json.loads(render(Rendering(world(name), _RECORD), Format.JSON))

    assert shown["run"]["name"] == report.run.name


def hazards(markdown: bytes) -> list[str]:
    """Elements that GitHub's Markdown would make of what is shown; its own `details` are ours."""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = [
        one for token in parser.parse(markdown.decode()) for one in (token, *(token.children or ()))
    ]
    kinds = [one.type for one in tokens if one.type in ("link_open", "image", "s_open")]
    html = "".join(one.content for one in tokens if one.type in ("html_inline", "html_block"))
    tags = set(re.findall(r"<\s*([a-z!/]+)", html)) - {"details", "/details", "summary", "/summary"}
    outside = re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", markdown.decode(), flags=re.DOTALL)
    bare = re.findall(r"https?://|www\.|(?<!\w)@\w", outside)
    return [*kinds, *(tags - {"b", "/b"}), *bare]


@pytest.mark.parametrize("name", ANALYSES)
def test_markdown_makes_no_link_image_or_element_of_them_and_tells_nobody(name):
    assert (
        hazards(render(Rendering(world(name), _RECORD, details=Details.ALL), Format.MARKDOWN)) == []
    )


@pytest.mark.parametrize("name", ANALYSES)
def test_junit_has_the_cases_that_it_has_without(name):
    def tags(analysis: Analysis) -> list[str]:
        return [
            one.tag for one in ET.fromstring(render(Rendering(analysis, ""), Format.JUNIT)).iter()
        ]

    assert tags(world(name)) == tags(ANALYSES[name]())


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t=", "\r=", " =", "\uff1d", "\u202e="])
def test_no_cell_is_a_formula(first):
    report = samples.busy().report
    named = f"{first}cmd|'/c calc'!A1"
    run = msgspec.structs.replace(report.run, name=named)
    report = msgspec.structs.replace(
        report, run=run, deployments={named: next(iter(report.deployments.values()))}
    )
    analysis = msgspec.structs.replace(samples.busy(), report=report)

    rows = list(csv.reader(io.StringIO(render(Rendering(analysis, ""), Format.CSV).decode())))

    texts = [cell for row in rows[1:] for cell in row if "cmd" in cell]
    assert texts
    assert [
        cell for cell in texts if cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))
    ] == []


@pytest.fixture(scope="module")
def compared() -> ComparedSides:
    found, reports, lines = two()
    return ComparedSides(
        hostile(found),
        {f"{name}{HARM}": hostile(report) for name, report in reports.items()},
        hostile(lines),
    )


def test_a_comparison_shows_them_and_no_more(compared):
    page = compared.page(PLOTLY)

    assert elements(page) == elements(two().page(PLOTLY))
    assert (leads_away(page), obeyed(without_isolates(page))) == ([], [])
    assert obeyed(printed(lambda console: print_comparison(console, compared.found), 100)) == []
    markdown = render_markdown_comparison(compared.found)
    assert (hazards(markdown), obeyed(markdown.decode())) == ([], [])
    assert obeyed(render_json_comparison(compared.found).decode()) == []


def test_so_do_the_list_of_runs_and_a_trend():
    report = world("busy").report
    runs = {f"runs/a{HARM}": report, f"runs/b{HARM}": f"cannot be read{HARM}"}
    point = TrendPoint(f"a{HARM}", None, None, f"not there{HARM}")
    shown = printed(lambda console: print_runs(console, runs), 120)
    shown += printed(lambda console: print_trend(console, f"metric{HARM}", [point]), 120)

    assert obeyed(shown) == []
