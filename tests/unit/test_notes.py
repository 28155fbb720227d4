"""Findings and warnings of several deployments: what is the same is said once."""

from msgspec.structs import replace

from reports.render.tables.notes import findings, warnings
from scalelag.record.run_info import LintFinding
from tests.support.built.made_report import report_of
from tests.support.built.scaled import deployment_of

KEYS = [f"shop/Model{number:02}" for number in range(1, 13)]
REPORT = report_of({key: deployment_of([]) for key in KEYS})


def linted(*found: LintFinding):
    return findings(replace(REPORT, lint=found))


def test_a_finding_of_twelve_deployments_stands_once():
    assert linted(*(LintFinding(key, "slow", "Push faster.") for key in KEYS)) == [
        ("slow", "12 deployments: Push faster.")
    ]


def test_few_deployments_are_named():
    assert linted(*(LintFinding(key, "slow", "Push faster.") for key in KEYS[:2])) == [
        ("slow", "shop/Model01, shop/Model02: Push faster.")
    ]


def test_findings_of_one_rule_with_other_numbers_are_counted_beside_one_of_them():
    found = [LintFinding(key, "slow", f"{i} s") for i, key in enumerate(KEYS)]

    assert linted(*found) == [("slow", "12 deployments, such as shop/Model01: 0 s")]
    assert linted(*found[:2]) == [("slow", "shop/Model01: 0 s"), ("slow", "shop/Model02: 1 s")]


def test_a_finding_of_no_deployment_stays_as_it_is():
    assert linted(LintFinding(None, "unread", "Nothing reads it.")) == [
        ("unread", "Nothing reads it.")
    ]


def test_equal_warnings_of_deployments_stand_once_and_others_as_they_are():
    given = ("the probe saw nothing", *(f"{key}: never seen" for key in KEYS), "other/App: gone")

    assert warnings(replace(REPORT, warnings=given)) == [
        "the probe saw nothing",
        "12 deployments: never seen",
        "other/App: gone",
    ]


def test_what_would_move_a_cursor_is_shown_as_it_is():
    assert "\x1b" not in str(linted(LintFinding("a/\x1b[2J", "slow", "b\x1b[2J")))
