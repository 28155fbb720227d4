"""Tools that make real runs and write a page: what counts as made, the page, and when they fail."""

import msgspec
import pytest

from reports.model.report import GateResult
from scalelag.cli.suite import suites
from tests.support.built.made_report import report_of
from tests.unit.matrix_cases import entry, reported
from tools import suites as tool
from tools.matrix_check import EQUAL, SLOWER, page_of, wrong
from tools.suites import EndedSuite, complete_run, run_suite, table

OLD, MID, NEW = "2.49.2", "2.55.1", "2.60.0"


def made(folder, name, *, status="complete", verdict="pass"):
    """A run in `folder`, and its report."""
    report = report_of({})
    run = msgspec.structs.replace(report.run, status=status, started_s=1_796_000_000.0)
    found = msgspec.structs.replace(report, run=run, verdict=verdict)
    (folder / name).mkdir(parents=True)
    (folder / name / "report.json").write_bytes(msgspec.json.encode(found))
    return found


def test_the_last_complete_and_valid_run_of_a_suite_counts(tmp_path):
    made(tmp_path, "1")
    second = made(tmp_path, "2", verdict="fail")
    made(tmp_path, "3", status="interrupted")
    made(tmp_path, "4", verdict="invalid")

    assert complete_run(tmp_path) == second
    assert complete_run(tmp_path / "none") is None


def test_a_suite_that_was_run_is_not_run_again(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(tool.subprocess, "run", lambda command, **_: asked.append(command[4]))
    made(tmp_path / "highscale", "1", verdict="fail")

    for name in ("highscale", "upgrade"):
        run_suite(name, tmp_path)

    assert asked == ["upgrade"]


def test_the_table_of_suites_has_the_day_of_each_run_and_what_did_not_pass(tmp_path):
    gates = (GateResult("a <= 1", "pass", 0.5), GateResult("b <= 2", "fail", 2.5))
    failed = msgspec.structs.replace(made(tmp_path, "1", verdict="fail"), gates=gates)

    lines = table([EndedSuite("highscale", failed), EndedSuite("upgrade", None)]).splitlines()[2:]

    assert lines[0].startswith("| `highscale` | 2026-11-30 | ")
    assert lines[0].endswith(" | fail | 1 of 2 | `b <= 2` (2.5) |")
    assert lines[1] == "| `upgrade` | - | - | no complete run | - | - |"


def test_the_page_of_suites_has_every_suite():
    text = tool.PAGE.read_text(encoding="utf-8")

    assert all(mark.strip() in text for mark in tool.MARKS)
    assert all(f"| `{one.name}` |" in text for one in suites())


@pytest.mark.parametrize(
    ("again", "slower", "why"),
    [
        (1.0, 1.5, None),
        (1.0, 1.0, f"{SLOWER} is not found: no difference shown"),
        (1.5, 2.0, f"{EQUAL} against itself: regression"),
    ],
)
def test_a_matrix_is_as_it_must_be_if_just_the_slower_one_of_equal_versions_is_found(
    again, slower, why
):
    # From one version to the next there may be a regression.
    report = reported(
        entry(OLD, 0.5), entry(MID, 1), entry(NEW, 1), entry(EQUAL, again), entry(SLOWER, slower)
    )

    assert wrong(report) == why


def test_a_matrix_in_which_a_version_is_missing_is_not_as_it_must_be():
    report = reported(entry(OLD, 1), entry(NEW, 1), entry(EQUAL, 1), entry(SLOWER, 1.5))

    assert wrong(report).startswith("only 3 comparisons")


def test_the_page_of_a_matrix_has_the_day_of_its_last_run():
    report = reported(entry(OLD, 1, runs=1), entry(NEW, 1, runs=1))
    days = ("20261129", "20261130")
    entries = tuple(
        msgspec.structs.replace(one, runs=(f"out/{one.ray}/{day}-100000-x",))
        for one, day in zip(report.entries, days, strict=True)
    )

    page = page_of(msgspec.structs.replace(report, entries=entries))

    assert page.startswith("Measured on 2026-11-30.\n\n### ")
