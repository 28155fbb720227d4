"""The page of a run, compared with the files in expected/, and read for what it must say.

The goldens are of two stored runs, without style, scripts and data: structure and words.
"""

import json
import re
from itertools import pairwise

import msgspec
import pytest

from reports.render.html.report_page import render_html
from tests.golden.expected_files import EXPECTED, checked
from tests.golden.rendered import PLOTLY
from tests.support.built.drawn import HOSTILE
from tests.support.page import Page, structure
from tests.support.stored_runs import RUNS, analysed

SAMPLES = ("busy", "calm", "interrupted", "traced")


@pytest.fixture
def page(sample):
    def build(name: str, **fields: object) -> str:
        analysis = sample(name)
        report = msgspec.structs.replace(analysis.report, **fields)
        return render_html(msgspec.structs.replace(analysis, report=report), PLOTLY).decode()

    return build


@pytest.mark.parametrize("name", RUNS)
def test_the_page_of_a_stored_run_is_as_expected(name):
    page = render_html(analysed(name), PLOTLY)

    checked(EXPECTED / f"{name}.html", structure(page))


def test_every_file_belongs_to_a_test():
    assert {path.stem for path in EXPECTED.glob("*.html")} == set(RUNS)


@pytest.mark.parametrize("name", SAMPLES)
def test_elements_are_closed_and_ids_are_one_of_a_kind(page, name):
    found = Page(page(name))

    ids = [attributes["id"] for _, attributes in found.found if "id" in attributes]
    named = [
        id_
        for _, attributes in found.found
        for key in ("aria-labelledby", "aria-describedby", "for")
        for id_ in (attributes.get(key) or "").split()
    ]
    links = [(a["href"] or "").removeprefix("#") for a in found.all("a")]
    assert found.open == []
    assert len(ids) == len(set(ids))
    assert set(named) | set(links) <= set(ids)


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_is_left_blank_for_want_of_a_reason(page, name):
    text = Page(page(name)).text

    assert " None" not in text
    assert "nan" not in text.split()


@pytest.mark.parametrize("name", SAMPLES)
def test_it_names_nothing_that_would_be_fetched(page, name):
    found = Page(page(name))

    refers = [
        value
        for _, attributes in found.found
        for key, value in attributes.items()
        if key in ("src", "href", "action", "data", "poster", "srcset", "background")
    ]
    style = next(text for text in found.scripts if ":root" in text)
    assert [value for value in refers if not (value or "").startswith("#")] == []
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_forbids_everything_but_what_the_page_holds(page):
    meta = Page(page("calm")).all("meta")

    (policy,) = (m["content"] for m in meta if m.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in (policy or "").split(";"))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"('sha256-[A-Za-z0-9+/]{43}=' ?){2}", rules["script-src"])
    assert "connect-src" not in rules
    assert rules["form-action"] == rules["base-uri"] == "'none'"


@pytest.mark.parametrize("name", ["busy", "traced"])
def test_text_from_outside_makes_no_element(page, name):
    text = page(name)

    found = Page(text)
    assert len(found.all("script")) == 3
    assert found.all("i") == found.all("b") == found.all("red") == []
    assert f"{HOSTILE}/Proxy\ufffd[31m\ufffd" in found.text
    assert [c for c in text if c in "\u202e\x1b\u2028\u2029\u200f"] == []


def test_text_from_outside_is_isolated_from_what_stands_around_it(page):
    text = page("busy")

    escaped = "[red]x[/red]&lt;script&gt;"
    assert f"<bdi>{escaped}" in text
    isolated = re.findall(r"<bdi>[^<]*\[red\]x\[/red\]&lt;script&gt;", text)
    assert len(isolated) == text.count(escaped) - 1  # but for the title
    assert f"<title>FAIL: {escaped}</title>" in text


def test_data_for_the_script_cannot_end_it(page):
    found = Page(page("busy"))

    data = next(text for text in found.scripts if text.startswith("[{"))
    figures = json.loads(data)
    assert not set(data) & set("<>&\u2028\u2029")
    rows = [row for f in figures for row in f["layout"]["yaxis"].get("ticktext", [])]
    assert "\u2068&lt;i&gt;[red]\u2026\u2069 *" in rows


@pytest.mark.parametrize("name", SAMPLES)
def test_every_figure_is_told_in_words_and_every_table_has_a_caption(page, name):
    found = Page(page(name))

    plots = [a for a in found.all("div") if a.get("role") == "img"]
    assert len(plots) == len(found.all("figure")) >= 2
    assert all(len((a["aria-label"] or "").split()) >= 8 for a in plots)
    assert len(found.all("table")) == len(found.all("caption"))


@pytest.mark.parametrize("name", SAMPLES)
def test_headings_begin_at_one_and_leave_no_level_out(page, name):
    levels = [int(tag[1]) for tag, _ in Page(page(name)).found if re.fullmatch(r"h[1-6]", tag)]

    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_regions_of_the_page_are_landmarks(page, name):
    found = Page(page(name))

    assert [len(found.all(tag)) for tag in ("main", "header", "nav", "footer")] == [1, 1, 1, 1]
    assert found.all("html") == [{"lang": "en"}]


def test_gates_come_first_with_verdict_and_measured_interval(page):
    text = Page(page("busy")).text

    gates = text[text.index("Verdict of each gate") : text.index("Over time Above")]
    assert "PASS Model:scale_up.total_s.max <= 20 9.31 [9.16, 9.46] llm/Model" in gates
    assert "FAIL scale_up.total_s.max <= 20 > 30 default/Sleeper" in gates
    assert (
        "INCONCLUSIVE probe.clock_error_s <= 0.01 - probe.clock_error_s was not measured" in gates
    )


def test_every_phase_and_every_figure_of_the_load_appears(sample, page):
    report = sample("busy").report
    words = set(Page(page("busy")).text.split())

    spans = [s.total_s for d in report.deployments.values() for s in d.steps if s.total_s]
    spans += [p for d in report.deployments.values() for s in d.steps for p in s.phases if p.value]
    expected = {f"{span.value:.2f}" for span in spans if span.value is not None}
    expected |= {f"{step.latency_max_ms:,.1f}" for step in report.load.steps}
    expected |= {f"{times:,}" for times in report.load.errors.values()}
    assert len(expected) > 12
    assert expected - words == set()


def test_causes_have_their_evidence_folded_in(page):
    found = Page(page("traced"))

    assert any("open" not in a for a in found.all("details"))
    assert "no room for the replica (4.1 s)" in found.text
    assert "Evidence of no room for the replica, 4.1 s (4)" in found.text
    assert "25.1 s replica g9aifu0c waited 4.1 s until it got its place node 4be1" in found.text
    assert "14 failed requests in step 3 (12 \u00d7 back-pressure" in found.text


def test_what_was_thinned_is_said(page):
    text = Page(page("calm")).text

    assert f"Thinned, so that this page stays small: {HOSTILE}: 1,000 of 2,000 replicas" in text


def test_an_interrupted_run_says_so_at_the_top(page):
    text = Page(page("interrupted")).text

    assert "INVALID nightly interrupted: Ctrl-C no request was recorded" in text
    assert "No request was sent, so no latency was measured." in text
