"""Faults under load: what they are held to, and the table of docs/reliability.md."""

import msgspec
import numpy as np
import pytest

from scalelag.record.error_kinds import WORKER_LOST
from tests.unit.request_rows import columns
from tools.faults.cases import CASES, Loses
from tools.faults.kept import Outcome, lost_of, problems
from tools.faults.page import PAGE, page_with, stored

AT_S = 10.0
ARRIVED_S = np.arange(0.0, 20.0, 0.5)
OUTCOME = Outcome("", "", "", "", lost=0, code=0, made_on="2026-11-30")


def rows_at(*due_s: float):
    """Rows of requests that were sent at these moments, and of one that was not."""
    unsent = (99.0, np.nan, np.nan, 0, "/", WORKER_LOST, 0)
    sent = [(at_s, 0.0, 0.25, 200, "/", None, 0) for at_s in due_s]
    return columns([*sent, unsent], [], [])


def test_the_page_has_the_stored_results_of_every_fault_and_nothing_is_lost():
    outcomes = stored()

    assert [one.fault for one in outcomes] == [case.fault for case in CASES]
    assert sum(one.lost for one in outcomes) == 0
    text = PAGE.read_text(encoding="utf-8")
    assert page_with(text, outcomes) == text


@pytest.mark.parametrize(
    ("loses", "missing_s", "lost"),
    [
        ("nothing", [], 0),
        ("nothing", [9.5], 1),
        ("last second", [9.0, 9.5, 10.0], 0),
        ("last second", [5.0, 9.5, 15.0], 2),
        ("rest", [9.0, *ARRIVED_S[20:]], 0),
        ("rest", [3.0, 3.5], 2),
    ],
)
def test_requests_that_arrived_and_have_no_row_are_lost(
    loses: Loses, missing_s: list[float], lost: int
):
    rows = rows_at(*(at_s for at_s in ARRIVED_S if at_s not in missing_s))

    assert lost_of(loses, rows, ARRIVED_S, AT_S) == lost


def test_an_outcome_is_wrong_without_its_words_with_another_code_and_with_losses():
    case = CASES[0]._replace(words=("the gap", "the cause"), codes=(0,))

    wrong = msgspec.structs.replace(OUTCOME, kept="the gap", lost=2, code=1)

    assert len(problems(case, wrong, "")) == 3
    assert problems(case, msgspec.structs.replace(OUTCOME, kept="the gap"), "the  cause") == []
