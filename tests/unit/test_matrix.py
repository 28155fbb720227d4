"""`scalelag matrix`: the order of its runs, what becomes of each, and its exit code."""

import io
import json

import msgspec
import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from reports.render.html.matrix_page import render_html_matrix
from reports.render.terminal.matrix import (
    matrix_schema,
    print_matrix,
    render_json_matrix,
    render_markdown_matrix,
)
from scalelag.cli.matrix import exit_code
from scalelag.cli.matrix_runs import entries_of, run_in_turn
from scalelag.cli.run.retries import AttemptResult
from scalelag.errors import InterruptedRunError, TargetError, UsageError
from tests.golden.expected_files import checked
from tests.support.standin.process import ROOT
from tests.unit.matrix_cases import entry, reported


@pytest.fixture
def slower():
    gone = entry("2.99.0", 1, reason="run 1: Ray 2.99.0 cannot be set up", runs=0)
    return reported(
        entry("2.55.1", 1), gone, entry("2.60.0", 1), entry("2.60.0 init_time_s=3", 1.5)
    )


# --- the entries ---------------------------------------------------------------------------------


def test_entries_are_versions_with_arguments_of_their_own():
    found = entries_of("2.49.2,2.60.0, 2.60.0 init_time_s=3 a=b,2.60.0")

    assert [(one.label, one.ray, one.app_arg) for one in found] == [
        ("2.49.2", "2.49.2", ()),
        ("2.60.0", "2.60.0", ()),
        ("2.60.0 init_time_s=3 a=b", "2.60.0", ("init_time_s=3", "a=b")),
        ("2.60.0 (2)", "2.60.0", ()),
    ]
    assert len({one.folder for one in found}) == len(found)
    assert all("/" not in one.folder and " " not in one.folder for one in found)


@pytest.mark.parametrize("text", ["", "2.60.0", "2.55.1,", "2.55.1,,2.60.0", "2.60.0 slow,2.55.1"])
def test_what_is_no_list_of_versions_is_refused(text):
    with pytest.raises(UsageError, match="--ray"):
        entries_of(text)


# --- the order -----------------------------------------------------------------------------------


def made(tried, results):
    """Play `results` by label, and note what was tried."""

    def run_once(one):
        tried.append(one.label)
        result = results(one.label, tried.count(one.label))
        if isinstance(result, Exception):
            raise result
        return result

    return run_once


def test_versions_take_turns_and_back():
    tried = []
    entries = entries_of("2.49.2,2.55.1,2.60.0")

    found = run_in_turn(entries, 3, made(tried, lambda label, n: AttemptResult(0, f"{label}/{n}")))

    there = ["2.49.2", "2.55.1", "2.60.0"]
    assert tried == [*there, *reversed(there), *there]
    assert [str(path) for path in found["2.55.1"].paths] == ["2.55.1/1", "2.55.1/2", "2.55.1/3"]
    assert all(one.reasons == [] for one in found.values())


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (TargetError("Ray 2.55.1 cannot be set up"), "run 1: Ray 2.55.1 cannot be set up"),
        (AttemptResult(3, None, "the dashboard was gone"), "run 1: the dashboard was gone"),
        (AttemptResult(3, None), "run 1: the load process ended with exit code 3"),
    ],
)
def test_a_version_that_cannot_start_has_the_reason_and_no_second_try(result, reason):
    tried = []

    def results(label, n):
        return result if label == "2.55.1" else AttemptResult(4, f"{label}/{n}")

    found = run_in_turn(entries_of("2.49.2,2.55.1,2.60.0"), 3, made(tried, results))

    assert tried == ["2.49.2", "2.55.1", "2.60.0", "2.60.0", "2.49.2", "2.49.2", "2.60.0"]
    assert found["2.55.1"].reasons == [reason]
    assert len(found["2.60.0"].paths) == 3


def test_a_version_that_fails_once_later_goes_on():
    def results(label, n):
        return TargetError("no room") if n == 2 else AttemptResult(0, f"{label}/{n}")

    found = run_in_turn(entries_of("2.49.2,2.60.0"), 3, made([], results))

    assert len(found["2.60.0"].paths) == 2
    assert found["2.60.0"].reasons == ["run 2: no room"]


def test_an_interrupt_ends_it():
    with pytest.raises(InterruptedRunError):
        run_in_turn(entries_of("2.49.2,2.60.0"), 2, made([], lambda *_: AttemptResult(130, "x")))


# --- the answer ----------------------------------------------------------------------------------


def test_a_regression_is_found_against_the_one_before_and_none_between_equal_ones(slower):
    assert [(one.base_label, one.candidate_label, one.verdict) for one in slower.comparisons] == [
        ("2.55.1", "2.60.0", "no difference shown"),
        ("2.60.0", "2.60.0 init_time_s=3", "regression"),
    ]
    assert slower.verdict == "regression"
    assert exit_code(slower, strict=False) == 4


def test_figures_are_medians_over_the_runs(slower):
    totals = [[lags.total_s for lags in one.lags] for one in slower.entries]

    assert totals == [
        [pytest.approx(10.1)],
        [],
        [pytest.approx(10.1)],
        [pytest.approx(15.15)],
    ]


@pytest.mark.parametrize(
    ("entries", "strict", "code"),
    [
        ((entry("2.55.1", 1), entry("2.60.0", 1)), True, 0),
        ((entry("2.55.1", 1), entry("2.60.0", 1, reason="run 5: lost")), False, 0),
        ((entry("2.55.1", 1), entry("2.60.0", 1, reason="run 5: lost")), True, 5),
        ((entry("2.55.1", 1, runs=1), entry("2.60.0", 2, runs=1)), False, 0),
        ((entry("2.55.1", 1, runs=1), entry("2.60.0", 2, runs=1)), True, 5),
        ((entry("2.55.1", 1), entry("2.99.0", 1, runs=0, reason="no")), False, 5),
        ((entry("2.98.0", 1, runs=0), entry("2.99.0", 1, runs=0)), False, 3),
    ],
)
def test_the_exit_code_is_that_of_the_gravest(entries, strict, code):
    assert exit_code(reported(*entries), strict=strict) == code


def shown_by(report):
    console = Console(width=120, record=True, file=io.StringIO())
    print_matrix(console, report)
    return {
        "terminal": console.export_text(),
        "md": render_markdown_matrix(report).decode(),
        "html": render_html_matrix(report).decode(),
    }


def test_every_format_has_each_version_the_reason_and_the_verdict(slower):
    for name, text in shown_by(slower).items():
        for wanted in ("2.55.1", "2.99.0", "cannot be set up", "init_time_s=3", "15.15"):
            assert wanted.replace("_", r"\_") in text or wanted in text, (name, wanted)
        assert "regression" in text.lower()


def test_a_long_reason_keeps_its_beginning_and_its_end():
    trace = "at a line\n" * 90
    reason = f"run 1: it failed to deploy: {trace}ValueError: no such argument"

    text = shown_by(reported(entry("2.55.1", 1), entry("2.60.0", 1, runs=0, reason=reason)))["md"]

    assert "run 1: it failed to deploy: at a line" in text
    assert "no such argument" in text
    assert len(text) < 2500


def test_the_published_schema_is_current_and_kept_to(slower):
    checked(ROOT / "docs" / "matrix.schema.json", matrix_schema())
    validator = Draft202012Validator(msgspec.json.decode(matrix_schema()))

    content = json.loads(render_json_matrix(slower))

    assert [error.message for error in validator.iter_errors(content)] == []
    assert content["entries"][1]["reason"] == "run 1: Ray 2.99.0 cannot be set up"
