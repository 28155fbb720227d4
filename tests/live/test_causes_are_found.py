"""Faults made on purpose, and a healthy run: the report names what was wrong.

`make diagnosis` makes all of them and writes docs/diagnosis.md; a record of each cause is read by
tests/golden/test_causes_of_real_runs.py. Two are made here, to try what makes them. A run that this
machine had no room for is made again, up to twice.
"""

import pytest

from tools.diagnosis.diagnose import attempt
from tools.diagnosis.injections import INJECTIONS
from tools.diagnosis.places import Reach

MADE = [one for one in INJECTIONS if one.name in ("constructor-takes-3", "reset")]


@pytest.fixture
def shared(cluster):
    return Reach(cluster.urls.dashboard, cluster.urls.host, cluster.token)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("injection", MADE, ids=lambda injection: injection.name)
def test_the_report_names_what_was_wrong_and_nothing_else(injection, shared, tmp_path):
    outcome = attempt(injection, shared, tmp_path)

    assert outcome.right, (injection.cause, outcome.found, outcome.said)
