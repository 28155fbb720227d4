"""Markdown, JUnit, CSV and JSON, held against expected/, and read for what they must say."""

import csv
import io
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from jsonschema import Draft202012Validator

from reports.model.causes import FailureReport
from reports.render.csv_steps import COLUMNS, render_csv
from reports.render.json_report import render_json, report_schema
from reports.render.junit import render_junit
from reports.render.markdown import code, render_markdown, text
from scalelag.foreign import sanitized
from tests.golden.expected_files import EXPECTED, checked, steady
from tests.golden.rendered import RECORD
from tests.support.built import samples
from tests.support.stored_runs import RUNS, analysed

ROOT = Path(__file__).parents[2]
RENDERERS = {
    "md": lambda report: render_markdown(report, RECORD),
    "junit.xml": render_junit,
    "csv": render_csv,
}


@pytest.mark.parametrize("name", ["busy", "calm", "interrupted", "traced"])
@pytest.mark.parametrize("kind", RENDERERS)
def test_the_report_reads_as_expected(sample, name, kind):
    checked(EXPECTED / f"{name}.{kind}", RENDERERS[kind](sample(name).report))


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("kind", RENDERERS)
def test_the_report_on_a_real_run_reads_as_expected(name, kind):
    checked(EXPECTED / f"{name}.{kind}", RENDERERS[kind](analysed(name).report))


@pytest.mark.parametrize("name", RUNS)
def test_report_json_of_a_real_run_is_as_expected(name):
    checked(EXPECTED / f"{name}.json", steady(render_json(analysed(name).report)))


# --- Markdown --------------------------------------------------------------------------------


def test_nothing_from_outside_becomes_markup_in_markdown(sample):
    shown = render_markdown(sample("busy").report, RECORD).decode()

    outside_of_code = "".join(shown.split("`")[::2])
    assert samples.HOSTILE in shown
    assert "<script" not in outside_of_code
    assert "\u202e" not in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a_b*c", r"a\_b\*c"),
        ("[x](y) <b> & |", r"\[x\](y) &lt;b\> &amp; \|"),
        ("@someone #12", r"@&#8203;someone \#12"),
        ("http://x www.y", "http&#58;//x www&#46;y"),
        ("one\ntwo", "one two"),
        ("\\", r"\\"),
    ],
)
def test_text_in_markdown_shows_just_that(raw, shown):
    assert text(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a <= 1", "`a <= 1`"),
        ("a`b", "`` a`b ``"),
        ("``", "``` `` ```"),
        ("a|b", r"`a\|b`"),
        (" ", "(empty)"),
    ],
)
def test_code_in_markdown_shows_just_that(raw, shown):
    assert code(raw) == shown


def test_every_row_of_a_table_has_as_many_cells_as_its_head(sample):
    shown = render_markdown(sample("busy").report, RECORD).decode()

    tables = [block for block in shown.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 4
    for table in tables:
        counts = {line.replace(r"\|", "").count("|") for line in table.splitlines()}
        assert len(counts) == 1


# --- JUnit -----------------------------------------------------------------------------------


def cases(analysis, *, strict=False):
    xml = ET.fromstring(render_junit(analysis.report, strict=strict))
    return {(case.get("classname"), case.get("name")): case for case in xml.iter("testcase")}


def kinds(analysis, classname, *, strict=False):
    return [
        next((child.tag for child in case if child.tag != "system-out"), "passed")
        for (of, _), case in cases(analysis, strict=strict).items()
        if of == classname
    ]


def test_there_is_a_case_for_each_gate_and_each_step(sample):
    analysis = sample("busy")
    report = analysis.report

    found = cases(analysis)

    steps = sum(len(deployment.steps) for deployment in report.deployments.values())
    assert len(found) == 1 + len(report.gates) + steps


def test_a_gate_that_failed_holds_what_failed_and_why(sample):
    failure = FailureReport(1, 10.0, 20.0, 7, {"timeout": 7}, None, notes=("piled up in step 0",))
    analysis = sample("busy")
    report = msgspec.structs.replace(analysis.report, failures=(failure,))

    found = cases(msgspec.structs.replace(analysis, report=report)).values()

    texts = [one.text or "" for case in found if (one := case.find("failure")) is not None]
    assert texts
    assert report.load.errors
    for told in texts:
        assert told.count(" x ") == len(report.load.errors)
        assert "7 failed requests in step 1: no cause found\n  piled up in step 0" in told


def test_gates_fail_as_the_exit_code_says(sample):
    analysis = sample("busy")
    verdicts = [gate.verdict for gate in analysis.report.gates]
    plain = {"pass": "passed", "fail": "failure", "inconclusive": "skipped"}
    strict = plain | {"inconclusive": "failure"}

    assert set(verdicts) == set(plain)
    assert kinds(analysis, "scalelag.gates") == [plain[one] for one in verdicts]
    assert kinds(analysis, "scalelag.gates", strict=True) == [strict[one] for one in verdicts]


def test_an_invalid_run_is_an_error_with_its_reasons(sample):
    analysis = sample("interrupted")

    ((_, case),) = [item for item in cases(analysis).items() if item[0][0] == "scalelag.run"]

    assert analysis.report.verdict == "invalid"
    assert case.find("error").get("message") == "; ".join(analysis.report.reasons)


def test_the_time_of_a_step_is_its_lag_and_one_without_is_skipped(sample):
    found = cases(sample("busy"))

    measured = found["scalelag.steps.default/Sleeper", "step 1 up at 20.0 s, 5->40 rps"]
    censored = found["scalelag.steps.default/Sleeper", "step 2 up at 50.0 s, 40->400 rps"]
    assert float(measured.get("time")) == pytest.approx(9.31)
    assert measured.find("skipped") is None
    assert "target 8 not reached" in censored.find("skipped").get("message")


# --- CSV -------------------------------------------------------------------------------------


def test_there_is_a_line_for_each_step_of_each_deployment(sample):
    report = sample("busy").report
    content = render_csv(report).decode()

    rows = list(csv.DictReader(io.StringIO(content)))

    steps = [
        (sanitized(key), str(step.index))
        for key, deployment in report.deployments.items()
        for step in deployment.steps
    ]
    assert [(row["deployment"], row["index"]) for row in rows] == steps
    assert tuple(rows[0]) == COLUMNS
    first = next(row for row in rows if (row["deployment"], row["index"]) == ("llm/Model", "1"))
    assert (first["total_s"], first["total_s_lo"]) == ("9.31", str(9.31 - 0.15))
    assert (first["replicas_after"], first["latency_max_ms"]) == ("4", "280.4")


# --- the schema ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["=1+1/Model", "+app/M", "-1/M", "@SUM/M", " =1/M"])
def test_a_name_in_csv_is_no_formula_and_moves_no_terminal(name):
    report = samples.calm().report
    (own,) = report.deployments.values()
    named = msgspec.structs.replace(report, deployments={f"{name}\x1b[2J": own})

    cells = {row["deployment"] for row in csv.DictReader(io.StringIO(render_csv(named).decode()))}

    assert cells == {f"'{name}\ufffd[2J"}


def test_the_published_schema_is_current():
    checked(ROOT / "docs" / "report.schema.json", report_schema())


@pytest.mark.parametrize("name", ["busy", "calm", "interrupted", "traced", *RUNS])
def test_reports_keep_to_the_schema(sample, name):
    schema = msgspec.json.decode(report_schema())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    report = (analysed if name in RUNS else sample)(name).report

    content = msgspec.json.decode(render_json(report))

    assert [error.message for error in validator.iter_errors(content)] == []
    assert not validator.is_valid(content | {"gates": [{"expr": 3}]})
