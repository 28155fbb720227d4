"""Faults made on purpose, and a healthy run: the report names what was wrong.

`make diagnosis` makes all of them and writes docs/diagnosis.md; a record of each cause is read by
tests/golden/test_causes_of_real_runs.py. One is made here, with a proxy before Serve and a hook, to
try what makes them. If this machine had no room for the run, it is made again, up to twice.
"""

import msgspec
import pytest

from tools.diagnosis.diagnose import attempt
from tools.diagnosis.injections import INJECTIONS
from tools.diagnosis.places import Reach

(RESET,) = (one for one in INJECTIONS if one.name == "reset")
(SWING,) = (one for one in INJECTIONS if one.name == "swing-factors-2")


@pytest.fixture
def shared(cluster):
    return Reach(cluster.urls.dashboard, cluster.urls.host, cluster.token)


@pytest.mark.timeout(600)
def test_the_report_names_connections_that_were_reset_and_nothing_else(shared, tmp_path):
    outcome = attempt(RESET, shared, tmp_path)

    assert outcome.right, (outcome.found, outcome.said)


@pytest.mark.timeout(600)
def test_a_swing_is_gone_with_the_advised_value(shared, tmp_path):
    """Factors of 2 swing; `tests/unit/test_stay_rules.py` has the advice: both to 1."""
    settings = {**SWING.deployment["autoscaling_config"]}
    advised = settings | {"upscaling_factor": 1.0, "downscaling_factor": 1.0}
    deployment = {**SWING.deployment, "autoscaling_config": advised}
    calm = msgspec.structs.replace(SWING, name="calm", cause=None, deployment=deployment)

    swung = attempt(SWING, shared, tmp_path / "swings")
    settled = attempt(calm, shared, tmp_path / "calm")

    (finding,) = (f for step in swung.steps() for f in step.findings if f.cause == "oscillation")
    assert finding.advice.startswith(
        "Lower upscaling_factor from 2 and downscaling_factor from 2 to 1"
    )
    assert settled.right, (settled.found, settled.said)
    assert all(step.reversals < 2 for step in settled.steps())
