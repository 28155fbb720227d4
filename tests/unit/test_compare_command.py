"""`scalelag compare`: which form goes where, with the elastic speedup in each."""

import json
import shutil
from pathlib import Path

import pytest

from reports.model.formats import ComparisonFormat
from scalelag.cli.signatures import compare

STORED = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"
SIX_MB = 6_000_000


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
