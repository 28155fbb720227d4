"""Real runs with a fault each, as `make diagnosis` makes them: the report names it, and nothing else.

Of the many alike lines in their evidence.jsonl ("slow_queue_length", "at_capacity") the first dozen of
each run is kept, and paths of the machine are cut off. To make one anew:
`make diagnosis ARGS="NAME --keep FOLDER"`.
"""

import pytest

from tests.support.stored_runs import STORED, analysed
from tools.diagnosis.diagnose import Outcome
from tools.diagnosis.injections import INJECTIONS

KEPT = [injection for injection in INJECTIONS if injection.kept]


@pytest.mark.parametrize("injection", KEPT, ids=lambda injection: injection.name)
def test_the_report_names_what_was_wrong_and_nothing_else(injection):
    name = f"causes/{injection.name}"
    outcome = Outcome(injection, STORED / name, analysed(name).report, "")

    assert outcome.right, (injection.cause, outcome.found)


def test_a_run_of_each_cause_and_a_healthy_one_are_kept():
    assert {injection.cause for injection in KEPT} == {i.cause for i in INJECTIONS}


def test_every_cause_is_injected_twice_and_nothing_five_times():
    made = [injection.cause for injection in INJECTIONS]

    assert len(made) - made.count(None) >= 14
    assert made.count(None) >= 5
    assert min(made.count(cause) for cause in set(made)) >= 2
