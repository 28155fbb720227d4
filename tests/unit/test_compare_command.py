"""`scalelag compare`: which form goes where, with the elastic speedup in each."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from reports.model.formats import ComparisonFormat
from reports.model.report import Report
from scalelag.cli import compare as compare_module
from scalelag.cli.signatures import compare
from scalelag.errors import UsageError
from tests.support.built.made_report import report_of
from tests.support.built.scaled import deployment_of

STORED = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"
SIX_MB = 6_000_000


def run_of(up: list[float], factor: float) -> Report:
    return report_of({KEY: deployment_of([factor * one for one in up])})


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The same run twice, and a current folder of our own."""
    monkeypatch.chdir(tmp_path)
    return [Path(shutil.copytree(STORED, tmp_path / name)) for name in ("one", "other")]


def test_a_page_goes_into_the_current_folder_and_its_path_is_said(runs, tmp_path, capsys):
    base, candidate = runs

    code = compare([base], against=[candidate], output_format=ComparisonFormat.HTML)

    page = (tmp_path / "comparison.html").read_bytes()
    assert code == 0
    assert capsys.readouterr().out == "comparison.html\n"
    assert page.startswith(b"<!doctype html>")
    assert b"plotly.js v" in page
    assert str(candidate).encode() in page
    assert len(page) < SIX_MB


def test_a_page_goes_where_it_is_wanted(runs, tmp_path, capsys):
    base, candidate = runs
    output = tmp_path / "page.html"

    compare([base], against=[candidate], output_format=ComparisonFormat.HTML, output=output)

    assert output.exists()
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "comparison.html").exists()


def test_the_elastic_speedup_of_equal_runs_is_1_in_every_form(runs, capsys):
    base, candidate = runs

    said = {}
    for form in (ComparisonFormat.JSON, ComparisonFormat.MARKDOWN, ComparisonFormat.TERMINAL):
        compare([base], against=[candidate], output_format=form)
        said[form] = capsys.readouterr().out

    (found,) = json.loads(said[ComparisonFormat.JSON])["elastic_speedup"]
    assert (found["deployment"], found["reason"]) == (KEY, None)
    assert found["value"] == pytest.approx(1)
    assert found["base"] == found["candidate"]
    assert f"| {KEY} | 1.000 |" in said[ComparisonFormat.MARKDOWN]
    for form in (ComparisonFormat.MARKDOWN, ComparisonFormat.TERMINAL):
        assert "above 1 the candidate's replicas followed the demand" in " ".join(
            said[form].split()
        )
    assert "1.000" in said[ComparisonFormat.TERMINAL]


def renamed(run: Path, name: str, ray: str) -> None:
    """The record in `run` says another name and version of Ray."""
    file = run / "run.json"
    found = json.loads(file.read_bytes())
    found["name"], found["versions"]["ray"] = name, ray
    file.write_text(json.dumps(found))


def test_sides_are_labelled_in_every_form(runs, capsys):
    base, candidate = runs
    renamed(base, "nightly", "2.44.1")
    renamed(candidate, "nightly", "2.57.0")

    for form in (ComparisonFormat.JSON, ComparisonFormat.MARKDOWN, ComparisonFormat.TERMINAL):
        compare([base], against=[candidate], allow_differences=True, output_format=form)
        said = capsys.readouterr().out
        assert "Ray 2.44.1" in said, form
        assert "Ray 2.57.0" in said, form
    compare(
        [base],
        against=[candidate],
        allow_differences=True,
        output_format=ComparisonFormat.HTML,
        output=base / "page.html",
    )
    page = (base / "page.html").read_text()
    assert "<bdi>Ray 2.44.1</bdi>" in page
    assert "<bdi>Ray 2.57.0</bdi>" in page


@pytest.fixture
def slower(monkeypatch):
    """Eight scale-ups of the candidate take twice as long as the base's."""
    reports = iter([run_of([5.0 + 0.1 * i for i in range(8)], factor) for factor in (1.0, 2.0)])
    monkeypatch.setattr(
        compare_module, "analyse", lambda _: SimpleNamespace(report=next(reports), charts=None)
    )


@pytest.mark.usefixtures("slower")
def test_one_run_a_side_fails_nothing_by_default(runs, capsys):
    base, candidate = runs

    code = compare([base], against=[candidate], fail_on_regression=True)

    said = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert "CANNOT BE TOLD" in said
    assert "one run a side cannot tell a slower build from an unlucky run" in said
    assert "within-run evidence" in said
    assert "2.000 [2.000, 2.000]" in said


@pytest.mark.usefixtures("slower")
def test_one_run_a_side_fails_where_that_is_asked_for(runs):
    base, candidate = runs

    assert compare([base], against=[candidate], fail_on_regression=True, within_run=True) == 4


def test_a_main_figure_that_is_not_there_is_refused(runs):
    base, candidate = runs

    with pytest.raises(UsageError, match=r"--main scale_up\.x: neither side has it\. There are: "):
        compare([base], against=[candidate], main=["scale_up.x"])
