"""`scalelag report`: which form goes where."""

import shutil
from pathlib import Path

import pytest

from reports.model.formats import Details, Format
from scalelag.cli.signatures import report
from scalelag.errors import UsageError
from scalelag.options.run_options import run_options

STORED = Path(__file__).parents[1] / "golden" / "stored" / "demo"


@pytest.fixture
def run(tmp_path):
    return Path(shutil.copytree(STORED, tmp_path / "20261125-201430-demo"))


def test_a_page_goes_into_the_run_directory_and_its_path_is_said(run, capsys):
    code = report(run, output_format=Format.HTML)

    page = run / "report.html"
    assert code == 4  # one of the run's gates fails
    assert capsys.readouterr().out == f"{page}\n"
    assert page.read_bytes().startswith(b"<!doctype html>")
    assert b"plotly.js v" in page.read_bytes()


def test_a_page_goes_where_it_is_wanted_and_gates_are_those_asked_for(run, tmp_path, capsys):
    output = tmp_path / "page.html"

    code = report(
        run, output_format=Format.HTML, output=output, gate=["requests.error_ratio <= 0.5"]
    )

    assert code == 0
    assert capsys.readouterr().out == ""
    assert "requests.error_ratio &lt;= 0.5" in output.read_text(encoding="utf-8")
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("steps.9.total_s", "names step 9; the run has the steps 0 to"),
        ("load.names.nope.failed", "names the request nope; there is /"),
        ("load.workers.7.offset_s", "names load process 7; there is load process 0"),
        ("load.applications.nope.failed", "names the application nope; there is"),
        ("event.1.healed_s", "asks for an event; the run has none"),
    ],
)
def test_a_gate_on_a_part_that_the_run_does_not_have_is_refused(run, name, said):
    with pytest.raises(UsageError) as refused:
        report(run, output_format=Format.JSON, gate=[f"{name} <= 3"])

    assert said in str(refused.value)


def test_json_goes_to_the_terminal(run, capsys):
    report(run, output_format=Format.JSON)

    assert capsys.readouterr().out.startswith('{\n  "schema_version": 1,')
    assert not (run / "report.html").exists()


def test_a_folder_that_takes_no_page_is_named(run, tmp_path):
    with pytest.raises(UsageError, match=r"--output: Cannot write .*page\.html"):
        report(run, output_format=Format.HTML, output=tmp_path / "nowhere" / "page.html")


def test_a_run_writes_only_reports_that_there_are():
    with pytest.raises(
        UsageError, match='--report: "pdf": choose html, md, junit, csv, perf-metrics'
    ):
        run_options({"report": ["pdf"]})

    assert run_options({"report": ["html"]}).reports == ("html",)


def test_details_reach_the_renderer_of_every_format(run, monkeypatch):
    asked = []
    monkeypatch.setattr("scalelag.cli.report.render", lambda what, _: asked.append(what.details))
    monkeypatch.setattr("scalelag.cli.report.write_file", lambda *_: None)
    monkeypatch.setattr(
        "scalelag.cli.report.render_terminal", lambda *arguments: asked.append(arguments[-1])
    )

    report(run, output_format=Format.HTML)
    report(run, output_format=Format.HTML, details=Details.ALL)
    report(run, details=Details.ALL)

    assert asked == [Details.MOVED, Details.ALL, Details.ALL]


def test_a_run_takes_details_from_its_options():
    assert run_options({}).details is Details.MOVED
    assert run_options({"details": "all"}).details is Details.ALL
    with pytest.raises(UsageError, match="--details some: choose moved or all"):
        run_options({"details": "some"})
