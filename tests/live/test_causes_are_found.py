"""Faults made on purpose, and a healthy run: the report names what was wrong.

`make diagnosis` makes all of them and writes docs/diagnosis.md; a record of each cause is read by
tests/golden/test_causes_of_real_runs.py. One is made here, with a proxy before Serve and a hook, to
try what makes them. If this machine had no room for the run, it is made again, up to twice.
"""

import pytest

from tools.diagnosis.diagnose import attempt
from tools.diagnosis.injections import INJECTIONS
from tools.diagnosis.places import Reach

pytestmark = pytest.mark.long

(RESET,) = (one for one in INJECTIONS if one.name == "reset")


@pytest.fixture
def shared(cluster):
    return Reach(cluster.urls.dashboard, cluster.urls.host, cluster.token)


@pytest.mark.timeout(600)
def test_the_report_names_connections_that_were_reset_and_nothing_else(shared, tmp_path):
    outcome = attempt(RESET, shared, tmp_path)

    assert outcome.right, (outcome.found, outcome.said)
