"""Reports on several deployments: a row each first, details of those that moved."""

import msgspec
import pytest

from reports.model.charts import Analysis
from reports.model.formats import Details
from reports.model.report import GateResult
from reports.model.steps import MovementReport, Replicas
from reports.render.html.report_page import render_html
from reports.render.markdown import render_markdown
from tests.golden.expected_files import EXPECTED, checked
from tests.golden.rendered import PLOTLY, RECORD, rendered
from tests.support.built import many, samples
from tests.support.page import Page, structure

MANY = EXPECTED / "many"
MOVED = ["shop/Model02", "shop/Model05", "shop/Model07", "shop/Model11"]
LEFT_OUT = "8 deployments without movement, missed step or finding are left out below"
STEP_WITHOUT_PART = "the target did not rise: 1 RUNNING before, target 1 at the end"


def html(analysis: Analysis, details: Details = Details.MOVED) -> bytes:
    return render_html(analysis, PLOTLY, record=RECORD, details=details)


def markdown(analysis: Analysis, details: Details = Details.MOVED) -> str:
    return render_markdown(analysis.report, RECORD, details).decode()


def rows(text: str) -> dict[str, list[str]]:
    """Words of each row of the first table of a terminal, by deployment."""
    table = text[text.index(" A row a deployment") :].split("\n\n", 1)[0]
    lines = [line.split() for line in table.splitlines() if line.startswith(" shop/")]
    return {line[0]: line[1:] for line in lines}


def test_the_terminal_reads_as_expected():
    checked(MANY / "mixed-120.txt", rendered(many.mixed(), 120).encode())


def test_markdown_reads_as_expected():
    checked(MANY / "mixed.md", markdown(many.mixed()).encode())


def test_the_page_reads_as_expected():
    checked(MANY / "mixed.html", structure(html(many.mixed())))


def test_twelve_deployments_of_which_four_moved_fit_120_lines():
    assert rendered(many.mixed(), 120).count("\n") <= 120


def test_twelve_that_all_moved_stay_readable():
    text = rendered(many.all_moved(), 120)

    assert text.count("\n") <= 140
    assert text.count("Load and replicas: ") == 2
    assert (
        text.index("Load and replicas: shop/Model12")
        < text.index("Load and replicas: shop/Mod") + 1
    )
    for number in range(1, 13):
        assert text.count(f"{9.31 + number:.2f} ±0.15") >= 2  # its row, and its step
    assert "left out" not in text


def test_a_row_has_steps_lags_replicas_findings_and_cause():
    found = rows(rendered(many.mixed(), 120))

    assert list(found) == [f"shop/Model{number:02}" for number in range(1, 13)]
    assert found["shop/Model01"] == ["0", "0", "4", "-", "-", "1", "1..8", "0", "-"]
    assert found["shop/Model02"] == [
        *("2", "0", "4", "9.31", "±0.15", "12.66", "±0.20", "1..4", "1..8", "0", "-")
    ]
    assert " ".join(found["shop/Model05"]) == (
        "1 1 4 > 30.0 12.66 ±0.20 1..3 1..8 1 no room for the replica"
    )


def test_the_table_follows_the_answers_and_precedes_all_details():
    text = rendered(many.mixed(), 120)

    places = [
        text.index(part) for part in (" and 1 more step", " A row a", " Scale up: ", " Load:")
    ]
    assert places == sorted(places)


def test_answers_begin_with_the_step_that_was_missed_and_leave_out_those_without_a_part():
    text = rendered(many.mixed(), 120)

    answers = text[: text.index(" A row a deployment")].split("\n\n", 1)[1]
    assert answers.startswith(" 1 up 5->40 rps: shop/Model05: the last replica it needed was not")
    assert STEP_WITHOUT_PART not in answers


def test_only_those_that_moved_have_details_in_any_format():
    analysis = many.mixed()

    page = Page(html(analysis).decode())
    sections = markdown(analysis).split("### Scale lag: `")[1:]

    assert [one.split("`", 1)[0] for one in sections] == MOVED
    links = [a["href"] or "" for a in page.all("a")]
    assert [link for link in links if link.startswith("#deployment-") and "-lag" in link] == [
        f"#deployment-{number}-lag" for number in range(1, 5)
    ]
    for text in (rendered(analysis, 200), markdown(analysis), page.text):
        assert LEFT_OUT in text
        assert "shop/Model01" not in text.split(LEFT_OUT, 1)[1]


def test_details_all_shows_every_deployment_in_any_format():
    analysis = many.mixed()

    terminal = rendered(analysis, 120, details=Details.ALL)
    md, page = markdown(analysis, Details.ALL), Page(html(analysis, Details.ALL).decode()).text

    assert terminal.count(" Scale lag: shop/Model") == 12
    assert md.count("### Scale lag: `shop/Model") == 12
    assert page.count("1 to 8 replicas") >= 12
    assert not [text for text in (terminal, md, page) if "are left out below" in text]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_cause_stands_in_the_table_at_any_width(width):
    text = rendered(many.mixed(), width)

    table = text[text.index(" A row a") : text.index("--details")]
    assert "no room for the replica" in " ".join(table.split())


def test_one_deployment_alone_has_neither_table_nor_remark():
    analysis = samples.calm()

    for text in (rendered(analysis, 120), markdown(analysis), Page(html(analysis).decode()).text):
        assert "A row a deployment" not in text
        assert "Deployments" not in text
        assert "are left out below" not in text


def test_one_alone_that_never_moved_has_its_details():
    assert " Scale lag: only/One" in rendered(many.analysis_of({"only/One": many.idle()}), 120)


def detailed_with(changed):
    """Names of those with details where one of two idle deployments is `changed`."""
    text = markdown(many.analysis_of({"a/Idle": many.idle(), "a/Odd": changed}))
    return [part.split("`", 1)[0] for part in text.split("### Scale lag: `")[1:]]


REPLACE = msgspec.structs.replace
SWUNG = MovementReport(2, 30.0, "up", 1, 2, samples.span(10.0))
SILENT = "the probe saw nothing of this deployment during the step"


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(many.late(), id="missed"),
        pytest.param(REPLACE(many.idle(), replicas=Replicas(0, 1, 1)), id="lost a replica"),
        pytest.param(
            many.late(REPLACE(many.IDLE_UP, movements=(SWUNG,))),
            id="its target moved and came back",
        ),
        pytest.param(
            many.late(REPLACE(many.IDLE_UP, replicas_before=None, reason=SILENT)), id="not watched"
        ),
        pytest.param(many.late(REPLACE(many.IDLE_UP, findings=(many.NO_ROOM,))), id="finding"),
    ],
)
def test_what_moved_missed_a_step_or_has_a_finding_has_details(changed):
    assert detailed_with(changed) == ["a/Odd"]


def test_an_idle_one_whose_gate_failed_has_details():
    analysis = many.analysis_of({"a/Idle": many.idle(), "a/Odd": many.idle()})
    gate = GateResult(
        expr="replicas.max <= 0", verdict="fail", value=1, lo=1, hi=1, deployment="a/Odd"
    )
    report = REPLACE(analysis.report, gates=(gate,))

    shown = markdown(REPLACE(analysis, report=report))

    assert "### Scale lag: `a/Odd`" in shown
    assert "### Scale lag: `a/Idle`" not in shown


def test_where_nothing_moved_the_table_says_it_all():
    analysis = many.analysis_of({f"a/Idle{number}": many.idle() for number in range(5)})

    text, page = rendered(analysis, 120), Page(html(analysis).decode())

    assert "Load and replicas" not in text
    assert "Scale up:" not in text
    assert "No deployment had a step to answer." in page.text


def test_a_cause_comes_before_a_longer_lag_of_the_configuration_alone():
    caused = REPLACE(samples.UP, findings=(many.NO_ROOM,), cause="resources")
    deployments = {f"shop/Model{number}": many.moved(number) for number in range(6)}
    analysis = many.analysis_of({**deployments, "shop/Odd": many.late(caused)})

    text = rendered(analysis, 120)

    assert text.split("\n\n")[1].startswith(" 1 up 5->40 rps: shop/Odd: the last replica it needed")
