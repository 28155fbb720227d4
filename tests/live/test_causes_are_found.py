"""Injected faults, one for each cause, and a healthy run: the report names what was wrong.

`make diagnosis` makes all of them and writes docs/diagnosis.md. A run that this machine had no room
for is made again, up to twice.
"""

import pytest

from tools.diagnosis.diagnose import attempt
from tools.diagnosis.injections import INJECTIONS
from tools.diagnosis.places import Reach

QUICK = [injection for injection in INJECTIONS if injection.quick]


@pytest.fixture
def shared(cluster):
    return Reach(cluster.urls.dashboard, cluster.urls.host, cluster.token)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("injection", QUICK, ids=lambda injection: injection.name)
def test_the_report_names_what_was_wrong_and_nothing_else(injection, shared, tmp_path):
    outcome = attempt(injection, shared, tmp_path)

    assert outcome.right, (injection.cause, outcome.found, outcome.said)


def test_every_cause_is_injected_twice_and_nothing_five_times():
    made = [injection.cause for injection in INJECTIONS]

    assert len(made) - made.count(None) >= 14
    assert made.count(None) >= 5
    assert min(made.count(cause) for cause in set(made)) >= 2
    assert {injection.cause for injection in QUICK} == set(made)
